"""Where two selections may differ: windows whose scores are one unit in the last place apart, which sums in another order swap."""

import torch
from torch import Tensor

ULP = torch.finfo(torch.float32).eps


def window_scores(q: Tensor, k: Tensor, num_levels: int, pooling_factor: int) -> list[tuple[Tensor, Tensor]]:
    """(s_q, s_k) of levels 1 to L - 1 in float64, [B, K, windows] each: maxima that ignore NaN unless all are."""
    batch, heads, n, _ = q.shape
    q, k = q.cpu().double(), k.cpu().double()
    per_token = [_largest(q.norm(dim=-1).view(batch, k.size(1), heads // k.size(1), n), 2), k.norm(dim=-1)]
    coarsest = n // pooling_factor ** (num_levels - 1)
    levels = []
    for level in range(1, num_levels):
        windows = coarsest * pooling_factor ** (num_levels - 1 - level)
        length = pooling_factor**level
        levels.append(tuple(_largest(s[..., : windows * length].unflatten(-1, (windows, length)), -1) for s in per_token))
    return levels


def _largest(x: Tensor, dim: int) -> Tensor:
    best = x.nan_to_num(nan=float("-inf"), posinf=float("inf"), neginf=float("-inf")).amax(dim)
    return torch.where(x.isnan().all(dim), torch.nan, best)


def _near_pairs(scores: Tensor, ulps: float) -> int:
    """Neighbours in the order of scores that are within some ulps of each other, and not equal in float32."""
    finite = scores[scores.isfinite()].sort().values
    gaps = finite.diff()
    return int(((gaps <= ulps * ULP * finite[1:].abs()) & (gaps > 0)).sum())


def unexplained_windows(got: Tensor, want: Tensor, q: Tensor, k: Tensor, options: dict, ulps: float = 4) -> tuple[int, int]:
    """(windows that differ for no reason, trees that differ for a near tie) of two selections' nodes, [B, K, windows].

    A near tie at a level explains a swap of two windows there, and whatever differs at finer levels of that tree.
    """
    got, want = got.cpu(), want.cpu()
    levels = window_scores(q, k, options["num_levels"], options["pooling_factor"])
    sizes = [s.size(-1) for s, _ in levels]
    unexplained, explained = 0, 0
    for b in range(got.size(0)):
        for h in range(got.size(1)):
            words = list(zip(got[b, h].split(sizes), want[b, h].split(sizes)))
            for (a, c), (sq, sk) in reversed(list(zip(words, levels))):
                differing = int((((a != -1) & (a % 2 == 1)) != ((c != -1) & (c % 2 == 1))).sum())
                if not differing:
                    continue
                swaps = _near_pairs(sq[b, h], ulps) + _near_pairs(sk[b, h], ulps)
                if differing > 2 * swaps:
                    unexplained += differing
                else:
                    explained += 1
                break
            else:
                unexplained += int((got[b, h] != want[b, h]).sum())
    return unexplained, explained
