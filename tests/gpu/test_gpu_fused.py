"""The fused parts of the training pass, each alone, against float64: odd sizes, odd starts, any strides, many rows."""

import torch
from support import OPS, PARTS, angles, expect_error, relative_error, same

import lighthouse_attention as lighthouse

TYPES = (torch.bfloat16, torch.float16, torch.float32)


def excess(got: torch.Tensor, want: torch.Tensor, scale: torch.Tensor) -> float:
    """Beyond one rounding to got's type of a float32 result whose terms were as large as `scale`: not positive."""
    limit = 0.51 * torch.finfo(got.dtype).eps * want.abs() + 2e-5 * scale + 1e-7
    return ((got.double() - want).abs() - limit).max().item() if got.numel() else -1.0


def layouts(x: torch.Tensor) -> list:
    """The same values contiguous, one element past an aligned start, with strides, and of the first row again and again."""
    odd = torch.empty(x.numel() + 1, dtype=x.dtype, device=x.device)[1:].view(x.shape).copy_(x)
    wide = torch.stack((x, x), -1)[..., 0]
    columns = x.t().contiguous().t()
    return [x, odd, wide, columns, x[:1].expand_as(x)]


def starts(x: torch.Tensor) -> list:
    """Those of them that are contiguous."""
    return layouts(x)[:2]


def check_norm(dtype: torch.dtype, rows: int, columns: int) -> None:
    case, epsilon = (dtype, rows, columns), 1e-5
    make = lambda: torch.randn(rows, columns, dtype=dtype, device="cuda")  # noqa: E731
    x, gain = make(), torch.randn(columns, device="cuda")
    for here in starts(x):
        for addend in (None, *layouts(make())):
            found_sum, found = PARTS.rms_norm(here, addend, gain, epsilon)
            total = x if addend is None else (x.float() + addend.float()).to(dtype)
            assert torch.equal(found_sum, total), case
            wide = total.double()
            want = wide * (wide.square().mean(-1, True) + epsilon).rsqrt() * gain.double()
            assert excess(found, want, want.abs()) <= 0, (*case, excess(found, want, want.abs()))
    wide, wide_gain = x.double().requires_grad_(), gain.double().requires_grad_()
    inverse = (wide.square().mean(-1, True) + epsilon).rsqrt()
    normal = wide * inverse * wide_gain
    for here in starts(x):
        for grad in layouts(make()):
            for residual in (None, make(), layouts(make())[3]):
                got = PARTS.rms_norm_backward(grad, here, gain, epsilon, residual, True)
                want, want_gain = torch.autograd.grad(normal, (wide, wide_gain), grad.double(), retain_graph=True)
                if residual is not None:
                    want = want + residual.double()
                scale = (inverse * grad * gain).detach().abs().amax(-1, True) * columns**0.5 + want.abs()
                assert excess(got[0], want, scale) <= 0, (*case, "input", excess(got[0], want, scale))
                assert got[1].dtype == torch.float32
                terms = (grad.double() * wide * inverse).detach().abs().sum(0)
                assert excess(got[1], want_gain, terms) <= 0, (*case, "gain", excess(got[1], want_gain, terms))
                assert excess(got[2], normal.detach(), normal.detach().abs()) <= 0, (*case, "normal")
        without = PARTS.rms_norm_backward(make(), here, gain, epsilon, None, False)
        assert without[2] is None


def test_rms_norm():
    """Up to the longest rows that the kernels take, and beyond, where torch's operators stand in."""
    for dtype in TYPES:
        for rows, columns in ((1, 1), (5, 3), (3, 17), (2, 64), (7, 127), (33, 128), (5, 512), (3, 513), (9, 1000), (4, 2048), (3, 4096), (2, 4100), (0, 64)):
            check_norm(dtype, rows, columns)


def test_rms_norm_of_many_rows():
    """More than the backward pass has blocks for, and than a grid has in y."""
    for columns in (8, 6):
        check_norm(torch.float32, 140001, columns)


def check_swiglu(dtype: torch.dtype, rows: int, columns: int) -> None:
    case = (dtype, rows, columns)
    gate_up = torch.randn(rows, 2 * columns, dtype=dtype, device="cuda") * 4
    gate, up = gate_up.double().chunk(2, -1)
    sigmoid = gate.sigmoid()
    want = gate * sigmoid * up
    for here in starts(gate_up):
        got = PARTS.swiglu(here)
        assert got.shape == want.shape and excess(got, want, want.abs()) <= 0, case
        for grad in layouts(torch.randn(rows, columns, dtype=dtype, device="cuda")):
            slope = grad.double()
            wanted = torch.cat((slope * up * sigmoid * (1 + gate * (1 - sigmoid)), slope * gate * sigmoid), -1)
            scale = torch.cat(((slope * up).abs() * (1 + gate.abs()), wanted[:, columns:].abs()), -1)
            inplace = starts(gate_up.clone())[0 if here is gate_up else 1]
            gradient, again = PARTS.swiglu_backward(grad, inplace)
            assert gradient.data_ptr() == inplace.data_ptr(), "the gradient is written over gate_up"
            assert excess(gradient, wanted, scale) <= 0, (*case, excess(gradient, wanted, scale))
            assert excess(again, want, want.abs()) <= 0, case


