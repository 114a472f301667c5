"""The CUDA back end against the CPU's and against torch in float64. Runs under pytest, and by itself where there is none:

    python tests/gpu/test_gpu.py [NAME...]
"""

import os
import random
import subprocess
import sys
import time
import traceback

import torch

import lighthouse_attention as lighthouse

SEED = int(os.environ.get("LIGHTHOUSE_TEST_SEED", "20261123"))
CASES = int(os.environ.get("LIGHTHOUSE_TEST_CASES", "150"))
OPS = torch.ops.lighthouse


def pyramid(tree) -> tuple:
    return tuple(tree[2:])


def random_options(draw: random.Random) -> dict:
    levels = draw.choice([2, 3, 3, 3, 4, 5])
    p = draw.choice([2, 3, 4, 4, 4, 5, 8])
    return dict(num_levels=levels, pooling_factor=p, top_k=2 * draw.choice([1, 2, 8, 32, 128]),
                causal_selection=draw.random() < 0.5)  # fmt: skip


def random_scores(draw: random.Random, shape: tuple) -> torch.Tensor:
    """Scores with many ties, signed zeros, infinities and NaN."""
    kind = draw.randrange(3)
    if kind == 0:
        return torch.randn(shape)
    values = torch.tensor([0.0, -0.0, 1.0, 1.0, 2.0, -3.0, float("inf"), float("-inf"), float("nan")])
    return values[torch.randint(0, len(values) if kind == 1 else 4, shape)]


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


def test_norms_select_as_the_cpus_do():
    """Norms that differ by more than rounding give the CPU's tree; tiny, huge and NaN vectors included."""
    for dtype in (torch.float32, torch.bfloat16):
        for dim in (8, 32, 64, 96, 128, 192, 256, 17):
            n, heads, kv_heads = 3000, 4, 2
            steps = torch.randperm(n).double() / n
            exponents = (steps * 60 - 30) if dim != 17 else steps * 8
            make = lambda h: (torch.nn.functional.normalize(torch.randn(1, h, n, dim).double(), dim=-1)  # noqa: E731
                              * (10.0 ** exponents)[None, None, :, None]).to(dtype)  # fmt: skip
            q, k = make(heads), make(kv_heads)
            k[0, 0, 5] = float("nan")
            want = lighthouse.select(q, k, top_k=64)
            got = lighthouse.select(q.cuda(), k.cuda(), top_k=64)
            same = (got.nodes.cpu() == want.nodes).double().mean().item()
            assert same > 0.995, (dtype, dim, same)


def rounding_excess(got: torch.Tensor, want: torch.Tensor) -> float:
    """By how much `got` is farther from `want` (float64, on the CPU) than one rounding of a float32 sum takes it: half a unit in
    the last place, and a little for the sum's own rounding. Not positive where all is well."""
    if not got.numel():
        return -1
    dtype = got.dtype
    limit = want.abs() * torch.finfo(dtype).eps + 1e-5 * max(1.0, want.abs().max().item()) * (1 if dtype == torch.float32 else 0.1)
    if dtype == torch.float64:
        limit = limit + 1e-12
    return ((got.cpu().double() - want).abs() - limit).max().item()


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


def angles(n: int, dim: int) -> tuple:
    frequencies = 10000.0 ** (-torch.arange(0, dim, 2, device="cuda").double() / dim)
    table = torch.outer(torch.arange(n, device="cuda").double(), frequencies)
    return table.cos().float(), table.sin().float()


def test_rotary():
    """Rotation against float64, both ways, any layout; its scores are to the bit those that selection finds in the rows."""
    draw = random.Random(SEED + 2)
    for index in range(CASES):
        dtype = draw.choice([torch.bfloat16, torch.float16, torch.float32, torch.float64])
        kv_heads, dim = draw.randint(1, 3), draw.choice([2, 6, 16, 32, 64, 96, 128, 192, 256])
        heads, batch, n = kv_heads * draw.randint(1, 3), draw.randint(1, 2), draw.choice([1, 2, 63, 64, 1000, 4099])
        options = random_options(draw)
        causal = options.pop("causal_selection")
        strided = draw.random() < 0.5
        make = lambda h: torch.randn(batch, n, h, dim, dtype=dtype, device="cuda").transpose(1, 2)  # noqa: E731
        q, k = (make(h) if strided else make(h).contiguous() for h in (heads, kv_heads))
        cos, sin = angles(n, dim)
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
        if dtype != torch.float64 and dim in (16, 32, 64, 128, 256):
            assert torch.equal(fused.nodes, separate.nodes), (index, n, dim, options)
        else:  # sums in another order
            assert (fused.nodes == separate.nodes).double().mean().item() > 0.98 or n < 100
        wild = q * torch.logspace(-20, 18, n, device="cuda", dtype=torch.float64)[:, None].to(dtype)
        if dtype == torch.bfloat16 and n > 100:
            w, _, scores = lighthouse.rotary_score(wild, k, cos, sin, **options)
            assert torch.equal(lighthouse.select(w, k2, window_scores=scores, **options).nodes,
                               lighthouse.select(w, k2, **options).nodes) or dim not in (16, 32, 64, 128, 256)  # fmt: skip


