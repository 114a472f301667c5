"""The layer and its linear stages."""

import math
import warnings
from typing import Callable, Optional, Union

import torch
from torch import Tensor

from . import _geometry
from ._autocast import to_autocast_dtype
from ._options import check_options
from ._tree import Tree, scores_pair, select

_ops = torch.ops.lighthouse

InnerAttention = Union[str, Callable[..., Tensor]]


def retained_length(
    N: int, *, num_levels: int = 3, pooling_factor: int = 4, top_k: Optional[int] = None, num_tiles: Optional[int] = None
) -> int:
    """S, the length of the gathered sequence for N tokens. The arguments are those of ``select``."""
    check_options(
        "lighthouse::retained_length", N=N, num_levels=num_levels, pooling_factor=pooling_factor, top_k=top_k, num_tiles=num_tiles
    )
    return _geometry.retained_length(N, num_levels, pooling_factor, top_k, num_tiles)


def gather(q: Tensor, k: Tensor, v: Tensor, tree: Tree) -> tuple[Tensor, Tensor, Tensor]:
    """Mean vectors of the retained windows, in gathered order: [.., N, D] -> [.., S, D] each. Differentiable.

    Under torch.autocast q, k and v are cast to its dtype first.
    """
    q, k, v = to_autocast_dtype(q, k, v)
    _check_tree("gather", tree, q)
    return _ops.gather(q, k, v, tree.nodes, *tree[2:])


def scatter(o: Tensor, tree: Tree) -> Tensor:
    """Adds each retained row to the positions it speaks for: [B, H, S, D] -> [B, H, N, D]. Differentiable."""
    _check_is_tree("scatter", tree)
    return _ops.scatter(o, tree.nodes, *tree[1:])


def attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    num_levels: int = 3,
    pooling_factor: int = 4,
    top_k: Optional[int] = None,
    num_tiles: Optional[int] = None,
    cover_prefix: bool = True,
    causal_selection: bool = False,
    scale: Optional[float] = None,
    scores: Optional[tuple[Tensor, Tensor]] = None,
    window_scores: Optional[tuple[Tensor, Tensor]] = None,
    tree: Optional[Tree] = None,
    inner: Optional[InnerAttention] = None,
) -> Tensor:
    """Lighthouse attention: causal attention over the S retained entries in place of all N tokens.

    Args:
        q: [B, H, N, D], float32, bfloat16 or float64 (on CUDA float32, bfloat16 or float16), any strides; after rotary
            embedding.
        k, v: [B, K, N, D], K dividing H.
        num_levels, pooling_factor, top_k, num_tiles, cover_prefix, causal_selection, scores, window_scores: as in
            ``select``.
        scale: of the logits; default 1 / sqrt(D).
        tree: a selection to use again, as from ``select``. Its own sizes hold; the selection arguments are not read.
        inner: the attention to run on the gathered sequence, called as ``inner(q, k, v, is_causal=True, scale=scale)``
            with q [B, H, S, D] and k, v [B, K, S, D], plus ``enable_gqa=True`` where H != K, like
            ``torch.nn.functional.scaled_dot_product_attention``, and returning q's shape, dtype and device. Or the name of a
            kernel of torch's: "cudnn", "flash", "efficient" or "math" ("flash" and "math" on the CPU). Default: what the
            environment variable LIGHTHOUSE_INNER names, else "auto": torch's flash kernel on the CPU; cuDNN's on Hopper and
            newer GPUs (D <= 128), FlashAttention-2 elsewhere and in deterministic mode, the memory-efficient kernel for
            float32 (docs/PYTHON.md).

    Returns:
        [B, H, N, D] of q's dtype. Where S >= N (or num_levels is 1) dense attention runs; the former warns, once for each
        N and options.
        Under torch.autocast q, k and v are cast to its dtype first, as scaled_dot_product_attention does (float64 stays).

    Raises:
        ValueError: shapes, devices or options that do not fit. TypeError: dtypes that do not.

    Complexity: O(S^2 D) for the inner attention and O(N D) for everything else. For backward only S-sized tensors and
    the tree are kept.

    The selection of the default rule looks at whole windows, later tokens included; given the tree, everything is
    causal. ``causal_selection=True`` removes that look ahead but for a threshold (docs/ALGORITHM.md, 4 and 4b).
    """
    given = [name for name, x in (("tree", tree), ("scores", scores), ("window_scores", window_scores)) if x is not None]
    if len(given) > 1:
        raise ValueError(f"lighthouse::attention: expected one of tree, scores and window_scores; got {' and '.join(given)}")
    scores, window_scores = scores_pair("attention", "scores", scores), scores_pair("attention", "window_scores", window_scores)
    check_options(
        "lighthouse::attention", num_levels=num_levels, pooling_factor=pooling_factor, top_k=top_k, num_tiles=num_tiles,
        cover_prefix=cover_prefix, causal_selection=causal_selection, scale=scale,
    )  # fmt: skip
    if scale is not None and not 0 < scale < math.inf:  # not by isfinite: under torch.compile it may be symbolic
        raise ValueError(f"lighthouse::attention: scale must be a finite number above 0; got {scale}")
    q, k, v = to_autocast_dtype(q, k, v)
    # Dynamo takes no operator that returns an int, and the operator below runs dense by itself where it should.
    if tree is None and q.dim() == 4 and not torch.compiler.is_compiling():
        if _warn_dense(q.size(2), num_levels, pooling_factor, top_k, num_tiles):
            num_levels, window_scores = 1, None
    if inner is not None and not isinstance(inner, str) and not callable(inner):
        raise TypeError(f"lighthouse::attention: inner must be a kernel's name or a function; got {type(inner).__name__}")
    if tree is None and (inner is None or isinstance(inner, str)):
        query_scores, key_scores = scores or window_scores or (None, None)
        options = (num_levels, pooling_factor, top_k, num_tiles, cover_prefix, causal_selection, scale, inner)
        return _ops.attention(q, k, v, query_scores, key_scores, window_scores is not None, *options)
    return _attention_in_stages(
        q, k, v, tree, inner, scale,
        dict(num_levels=num_levels, pooling_factor=pooling_factor, top_k=top_k, num_tiles=num_tiles,
             cover_prefix=cover_prefix, causal_selection=causal_selection, scores=scores, window_scores=window_scores),
    )  # fmt: skip