def test_swiglu():
    for dtype in TYPES:
        for rows, columns in ((1, 1), (5, 3), (4, 8), (9, 127), (6, 1536), (2, 4100), (0, 8), (3, 0)):
            check_swiglu(dtype, rows, columns)


def test_swiglu_of_many_rows():
    """More than four times the blocks that a grid has in y."""
    check_swiglu(torch.float32, 270001, 4)


def test_token_loss():
    """In chunks, against whole logits in float64; frozen weights and frozen hidden values; any layout."""
    for dtype, limit, loss_limit in ((torch.float32, 2e-5, 1e-5), (torch.bfloat16, 3e-2, 2e-2)):
        for rows, columns, vocab in ((1, 8, 3), (77, 33, 257), (1500, 16, 40001)):
            base = torch.randn(rows, columns, dtype=dtype, device="cuda")
            weight = torch.randn(vocab, columns, device="cuda") / 4
            targets = torch.randint(0, vocab, (rows,), device="cuda")
            for hidden in layouts(base):
                wide = [hidden.detach().double().requires_grad_(), weight.to(dtype).double().requires_grad_()]
                losses = torch.nn.functional.cross_entropy(wide[0] @ wide[1].t(), targets, reduction="none")
                want = torch.autograd.grad(losses.mean() / 2, wide)
                single = PARTS.token_losses(hidden, weight, targets)
                assert (single.double() - losses).abs().max() <= loss_limit * losses.max().clamp(min=1), (dtype, rows, vocab)
                for trained in ((True, True), (True, False), (False, True)):
                    leaves = [x.detach().clone().requires_grad_(flag) if x is weight else x.detach().requires_grad_(flag)
                              for x, flag in zip((hidden, weight), trained)]  # fmt: skip
                    loss = PARTS.token_loss(*leaves, targets, 2)
                    assert abs(loss.item() - losses.mean().item() / 2) <= loss_limit * max(1, losses.mean().item()), (dtype, rows, vocab)
                    found = torch.autograd.grad(loss, [x for x, flag in zip(leaves, trained) if flag])
                    for got, exact in zip(found, [x for x, flag in zip(want, trained) if flag]):
                        assert relative_error(got, exact) <= limit, (dtype, rows, vocab, trained, relative_error(got, exact))


def test_moves_into_memory_of_the_callers():
    """Scatter and the adjoint of gather written into a packed tensor, from inputs of any layout: what the operators give."""
    for dtype in TYPES:
        for heads, kv_heads, dim, n in ((4, 2, 64, 300), (3, 3, 5, 70), (2, 1, 1, 64)):
            options = dict(num_levels=2, pooling_factor=4, top_k=4, num_tiles=1)
            q, k = (torch.randn(2, h, n, dim, dtype=dtype, device="cuda") for h in (heads, kv_heads))
            tree = lighthouse.select(q, k, **options)
            sizes = list(tree[1:])
            rows = lambda h: torch.randn(2, tree.retained_length, h, dim, dtype=dtype, device="cuda").transpose(1, 2)  # noqa: B023, E731
            grads = rows(heads), rows(kv_heads), rows(kv_heads)
            expanded = [x[:, :, :1].expand_as(x) for x in grads]
            last = [x.transpose(2, 3).contiguous().transpose(2, 3) for x in grads]
            for given in (grads, expanded, last):
                packed = torch.full((2, n, heads + 2 * kv_heads, dim), torch.nan, dtype=dtype, device="cuda")
                to = [x.transpose(1, 2) for x in packed.split((heads, kv_heads, kv_heads), 2)]
                PARTS.gather_adjoint_into(*given, tree.nodes, sizes, *to)
                want = OPS.gather_backward(*given, tree.nodes, n, *tree[2:])
                assert all(same(a, b) for a, b in zip(to, want)), (dtype, heads, dim)
                PARTS.scatter_into(given[0], tree.nodes, sizes, to[0])
                assert same(to[0], lighthouse.scatter(given[0], tree)), (dtype, heads, dim)
                assert packed.isfinite().all()


def weights(hidden: int, heads: int, kv_heads: int, dim: int, inner: int) -> list:
    shapes = [(hidden,), (heads * dim, hidden), (kv_heads * dim, hidden), (kv_heads * dim, hidden), (hidden, heads * dim), (hidden,),
              (inner, hidden), (inner, hidden), (hidden, inner)]  # fmt: skip
    return [torch.ones(shape, device="cuda") if len(shape) == 1 else torch.randn(shape, device="cuda") / shape[1] ** 0.5 for shape in shapes]