def test_layer_with_rotary_scores():
    q, k, v = (torch.randn(1, 5000, h, 64, dtype=torch.bfloat16, device="cuda").transpose(1, 2).requires_grad_() for h in (4, 2, 2))
    cos, sin = angles(5000, 64)
    options = dict(top_k=64, causal_selection=True)

    def fused():
        q2, k2, scores = lighthouse.rotary_score(q, k, cos, sin, top_k=64)
        return lighthouse.attention(q2, k2, v, window_scores=scores, **options)

    def separate():
        return lighthouse.attention(*lighthouse.rotary(q, k, cos, sin), v, **options)

    grad = torch.randn_like(q)
    for name, a, b in zip(("out", "dq", "dk", "dv"), *((f(), *torch.autograd.grad(f(), (q, k, v), grad)) for f in (fused, separate))):
        assert torch.equal(a, b) if name != "dq" else torch.allclose(a.float(), b.float(), atol=2e-2), name


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


def reference_layer(q, k, v, tree):
    """The layer in float64 by the CPU's gather and scatter and a whole matrix, on a tree."""
    rows = lighthouse.gather(q, k, v, tree)
    group = q.size(1) // k.size(1)
    kk, vv = (x.repeat_interleave(group, 1) for x in rows[1:])
    logits = rows[0] @ kk.transpose(-1, -2) / q.size(-1) ** 0.5
    mask = torch.ones(logits.shape[-2:], dtype=torch.bool).tril()
    return lighthouse.scatter(logits.masked_fill(~mask, float("-inf")).softmax(-1) @ vv, tree)


def test_layer_error_is_torchs_own():
    """Forward error at most twice, backward three times, that of torch's kernel on the same gathered rows."""
    for dtype in (torch.bfloat16, torch.float16, torch.float32):
        for heads, kv_heads, dim in ((4, 4, 128), (4, 2, 64), (8, 1, 128), (6, 2, 32)):
            q = torch.randn(2, heads, 1777, dim, dtype=dtype, device="cuda", requires_grad=True)
            k, v = (torch.randn(2, kv_heads, 1777, dim, dtype=dtype, device="cuda", requires_grad=True) for _ in "kv")
            options = dict(num_levels=3, pooling_factor=4, top_k=64)
            tree = lighthouse.select(q, k, **options)
            out = lighthouse.attention(q, k, v, **options)
            grad = torch.randn_like(out)
            gradients = torch.autograd.grad(out, (q, k, v), grad)
            wide_tree = tree._replace(nodes=tree.nodes.cpu())
            wide = [x.detach().cpu().double().requires_grad_() for x in (q, k, v)]
            want = reference_layer(*wide, wide_tree)
            want_gradients = torch.autograd.grad(want, wide, grad.cpu().double())
            # torch's own kernel in this dtype on rows pooled exactly and rounded once.
            rows = [x.detach().to(dtype).cuda().requires_grad_() for x in lighthouse.gather(*wide, wide_tree)]
            plain = torch.nn.functional.scaled_dot_product_attention(*rows, is_causal=True, enable_gqa=heads != kv_heads)
            wide_rows = [x.detach().requires_grad_() for x in lighthouse.gather(*wide, wide_tree)]
            group = heads // kv_heads
            logits = wide_rows[0] @ wide_rows[1].repeat_interleave(group, 1).transpose(-1, -2) / dim**0.5
            mask = torch.ones(logits.shape[-2:], dtype=torch.bool).tril()
            exact = logits.masked_fill(~mask, float("-inf")).softmax(-1) @ wide_rows[2].repeat_interleave(group, 1)
            row_grad = OPS.scatter_backward(grad.cpu().double(), wide_tree.nodes, *pyramid(tree))
            plain_gradients = torch.autograd.grad(plain, rows, row_grad.to(dtype).cuda())
            exact_gradients = torch.autograd.grad(exact, wide_rows, row_grad)
            error = lambda got, want: (got.cpu().double() - want).norm().item() / want.norm().item()  # noqa: E731
            ours, theirs = error(out, want), error(plain, exact)
            assert ours <= 2 * theirs, (dtype, heads, ours, theirs)
            for got, w, p, e in zip(gradients, want_gradients, plain_gradients, exact_gradients):
                assert error(got, w) <= 3 * error(p, e), (dtype, heads, error(got, w), error(p, e))


