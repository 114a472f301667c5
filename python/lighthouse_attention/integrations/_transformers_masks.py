"""The masks of a transformers model under Lighthouse attention: none for the causal one, an error for those that differ."""

from typing import Any, Callable, Optional

import torch
from torch import Tensor
from transformers.masking_utils import sdpa_mask

from ._transformers_checks import USE_SDPA, assert_later, refuse, refuse_decoding, values_are_known


def causal_mask(
    batch_size: int,
    q_length: int,
    kv_length: int,
    q_offset: Any = 0,
    kv_offset: int = 0,
    mask_function: Optional[Callable[..., Tensor]] = None,
    attention_mask: Optional[Tensor] = None,
    local_size: Optional[int] = None,
    allow_is_causal_skip: bool = True,
    use_vmap: bool = False,
    device: Any = "cpu",
    **kwargs: Any,
) -> Optional[Tensor]:
    """transformers' mask function for "lighthouse": None where every token sees itself and all before it.

    A sliding or chunked mask is made as for "sdpa", for layers that attend densely; Lighthouse layers refuse it. Every other
    deviation is refused here: padding, packed documents, masks of the caller's.
    """
    if attention_mask is not None and attention_mask.dim() != 2:
        refuse(f"expected an attention_mask [batch, tokens]; got one of shape {list(attention_mask.shape)}", _ROWS)
    is_first = isinstance(q_offset, int) and q_offset == 0
    if attention_mask is not None and is_first and attention_mask.shape[1] != q_length:
        refuse(f"expected rows without padding; got an attention_mask {list(attention_mask.shape)} for rows of {q_length} tokens", _ROWS)
    if q_length != kv_length or not is_first:
        refuse_decoding(q_length, kv_length)
    if local_size is not None and local_size < kv_length:
        return sdpa_mask(
            batch_size, q_length, kv_length, q_offset, kv_offset, mask_function, attention_mask, local_size,
            allow_is_causal_skip, use_vmap=use_vmap, device=device,
        )  # fmt: skip
    if use_vmap:
        refuse("expected the causal mask; got one with a mask function of the caller's or the model's", USE_SDPA)
    if attention_mask is not None:
        _refuse_padding(attention_mask)
    if not allow_is_causal_skip and q_length > 1:
        _refuse_other_than_causal(mask_function, batch_size, q_length, device)
    return None


_ROWS = f"fill rows with text (padding would be selected like text), or {USE_SDPA}"


def _refuse_padding(attention_mask: Tensor) -> None:
    what = "expected rows without padding"
    if not values_are_known(attention_mask):
        assert_later(attention_mask.all, f"{what}; got an attention_mask with zeros", attention_mask)
    elif not bool(attention_mask.all()):
        hidden = int(attention_mask.numel() - attention_mask.sum())
        refuse(f"{what}; got an attention_mask {list(attention_mask.shape)} that hides {hidden} of its tokens", _ROWS)


def _refuse_other_than_causal(mask_function: Any, batch_size: int, length: int, device: Any) -> None:
    """Looks at two lines of the mask only: whether each token sees the first one, and whether any sees its next."""
    batch = torch.arange(batch_size, device=device)[:, None]
    head = torch.zeros((1, 1), dtype=torch.long, device=device)
    token = torch.arange(length, device=device)[None]
    sees_first = mask_function(batch, head, token, torch.zeros_like(token)).all()
    sees_next = mask_function(batch, head, token[:, :-1], token[:, 1:]).any()
    if not values_are_known(sees_first):
        assert_later(lambda: sees_first & ~sees_next, "expected the causal mask; got packed documents or another mask", sees_first)
    elif bool(sees_next):
        refuse("expected the causal mask; got one under which tokens see later ones", USE_SDPA)
    elif not bool(sees_first):
        refuse(
            "expected the causal mask; got packed documents (position_ids that start again) or another mask that hides the past",
            f"train on one document a row, or {USE_SDPA}",
        )