def test_block_with_frozen_parts():
    """A decoder block's gradients against the processor's, and the same ones whatever else is frozen."""
    hidden, heads, kv_heads, dim, inner, n = 96, 4, 2, 24, 100, 512
    all_weights = weights(hidden, heads, kv_heads, dim, inner)
    x = torch.randn(2, n, hidden, device="cuda")
    grad = torch.randn_like(x)
    cos, sin = angles(n, dim, "cuda")

    def gradients(trained: tuple, top_k: int, device: str = "cuda", dtype: torch.dtype = torch.float32) -> list:
        leaves = [y.to(device).detach().clone().requires_grad_(index in trained) for index, y in enumerate((x.to(dtype), *all_weights))]
        y = PARTS.block(leaves[0], leaves[1:], heads, kv_heads, cos.to(device), sin.to(device), top_k)
        return [y.detach(), *torch.autograd.grad(y, [leaves[index] for index in trained], grad.to(device, dtype))]

    torch.use_deterministic_algorithms(True)
    try:
        for top_k in (0, 8):
            everything = tuple(range(10))
            whole = gradients(everything, top_k)
            for index, (got, want) in enumerate(zip(whole, gradients(everything, top_k, "cpu"))):
                assert relative_error(got, want) <= 1e-4, (top_k, index, relative_error(got, want))
            for index, (got, want) in enumerate(zip(gradients(everything, top_k, dtype=torch.bfloat16), whole)):
                assert top_k or relative_error(got, want) <= 0.1, (index, relative_error(got, want))
            for trained in ((9,), (5,), (2,), (0,), (1,), (6,), (3, 4), (7, 8), (2, 9)):
                for index, got in zip((-1, *trained), gradients(trained, top_k)):
                    assert torch.equal(got, whole[index + 1]), (top_k, trained, index)
            with torch.no_grad():
                before = torch.cuda.memory_allocated()
                y = PARTS.block(x, all_weights, heads, kv_heads, cos, sin, top_k)
                assert torch.cuda.memory_allocated() - before == y.nbytes, "something was kept"
                del y  # not a part of the next count
    finally:
        torch.use_deterministic_algorithms(False)


def test_what_does_not_fit():
    """Sizes, dtypes and devices that came from elsewhere are errors that say so."""
    x, gain = torch.randn(4, 8, device="cuda"), torch.ones(8, device="cuda")
    expect_error(ValueError, "addend must be [4, 8]; got [4, 7]", lambda: PARTS.rms_norm(x, x[:, 1:], gain, 1e-5))
    expect_error(TypeError, "addend must be of dtype Float; got BFloat16", lambda: PARTS.rms_norm(x, x.bfloat16(), gain, 1e-5))
    expect_error(ValueError, "addend must be on cuda:0; got cpu", lambda: PARTS.rms_norm(x, x.cpu(), gain, 1e-5))
    expect_error(ValueError, "the gain must be [8]; got [7]", lambda: PARTS.rms_norm(x, None, gain[1:], 1e-5))
    expect_error(TypeError, "the gain must be float32; got", lambda: PARTS.rms_norm(x, None, gain.double(), 1e-5))
    expect_error(ValueError, "must be contiguous rows", lambda: PARTS.rms_norm(x.t(), None, gain[:4], 1e-5))
    expect_error(ValueError, "grad must be [4, 8]; got [8]", lambda: PARTS.rms_norm_backward(x[0], x, gain, 1e-5, None, True))
    expect_error(TypeError, "residual must be of dtype Float; got Half", lambda: PARTS.rms_norm_backward(x, x, gain, 1e-5, x.half(), True))
    expect_error(ValueError, "gate_up must be [rows, 2 F]; got [4, 7]", lambda: PARTS.swiglu(x[:, 1:].contiguous()))
    expect_error(ValueError, "grad must be [4, 4]; got [4, 8]", lambda: PARTS.swiglu_backward(x, x))
    q, angle = x.view(1, 1, 4, 8), torch.ones(4, 4, device="cuda")
    expect_error(ValueError, "the rotated query must be", lambda: PARTS.rotate_into(q, q, angle, angle, False, q[..., 1:], q))
    columns = torch.empty(1, 1, 8, 4, device="cuda").transpose(2, 3)
    expect_error(ValueError, "must have contiguous rows", lambda: PARTS.rotate_into(q, q, angle, angle, False, q, columns))
    expect_error(RuntimeError, "single memory location", lambda: PARTS.rotate_into(q, q, angle, angle, False, q, q[:, :, :1].expand_as(q)))
