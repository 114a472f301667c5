"""Rotary position embedding, with the scores of what it rotates."""

from typing import Optional

import torch
from torch import Tensor

from ._options import check_options

_ops = torch.ops.lighthouse


def rotary(q: Tensor, k: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor]:
    """Rotates queries and keys, pair (d, d + D/2) by its token's angle: the rotate-half convention of Hugging Face's Llama.

    Args:
        q: [B, H, N, D] with an even D, any strides. k: [B, K, N, D], K dividing H.
        cos, sin: float32 [N, D/2], of every token's angles.

    Returns:
        q and k rotated, of their dtype and strides. Computed in float32 (float64 for float64), rounded once.
        Differentiable in q and k.

    Raises:
        ValueError: shapes or devices that do not fit. TypeError: dtypes that do not.
    """
    return _ops.rotary(q, k, cos, sin, False)


def rotary_score(
    q: Tensor,
    k: Tensor,
    cos: Tensor,
    sin: Tensor,
    *,
    num_levels: int = 3,
    pooling_factor: int = 4,
    top_k: Optional[int] = None,
    num_tiles: Optional[int] = None,
) -> tuple[Tensor, Tensor, tuple[Tensor, Tensor]]:
    """``rotary``, and the selection scores of what it stored, in the same pass: selection reads q and k no more.

        q, k, window_scores = rotary_score(q, k, cos, sin)
        out = attention(q, k, v, window_scores=window_scores)

    The options are those of ``select``, and must be those of the attention. Returns q, k and the scores, float32
    [B, K, windows of levels >= 1] each, which carry no gradient.
    """
    check_options(
        "lighthouse::rotary_score", num_levels=num_levels, pooling_factor=pooling_factor, top_k=top_k, num_tiles=num_tiles
    )
    q, k, *scores = _ops.rotary_score(q, k, cos, sin, num_levels, pooling_factor, top_k, num_tiles)
    return q, k, tuple(scores)