def check_repeats(kv_heads: int, dim: int) -> None:
    q, k, v = (torch.randn(1, h, 32768, dim, dtype=torch.bfloat16, device="cuda", requires_grad=True) for h in (8, kv_heads, kv_heads))
    grad = torch.randn_like(q)

    def once():
        out = lighthouse.attention(q, k, v, top_k=512)
        return (out, *torch.autograd.grad(out, (q, k, v), grad))

    first = once()
    for _ in range(9):
        again = once()
        for name, a, b in zip(("out", "dq", "dk", "dv"), first, again):
            assert name == "dq" or torch.equal(a, b), (name, kv_heads, dim)
    torch.use_deterministic_algorithms(True)
    try:
        first = once()
        assert all(torch.equal(a, b) for _ in range(9) for a, b in zip(first, once())), (kv_heads, dim)
    finally:
        torch.use_deterministic_algorithms(False)


def test_repeats_itself():
    check_repeats(kv_heads=8, dim=128)
    check_repeats(kv_heads=2, dim=64)


def test_graph_capture():
    """Forward and backward in a CUDA graph, replayed on other inputs, equal the eager ones."""
    make = lambda: torch.randn(1, 4, 8192, 64, dtype=torch.bfloat16, device="cuda")  # noqa: E731
    q, k, v, grad = (make() for _ in range(4))
    leaves = [x.requires_grad_() for x in (q, k, v)]

    def once():
        out = lighthouse.attention(*leaves, top_k=128)
        return (out, *torch.autograd.grad(out, leaves, grad))

    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            once()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        captured = once()
    with torch.no_grad():
        for x in leaves:
            x.copy_(make())
    graph.replay()
    eager = once()
    for name, a, b in zip(("out", "dq", "dk", "dv"), captured, eager):
        close = torch.equal(a, b) if name != "dq" else torch.allclose(a.float(), b.float(), atol=2e-2)
        assert close, name


def test_no_host_synchronisation():
    q, k, v = (torch.randn(1, 4, 8192, 64, dtype=torch.bfloat16, device="cuda", requires_grad=True) for _ in range(3))
    lighthouse.attention(q, k, v, top_k=128).sum().backward()
    torch.cuda.set_sync_debug_mode("error")
    try:
        lighthouse.attention(q, k, v, top_k=128).sum().backward()
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_other_streams():
    q, k, v = (torch.randn(1, 4, 65536, 64, dtype=torch.bfloat16, device="cuda") for _ in range(3))
    want = lighthouse.attention(q, k, v, top_k=1024)
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        q2 = q * 1
        got = lighthouse.attention(q2, k, v, top_k=1024)
    torch.cuda.current_stream().wait_stream(stream)
    assert torch.equal(got, want)


def moves(x: torch.Tensor, tree) -> list:
    """Gather, scatter and their adjoints of one tensor."""
    rows = lighthouse.gather(x, x, x, tree)
    args = (tree.nodes, *pyramid(tree))
    backward = OPS.gather_backward(*rows, tree.nodes, x.size(2), *pyramid(tree))
    return [*rows, lighthouse.scatter(rows[0], tree), OPS.scatter_backward(x, *args), *backward]


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