def _attention_in_stages(
    q: Tensor, k: Tensor, v: Tensor, tree: Optional[Tree], inner: Optional[InnerAttention], scale: Optional[float],
    selection: dict,
) -> Tensor:  # fmt: skip
    if tree is None:
        tree = select(q, k, **selection)
    else:
        _check_tree("attention", tree, q)
        if not torch.compiler.is_compiling():
            _warn_dense(*tree[1:])
    if scale is None:
        scale = 1.0 / math.sqrt(q.size(-1))
    dense = tree.retained_length >= tree.num_tokens
    if dense and torch.compiler.is_compiling():
        _ops.warn_dense(*tree[1:])  # while it is compiled
    rows = (q, k, v) if dense else gather(q, k, v, tree)
    if inner is None or isinstance(inner, str):
        out = _ops.dense_attention(*rows, scale, inner)
    else:
        grouped = {"enable_gqa": True} if q.size(1) != k.size(1) else {}
        out = inner(*rows, is_causal=True, scale=scale, **grouped)
        if not isinstance(out, Tensor):
            raise TypeError(f"lighthouse::attention: inner must return a tensor; got {type(out).__name__}")
        if out.shape != rows[0].shape:
            raise ValueError(
                f"lighthouse::attention: inner must return its query's shape, {list(rows[0].shape)}; got {list(out.shape)}"
            )
        if out.dtype != rows[0].dtype:
            raise TypeError(f"lighthouse::attention: inner must return its query's dtype, {rows[0].dtype}; got {out.dtype}")
        if out.device != rows[0].device:
            raise ValueError(f"lighthouse::attention: inner must return its query's device, {rows[0].device}; got {out.device}")
    return out if dense else scatter(out, tree)


def _check_is_tree(op: str, tree: Tree) -> None:
    if not isinstance(tree, Tree):
        raise TypeError(f"lighthouse::{op}: tree must be a Tree, as select returns it; got {type(tree).__name__}")


def _check_tree(op: str, tree: Tree, q: Tensor) -> None:
    _check_is_tree(op, tree)
    if q.dim() == 4 and q.size(2) != tree.num_tokens:
        raise ValueError(
            f"lighthouse::{op}: the tree is of N={tree.num_tokens} tokens; got query {list(q.shape)}, N={q.size(2)}"
        )


_MOST_LENGTHS = 8
_warned_dense: dict[tuple, set[int]] = {}  # the lengths, by the other options


def _warn_dense(num_tokens: int, num_levels: int, pooling_factor: int, top_k: Optional[int], num_tiles: Optional[int]) -> bool:
    """Whether S >= N. Says so once for each N and options; of the same options for some lengths only, where batches are of
    ever new ones."""
    if num_levels == 1:
        return False  # that is how to ask for dense attention
    options = (num_levels, pooling_factor, top_k, num_tiles)
    retained = _geometry.retained_length(num_tokens, *options)
    if retained < num_tokens:
        return False
    lengths = _warned_dense.setdefault(options, set())
    if num_tokens == 0 or num_tokens in lengths or len(lengths) >= _MOST_LENGTHS:
        return True
    lengths.add(num_tokens)
    last = " Other lengths with these options are not reported any more." if len(lengths) == _MOST_LENGTHS else ""
    warnings.warn(
        f"lighthouse::attention: {retained} of {num_tokens} tokens would be retained (num_levels={num_levels}, "
        f"pooling_factor={pooling_factor}, top_k={_geometry.top_k(num_tokens, *options)}), so dense attention runs instead. "
        f"A longer sequence or a smaller top_k would gain.{last}",
        stacklevel=3,
    )
    return True
