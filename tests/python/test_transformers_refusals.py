"""What a transformers model asks for that Lighthouse attention cannot compute: an error that says what came and what to do."""

import re

import pytest
import torch
import transformers

from lighthouse_attention.integrations.transformers import dense_attention, register, use_lighthouse
from tiny_models import gemma2, gemma3, gpt_oss, llama, mistral, qwen3

N = 150
DENSE = r'set_attn_implementation\("sdpa"\)'


@pytest.fixture(autouse=True)
def registered():
    register(num_levels=3, pooling_factor=2, top_k=8)


def tokens(batch: int = 2) -> torch.Tensor:
    return torch.randint(0, 64, (batch, N))


def packed_positions() -> torch.Tensor:
    return torch.cat([torch.arange(100), torch.arange(N - 100)])[None]


def refused(model, *messages: str, **inputs) -> None:
    with pytest.raises(ValueError, match="lighthouse: ") as caught:
        model(**{"input_ids": tokens(), **inputs})
    for message in messages:
        assert caught.match(message)


def test_decoding_with_a_cache():
    model, prompt = llama(), tokens(1)
    use_lighthouse(model)
    settings = dict(max_new_tokens=3, do_sample=False, pad_token_id=0, attention_mask=torch.ones_like(prompt))
    with pytest.raises(ValueError, match=rf"1 queries and {N + 1} keys, as in decoding with a key/value cache.*{DENSE}"):
        model.generate(prompt, **settings)
    with dense_attention(model):
        generated = model.generate(prompt, **settings)
    assert generated.shape == (1, N + 3)
    model.set_attn_implementation("sdpa")
    assert torch.equal(model.generate(prompt, **settings), generated)
    model.set_attn_implementation("lighthouse")
    with pytest.raises(ValueError, match="as in decoding"):  # more keys than queries from the first step on
        model.generate(prompt, cache_implementation="static", **settings)


@pytest.mark.parametrize("side", ["left", "right"])
def test_padding(side):
    model, mask = llama(), torch.ones(2, N, dtype=torch.long)
    mask[0, :10] = 0
    use_lighthouse(model)
    refused(model, r"rows without padding; got an attention_mask \[2, 150\] that hides 10", DENSE,
            attention_mask=mask if side == "left" else mask.flip(1))  # fmt: skip


def test_masks_of_the_callers():
    model = llama()
    use_lighthouse(model)
    causal = torch.ones(N, N, dtype=torch.bool).tril().expand(2, 1, N, N)
    additive = torch.zeros(2, 1, N, N).masked_fill(~causal, float("-inf"))
    for mask in (causal, additive, torch.zeros(2, 1, N, N)):
        refused(model, r"no mask beside the causal one; layer 0 .* shape \[2, 1, 150, 150\]", attention_mask=mask)
    for shape in ((2, N, N), (N,)):
        refused(model, rf"expected an attention_mask \[batch, tokens\]; got one of shape {re.escape(str(list(shape)))}",
                attention_mask=torch.ones(shape))  # fmt: skip


@pytest.mark.parametrize("use_cache", [True, False])
@pytest.mark.parametrize("length", [N - 1, N + 1])
def test_masks_of_another_length(use_cache, length):
    """sdpa would hide what a short one leaves out, or fail."""
    model = llama()
    use_lighthouse(model)
    refused(model, rf"rows without padding; got an attention_mask \[2, {length}\] for rows of 150 tokens", DENSE,
            attention_mask=torch.ones(2, length), use_cache=use_cache)  # fmt: skip


@pytest.mark.parametrize("dtype", [torch.long, torch.int32, torch.bool, torch.float32, torch.bfloat16])
def test_masks_of_ones_of_any_type(dtype):
    model, ids = llama(), tokens()
    use_lighthouse(model)
    assert torch.equal(model(ids, attention_mask=torch.ones(2, N, dtype=dtype)).logits, model(ids).logits)
    hiding = torch.ones(2, N, dtype=dtype)
    hiding[1, 5:7] = 0
    refused(model, "hides 2 of its tokens", attention_mask=hiding)


