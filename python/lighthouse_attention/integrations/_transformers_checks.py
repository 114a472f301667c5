"""What a Lighthouse layer of a transformers model refuses, before anything is computed."""

import weakref
from typing import Any, NoReturn, Optional

import torch
from torch import Tensor, nn

# Keywords of attention functions that change what is computed, and what they ask for. transformers' "sdpa" does not know the
# first ones either and computes on without most of them.
_UNKNOWN_TO_SDPA = {
    "softcap": "a softcap of the logits",
    "s_aux": "attention sinks",
    "sinks": "attention sinks",
    "indices": "a choice of keys of the model's own",
    "block_indices": "a choice of keys of the model's own",
}
_UNKNOWN = {
    **_UNKNOWN_TO_SDPA,
    "position_bias": "a position bias",
    "cu_seq_lens_q": "packed documents (cu_seq_lens_q)",
    "cu_seq_lens_k": "packed documents (cu_seq_lens_k)",
}
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
    if kwargs.get("output_attentions"):
        refuse("attention weights are not computed; got output_attentions=True", 'use set_attn_implementation("eager")')
    _refuse_packed(kwargs.get("position_ids"))


def refuse_unfit_dense(module: nn.Module, kwargs: dict[str, Any]) -> None:
    """The same for a layer that attends densely by "sdpa", which would leave out what it does not know."""
    _refuse_keywords(_name_of(module), "dense attention by sdpa", _UNKNOWN_TO_SDPA, kwargs)


def _refuse_keywords(layer: str, who: str, unknown: dict[str, str], kwargs: dict[str, Any]) -> None:
    for name, meaning in unknown.items():
        if kwargs.get(name) is not None:
            refuse(
                f"{layer} asks for {meaning}, which {who} does not have",
                'use the model\'s own attention: model.set_attn_implementation("eager")',
            )


def _name_of(module: nn.Module) -> str:
    return f"layer {getattr(module, 'layer_idx', None)} ({type(module).__name__})"


def refuse_decoding(queries: Any, keys: Any) -> NoReturn:
    refuse(
        f"expected as many keys as queries; got {queries} queries and {keys} keys, as in decoding with a key/value cache",
        'generate under dense attention: model.set_attn_implementation("sdpa"), or "with dense_attention(model):" while training',
    )


_PACKED = "lighthouse: expected position_ids that rise by 1; got packed documents (positions that start again)"
_checked_positions: Any = None  # the positions that all layers of a forward pass share (weakly), and their version


def _refuse_packed(position_ids: Optional[Tensor]) -> None:
    """Positions that start again within a row are documents that must not see each other."""
    if position_ids is None or position_ids.dim() != 2 or position_ids.shape[-1] < 2:
        return
    if torch.compiler.is_compiling():
        torch._assert_async((position_ids.diff(dim=-1) == 1).all(), _PACKED)
        return
    # Once for a forward pass: on a GPU each look waits for it.
    global _checked_positions
    if _checked_positions is not None:
        checked, version = _checked_positions
        if checked() is position_ids and version == position_ids._version:
            return
    if not bool((position_ids.diff(dim=-1) == 1).all()):
        refuse(_PACKED.removeprefix("lighthouse: "), f"train on one document a row, or {USE_SDPA}")
    _checked_positions = weakref.ref(position_ids), position_ids._version
