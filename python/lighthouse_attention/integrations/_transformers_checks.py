"""What a Lighthouse layer of a transformers model refuses, before anything is computed."""

import weakref
from typing import Any, NoReturn, Optional

import torch
from torch import Tensor, nn

# Keywords of attention functions that change what is computed, and what they ask for.
_UNKNOWN_TO_LIGHTHOUSE = {
    "softcap": "a softcap of the logits",
    "s_aux": "attention sinks",
    "sinks": "attention sinks",
    "position_bias": "a position bias",
    "indices": "a choice of keys of the model's own",
    "block_indices": "a choice of keys of the model's own",
    "cu_seq_lens_q": "packed documents (cu_seq_lens_q)",
    "cu_seq_lens_k": "packed documents (cu_seq_lens_k)",
}
_DENSE = 'use model.set_attn_implementation("sdpa")'


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
    layer = f"layer {getattr(module, 'layer_idx', None)} ({type(module).__name__})"
    queries, keys = query.shape[2], key.shape[2]
    if not (is_causal if is_causal is not None else getattr(module, "is_causal", True)):
        refuse(
            f"expected causal attention; {layer} is bidirectional or attends to another sequence",
            f'{_DENSE}; of a model of several parts give the decoder alone: set_attn_implementation({{"text_config": "lighthouse"}})',
        )
    if queries != keys:
        refuse_decoding(queries, keys)
    if attention_mask is not None:
        refuse(
            f"expected no mask beside the causal one; {layer} got one of shape {list(attention_mask.shape)}",
            f"train on whole rows without padding, or {_DENSE}",
        )
    if value.shape[-1] != query.shape[-1]:
        refuse(f"expected values of the queries' head size, {query.shape[-1]}; {layer} got {value.shape[-1]}", _DENSE)
    if dropout > 0:
        refuse(f"attention dropout is not supported; {layer} got {dropout}", "set config.attention_dropout = 0")
    window = kwargs.get("sliding_window")
    if window is not None and window < queries:
        refuse(
            f"expected attention over the whole sequence; {layer} has a sliding window of {window} in {queries} tokens",
            "list this layer in full_attention_layers, or set config.sliding_window = None before the model is made",
        )
    for name, meaning in _UNKNOWN_TO_LIGHTHOUSE.items():
        if kwargs.get(name) is not None:
            refuse(f"{layer} asks for {meaning}, which Lighthouse attention does not have", _DENSE)
    if kwargs.get("output_attentions"):
        refuse("attention weights are not computed; got output_attentions=True", 'use set_attn_implementation("eager")')
    _refuse_packed(kwargs.get("position_ids"))


def refuse_decoding(queries: Any, keys: Any) -> NoReturn:
    refuse(
        f"expected as many keys as queries; got {queries} queries and {keys} keys, as in decoding with a key/value cache",
        'generate under dense attention: model.set_attn_implementation("sdpa"), or "with dense_attention(model):" while training',
    )


_PACKED = "lighthouse: expected position_ids that rise by 1; got packed documents (positions that start again)"
_checked_positions: Any = None  # weak reference to the positions that all layers of a forward pass share


def _refuse_packed(position_ids: Optional[Tensor]) -> None:
    """Positions that start again within a row are documents that must not see each other."""
    if position_ids is None or position_ids.dim() != 2 or position_ids.shape[-1] < 2:
        return
    if torch.compiler.is_compiling():
        torch._assert_async((position_ids.diff(dim=-1) == 1).all(), _PACKED)
        return
    # Once for a forward pass: on a GPU each look waits for it.
    global _checked_positions
    if _checked_positions is not None and _checked_positions() is position_ids:
        return
    if not bool((position_ids.diff(dim=-1) == 1).all()):
        refuse(_PACKED.removeprefix("lighthouse: "), f"train on one document a row, or {_DENSE}")
    _checked_positions = weakref.ref(position_ids)
