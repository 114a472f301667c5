"""Gather, scatter and their adjoints against the CPU's in float64."""

import random

import torch
from layouts import check_every_operator, check_strange_trees
from support import CASES, OPS, SEED, angles, moves, pyramid, random_options, rounding_excess

import lighthouse_attention as lighthouse


def check_moves(shape, options, dtype, layout) -> None:
    """Gather, scatter and adjoints against the CPU's float64 ones on the same tree."""
    batch, heads, kv_heads, n, dim = shape

    def make(h, rows):
        x = torch.randn(batch, rows, h, dim, dtype=dtype, device="cuda").transpose(1, 2)
        return x if layout == "strided" else x.contiguous()

    q, k, v = make(heads, n), make(kv_heads, n), make(kv_heads, n)
    tree = lighthouse.select(q, k, **options)
    wide_tree = tree._replace(nodes=tree.nodes.cpu())
    args = pyramid(tree)
    s = tree.retained_length
    wide = lambda *xs: [x.cpu().double() for x in xs]  # noqa: E731
    rows = make(heads, s), make(kv_heads, s), make(kv_heads, s)
    pairs = list(zip(lighthouse.gather(q, k, v, tree), lighthouse.gather(*wide(q, k, v), wide_tree)))
    pairs.append((lighthouse.scatter(rows[0], tree), lighthouse.scatter(*wide(rows[0]), wide_tree)))
    pairs.append((OPS.scatter_backward(q, tree.nodes, *args), OPS.scatter_backward(*wide(q), wide_tree.nodes, *args)))
    pairs += zip(OPS.gather_backward(*rows, tree.nodes, n, *args), OPS.gather_backward(*wide(*rows), wide_tree.nodes, n, *args))
    for got, want in pairs:
        assert got.dtype == dtype and got.shape == want.shape
        assert rounding_excess(got, want) <= 0, (shape, options, dtype, layout, rounding_excess(got, want))


def test_gather_and_scatter():
    draw = random.Random(SEED + 1)
    for _ in range(CASES):
        kv_heads = draw.randint(1, 3)
        shape = (draw.randint(1, 2), kv_heads * draw.randint(1, 3), kv_heads, draw.choice([1, 33, 256, 999, 2048, 5001]),
                 draw.choice([1, 8, 17, 32, 64, 96, 128, 192, 256]))  # fmt: skip
        dtype = draw.choice([torch.bfloat16, torch.float16, torch.float32, torch.float64])
        check_moves(shape, random_options(draw), dtype, draw.choice(["strided", "contiguous"]))


def test_pooling_is_within_one_ulp():
    """Means of windows: one unit in the last place of the exact mean, in every dtype, for every level."""
    for dtype in (torch.bfloat16, torch.float16, torch.float32):
        for dim in (32, 64, 96, 128, 192, 256):
            q = torch.randn(1, 2, 4103, dim, dtype=dtype, device="cuda") + 1  # away from where sums cancel
            k = q.flip(2)
            tree = lighthouse.select(q, k, top_k=32)
            wide_tree = tree._replace(nodes=tree.nodes.cpu())
            want = lighthouse.gather(*(x.cpu().double() for x in (q, k, k)), wide_tree)[0]
            got = lighthouse.gather(q, k, k, tree)[0].cpu().double()
            _, exponent = torch.frexp(want)
            ulp = torch.finfo(dtype).eps * torch.ldexp(torch.ones_like(want), exponent - 1)
            # Of means near zero, float32 sums lose some bits that the mean still shows.
            ulp = ulp.clamp(min=4 * torch.finfo(torch.float32).eps)
            assert ((got - want).abs() <= ulp).all(), (dtype, dim, ((got - want).abs() / ulp).max().item())


def test_every_element_is_written():
    """Outputs in memory full of NaN come out without one."""
    options = dict(num_levels=3, pooling_factor=4, top_k=64, causal_selection=True)
    for n in (4096, 4099):
        filler = [torch.full((64 << 20,), float("nan"), device="cuda") for _ in range(4)]
        del filler
        q = torch.randn(1, 4, n, 64, device="cuda", dtype=torch.bfloat16)
        tree = lighthouse.select(q, q, **options)
        rows = lighthouse.gather(q, q, q, tree)
        everything = [*rows, lighthouse.scatter(rows[0], tree), OPS.scatter_backward(q, tree.nodes, *pyramid(tree)),
                      *OPS.gather_backward(*rows, tree.nodes, n, *pyramid(tree))]  # fmt: skip
        assert all(x.isfinite().all() for x in everything)


