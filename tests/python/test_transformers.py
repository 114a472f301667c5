"""transformers' own models under "lighthouse": what they compute, how they are switched and set, layer by layer."""

import copy

import pytest
import torch

import lighthouse_attention as lighthouse
from lighthouse_attention.integrations.transformers import dense_attention, register, use_dense, use_lighthouse
from tiny_models import gemma3, llama, llava, mistral, olmo2, qwen3

OPTIONS = dict(num_levels=3, pooling_factor=2, top_k=8)
N = 150


@pytest.fixture(autouse=True)
def registered():
    register(**OPTIONS)


def tokens(batch: int = 2, length: int = N) -> torch.Tensor:
    return torch.randint(0, 64, (batch, length))


def loss_and_gradients(model, ids):
    model.zero_grad()
    loss = model(ids, labels=ids).loss
    loss.backward()
    return loss.detach(), [p.grad.clone() for p in model.parameters()]


@pytest.mark.parametrize("make", [llama, mistral, qwen3, olmo2])
def test_one_level_is_the_dense_model(make):
    model, ids = make(), tokens()
    expected = model(ids).logits
    use_lighthouse(model, num_levels=1)
    torch.testing.assert_close(model(ids).logits, expected, rtol=1e-4, atol=1e-5)


def by_hand(scores_wanted: bool):
    """An attention function that calls attention() itself; scores from the projections' outputs, which hooks leave in `kept`."""
    from transformers import AttentionInterface, AttentionMaskInterface

    kept = {}

    def forward(module, query, key, value, attention_mask, scaling=None, **kwargs):
        scores = None
        if scores_wanted:
            shape = (*query.shape[:1], query.shape[2], -1, query.shape[3])
            norms = [kept[name, module.layer_idx].view(shape).norm(dim=-1).transpose(1, 2) for name in ("q_proj", "k_proj")]
            groups = query.shape[1] // key.shape[1]
            scores = (norms[0].unflatten(1, (-1, groups)).max(2).values, norms[1])
        out = lighthouse.attention(query, key, value, scale=scaling, scores=scores, **OPTIONS)
        return out.transpose(1, 2).contiguous(), None

    def watch(model):
        for layer in model.model.layers:
            for name in ("q_proj", "k_proj"):
                where = (name, layer.self_attn.layer_idx)
                getattr(layer.self_attn, name).register_forward_hook(
                    lambda module, args, out, where=where: kept.__setitem__(where, out.detach())
                )

    AttentionInterface.register("by-hand", forward)
    AttentionMaskInterface.register("by-hand", lambda **kwargs: None)
    return watch


@pytest.mark.parametrize("make, normalises", [(llama, False), (mistral, False), (qwen3, True), (olmo2, True)])
def test_it_is_attention_called_by_hand(make, normalises):
    assert lighthouse.retained_length(N, **OPTIONS) < N
    model, ids = make(), tokens()
    use_lighthouse(model)
    loss, gradients = loss_and_gradients(model, ids)
    by_hand(normalises)(model)
    model.set_attn_implementation("by-hand")
    expected_loss, expected = loss_and_gradients(model, ids)
    assert torch.equal(loss, expected_loss)
    for got, want in zip(gradients, expected):
        assert torch.equal(got, want) and got.isfinite().all() and got.abs().sum() > 0
    model.set_attn_implementation("sdpa")
    assert not torch.equal(loss, loss_and_gradients(model, ids)[0])


@pytest.mark.parametrize("make", [llama, qwen3])
def test_switching_there_and_back(make):
    model, ids = make(), tokens()
    dense = model(ids).logits
    use_lighthouse(model)
    selected = model(ids).logits
    assert not torch.equal(selected, dense)
    with dense_attention(model):
        assert torch.equal(model(ids).logits, dense)
    assert torch.equal(model(ids).logits, selected)
    assert torch.equal(copy.deepcopy(model)(ids).logits, selected)
    model.set_attn_implementation("sdpa")
    assert torch.equal(model(ids).logits, dense)
    model.set_attn_implementation("lighthouse")
    assert torch.equal(model(ids).logits, selected)
    use_dense(model)
    assert torch.equal(model(ids).logits, dense)
    assert not any("lighthouse" in name for module in model.modules() for name in module.__dict__)


def test_parts_of_a_model_come_back_as_they_were():
    """The decoder alone selects, as is advised for models of several parts."""
    model, ids = llava(), tokens()
    dense = model(input_ids=ids).logits
    model.set_attn_implementation({"text_config": "lighthouse"})
    selected = model(input_ids=ids).logits
    assert not torch.equal(selected, dense)
    with dense_attention(model):
        assert torch.equal(model(input_ids=ids).logits, dense)
    config = model.config
    names = [part._attn_implementation for part in (config, config.text_config, config.vision_config)]
    assert names == ["sdpa", "lighthouse", "sdpa"]
    assert torch.equal(model(input_ids=ids).logits, selected)


def test_nothing_is_kept_for_layers_that_attend_densely():
    model, ids = qwen3(), tokens()
    use_lighthouse(model, full_attention_layers=[0])
    kept = lambda: sum(module.__dict__.get("lighthouse_input") is not None for module in model.modules())  # noqa: E731
    for _ in range(2):
        model(ids)
        assert kept() == 0
        with dense_attention(model):
            model(ids)
        assert kept() == 0
    model.set_attn_implementation("sdpa")
    model(ids)
    assert kept() == 0


