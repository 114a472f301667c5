"""Rotary embedding, and the scores that come with it."""

import random

import torch
from near_ties import ULP, unexplained_windows, window_scores
from support import CASES, OPS, PARTS, SEED, angles, random_options, same

import lighthouse_attention as lighthouse


def test_rotary():
    """Rotation against float64, both ways, any layout; its scores are to the bit those that selection finds in the rows."""
    draw = random.Random(SEED + 2)
    others = ties = 0
    for index in range(CASES):
        dtype = draw.choice([torch.bfloat16, torch.float16, torch.float32, torch.float64])
        kv_heads, dim = draw.randint(1, 3), draw.choice([2, 6, 16, 32, 64, 96, 128, 192, 256])
        heads, batch, n = kv_heads * draw.randint(1, 3), draw.randint(1, 2), draw.choice([1, 2, 63, 64, 1000, 4099])
        options = random_options(draw)
        causal = options.pop("causal_selection")
        strided = draw.random() < 0.5
        make = lambda h: torch.randn(batch, n, h, dim, dtype=dtype, device="cuda").transpose(1, 2)  # noqa: E731
        q, k = (make(h) if strided else make(h).contiguous() for h in (heads, kv_heads))
        cos, sin = angles(n, dim, "cuda")
        q2, k2, scores = lighthouse.rotary_score(q, k, cos, sin, **options)
        for inverse, pair in ((False, (q2, k2)), (False, OPS.rotary(q, k, cos, sin, False)), (True, OPS.rotary(q, k, cos, sin, True))):
            for got, x in zip(pair, (q, k)):
                a, b = x.double().chunk(2, -1)
                c, s = cos.double(), -sin.double() if inverse else sin.double()
                want = torch.cat((a * c - b * s, b * c + a * s), -1)
                before = torch.finfo(torch.promote_types(dtype, torch.float32)).eps * 2 * x.abs().max().double()
                assert got.stride() == x.stride() and got.dtype == dtype
                assert ((got.double() - want).abs() <= torch.finfo(dtype).eps * want.abs() + before).all(), (index, dtype, dim, inverse)
        separate = lighthouse.select(q2, k2, causal_selection=causal, **options)
        fused = lighthouse.select(q2, k2, causal_selection=causal, window_scores=scores, **options)
        exactly = dtype != torch.float64 and dim in (16, 32, 64, 128, 256)
        if exactly:
            assert torch.equal(fused.nodes, separate.nodes), (index, n, dim, options)
        elif options["num_levels"] > 1 and fused.nodes.numel():  # sums in another order
            unexplained, explained = unexplained_windows(fused.nodes, separate.nodes, q2, k2, options)
            assert unexplained == 0, (index, dtype, n, dim, options, unexplained)
            others, ties = others + batch * kv_heads, ties + explained
        check_scores(scores, q2, k2, options, (index, dtype, n, dim))
        wild = q * torch.logspace(-20, 18, n, device="cuda", dtype=torch.float64)[:, None].to(dtype)
        if dtype == torch.bfloat16 and n > 100:
            w, _, scores = lighthouse.rotary_score(wild, k, cos, sin, **options)
            check_scores(scores, w, k2, options, (index, dtype, n, dim, "wild"))
            if exactly:
                assert torch.equal(lighthouse.select(w, k2, window_scores=scores, **options).nodes, lighthouse.select(w, k2, **options).nodes)
    print(f"rotary: of {others} trees whose sums are in another order {ties} differ by windows within four ulps")


def check_scores(scores: tuple, q: torch.Tensor, k: torch.Tensor, options: dict, case: tuple) -> None:
    """Window scores against the float64 norms of the rows as they are stored: four units in the last place."""
    if not scores[0].numel():
        return
    levels = window_scores(q, k, options["num_levels"], options["pooling_factor"])
    for got, want in zip(scores, (torch.cat([level[i] for level in levels], -1) for i in (0, 1))):
        got, want = got.cpu().double(), want.float().double()
        assert ((got - want).abs() <= 4 * ULP * want.abs() + 1e-45).all(), (*case, ((got - want) / want).abs().max().item())


def test_layer_with_rotary_scores():
    q, k, v = (torch.randn(1, 5000, h, 64, dtype=torch.bfloat16, device="cuda").transpose(1, 2).requires_grad_() for h in (4, 2, 2))
    cos, sin = angles(5000, 64, "cuda")
    options = dict(top_k=64, causal_selection=True)

    def fused():
        q2, k2, scores = lighthouse.rotary_score(q, k, cos, sin, top_k=64)
        return lighthouse.attention(q2, k2, v, window_scores=scores, **options)

    def separate():
        return lighthouse.attention(*lighthouse.rotary(q, k, cos, sin), v, **options)

    grad = torch.randn_like(q)
    for name, a, b in zip(("out", "dq", "dk", "dv"), *((f(), *torch.autograd.grad(f(), (q, k, v), grad)) for f in (fused, separate))):
        assert torch.equal(a, b) if name != "dq" else torch.allclose(a.float(), b.float(), atol=2e-2), name




def test_rotary_into_memory_of_the_callers():
    """In place in a packed projection, into another tensor, from gradients of any layout; both ways, with scores and without."""
    for dtype in (torch.bfloat16, torch.float16, torch.float32):
        for heads, kv_heads, dim, n in ((4, 2, 64, 100), (3, 1, 6, 33), (2, 2, 2, 1), (4, 4, 130, 257), (1, 1, 16, 1000)):
            cos, sin = angles(n, dim, "cuda")
            packed = torch.randn(2, n, heads + 2 * kv_heads, dim, dtype=dtype, device="cuda")
            for start in (0, 1):
                memory = torch.zeros(packed.numel() + start, dtype=dtype, device="cuda")[start:]
                memory.copy_(packed.flatten())
                whole = memory.view(packed.shape)
                q, k = (whole[:, :, a:b].transpose(1, 2) for a, b in ((0, heads), (heads, heads + kv_heads)))
                plain_q, plain_k = q.contiguous(), k.contiguous()
                for inverse in (False, True):
                    want = OPS.rotary(plain_q, plain_k, cos, sin, inverse)
                    whole.copy_(packed)
                    PARTS.rotate_into(q, k, cos, sin, inverse, q, k)
                    assert same(q, want[0]) and same(k, want[1]), (dtype, dim, start, inverse)
                    assert torch.equal(whole[:, :, heads + kv_heads :], packed[:, :, heads + kv_heads :]), "the values were touched"
                    whole.copy_(packed)
                    to_q, to_k = torch.full_like(plain_q, torch.nan), torch.full_like(plain_k, torch.nan)
                    columns = [x.transpose(2, 3).contiguous().transpose(2, 3) for x in (q, k)]  # rows last
                    PARTS.rotate_into(*columns, cos, sin, inverse, to_q, to_k)
                    assert same(to_q, want[0]) and same(to_k, want[1]), (dtype, dim, start, inverse)
                want = lighthouse.rotary_score(plain_q, plain_k, cos, sin, num_levels=2, pooling_factor=2, top_k=2)
                whole.copy_(packed)
                scores = PARTS.rotate_and_score_into(q, k, cos, sin, 2, 2, 2, q, k)
                wide = dtype, heads, dim, start
                assert same(q, want[0]) and same(k, want[1]), wide
                # Of pieces of another width sums are in another order.
                assert all(torch.allclose(a, b, rtol=1e-6, atol=0) for a, b in zip(scores, want[2])), wide
