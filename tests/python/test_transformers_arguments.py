"""Arguments of register() and use_lighthouse() that would have no effect, or another one than was meant: each an error."""

import numpy as np
import pytest
import torch
from transformers import MambaConfig, MambaForCausalLM

import lighthouse_attention as lighthouse
from lighthouse_attention.integrations.transformers import register, use_dense, use_lighthouse
from tiny_models import llama

OPTIONS = dict(num_levels=3, pooling_factor=2, top_k=8)
N = 150


@pytest.fixture(autouse=True)
def registered():
    register(**OPTIONS)


def tokens(length: int = N) -> torch.Tensor:
    return torch.randint(0, 64, (1, length))


WRONG_LAYERS = [
    ("01", TypeError, "a list of layers, counted from 0, as in .* got '01'"),
    (b"\x00\x01", TypeError, "a list of layers"),
    (1, TypeError, "a list of layers.* got 1"),
    ([True], TypeError, "got True in it"),
    ([np.bool_(True)], TypeError, "True.* in it"),
    ([torch.tensor(True)], TypeError, "in it"),
    ([0.0], TypeError, "got 0.0 in it"),
    (["1"], TypeError, "got '1' in it"),
    ([None], TypeError, "got None in it"),
    ([[0]], TypeError, r"got \[0\] in it"),
    ([-1], ValueError, "got -1 in it. Layers are not counted from the end"),
]


@pytest.mark.parametrize("layers, kind, words", WRONG_LAYERS)
def test_layers_are_whole_numbers(layers, kind, words):
    with pytest.raises(kind, match=f"lighthouse: full_attention_layers must be .*{words}"):
        register(full_attention_layers=layers)
    with pytest.raises(kind, match=f"lighthouse: full_attention_layers must be .*{words}"):
        use_lighthouse(llama(), full_attention_layers=layers)
    if isinstance(layers, list) and all(isinstance(layer, (int, float, str)) for layer in layers) and len(set(layers)) == len(layers):
        with pytest.raises(kind, match="lighthouse: layer_options must be a list of layers"):
            use_lighthouse(llama(), layer_options={layer: {} for layer in layers})


@pytest.mark.parametrize("layers", [(), [], [1], (1,), {1}, range(1, 2), np.array([1]), iter([1]), torch.tensor([1]), [np.int32(1)], [1, 1]])
def test_layers_may_come_in_any_order_of_things(layers):
    is_empty = isinstance(layers, (tuple, list)) and not layers
    model, ids = llama(), tokens()
    use_lighthouse(model, full_attention_layers=[] if is_empty else [1])
    expected = model(ids).logits
    use_lighthouse(model, full_attention_layers=layers)
    assert torch.equal(model(ids).logits, expected)


def test_layers_that_the_model_lacks():
    """Where they are given for a model, at once; where for all models, at the first forward pass, compiled too."""
    with pytest.raises(ValueError, match=r"layers must be of the model's \[0, 1\]; got \[7, 99\]"):
        use_lighthouse(llama(), full_attention_layers=[99, 7])
    with pytest.raises(ValueError, match=r"layers must be of the model's 9 layers, 0 to 8; got \[9\]"):
        use_lighthouse(llama(num_hidden_layers=9), layer_options={9: {}})
    register(full_attention_layers=[0, 99], **OPTIONS)
    model = llama(attn_implementation="lighthouse")
    with pytest.raises(ValueError, match=r"full_attention_layers must be of the model's 2 layers, 0 to 1; got \[99\]"):
        model(tokens())
    with pytest.raises(Exception, match="full_attention_layers must be of the model's 2 layers|Observed exception"):
        torch.compile(model, backend="eager", fullgraph=True)(tokens(), use_cache=False)
    with pytest.raises(ValueError, match=r"layers must be of the model's \[0, 1\]; got \[99\]"):
        use_lighthouse(model)
    use_lighthouse(model, full_attention_layers=[0])
    assert model(tokens()).logits.isfinite().all()
    register(full_attention_layers=[1], **OPTIONS)
    use_dense(model)
    model.set_attn_implementation("lighthouse")
    assert model(tokens()).logits.isfinite().all()


def test_options_of_layers():
    for options, kind, words in [
        ([3], TypeError, "options by layer, as in .* got list"),
        ({1: 3}, TypeError, "got 3 for layer 1"),
        ({1: dict(topk=3)}, TypeError, r"got topk \(did you mean top_k\?\)"),
        ({1: dict(top_k=3)}, ValueError, "top_k must be even"),
        ({1: dict(top_k=4)}, ValueError, "full_attention_layers"),
    ]:
        model = llama()
        with pytest.raises(kind, match=f"lighthouse.*{words}"):
            use_lighthouse(model, layer_options=options, full_attention_layers=[1])
        assert model.config._attn_implementation == "sdpa"
        assert not any("lighthouse" in name for module in model.modules() for name in module.__dict__)