def test_any_head_dimension_and_layout():
    """What torch's kernels do not read as it is: head dimensions of no whole 16 bytes, slices that start or step between
    them, one token. With the layer and without; forward and gradients against float64."""
    for dtype, limit in ((torch.float32, 1e-5), (torch.bfloat16, 2e-2), (torch.float16, 3e-3)):
        for n, dim, top_k in ((700, 6, 16), (700, 1, 16), (700, 65, 16), (700, 130, 16), (65, 64, 512), (1, 64, 16), (1, 3, 16)):
            for cut in (0, 1, -2):
                # Cut in front: nothing is aligned. Cut behind: the start is, and the steps are not.
                rows = lambda h: torch.randn(1, n, h, dim + abs(cut), dtype=dtype, device="cuda")  # noqa: E731
                make = lambda h: (rows(h)[..., cut:] if cut >= 0 else rows(h)[..., :cut]).transpose(1, 2)  # noqa: E731
                leaves = [make(h).requires_grad_() for h in (4, 2, 2)]
                options = dict(num_levels=2, top_k=top_k) if n > 1 else dict(num_levels=1)
                grad = torch.randn(1, 4, n, dim, dtype=dtype, device="cuda")
                got = lighthouse.attention(*leaves, **options)
                got = (got, *torch.autograd.grad(got, leaves, grad))
                wide = [x.detach().cpu().double().requires_grad_() for x in leaves]
                if lighthouse.retained_length(n, **options) < n:
                    tree = lighthouse.select(*leaves[:2], **options)
                    want = reference_layer(*wide, tree._replace(nodes=tree.nodes.cpu()))
                else:
                    want = torch.nn.functional.scaled_dot_product_attention(*wide, is_causal=True, enable_gqa=True)
                want = (want, *torch.autograd.grad(want, wide, grad.cpu().double()))
                for name, a, b in zip(("out", "dq", "dk", "dv"), got, want):
                    # Of one token the gradient of q and k is zero, but for the rounding of terms as large as the output's.
                    error = (a.cpu().double() - b).norm() / b.norm().clamp(min=grad.cpu().double().norm())
                    assert a.shape == b.shape and error <= limit, (dtype, n, dim, cut, name, error.item())


def test_absurd_budget():
    """A k beyond all windows costs no more memory than all of them."""
    q = torch.randn(1, 2, 100000, 64, dtype=torch.bfloat16, device="cuda")
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    tree = lighthouse.select(q, q, top_k=1 << 40, num_tiles=4096)
    assert torch.cuda.max_memory_allocated() - before < 20e6
    assert torch.equal(tree.nodes.cpu(), lighthouse.select(q.cpu(), q.cpu(), top_k=1 << 40, num_tiles=4096).nodes)


OTHER_TREE = """
import torch, lighthouse_attention as lighthouse
q = torch.randn(1, 2, 4096, 64, dtype=torch.bfloat16, device="cuda")
tree = lighthouse.select(q, q, top_k={of}, num_tiles=4)
rows = lighthouse.gather(q, q, q, lighthouse.select(q, q, top_k={into}, num_tiles=4))
other = tree._replace(top_k={into})
{call}
torch.cuda.synchronize()
"""


def test_another_trees_nodes():
    """Nodes of another k end in an error, on the device as torch's own indices out of range do."""
    calls = ("lighthouse.gather(q, q, q, other)", "lighthouse.scatter(rows[0], other)", "other.entries()")
    for of, into, call in ((256, 64, calls[0]), (64, 256, calls[0]), (64, 256, calls[1]), (64, 256, calls[2])):
        code = OTHER_TREE.format(of=of, into=into, call=call)
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert done.returncode != 0 and "the tree's nodes must be of the same num_levels" in done.stdout + done.stderr, (call, done)
    code = OTHER_TREE.format(of=64, into=64, call=";".join(calls))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done


def test_errors():
    q = torch.randn(1, 2, 4096, 32, dtype=torch.float64, device="cuda")
    try:
        lighthouse.attention(q, q, q, top_k=16)
    except TypeError as error:
        assert "float64" in str(error)
    else:
        raise AssertionError("expected a TypeError")


def main() -> int:
    tests = [(name, f) for name, f in globals().items() if name.startswith("test_")]
    wanted = sys.argv[1:]
    failed, lines = 0, []
    for name, function in tests:
        if wanted and not any(word in name for word in wanted):
            continue
        torch.manual_seed(SEED)
        start = time.time()
        try:
            function()
            torch.cuda.synchronize()
            outcome = "passed"
        except Exception:  # noqa: BLE001: a summary comes last, whatever happened
            traceback.print_exc()
            outcome = "FAILED"
            failed += 1
        lines.append(f"{outcome}  {name} ({time.time() - start:.1f} s)")
    print("\n" + "\n".join(lines))
    print(f"{len(lines) - failed} passed, {failed} failed on {torch.cuda.get_device_name()}, torch {torch.__version__}")
    if not lines:
        print(f"no test is named like {' or '.join(wanted)}; there are {', '.join(name for name, _ in tests)}")
    return 1 if failed or not lines else 0


if __name__ == "__main__":
    sys.exit(main())
