"""The layer: its error beside torch's own kernels', repetition to the bit, graphs, streams, kernels inside it by name."""

import os

import torch
from support import OPS, expect_error, pyramid, reference_layer, relative_error

import lighthouse_attention as lighthouse


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




def test_kernels_by_name():
    """Every kernel that can run agrees with float64, forward and gradients; named by argument and by LIGHTHOUSE_INNER alike."""
    for dtype, limit, names in (
        (torch.bfloat16, 2e-2, ("auto", "cudnn", "flash", "efficient", "math")),
        (torch.float16, 3e-3, ("auto", "cudnn", "flash", "efficient", "math")),
        (torch.float32, 1e-5, ("auto", "efficient", "math")),
        (torch.float64, 1e-10, ("math",)),
    ):
        leaves = [torch.randn(2, h, 700, 64, dtype=dtype, device="cuda", requires_grad=True) for h in (4, 2, 2)]
        grad = torch.randn(2, 4, 700, 64, dtype=dtype, device="cuda")
        options = dict(num_levels=2, pooling_factor=4, top_k=16)
        tree = lighthouse.select(*leaves[:2], **options)
        wide = [x.detach().cpu().double().requires_grad_() for x in leaves]
        want = reference_layer(*wide, tree._replace(nodes=tree.nodes.cpu()))
        want = (want, *torch.autograd.grad(want, wide, grad.cpu().double()))
        for name in names:
            os.environ["LIGHTHOUSE_INNER"] = name
            try:
                by_variable = lighthouse.attention(*leaves, **options).detach()
            finally:
                del os.environ["LIGHTHOUSE_INNER"]
            for selection in (options, dict(tree=tree)):
                out = lighthouse.attention(*leaves, **selection, inner=name)
                assert torch.equal(out, by_variable), (dtype, name)
                for got, exact in zip((out, *torch.autograd.grad(out, leaves, grad)), want):
                    assert relative_error(got, exact) <= limit, (dtype, name, relative_error(got, exact))


def test_kernels_that_cannot_run():
    make = lambda dtype, dim, n=64: [torch.randn(1, 2, n, dim, dtype=dtype, device="cuda") for _ in "qkv"]  # noqa: E731
    dense = lambda inputs, name: lambda: OPS.dense_attention(*inputs, None, name)  # noqa: E731
    narrow = make(torch.bfloat16, 64)
    expect_error(ValueError, 'must be one of auto, cudnn, flash, efficient, math; got "fast"', dense(narrow, "fast"))
    expect_error(TypeError, "takes bfloat16 and float16; got Float", dense(make(torch.float32, 64), "flash"))
    expect_error(TypeError, "takes bfloat16 and float16; got Float", dense(make(torch.float32, 64), "cudnn"))
    expect_error(TypeError, "takes float32 and 16-bit types; got Double", dense(make(torch.float64, 64), "efficient"))
    expect_error(ValueError, "head dimensions of at most 128; got 192", dense(make(torch.bfloat16, 192), "cudnn"))
    expect_error(ValueError, "head dimensions of at most 256; got 264", dense(make(torch.bfloat16, 264), "flash"))
    one_row = make(torch.bfloat16, 64, 1)
    assert torch.equal(dense(one_row, "cudnn")(), one_row[2]), "of one row the output is its value, by whichever kernel"
    os.environ["LIGHTHOUSE_INNER"] = "cuDNN"
    try:
        expect_error(ValueError, "LIGHTHOUSE_INNER must be one of auto", dense(narrow, None))
    finally:
        del os.environ["LIGHTHOUSE_INNER"]
    torch.use_deterministic_algorithms(True)
    try:
        expect_error(ValueError, "torch is told to be deterministic", dense(narrow, "cudnn"))
        dense(narrow, "flash")()
    finally:
        torch.use_deterministic_algorithms(False)


def test_what_inner_returns():
    q = torch.randn(1, 2, 4096, 64, device="cuda")
    layer = lambda inner: lambda: lighthouse.attention(q, q, q, top_k=64, inner=inner)  # noqa: E731
    expect_error(ValueError, "its query's device, cuda:0; got cpu", layer(lambda q, k, v, **_: q.cpu()))
    expect_error(TypeError, "its query's dtype, torch.float32; got torch.float16", layer(lambda q, k, v, **_: q.half()))
    expect_error(ValueError, "its query's shape", layer(lambda q, k, v, **_: q[:, :, 1:]))
    expect_error(TypeError, "must return a tensor; got tuple", layer(lambda q, k, v, **_: (q, None)))
    # Any strides will do, and gradients that come back with any.
    leaves = [torch.randn(1, 2, 4096, 64, device="cuda", requires_grad=True) for _ in "qkv"]
    plain = lambda q, k, v, **_: q + k + v  # noqa: E731
    strange = lambda q, k, v, **_: (q + k + v).transpose(2, 3).contiguous().transpose(2, 3)  # noqa: E731
    one_row = lambda q, k, v, **_: (q + k + v)[:, :, :1].expand_as(q)  # noqa: E731
    for inner in (plain, strange, one_row):
        out = lighthouse.attention(*leaves, top_k=64, inner=inner)
        again = lighthouse.attention(*leaves, top_k=64, inner=lambda *x, **o: inner(*x, **o).contiguous())  # noqa: B023
        for a, b in zip((out, *torch.autograd.grad(out.sum(), leaves)), (again, *torch.autograd.grad(again.sum(), leaves))):
            assert torch.equal(a, b)