def test_long_sequences():
    """4M tokens; and inputs of more than 2^31 elements, in both layouts. Rows are checked against the definition; every head
    equals to the bit the same head by itself, where no offset is large, and the first and the last the CPU's in float64."""
    for heads, n, dim, top_k, strided in ((1, 4 << 20, 64, 65536, False), (20, 1 << 20, 128, 4096, False), (20, 1 << 20, 128, 4096, True)):
        if strided:
            x = torch.randn(1, n, heads, dim, dtype=torch.bfloat16, device="cuda").transpose(1, 2)
        else:
            x = torch.randn(1, heads, n, dim, dtype=torch.bfloat16, device="cuda")
        assert heads == 1 or x.numel() > 2**31
        options = dict(top_k=top_k, causal_selection=strided)
        tree = lighthouse.select(x, x, **options)
        everything = moves(x, tree)
        rows, entries = everything[0], tree.entries()
        coarsest = n // 16
        for head in range(heads):
            alone = x[:, head : head + 1].contiguous()
            tree_alone = lighthouse.select(alone, alone, **options)
            assert torch.equal(tree_alone.nodes, tree.nodes[:, head : head + 1]), (n, strided, head)
            apart = moves(alone, tree_alone)
            for index, (whole, part) in enumerate(zip(everything, apart)):
                assert torch.equal(whole[:, head : head + 1], part), (n, strided, head, index)
            if head not in (0, heads - 1):
                continue
            flat = entries[0, head].long()
            level2 = flat >= n + coarsest * 4
            window = (flat[level2] - n - coarsest * 4)[-1000:]
            want = x[0, head].reshape(coarsest, 16, dim)[window].float().mean(1)
            got = rows[0, head][level2][-1000:].float()
            assert (got - want).abs().max() < 1e-2
            tokens = flat < n
            assert torch.equal(rows[0, head][tokens], x[0, head][flat[tokens]])
            # Each on what the GPU's gather gave, so that one rounding lies between them.
            wide_tree, given = tree_alone._replace(nodes=tree_alone.nodes.cpu()), [row.cpu().double() for row in apart[:3]]
            args, wide = pyramid(tree), alone.cpu().double()
            exact = [*lighthouse.gather(wide, wide, wide, wide_tree), lighthouse.scatter(given[0], wide_tree),
                     OPS.scatter_backward(wide, wide_tree.nodes, *args), *OPS.gather_backward(*given, wide_tree.nodes, n, *args)]  # fmt: skip
            for index, (got, want) in enumerate(zip(apart, exact)):
                assert rounding_excess(got, want) <= 0, (n, strided, head, index, rounding_excess(got, want))
        del x, everything, rows, alone, apart, tree, tree_alone, entries
        torch.cuda.empty_cache()


def test_absurd_budget():
    """A k beyond all windows costs no more memory than all of them."""
    q = torch.randn(1, 2, 100000, 64, dtype=torch.bfloat16, device="cuda")
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    tree = lighthouse.select(q, q, top_k=1 << 40, num_tiles=4096)
    assert torch.cuda.max_memory_allocated() - before < 20e6
    assert torch.equal(tree.nodes.cpu(), lighthouse.select(q.cpu(), q.cpu(), top_k=1 << 40, num_tiles=4096).nodes)



def test_every_layout():
    """Overlapping, expanded, transposed, sliced, misaligned inputs of every operator, beside contiguous copies of them."""
    for dtype, limit, ours in ((torch.float32, 1e-5, 1e-6), (torch.bfloat16, 2e-2, 8e-3), (torch.float16, 3e-3, 1e-3)):
        for dim in (8, 6, 64):
            check_every_operator("cuda", dtype, limit, ours, dim)
    check_strange_trees("cuda")


def test_more_than_a_grid_holds():
    """70,000 heads, key heads, or batch rows: CUDA's grids have 65,535 blocks in y and z. The first and last pieces are what they
    are alone."""
    many, n, dim, options = 70000, 32, 8, dict(num_levels=2, pooling_factor=4, top_k=2, num_tiles=1)
    for batch, heads, kv_heads in ((1, many, many), (1, many, 2), (many, 1, 1), (many, 2, 1)):
        q = torch.randn(batch, heads, n, dim, device="cuda")
        k = torch.randn(batch, kv_heads, n, dim, device="cuda")
        cos, sin = angles(n, dim, "cuda")

        def everything(q, k):
            tree = lighthouse.select(q, k, **options)
            rows = lighthouse.gather(q, k, k, tree)
            rotated = lighthouse.rotary_score(q, k, cos, sin, num_levels=2, pooling_factor=4, top_k=2, num_tiles=1)  # noqa: B023
            by_scores = lighthouse.select(q, k, scores=(k[..., 0], k[..., 1]), **options)
            by_windows = lighthouse.select(q, k, window_scores=rotated[2], **options)
            layer = lighthouse.attention(q.bfloat16(), k.bfloat16(), k.bfloat16(), tree=tree)
            return [tree.nodes, tree.entries(), tree.writes(), by_scores.nodes, by_windows.nodes, *rows, lighthouse.scatter(rows[0], tree),
                    OPS.scatter_backward(q, tree.nodes, *pyramid(tree)), *OPS.gather_backward(*rows, tree.nodes, n, *pyramid(tree)),
                    *rotated[:2], *rotated[2], layer]  # fmt: skip

        found = everything(q, k)
        dim_of_many, pieces = 0 if batch == many else 1, 2 if kv_heads == 2 else 700
        for index in (0, pieces - 1):
            piece = lambda x: x.narrow(dim_of_many, index * (x.size(dim_of_many) // pieces), x.size(dim_of_many) // pieces)  # noqa: B023, E731
            for number, (whole, part) in enumerate(zip(map(piece, found), everything(piece(q), piece(k)), strict=True)):
                is_layer = number == len(found) - 1
                assert torch.allclose(whole, part, atol=2e-2) if is_layer else torch.equal(whole, part), (batch, heads, kv_heads, index, number)
