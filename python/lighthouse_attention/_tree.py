"""Selection: which entries of the pyramid are kept."""

from typing import NamedTuple, Optional

import torch
from torch import Tensor

from . import _geometry
from ._autocast import to_autocast_dtype
from ._options import check_options

_ops = torch.ops.lighthouse


class Tree(NamedTuple):
    """The retained entries of each (batch, key/value head), as ``select`` made them.

    Attributes:
        nodes: int32 [B, K, W], a packed word per window of levels >= 1 (docs/ALGORITHM.md has the format).
        num_tokens: N.
        num_levels, pooling_factor, top_k, num_tiles: L, p, k, n. Where torch.compile made the tree with the default k, top_k
            is None, which stands for the default of N tokens, and num_tiles is as it was given.
    """

    nodes: Tensor
    num_tokens: int
    num_levels: int
    pooling_factor: int
    top_k: Optional[int]
    num_tiles: Optional[int]

    @property
    def retained_length(self) -> int:
        """S, the length of the gathered sequence."""
        return _geometry.retained_length(*self._pyramid())

    def entries(self) -> Tensor:
        """Flat pyramid indices in gathered order: int32 [B, K, S].

        Level 0 (tokens) comes first, then level 1, and so on: window i of level l has index offset(l) + i, with
        offset(0) = 0, offset(1) = N, offset(l + 1) = offset(l) + M p^(L-1-l).
        """
        return _ops.entries(self.nodes, *self._pyramid())

    def writes(self) -> Tensor:
        """Whether each gathered row is added to the output: bool [B, K, S]. All true but with causal_selection."""
        return _ops.writes(self.nodes, *self._pyramid())

    def _pyramid(self) -> tuple[int, int, int, Optional[int], Optional[int]]:
        return self.num_tokens, self.num_levels, self.pooling_factor, self.top_k, self.num_tiles


def select(
    q: Tensor,
    k: Tensor,
    *,
    num_levels: int = 3,
    pooling_factor: int = 4,
    top_k: Optional[int] = None,
    num_tiles: Optional[int] = None,
    cover_prefix: bool = True,
    causal_selection: bool = False,
    scores: Optional[tuple[Tensor, Tensor]] = None,
    window_scores: Optional[tuple[Tensor, Tensor]] = None,
) -> Tree:
    """Chooses the windows to keep, by the norms of the vectors as they are stored. No gradient.

    Args:
        q: [B, H, N, D], float32, bfloat16 or float64 (float16 too on CUDA), any strides.
        k: [B, K, N, D] with K dividing H; q's dtype and device. One tree per KV head serves its group of query heads.
        num_levels: L >= 1. With 1 every token is kept.
        pooling_factor: p >= 2.
        top_k: k, windows expanded per level. Even, at least 2 * num_tiles; num_tiles must divide top_k / 2. Default: about
            N / 64, 2 n max(1, N // (128 n)) with n = num_tiles, or max(1, N // 8192) without that.
        num_tiles: n, tiles that select on their own. Default: the largest n <= max(1, k / 128) that divides k / 2 and
            does not exceed the number of coarsest windows.
        cover_prefix: expand window 0 of every level, so that every position has an output.
        causal_selection: refine queries by what came before their window only (docs/ALGORITHM.md, 4b).
        scores: per-token scores (s_q, s_k), each [B, K, N] of a floating dtype, in place of the norms.
        window_scores: scores of whole windows, as ``rotary_score`` returns them for these L and p, in place of the norms:
            q and k are not read then.

    Returns:
        The tree; its retained length depends on the sizes and options only, never on data.

    Raises:
        ValueError: shapes, devices or options that do not fit. TypeError: dtypes that do not.

    Complexity: reads q and k once, O(N D); selection is O(N / p). Under torch.autocast q and k are cast to its dtype first.
    """
    check_options(
        "lighthouse::select", num_levels=num_levels, pooling_factor=pooling_factor, top_k=top_k, num_tiles=num_tiles,
        cover_prefix=cover_prefix, causal_selection=causal_selection,
    )  # fmt: skip
    q, k = to_autocast_dtype(q, k)
    scores, window_scores = scores_pair("select", "scores", scores), scores_pair("select", "window_scores", window_scores)
    if scores is not None and window_scores is not None:
        raise ValueError("lighthouse::select: expected scores of tokens or of windows, not both; got both")
    if q.dim() != 4:
        raise ValueError(f"lighthouse::select: query must be [B, H, N, D]; got {list(q.shape)}")
    num_tokens = q.size(2)
    pyramid = (num_levels, pooling_factor, top_k, num_tiles)
    if window_scores is not None:
        nodes = _ops.select_windows(*window_scores, num_tokens, *pyramid, cover_prefix, causal_selection)
    else:
        nodes = _ops.select(q, k, *(scores or (None, None)), *pyramid, cover_prefix, causal_selection)
    # A k or n that is an expression of N, where that is symbolic, would tie compiled code to one length.
    if top_k is not None or not torch.compiler.is_compiling():
        top_k, num_tiles = _geometry.top_k(num_tokens, *pyramid), _geometry.num_tiles(num_tokens, *pyramid)
    return Tree(nodes, num_tokens, num_levels, pooling_factor, top_k, num_tiles)


def scores_pair(op: str, name: str, scores: Optional[tuple[Tensor, Tensor]]) -> Optional[tuple[Tensor, Tensor]]:
    """Two tensors, or None."""
    if scores is None:
        return None
    if isinstance(scores, (tuple, list)) and len(scores) == 2 and all(isinstance(x, Tensor) for x in scores):
        return tuple(scores)
    if isinstance(scores, (tuple, list)):
        got = f"{type(scores).__name__} of {', '.join(type(x).__name__ for x in scores) or 'nothing'}"
    else:
        got = type(scores).__name__
    raise TypeError(f"lighthouse::{op}: {name} must be a pair of tensors, the queries' and the keys'; got {got}")
