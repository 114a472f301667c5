"""The CUDA back end's selection against the CPU's: the same scores give the same tree, word for word."""

import random

import torch
from near_ties import unexplained_windows
from support import CASES, SEED, random_options, random_scores

import lighthouse_attention as lighthouse


def test_trees_equal_the_cpus():
    """The same scores give the same tree, word for word: ties, NaN and infinities included."""
    draw = random.Random(SEED)
    for index in range(CASES):
        options = random_options(draw)
        batch, heads, n = draw.randint(1, 2), draw.randint(1, 3), draw.choice([1, 7, 64, 500, 1000, 4097, 20000])
        if draw.random() < 0.3:
            options["num_tiles"] = 1
        elif not options["causal_selection"]:
            options["cover_prefix"] = draw.random() < 0.7
        q = torch.zeros(batch, heads, n, 8)
        scores = [random_scores(draw, (batch, heads, n)) for _ in range(2)]
        want = lighthouse.select(q, q, scores=tuple(scores), **options)
        got = lighthouse.select(q.cuda(), q.cuda(), scores=tuple(s.cuda() for s in scores), **options)
        assert torch.equal(got.nodes.cpu(), want.nodes), (index, n, options)
        assert torch.equal(got.entries().cpu(), want.entries()), (index, n, options)
        assert torch.equal(got.writes().cpu(), want.writes()), (index, n, options)


def test_zeros_of_both_signs_are_equal():
    """Where few windows have more, the budget reaches the zeros, and the lower index goes first whatever their signs."""
    for n, options in ((4096, dict(num_levels=2, pooling_factor=2, top_k=1024)), (5000, dict(num_levels=3, pooling_factor=4, top_k=400))):
        signs = torch.randint(0, 2, (2, 1, 2, n)).float() * 2 - 1
        scores = torch.where(torch.rand(2, 1, 2, n) < 0.01, 1.0, signs * 0.0)
        q = torch.zeros(1, 2, n, 8)
        for tiles in (1, 2):
            want = lighthouse.select(q, q, scores=tuple(scores), num_tiles=tiles, **options)
            got = lighthouse.select(q.cuda(), q.cuda(), scores=tuple(scores.cuda()), num_tiles=tiles, **options)
            assert torch.equal(got.nodes.cpu(), want.nodes), (n, tiles)


def test_norms_select_as_the_cpus_do():
    """Norms give the CPU's tree, but for windows whose norms are within some units in the last place: those are counted. Tiny,
    huge and NaN vectors included."""
    trees = ties = 0
    for dtype in (torch.float32, torch.bfloat16):
        for dim in (8, 32, 64, 96, 128, 192, 256, 17):
            n, heads, kv_heads = 3000, 4, 2
            steps = torch.randperm(n).double() / n
            # Of the last pair, float32 loses all squares.
            for decades, middle in ((8, 0), (60, 0), (8, -31)) if dim != 17 else ((8, 0),):
                exponents = (steps - 0.5) * decades + middle
                make = lambda h: (torch.nn.functional.normalize(torch.randn(1, h, n, dim).double(), dim=-1)  # noqa: E731
                                  * (10.0 ** exponents)[None, None, :, None]).to(dtype)  # noqa: B023  # fmt: skip
                q, k = make(heads), make(kv_heads)
                k[0, 0, 5] = float("nan")
                options = dict(num_levels=3, pooling_factor=4, top_k=64)
                want = lighthouse.select(q, k, **options)
                got = lighthouse.select(q.cuda(), k.cuda(), **options)
                unexplained, explained = unexplained_windows(got.nodes, want.nodes, q, k, options)
                assert unexplained == 0, (dtype, dim, decades, middle, unexplained)
                trees, ties = trees + kv_heads, ties + explained
    print(f"norms: {trees} trees, {ties} of them differ from the CPU's by windows within four ulps")
    assert ties <= trees / 4


def test_near_ties_are_told_from_faults():
    """The test of the test: a swap of windows that are no near tie is found."""
    q = torch.randn(1, 2, 3000, 64)
    options = dict(num_levels=3, pooling_factor=4, top_k=64)
    want = lighthouse.select(q, q, **options)
    scores = q.norm(dim=-1)
    other = lighthouse.select(q, q, scores=(scores * (1 + 0.05 * torch.randn_like(scores)), scores), **options)
    assert unexplained_windows(want.nodes, want.nodes, q, q, options) == (0, 0)
    assert unexplained_windows(other.nodes, want.nodes, q, q, options)[0] > 0