WRONG_OPTIONS = [
    (dict(top_k="64"), TypeError, "top_k must be a whole number or None; got '64'"),
    (dict(top_k=True), TypeError, "top_k must be a whole number or None; got True"),
    (dict(top_k=64.0), TypeError, "top_k must be a whole number or None; got 64.0"),
    (dict(num_levels=2.0), TypeError, "num_levels must be a whole number; got 2.0"),
    (dict(num_levels=None), TypeError, "num_levels must be a whole number; got None"),
    (dict(num_levels=True), TypeError, "num_levels must be a whole number; got True"),
    (dict(pooling_factor=True), TypeError, "pooling_factor must be a whole number; got True"),
    (dict(num_tiles="2"), TypeError, "num_tiles must be a whole number or None; got '2'"),
    (dict(cover_prefix=1), TypeError, "cover_prefix must be True or False; got 1"),
    (dict(causal_selection="no"), TypeError, "causal_selection must be True or False; got 'no'"),
    (dict(num_levels=0), ValueError, "num_levels"),
    (dict(pooling_factor=1), ValueError, "pooling_factor"),
    (dict(top_k=-2), ValueError, "top_k"),
]


@pytest.mark.parametrize("options, kind, words", WRONG_OPTIONS)
def test_options_of_the_wrong_type_or_size(options, kind, words):
    for call in (register, lambda **options: use_lighthouse(llama(), **options)):
        with pytest.raises(kind, match=f"lighthouse.*{words}"):
            call(**options)
    q = torch.randn(1, 2, 64, 8)
    for call in (lighthouse.attention, lighthouse.select):
        with pytest.raises(kind, match=f"lighthouse::{call.__name__}.*{words}|lighthouse.*{words}"):
            call(*[q] * (3 if call is lighthouse.attention else 2), **options)


def test_numbers_of_the_layer_itself():
    q = torch.randn(1, 2, 256, 8)
    for scale, kind in [("1", TypeError), (True, TypeError), (float("nan"), ValueError), (float("inf"), ValueError), (0, ValueError)]:
        with pytest.raises(kind, match="lighthouse::attention: scale must be a"):
            lighthouse.attention(q, q, q, scale=scale)
    for length in ("512", 512.0, True):
        with pytest.raises(TypeError, match="lighthouse::retained_length: N must be a whole number"):
            lighthouse.retained_length(length)
    as_numpy = lighthouse.attention(q, q, q, top_k=np.int64(4), num_levels=np.int32(2), scale=np.float32(0.5))
    assert torch.equal(as_numpy, lighthouse.attention(q, q, q, top_k=4, num_levels=2, scale=0.5))


def test_names_and_their_neighbours():
    for call in (register, lambda **options: use_lighthouse(llama(), **options)):
        with pytest.raises(TypeError, match=r"options must be of num_levels, .*; got numlevels \(did you mean num_levels\?\), topk \(did you"):
            call(topk=3, numlevels=2)
        with pytest.raises(TypeError, match="got scale$"):
            call(scale=1.0)  # it is the model's
    with pytest.raises(TypeError, match=r'the name must be text that starts with "lighthouse"; got \[0\]'):
        register([0])
    for name in ("lighthouse-flash", "lighthouse_sdpa", "lighthouse|x", "lighthouse/kernel", "lighthouse x"):
        with pytest.raises(ValueError, match=r"the name must be of letters, digits.*got \"lighthouse"):
            register(name)
    with pytest.raises(TypeError, match="inner must be a kernel's name, a function .*; got 3"):
        register(inner=3)


def test_options_that_fit_alone_but_not_together():
    register(num_levels=2, num_tiles=4, top_k=8)
    with pytest.raises(ValueError, match="num_tiles"):
        use_lighthouse(llama(), top_k=10)


def test_without_arguments_it_engages():
    """At 2,048 tokens and wherever a model trains; where it cannot gain, dense attention runs and the numbers are told once."""
    rows = []

    def inner(q, k, v, **options):
        rows.append(q.shape[2])
        return torch.nn.functional.scaled_dot_product_attention(q, k, v, **options)

    register(inner=inner)
    model = llama(attn_implementation="lighthouse", max_position_embeddings=4096)
    with torch.no_grad():
        model(tokens(2048))
        assert rows == [lighthouse.retained_length(2048)] * 2 and rows[0] < 2048 / 4
        rows.clear()
        register(inner=inner, top_k=1536)
        with pytest.warns(UserWarning, match=r"\d+ of 2000 tokens would be retained .*top_k=1536.*dense attention runs instead") as told:
            model(tokens(2000))
        assert rows == [2000] * 2 and len(told) == 1


def test_models_without_attention():
    with pytest.raises(ValueError, match="whose attention modules have a layer_idx; got MambaForCausalLM"):
        use_lighthouse(MambaForCausalLM(MambaConfig(hidden_size=16, num_hidden_layers=1, vocab_size=64)))