def test_packed_documents():
    model, positions = llama(), packed_positions()
    use_lighthouse(model)
    plain = model(tokens(), position_ids=torch.arange(5, N + 5)[None]).logits
    assert plain.isfinite().all()
    refused(model, "packed documents", "one document a row", position_ids=positions, use_cache=False)
    refused(model, "packed documents", "one document a row", position_ids=positions, use_cache=True)
    reused = torch.arange(N)[None].clone()
    model(tokens(), position_ids=reused)
    reused.copy_(positions)  # the same tensor, with other values
    refused(model, "packed documents", "one document a row", position_ids=reused, use_cache=False)
    refused(model, "position_ids that rise by 1; got others", position_ids=torch.arange(0, 2 * N, 2)[None], use_cache=True)
    for dense in ([], [0, 1]):  # sdpa would let the documents see each other
        use_lighthouse(model, full_attention_layers=dense)
        lengths = torch.tensor([0, 100, N], dtype=torch.int32)
        refused(model, r"packed documents \(cu_seq_lens_q\)", "one document a row", cu_seq_lens_q=lengths, cu_seq_lens_k=lengths)
        refused(model, r"packed documents \(seq_idx\)", "one document a row", seq_idx=torch.zeros(2, N, dtype=torch.int32))


def test_packed_documents_in_a_compiled_model():
    torch._dynamo.reset()
    model = llama()
    use_lighthouse(model)
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    assert compiled(tokens(), position_ids=torch.arange(N)[None], use_cache=False).logits.isfinite().all()
    with pytest.raises(RuntimeError, match="packed documents"):
        compiled(tokens(), position_ids=packed_positions(), use_cache=False)


def test_padding_in_a_compiled_model():
    torch._dynamo.reset()
    model, mask = llama(), torch.ones(2, N, dtype=torch.long)
    use_lighthouse(model)
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    assert compiled(tokens(), attention_mask=mask).logits.isfinite().all()
    mask[1, -1] = 0
    with pytest.raises(RuntimeError, match="rows without padding"):
        compiled(tokens(), attention_mask=mask)


def test_sliding_windows():
    model = mistral(sliding_window=64)
    use_lighthouse(model)
    refused(model, "layer 0|no mask", "full_attention_layers|without padding")
    model = gemma3()
    use_lighthouse(model)
    refused(model, r"layer 0 \(Gemma3Attention\)")


def test_softcaps_sinks_and_dropout():
    for model, message in [
        (gemma2(), "a softcap of the logits"),
        (gpt_oss(), "attention sinks"),
        (llama(attention_dropout=0.1).train(), "attention dropout is not supported; layer 0 .* got 0.1.*attention_dropout = 0"),
    ]:
        use_lighthouse(model)
        refused(model, message)
    assert model.eval()(tokens()).logits.isfinite().all()  # dropout is of training


@pytest.mark.parametrize("make, message", [(gemma2, "a softcap"), (gpt_oss, "attention sinks")])
def test_dense_layers_do_not_leave_out_what_sdpa_does_not_know(make, message):
    model = make()
    use_lighthouse(model, full_attention_layers=range(model.config.num_hidden_layers))
    refused(model, rf"asks for {message}.*, which dense attention by sdpa does not have", r'set_attn_implementation\("eager"\)')


@pytest.mark.parametrize("dense", [[], [0, 1]])
def test_output_attentions(dense):
    """Asked for in a call or by the configuration; what came would be a tuple of None."""
    model = llama()
    use_lighthouse(model, full_attention_layers=dense)
    refused(model, "attention weights are not computed", output_attentions=True)
    model.set_attn_implementation("eager")
    model.config.output_attentions = True
    model.set_attn_implementation("lighthouse")
    refused(model, "attention weights are not computed")
    assert model(tokens(), output_attentions=False).logits.isfinite().all()


@pytest.mark.parametrize("dense", [[], [0, 1]])
def test_masks_of_heads(dense):
    model = llama()
    use_lighthouse(model, full_attention_layers=dense)
    refused(model, "asks for a mask of heads", head_mask=torch.ones(4))


def test_a_cache_that_is_filled():
    model, ids = llama(), tokens()
    cache = transformers.DynamicCache(config=model.config)
    model(ids, cache=cache)
    use_lighthouse(model)
    refused(model, rf"got {N} queries and {2 * N} keys, as in decoding", cache=cache)
    assert model(ids, cache=transformers.DynamicCache(config=model.config)).logits.isfinite().all()


def test_normalised_queries_without_hooks():
    model = qwen3()
    model.set_attn_implementation("lighthouse")
    refused(model, "Qwen3Attention normalises queries and keys per head", r"use_lighthouse\(model\)")
    register(num_levels=1)  # nothing is selected then
    assert model(tokens()).logits.isfinite().all()


