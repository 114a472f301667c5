"""Tensors on another device than the current one. Where there is one GPU, what needs two is skipped by name."""

import unittest

import torch
from support import OPS, PARTS, angles, expect_error, pyramid

import lighthouse_attention as lighthouse


def need_two() -> None:
    if torch.cuda.device_count() < 2:
        raise unittest.SkipTest("needs two GPUs; there is one")


def everything(device: str) -> list[torch.Tensor]:
    """All operators and parts on a device, whichever is the current one."""
    generator = torch.Generator().manual_seed(5)
    make = lambda *shape, dtype=torch.float32: torch.randn(shape, generator=generator).to(device, dtype)  # noqa: E731
    q, k, v = (make(2, h, 3000, 64, dtype=torch.bfloat16) for h in (4, 2, 2))
    options = dict(num_levels=3, pooling_factor=4, top_k=32, num_tiles=1)
    tree = lighthouse.select(q, k, **options)
    rows = lighthouse.gather(q, k, v, tree)
    cos, sin = angles(3000, 64, device)
    rotated = lighthouse.rotary_score(q, k, cos, sin, **options)
    by_scores = lighthouse.select(q, k, scores=(make(2, 2, 3000), make(2, 2, 3000)), **options)
    by_windows = lighthouse.select(q, k, window_scores=rotated[2], **options)
    found = [tree.nodes, tree.entries(), tree.writes(), by_scores.nodes, by_windows.nodes, *rows, lighthouse.scatter(rows[0], tree),
             OPS.scatter_backward(q, tree.nodes, *pyramid(tree)), *OPS.gather_backward(*rows, tree.nodes, 3000, *pyramid(tree)),
             *rotated[:2], *rotated[2], *OPS.rotary(q, k, cos, sin, True)]  # fmt: skip
    x, gain = make(100, 256), make(256)
    found += [*PARTS.rms_norm(x, x, gain, 1e-5), *PARTS.rms_norm_backward(x, x, gain, 1e-5, x, True), PARTS.swiglu(x),
              *PARTS.swiglu_backward(make(100, 128), x.clone())]  # fmt: skip
    to = [torch.empty_like(y) for y in (q, k, v)]
    PARTS.rotate_into(q, k, cos, sin, False, *to[:2])
    found += [y.clone() for y in to[:2]]
    PARTS.gather_adjoint_into(*rows, tree.nodes, list(tree[1:]), *to)
    found += [y.clone() for y in to]
    PARTS.scatter_into(rows[0], tree.nodes, list(tree[1:]), to[0])
    found.append(to[0])
    leaves = [y.requires_grad_() for y in (q, k, v)]
    for name in ("flash", "math"):
        out = lighthouse.attention(*leaves, **options, inner=name)
        found += [out.detach(), *torch.autograd.grad(out, leaves, out.detach())]
    hidden, weight = make(50, 32).requires_grad_(), make(300, 32).requires_grad_()
    loss = PARTS.token_loss(hidden, weight, torch.arange(50, device=device), 1)
    return [*found, loss.detach(), *torch.autograd.grad(loss, (hidden, weight))]


def test_a_second_gpu():
    """On the second GPU while the first is current: the same bits, and results that live there."""
    need_two()
    torch.use_deterministic_algorithms(True)
    try:
        first = everything("cuda:0")
        assert torch.cuda.current_device() == 0
        second = everything("cuda:1")
        assert torch.cuda.current_device() == 0
    finally:
        torch.use_deterministic_algorithms(False)
    torch.cuda.synchronize(1)
    for index, (a, b) in enumerate(zip(first, second, strict=True)):
        assert b.device == torch.device("cuda:1"), index
        assert torch.equal(a, b.to("cuda:0")), index


def test_streams_of_a_second_gpu():
    """On a stream of the second GPU's that is its current one."""
    need_two()
    want = everything("cuda:1")
    stream = torch.cuda.Stream("cuda:1")
    stream.wait_stream(torch.cuda.current_stream("cuda:1"))
    torch.cuda.set_device(1)
    with torch.cuda.stream(stream):
        torch.cuda.set_device(0)
        got = everything("cuda:1")
    torch.cuda.set_device(0)
    torch.cuda.synchronize(1)
    for index, (a, b) in enumerate(zip(want[:19], got[:19], strict=True)):
        assert torch.equal(a, b), index


def test_tensors_on_two_devices():
    """Named, whether the other is a GPU or the processor."""
    q = torch.randn(1, 2, 256, 8, device="cuda")
    options = dict(num_levels=2, pooling_factor=4, top_k=8, num_tiles=1)
    tree = lighthouse.select(q, q, **options)
    for other in ("cpu", "cuda:1") if torch.cuda.device_count() > 1 else ("cpu",):
        there = q.to(other)
        expect_error(ValueError, f"must be on query's device, cuda:0; got {other}", lambda: lighthouse.select(q, there, **options))  # noqa: B023
        expect_error(ValueError, "must be on the inputs' device", lambda: lighthouse.gather(there, there, there, tree))  # noqa: B023
        expect_error(ValueError, "must be on the tree's device", lambda: OPS.scatter_backward(there, tree.nodes, *pyramid(tree)))  # noqa: B023
        expect_error(ValueError, "must be on cuda:0; got " + other, lambda: PARTS.rms_norm(q[0, 0], there[0, 0], torch.ones(8, device="cuda"), 1e-5))  # noqa: B023