def test_two_lines_are_enough():
    ids = tokens()
    model = llama()
    model.set_attn_implementation("lighthouse")
    selected = model(ids).logits
    use_lighthouse(model)
    assert torch.equal(model(ids).logits, selected)
    assert torch.equal(llama(attn_implementation="lighthouse")(ids).logits, selected)


class Recorder:
    """An inner attention that notes the rows it gets."""

    def __init__(self):
        self.rows = []

    def __call__(self, q, k, v, **kwargs):
        self.rows.append(q.shape[2])
        return torch.nn.functional.scaled_dot_product_attention(q, k, v, **kwargs)


def test_options_of_models_and_layers():
    ids, inner = tokens(), Recorder()
    length = lambda **changes: lighthouse.retained_length(N, **{**OPTIONS, **changes})  # noqa: E731
    register(inner=inner, full_attention_layers=[1], **OPTIONS)
    model, other = llama(num_hidden_layers=4), llama()
    other.set_attn_implementation("lighthouse")
    other(ids)
    assert inner.rows == [length()]  # of two layers, one is dense
    inner.rows.clear()
    use_lighthouse(model, full_attention_layers=[0], layer_options={2: dict(top_k=16)}, top_k=4)
    model(ids)
    assert inner.rows == [length(top_k=4), length(top_k=16), length(top_k=4)]
    inner.rows.clear()
    other(ids)
    assert inner.rows == [length()]
    register("lighthouse-wide", inner=inner, num_levels=2, pooling_factor=2, top_k=12)
    other.set_attn_implementation("lighthouse-wide")
    inner.rows.clear()
    other(ids)
    assert inner.rows == [length(num_levels=2, top_k=12)] * 2


def test_dense_layers_are_the_models_own():
    """All layers dense: the model, bit for bit, sliding windows included."""
    for make in (llama, gemma3):
        model, ids = make(), tokens()
        dense = model(ids).logits
        use_lighthouse(model, full_attention_layers=range(model.config.num_hidden_layers))
        assert torch.equal(model(ids).logits, dense)


def test_sliding_layers_dense_and_global_ones_lighthouse():
    inner = Recorder()
    model, ids = gemma3(), tokens()
    sliding = [i for i, kind in enumerate(model.config.layer_types) if kind == "sliding_attention"]
    assert 0 < len(sliding) < model.config.num_hidden_layers
    use_lighthouse(model, full_attention_layers=sliding, inner=inner)
    loss, gradients = loss_and_gradients(model, ids)
    assert inner.rows == [lighthouse.retained_length(N, **OPTIONS)] * (model.config.num_hidden_layers - len(sliding))
    assert loss.isfinite() and all(g.abs().sum() > 0 for g in gradients)


def test_a_window_as_long_as_the_sequence_is_none():
    ids = tokens()
    model, windowed = mistral(), mistral(sliding_window=N)
    windowed.load_state_dict(model.state_dict())
    for m in (model, windowed):
        use_lighthouse(m)
    assert torch.equal(model(ids).logits, windowed(ids).logits)


@pytest.mark.parametrize("use_reentrant", [False, True])
@pytest.mark.parametrize("make", [llama, qwen3])
def test_gradient_checkpointing(make, use_reentrant):
    """The layers run again in backward, hooks included: the same bits."""
    model, ids = make().train(), tokens()
    use_lighthouse(model)
    loss, gradients = loss_and_gradients(model, ids)
    model.gradient_checkpointing_enable(gradient_checkpointing_kwargs=dict(use_reentrant=use_reentrant))
    again, recomputed = loss_and_gradients(model, ids)
    assert torch.equal(loss, again) and all(torch.equal(a, b) for a, b in zip(gradients, recomputed))


@pytest.mark.parametrize("make", [llama, qwen3])
def test_compiles_whole(make):
    torch._dynamo.reset()
    model, ids = make(), tokens()
    use_lighthouse(model)
    expected = model(ids, use_cache=False).logits
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(ids, use_cache=False).logits, expected, rtol=1e-4, atol=1e-5)


def test_under_autocast():
    """Rotary embedding makes float32 queries and keys beside bfloat16 values; scores of projections come in bfloat16."""
    for make in (llama, qwen3):
        model, ids = make(), tokens()
        use_lighthouse(model)
        with torch.autocast("cpu", torch.bfloat16):
            loss, gradients = loss_and_gradients(model, ids)
        assert loss.isfinite() and all(g.dtype == torch.float32 and g.isfinite().all() for g in gradients)


def test_a_mask_of_ones_is_no_mask():
    model, ids = llama(), tokens()
    use_lighthouse(model)
    assert torch.equal(model(ids, attention_mask=torch.ones_like(ids)).logits, model(ids).logits)


def test_what_is_saved_names_no_lighthouse(tmp_path):
    model = qwen3()
    use_lighthouse(model)
    model(tokens())
    names = set(model.state_dict())
    model.save_pretrained(tmp_path)
    assert "lighthouse" not in (tmp_path / "config.json").read_text()
    assert names == set(qwen3().state_dict())