def test_bidirectional_attention():
    model = llama(is_causal=False)
    use_lighthouse(model)
    refused(model, "tokens see later ones")
    model = llama()
    use_lighthouse(model)
    refused(model, "tokens see later ones", is_causal=False)


SMALL_BERT = dict(vocab_size=64, hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32)
SMALL_T5 = dict(vocab_size=64, d_model=32, d_kv=8, d_ff=32, num_layers=1, num_heads=2)
SMALL_BART = dict(vocab_size=64, d_model=32, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2, decoder_attention_heads=2,
                  encoder_ffn_dim=32, decoder_ffn_dim=32)  # fmt: skip
SMALL_GPT2 = dict(vocab_size=64, n_embd=32, n_layer=1, n_head=2)


@pytest.mark.parametrize("make, inputs", [
    (lambda: transformers.BertModel(transformers.BertConfig(**SMALL_BERT)), dict()),
    (lambda: transformers.T5ForConditionalGeneration(transformers.T5Config(**SMALL_T5)), dict(decoder_input_ids=tokens())),
    (lambda: transformers.BartForConditionalGeneration(transformers.BartConfig(**SMALL_BART)), dict(decoder_input_ids=tokens())),
    (lambda: transformers.GPT2LMHeadModel(transformers.GPT2Config(add_cross_attention=True, **SMALL_GPT2)),
     dict(encoder_hidden_states=torch.randn(2, N, 32))),
], ids=["encoder", "encoder and decoder with biases", "encoder and decoder", "cross attention"])  # fmt: skip
def test_encoders_and_cross_attention(make, inputs):
    model = make().eval()
    use_lighthouse(model)
    refused(model, "expected the causal mask; got one under which tokens see later ones", DENSE, **inputs)


@pytest.mark.parametrize("name, sizes", [("Bloom", dict(n_layer=1, n_head=2)), ("Falcon", dict(num_hidden_layers=1, num_attention_heads=2))])
def test_models_that_do_not_take_their_attention_by_name(name, sizes):
    config = getattr(transformers, f"{name}Config")(vocab_size=64, hidden_size=32, **sizes)
    model = getattr(transformers, f"{name}ForCausalLM")(config)
    before = model.config._attn_implementation
    with pytest.raises(ValueError, match=f'{name}ForCausalLM does not take its attention by name: it stays at "{before}"'):
        use_lighthouse(model)
    assert not any("lighthouse" in key for module in model.modules() for key in module.__dict__)


class Module(torch.nn.Module):
    """An attention module as transformers hands over, of no model."""

    layer_idx, is_causal = 3, True


def test_what_only_attention_modules_see():
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    forward = ALL_ATTENTION_FUNCTIONS["lighthouse"]
    q, k, v = (torch.randn(1, h, N, 8) for h in (4, 2, 2))
    assert forward(Module(), q, k, v, None)[0].shape == (1, N, 4, 8)
    for arguments, message in [
        (dict(value=v[..., :4]), r"values of the queries' head size, 8; layer 3 \(Module\) got 4"),
        (dict(is_causal=False), "expected causal attention; layer 3"),
        (dict(key=k[:, :, :70], value=v[:, :, :70]), "got 150 queries and 70 keys"),
        (dict(position_bias=torch.zeros(1, 4, N, N)), "a position bias"),
        (dict(sliding_window=32), "a sliding window of 32 in 150 tokens"),
    ]:
        with pytest.raises(ValueError, match=message):
            forward(Module(), **{"query": q, "key": k, "value": v, "attention_mask": None, **arguments})
    shared = Module()
    shared.qk_norm = torch.nn.LayerNorm(8)
    with pytest.raises(ValueError, match="by one module, qk_norm"):
        forward(shared, q, k, v, None)


def test_options():
    with pytest.raises(TypeError, match="options must be of num_levels, .*; got topk"):
        register(topk=3)
    with pytest.raises(ValueError, match="top_k must be even"):
        use_lighthouse(llama(), top_k=3)
    with pytest.raises(ValueError, match=r"layers must be of the model's \[0, 1\]; got \[2\]"):
        use_lighthouse(llama(), full_attention_layers=[2])
    with pytest.raises(ValueError, match=r'must start with "lighthouse"; got "sdpa"'):
        register("sdpa")
    with pytest.raises(ValueError, match="whose attention modules have a layer_idx; got Linear"):
        use_lighthouse(torch.nn.Linear(2, 2))
