"""Lighthouse attention given a tree, the slow way: differentiable by autograd alone, in float64.

Written from docs/ALGORITHM.md and independent of the kernels: it takes only the list of entries and which of them write.
"""

import math

import torch
from torch import Tensor


def windows_of(num_tokens: int, num_levels: int, pooling_factor: int) -> list[tuple[int, int]]:
    """(level, window) of every flat index."""
    coarsest = num_tokens // pooling_factor ** (num_levels - 1)
    flat = [(0, i) for i in range(num_tokens)]
    for level in range(1, num_levels):
        flat += [(level, i) for i in range(coarsest * pooling_factor ** (num_levels - 1 - level))]
    return flat


def matrices(tree) -> tuple[Tensor, Tensor]:
    """Gather [B, K, S, N] and scatter [B, K, N, S] as dense matrices (sections 2 and 6)."""
    n, p = tree.num_tokens, tree.pooling_factor
    flat = windows_of(n, tree.num_levels, p)
    entries, writes = tree.entries(), tree.writes()
    batch, heads, retained = entries.shape
    gather = torch.zeros(batch, heads, retained, n, dtype=torch.float64)
    scatter = torch.zeros(batch, heads, n, retained, dtype=torch.float64)
    for b in range(batch):
        for h in range(heads):
            for rank, index in enumerate(entries[b, h].tolist()):
                level, window = flat[index]
                length = p**level
                gather[b, h, rank, window * length : (window + 1) * length] = 1 / length
                if writes[b, h, rank]:
                    first = (window + 1) * length - 1
                    scatter[b, h, first : min(first + length, n), rank] = 1
    return gather, scatter


def dense_attention(q: Tensor, k: Tensor, v: Tensor, scale: float | None = None) -> Tensor:
    """softmax(q k^T scale, lower triangle) v with the whole matrix; k and v may have fewer heads."""
    group = q.size(1) // k.size(1)
    k, v = k.repeat_interleave(group, 1), v.repeat_interleave(group, 1)
    logits = (q @ k.transpose(-1, -2)) * (scale or 1 / math.sqrt(q.size(-1)))
    mask = torch.ones(logits.shape[-2:], dtype=torch.bool).tril()
    return logits.masked_fill(~mask, -math.inf).softmax(-1) @ v


def attention(q: Tensor, k: Tensor, v: Tensor, tree, scale: float | None = None) -> Tensor:
    gather, scatter = matrices(tree)
    group = q.size(1) // k.size(1)
    pooled = dense_attention(gather.repeat_interleave(group, 1) @ q, gather @ k, gather @ v, scale)
    return scatter.repeat_interleave(group, 1) @ pooled
