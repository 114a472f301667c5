"""k, n and S as plain arithmetic, for torch.compile: Dynamo takes no operator that returns an int."""

import operator
from typing import Optional

import torch

_ops = torch.ops.lighthouse


def top_k(num_tokens: int, num_levels: int, pooling_factor: int, k: Optional[int], tiles: Optional[int]) -> int:
    """k, the windows expanded per level: as given, or about N / 64."""
    if not torch.compiler.is_compiling():
        return _ops.top_k(num_tokens, num_levels, pooling_factor, k, tiles)
    num_levels, k, tiles = _constants(num_levels, k, tiles)
    if k is not None:
        return k
    tiles = _tiles_of_default_budget(num_tokens, tiles if num_levels > 1 else None)
    return 2 * tiles * max(1, num_tokens // 128 // tiles)


def num_tiles(num_tokens: int, num_levels: int, pooling_factor: int, k: Optional[int], tiles: Optional[int]) -> int:
    """n, the tiles that select on their own."""
    if not torch.compiler.is_compiling():
        return _ops.num_tiles(num_tokens, num_levels, pooling_factor, k, tiles)
    num_levels, pooling_factor, k, tiles = _constants(num_levels, pooling_factor, k, tiles)
    if num_levels == 1:
        return 1
    if tiles is not None:
        return tiles
    coarsest_windows = num_tokens // pooling_factor ** (num_levels - 1)
    if k is None:
        tiles = _tiles_of_default_budget(num_tokens, None)
        if tiles <= coarsest_windows:
            return tiles
        k = 2 * tiles * max(1, num_tokens // 128 // tiles)
    for count in range(max(1, k // 128), 1, -1):
        if (k // 2) % count == 0 and count <= coarsest_windows:
            return count
    return 1


def retained_length(num_tokens: int, num_levels: int, pooling_factor: int, k: Optional[int], tiles: Optional[int]) -> int:
    """S, the length of the gathered sequence."""
    if not torch.compiler.is_compiling():
        return _ops.retained_length(num_tokens, num_levels, pooling_factor, k, tiles)
    num_levels, pooling_factor, k, tiles = _constants(num_levels, pooling_factor, k, tiles)
    if num_levels == 1:
        return num_tokens
    k, tiles = top_k(num_tokens, num_levels, pooling_factor, k, tiles), num_tiles(num_tokens, num_levels, pooling_factor, k, tiles)
    window_length, budget = pooling_factor ** (num_levels - 1), k // tiles
    coarsest_windows = num_tokens // window_length
    smaller = coarsest_windows // tiles  # windows of a tile; the rest of the tiles have one more
    larger_tiles = coarsest_windows % tiles
    tail = num_tokens - coarsest_windows * window_length
    if smaller >= budget:
        return coarsest_windows + (num_levels - 1) * pooling_factor * k + tail
    retained = (tiles - larger_tiles) * _of_tile(smaller, num_levels, pooling_factor, budget)
    return retained + larger_tiles * _of_tile(smaller + 1, num_levels, pooling_factor, budget) + tail


def _constants(*options: Optional[int]) -> tuple[Optional[int], ...]:
    """Options are constants of compiled code; Dynamo makes symbols of numbers that a function closes over."""
    return tuple([None if x is None else operator.index(x) for x in options])


def _tiles_of_default_budget(num_tokens: int, tiles: Optional[int]) -> int:
    return max(1, num_tokens // 8192) if tiles is None else tiles


def _of_tile(windows: int, num_levels: int, pooling_factor: int, budget: int) -> int:
    retained = expanded = windows
    for _ in range(num_levels - 1):
        expanded = min(expanded, budget)
        retained = retained + pooling_factor * expanded
        expanded = expanded * pooling_factor
    return retained
