"""Lighthouse in transformers where tensors have no values, or keep no record of changes: wherever "sdpa" works."""

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from lighthouse_attention.integrations.transformers import dense_attention, register, use_lighthouse
from tiny_models import gemma3, llama, qwen3

N = 150


@pytest.fixture(autouse=True)
def registered():
    register(num_levels=3, pooling_factor=2, top_k=8)


def tokens(batch: int = 2) -> torch.Tensor:
    return torch.randint(0, 64, (batch, N))


def packed() -> torch.Tensor:
    return torch.cat([torch.arange(100), torch.arange(N - 100)])[None]


@pytest.mark.parametrize("make", [llama, qwen3])
@pytest.mark.parametrize("use_cache", [True, False])
def test_inference_mode(make, use_cache):
    model, ids = make().eval(), tokens()
    use_lighthouse(model)
    inputs = [dict(), dict(attention_mask=torch.ones(2, N, dtype=torch.bool)), dict(position_ids=torch.arange(N)[None])]
    with torch.no_grad():
        expected = model(ids, use_cache=use_cache).logits
    for more in inputs:
        with torch.inference_mode():
            assert torch.equal(model(ids.clone(), use_cache=use_cache, **{k: x.clone() for k, x in more.items()}).logits, expected)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        assert model(ids).logits.isfinite().all()


def test_a_model_that_was_made_in_inference_mode():
    with torch.inference_mode():
        model = llama(attn_implementation="lighthouse").eval()
        assert model(tokens()).logits.isfinite().all()


def test_nothing_that_was_looked_at_is_taken_for_seen():
    """Inference tensors have no version; and a change by .data is in none."""
    model, ids = llama().eval(), tokens()
    use_lighthouse(model)
    for mode in (torch.inference_mode, torch.no_grad):
        with mode():
            positions = torch.arange(N)[None].clone()
            model(ids, position_ids=positions, use_cache=False)
            positions.data.copy_(packed())
            with pytest.raises(ValueError, match="packed documents"):
                model(ids, position_ids=positions, use_cache=True)
            mask = torch.ones(2, N, dtype=torch.long)
            model(ids, attention_mask=mask)
            mask[0, 3] = 0
            with pytest.raises(ValueError, match="hides 1 of its tokens"):
                model(ids, attention_mask=mask)


def test_generating_in_inference_mode():
    model, prompt = llama().eval(), tokens(1)
    use_lighthouse(model)
    settings = dict(max_new_tokens=3, do_sample=False, pad_token_id=0, attention_mask=torch.ones_like(prompt))
    with torch.inference_mode():
        with pytest.raises(ValueError, match="as in decoding with a key/value cache"):
            model.generate(prompt, **settings)
        without_cache = model.generate(prompt, use_cache=False, **settings)
        with dense_attention(model):
            assert model.generate(prompt, **settings).shape == without_cache.shape == (1, N + 3)


def on_meta(make):
    with torch.device("meta"):
        return make()


@pytest.mark.parametrize("make", [llama, qwen3, gemma3])
def test_meta_tensors(make):
    """Shapes alone: of a model whose weights are not there, as for an estimate of memory."""
    model = on_meta(make).train()
    sliding = [i for i, kind in enumerate(getattr(model.config, "layer_types", None) or []) if kind == "sliding_attention"]
    use_lighthouse(model, full_attention_layers=sliding)
    ids = torch.zeros(2, N, dtype=torch.long, device="meta")
    for mask in (None, torch.ones(2, N, dtype=torch.long, device="meta"), torch.ones(2, N, dtype=torch.long)):
        if mask is not None and sliding:
            continue  # transformers itself looks at the mask to make a sliding one
        out = model(ids, attention_mask=mask, labels=ids)
        assert out.logits.shape == (2, N, 64) and out.logits.is_meta
        out.loss.backward()
    assert all(p.grad.shape == p.shape for p in model.parameters())


@pytest.mark.parametrize("make", [llama, qwen3])
@pytest.mark.parametrize("use_cache", [True, False])
def test_fake_tensors(make, use_cache):
    with FakeTensorMode():
        model, ids = make().train(), tokens()
        use_lighthouse(model)
        for more in (dict(), dict(attention_mask=torch.ones(2, N)), dict(position_ids=torch.arange(N)[None])):
            out = model(ids, labels=ids, use_cache=use_cache, **more)
            assert out.logits.shape == (2, N, 64)
            out.loss.backward()


@pytest.mark.parametrize("strict", [False, True])
def test_export(strict):
    model, ids = llama().eval(), tokens()
    use_lighthouse(model)
    inputs = dict(use_cache=False, attention_mask=torch.ones(2, N, dtype=torch.long))
    program = torch.export.export(model, (ids,), inputs, strict=strict).module()
    with torch.no_grad():
        torch.testing.assert_close(program(ids, **inputs).logits, model(ids, **inputs).logits, rtol=1e-4, atol=1e-5)
        inputs["attention_mask"][0, 0] = 0
        with pytest.raises(RuntimeError, match="rows without padding"):
            program(ids, **inputs)


def test_what_shapes_alone_tell_is_refused_there_too():
    model = on_meta(llama)
    use_lighthouse(model)
    ids = torch.zeros(2, N, dtype=torch.long, device="meta")
    with pytest.raises(ValueError, match=r"an attention_mask \[2, 151\] for rows of 150 tokens"):
        model(ids, attention_mask=torch.ones(2, N + 1, device="meta"))
    with pytest.raises(ValueError, match="attention weights are not computed"):
        model(ids, output_attentions=True)
