"""What a Lighthouse layer of a transformers model refuses, before anything is computed."""

import weakref
from typing import Any, Callable, NoReturn, Optional

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor

# Keywords of attention functions that change what is computed: what they ask for, and where that is to be had. transformers'
# "sdpa" does not know the first ones either and computes on without most of them.
_EAGER = 'use the model\'s own attention: model.set_attn_implementation("eager")'
_ONE_DOCUMENT = "train on one document a row"
_UNKNOWN_TO_SDPA = {
    "softcap": ("a softcap of the logits", _EAGER),
    "s_aux": ("attention sinks", _EAGER),
    "sinks": ("attention sinks", _EAGER),
    "indices": ("a choice of keys of the model's own", _EAGER),
    "block_indices": ("a choice of keys of the model's own", _EAGER),
    "head_mask": ("a mask of heads", _EAGER),
    "layer_head_mask": ("a mask of heads", _EAGER),
    "cu_seq_lens_q": ("packed documents (cu_seq_lens_q)", _ONE_DOCUMENT),
    "cu_seq_lens_k": ("packed documents (cu_seq_lens_k)", _ONE_DOCUMENT),
    "cu_seqlens": ("packed documents (cu_seqlens)", _ONE_DOCUMENT),
    "seq_idx": ("packed documents (seq_idx)", _ONE_DOCUMENT),
}
_UNKNOWN = {**_UNKNOWN_TO_SDPA, "position_bias": ("a position bias", _EAGER)}
USE_SDPA = 'use model.set_attn_implementation("sdpa")'


def refuse(what: str, advice: str) -> NoReturn:
    raise ValueError(f"lighthouse: {what}. {advice[0].upper()}{advice[1:]}.")


def refuse_unfit(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Optional[Any],
    dropout: float,
    is_causal: Optional[bool],
    kwargs: dict[str, Any],
) -> None:
    """Raises ValueError where causal self-attention over one whole document per row is not what the model asks for."""
    layer = _name_of(module)
    queries, keys = query.shape[2], key.shape[2]
    if not (is_causal if is_causal is not None else getattr(module, "is_causal", True)):
        refuse(
            f"expected causal attention; {layer} is bidirectional or attends to another sequence",
            f'{USE_SDPA}; of a model of several parts give the decoder alone: set_attn_implementation({{"text_config": "lighthouse"}})',
        )
    if queries != keys:
        refuse_decoding(queries, keys)
    if attention_mask is not None:
        refuse(
            f"expected no mask beside the causal one; {layer} got one of shape {list(attention_mask.shape)}",
            f"train on whole rows without padding, or {USE_SDPA}",
        )
    if value.shape[-1] != query.shape[-1]:
        refuse(f"expected values of the queries' head size, {query.shape[-1]}; {layer} got {value.shape[-1]}", USE_SDPA)
    if dropout > 0:
        refuse(f"attention dropout is not supported; {layer} got {dropout}", "set config.attention_dropout = 0")
    window = kwargs.get("sliding_window")
    if window is not None and window < queries:
        refuse(
            f"expected attention over the whole sequence; {layer} has a sliding window of {window} in {queries} tokens",
            "list this layer in full_attention_layers, or set config.sliding_window = None before the model is made",
        )
    _refuse_keywords(layer, "Lighthouse attention", _UNKNOWN, kwargs)
    _refuse_output_of_weights(module, kwargs)
    _refuse_packed(kwargs.get("position_ids"), module)


def refuse_unfit_dense(module: nn.Module, kwargs: dict[str, Any]) -> None:
    """The same for a layer that attends densely by "sdpa", which would leave out what it does not know."""
    _refuse_keywords(_name_of(module), "dense attention by sdpa", _UNKNOWN_TO_SDPA, kwargs)
    _refuse_output_of_weights(module, kwargs)


def _refuse_keywords(layer: str, who: str, unknown: dict[str, tuple[str, str]], kwargs: dict[str, Any]) -> None:
    for name, (meaning, advice) in unknown.items():
        if kwargs.get(name) is not None:
            refuse(f"{layer} asks for {meaning}, which {who} does not have", advice)


def _refuse_output_of_weights(module: nn.Module, kwargs: dict[str, Any]) -> None:
    asked = kwargs.get("output_attentions")
    if asked if asked is not None else getattr(getattr(module, "config", None), "output_attentions", False):
        refuse("attention weights are not computed; got output_attentions=True", 'use set_attn_implementation("eager")')


def _name_of(module: nn.Module) -> str:
    return f"layer {getattr(module, 'layer_idx', None)} ({type(module).__name__})"


def refuse_decoding(queries: Any, keys: Any) -> NoReturn:
    refuse(
        f"expected as many keys as queries; got {queries} queries and {keys} keys, as in decoding with a key/value cache",
        'generate under dense attention: model.set_attn_implementation("sdpa"), or "with dense_attention(model):" while training',
    )


def values_are_known(x: Tensor) -> bool:
    """Not of meta and fake tensors, which have none, nor where a graph is traced or captured: a look would fail there, or hold
    for this one call."""
    if torch.compiler.is_compiling():
        return False
    return not (x.is_meta or isinstance(x, FakeTensor) or torch.jit.is_tracing() or _is_capturing(x))


def _is_capturing(x: Tensor) -> bool:
    return x.is_cuda and torch.cuda.is_current_stream_capturing()


def assert_later(condition: Callable[[], Tensor], message: str, like: Tensor) -> None:
    """For graphs: an assertion in them. Of shapes alone there is nothing to assert."""
    if torch.compiler.is_compiling() or _is_capturing(like):
        torch._assert_async(condition(), f"lighthouse: {message}")


_POSITIONS = "expected position_ids that rise by 1"
# The positions that all layers of a forward pass share, their version, and the layer that looked at them.
_checked_positions: Any = None


def _refuse_packed(position_ids: Optional[Tensor], module: nn.Module) -> None:
    """Positions that start again within a row are documents that must not see each other."""
    if position_ids is None or position_ids.dim() not in (1, 2) or position_ids.shape[-1] < 2:
        return

    def rise_by_one() -> Tensor:
        return (position_ids.diff(dim=-1) == 1).all()

    if not values_are_known(position_ids):
        assert_later(rise_by_one, f"{_POSITIONS}; got others, as of packed documents", position_ids)
        return
    # Once for a forward pass: on a GPU each look waits for it. Inference tensors have no version, and may change unseen.
    global _checked_positions
    version = None if position_ids.is_inference() else position_ids._version
    if version is not None and _checked_positions is not None:
        checked, looked_at, layer = _checked_positions
        if checked() is position_ids and looked_at == version and layer() is not module:
            return
    if not bool(rise_by_one()):
        refuse(f"{_POSITIONS}; got others, as of packed documents", f"{_ONE_DOCUMENT}, or {USE_SDPA}")
    _checked_positions = weakref.ref(position_ids), version, weakref.ref(module)
