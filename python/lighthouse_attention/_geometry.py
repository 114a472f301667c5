"""n and S as plain arithmetic, for torch.compile: Dynamo takes no operator that returns an int."""

from typing import Optional

import torch

_ops = torch.ops.lighthouse


def num_tiles(num_tokens: int, num_levels: int, pooling_factor: int, top_k: int, tiles: Optional[int]) -> int:
    """n, the tiles that select on their own."""
    if not torch.compiler.is_compiling():
        return _ops.num_tiles(num_tokens, num_levels, pooling_factor, top_k, tiles)
    if num_levels == 1:
        return 1
    if tiles is not None:
        return tiles
    coarsest_windows = num_tokens // pooling_factor ** (num_levels - 1)
    for count in range(max(1, top_k // 128), 1, -1):
        if (top_k // 2) % count == 0 and count <= coarsest_windows:
            return count
    return 1


def retained_length(num_tokens: int, num_levels: int, pooling_factor: int, top_k: int, tiles: Optional[int]) -> int:
    """S, the length of the gathered sequence."""
    if not torch.compiler.is_compiling():
        return _ops.retained_length(num_tokens, num_levels, pooling_factor, top_k, tiles)
    if num_levels == 1:
        return num_tokens
    tiles = num_tiles(num_tokens, num_levels, pooling_factor, top_k, tiles)
    window_length, budget = pooling_factor ** (num_levels - 1), top_k // tiles
    coarsest_windows = num_tokens // window_length
    smaller = coarsest_windows // tiles  # windows of a tile; the rest of the tiles have one more
    larger_tiles = coarsest_windows % tiles
    tail = num_tokens - coarsest_windows * window_length
    if smaller >= budget:
        return coarsest_windows + (num_levels - 1) * pooling_factor * top_k + tail
    retained = (tiles - larger_tiles) * _of_tile(smaller, num_levels, pooling_factor, budget)
    return retained + larger_tiles * _of_tile(smaller + 1, num_levels, pooling_factor, budget) + tail


def _of_tile(windows: int, num_levels: int, pooling_factor: int, budget: int) -> int:
    retained = expanded = windows
    for _ in range(num_levels - 1):
        expanded = min(expanded, budget)
        retained = retained + pooling_factor * expanded
        expanded = expanded * pooling_factor
    return retained
