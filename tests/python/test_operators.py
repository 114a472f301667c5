"""The operators as PyTorch sees them: schemas, fake tensors, autograd, compilation."""

import pytest
import torch
import torch._dynamo.testing
from torch.library import opcheck

import lighthouse_attention as lighthouse

ops = torch.ops.lighthouse
PYRAMID = (3, 4, 16, None)
N = 300


@pytest.fixture(params=[(False, 2, 1), (True, 2, 2)], ids=["paper", "causal"])
def setting(request):
    causal, heads, kv_heads = request.param
    make = lambda h: torch.randn(2, h, N, 8, dtype=torch.float64, requires_grad=True)  # noqa: E731
    q, k, v = make(heads), make(kv_heads), make(kv_heads)
    tree = lighthouse.select(q, k, num_levels=3, pooling_factor=4, top_k=16, causal_selection=causal)
    rows = [x.detach().requires_grad_() for x in lighthouse.gather(q, k, v, tree)]
    return q, k, v, tree, rows


def test_opcheck(setting):
    q, k, v, tree, rows = setting
    opcheck(ops.select.default, (q, k, None, None, *PYRAMID, True, False))
    opcheck(ops.select.default, (q, k, k[..., 0].detach(), k[..., 1].detach(), *PYRAMID, True, True))
    opcheck(ops.gather.default, (q, k, v, tree.nodes, *PYRAMID))
    opcheck(ops.gather_backward.default, (*rows, tree.nodes, N, *PYRAMID))
    opcheck(ops.scatter.default, (rows[0], tree.nodes, N, *PYRAMID))
    opcheck(ops.scatter_backward.default, (q, tree.nodes, *PYRAMID))
    opcheck(ops.entries.default, (tree.nodes, N, *PYRAMID))
    opcheck(ops.writes.default, (tree.nodes, N, *PYRAMID))


def small(heads, rows, requires_grad=True):
    return torch.randn(1, heads, rows, 2, dtype=torch.float64, requires_grad=requires_grad)


@pytest.mark.parametrize("causal_selection", [False, True])
@pytest.mark.parametrize("grads", [(True, True, True), (True, False, False), (False, True, False), (False, False, True)])
def test_gradcheck_of_the_layer(grads, causal_selection):
    q, k, v = (small(h, 21, g) for h, g in zip((4, 2, 2), grads))
    with torch.no_grad():
        tree = lighthouse.select(q, k, num_levels=3, pooling_factor=2, top_k=2, causal_selection=causal_selection)
    assert tree.retained_length < 21
    assert torch.autograd.gradcheck(lambda *x: lighthouse.attention(*x, tree=tree), (q, k, v))


@pytest.mark.parametrize("causal_selection", [False, True])
def test_gradients_of_gradients(causal_selection):
    q, k, v = small(2, 20), small(1, 20), small(1, 20)
    tree = lighthouse.select(q, k, num_levels=3, pooling_factor=3, top_k=2, causal_selection=causal_selection)
    assert torch.autograd.gradgradcheck(lambda *x: lighthouse.gather(*x, tree), (q, k, v))
    assert torch.autograd.gradgradcheck(lambda x: lighthouse.scatter(x, tree), (small(2, tree.retained_length),))


@pytest.mark.parametrize("causal_selection", [False, True])
def test_backward_is_the_adjoint(setting, causal_selection):
    q, k, v, tree, rows = setting
    forward = ops.gather(q, k, v, tree.nodes, *PYRAMID)
    backward = ops.gather_backward(*rows, tree.nodes, N, *PYRAMID)
    for x, a_x, y, a_y in zip((q, k, v), forward, rows, backward):
        torch.testing.assert_close((a_x * y).sum(), (x * a_y).sum())
    o = torch.randn_like(q)
    left = (ops.scatter(rows[0], tree.nodes, N, *PYRAMID) * o).sum()
    torch.testing.assert_close(left, (rows[0] * ops.scatter_backward(o, tree.nodes, *PYRAMID)).sum())


def test_compiles_whole_with_dynamic_length():
    torch._dynamo.reset()
    layer = lambda q, k, v: lighthouse.attention(q, k, v, num_levels=3, pooling_factor=4, top_k=16)  # noqa: E731
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager", dynamic=True)
    for n in (400, 555, 1024):
        q, k, v = (torch.randn(1, h, n, 8, requires_grad=True) for h in (4, 2, 2))
        expected, out = layer(q, k, v), compiled(q, k, v)
        torch.testing.assert_close(out, expected)
        grad = torch.randn_like(out)
        for got, want in zip(torch.autograd.grad(out, (q, k, v), grad), torch.autograd.grad(expected, (q, k, v), grad)):
            torch.testing.assert_close(got, want)


@pytest.mark.parametrize("options", [dict(num_levels=3, pooling_factor=4, top_k=8), {}], ids=["top_k", "default"])
@pytest.mark.parametrize("dynamic, compiles", [(None, 2), (True, 1), (False, 4)])
def test_compiles_whole_and_once_for_all_lengths(dynamic, compiles, options):
    """By default torch compiles once for the first length and once more for all others."""
    torch._dynamo.reset()
    counter = torch._dynamo.testing.CompileCounter()
    layer = lambda q, k, v: lighthouse.attention(q, k, v, **options)  # noqa: E731
    compiled = torch.compile(layer, fullgraph=True, backend=counter, dynamic=dynamic)
    for n in (512, 600, 1000, 2048):
        compiled(*(torch.randn(1, h, n, 8) for h in (4, 2, 2)))
    assert counter.frame_count == compiles


def test_saves_only_short_tensors():
    q, k, v = (torch.randn(1, 2, 4096, 16, requires_grad=True) for _ in range(3))
    saved = []
    with torch.autograd.graph.saved_tensors_hooks(lambda x: saved.append(x.numel()) or x, lambda x: x):
        lighthouse.attention(q, k, v, num_levels=3, pooling_factor=4, top_k=16)
    retained = lighthouse.retained_length(4096, num_levels=3, pooling_factor=4, top_k=16)
    assert max(saved) <= 2 * retained * 16


def test_every_operator_of_the_cpu_answers_on_cuda():
    """By a kernel, or where the build has none by an error that says so."""
    names = {name for name in torch._C._dispatch_get_all_op_names() if name.startswith("lighthouse::")}
    has = torch._C._dispatch_has_kernel_for_dispatch_key
    on_cpu = {name for name in names if has(name, "CPU")}
    assert len(on_cpu) >= 10
    assert {name for name in on_cpu if not has(name, "CUDA")} == set()
