"""The layer under what torch puts around layers: torch.compile, activation checkpointing, autocast."""

import random
import time

import pytest
import torch
import torch._dynamo.testing
from torch._dynamo.source import ConstantSource
from torch._dynamo.utils import counters
from torch.fx.experimental.symbolic_shapes import DimDynamic, ShapeEnv
from torch.utils.checkpoint import CheckpointPolicy, checkpoint, create_selective_checkpoint_contexts

import lighthouse_attention as lighthouse
from lighthouse_attention import _geometry

OPTIONS = dict(num_levels=3, pooling_factor=4, top_k=32)


def inputs(n: int, dtype: torch.dtype = torch.float32, dim: int = 16):
    return [torch.randn(1, heads, n, dim, dtype=dtype, requires_grad=True) for heads in (4, 2, 2)]


def forward_backward(layer, leaves, output_grad):
    out = layer(*leaves)
    return [out, *torch.autograd.grad(out, leaves, output_grad.to(out.dtype))]


@pytest.mark.parametrize(
    "backend, options",
    [
        ("aot_eager", OPTIONS),
        ("aot_eager", dict(causal_selection=True, **OPTIONS)),
        ("inductor", OPTIONS),
        ("aot_eager", {}),
        ("inductor", dict(causal_selection=True)),
    ],
)
def test_compiles_whole_forward_and_backward_without_compiling_again(backend, options, capfd):
    """One graph for all lengths, no break, and at most one recompilation in total; so too with the default top_k, which is
    another number for each length."""
    torch._dynamo.reset()
    counters.clear()
    layer = lambda q, k, v: lighthouse.attention(q, k, v, **options)  # noqa: E731
    counter = torch._dynamo.testing.CompileCounterWithBackend(backend)
    compiled = torch.compile(layer, fullgraph=True, dynamic=True, backend=counter)
    lengths, start = (2048, 5000, 12345), time.perf_counter()
    for n in lengths:
        leaves = inputs(n)
        output_grad = torch.randn(1, 4, n, 16)
        for got, want in zip(forward_backward(compiled, leaves, output_grad), forward_backward(layer, leaves, output_grad)):
            torch.testing.assert_close(got, want)
    breaks, compilations = sum(counters["graph_break"].values()), counter.frame_count
    with capfd.disabled():
        print(f"\n{backend}, {options}: N = {lengths}, {breaks} graph breaks, {compilations} compilation(s), "
              f"{compilations - 1} recompilation(s), {time.perf_counter() - start:.1f} s")  # fmt: skip
    assert breaks == 0 and counters["stats"]["unique_graphs"] == compilations and compilations - 1 <= 1


def causal_sdpa(q, k, v, is_causal, scale, enable_gqa=False):
    return torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=is_causal, scale=scale, enable_gqa=enable_gqa)


COMPILED = {
    "attention": lambda q, k, v, **options: lighthouse.attention(q, k, v, **options),
    "inner": lambda q, k, v, **options: lighthouse.attention(q, k, v, inner=causal_sdpa, **options),
    "tree": lambda q, k, v, **options: lighthouse.attention(q, k, v, tree=lighthouse.select(q, k, **options)),
    "stages": lambda q, k, v, **options: stages(q, k, v, **options),
    "length": lambda q, k, v, **options: q[:, :, : lighthouse.retained_length(q.size(2), **options)] * 2,
    "dense": lambda q, k, v, **options: lighthouse.attention(q[:, :, :15], k[:, :, :15], v[:, :, :15], inner=causal_sdpa, **options),
}


def stages(q, k, v, **options):
    tree = lighthouse.select(q, k, **options)
    return lighthouse.scatter(lighthouse.gather(q, k, v, tree)[0], tree)


@pytest.mark.parametrize("options", [OPTIONS, {}, dict(num_levels=2, pooling_factor=5, num_tiles=2)], ids=["top_k", "default", "tiles"])
@pytest.mark.parametrize("way", COMPILED)
@pytest.mark.filterwarnings("ignore:lighthouse")
def test_compiles_whole_and_once_whatever_is_called(way, options):
    torch._dynamo.reset()
    counter = torch._dynamo.testing.CompileCounterWithBackend("aot_eager")
    call = lambda q, k, v: COMPILED[way](q, k, v, **options)  # noqa: E731
    compiled = torch.compile(call, fullgraph=True, dynamic=True, backend=counter)
    for n in (2048, 700, 5000, 17001):
        leaves, output_grad = inputs(n), torch.randn(call(*inputs(n)).shape)
        got, want = compiled(*leaves), call(*leaves)
        torch.testing.assert_close(got, want)
        got.backward(output_grad)
        grads = [x.grad.clone() for x in leaves if x.grad is not None]
        want_grads = torch.autograd.grad(want, [x for x in leaves if x.grad is not None], output_grad)
        for a, b in zip(grads, want_grads, strict=True):
            torch.testing.assert_close(a, b)
    assert counter.frame_count == 1


@pytest.mark.parametrize("inner", [None, causal_sdpa])
@pytest.mark.parametrize("dynamic, numbers", [(False, "of 90 tokens"), (True, "all N of N tokens")])
def test_compiled_code_says_that_it_runs_dense(inner, dynamic, numbers, capfd):
    torch._dynamo.reset()
    options = dict(pooling_factor=9, top_k=1024 + 2 * dynamic + 4 * (inner is None))  # a warning is given once
    compiled = torch.compile(lambda *x: lighthouse.attention(*x, inner=inner, **options), fullgraph=True, dynamic=dynamic, backend="aot_eager")
    leaves = inputs(90)
    torch.testing.assert_close(compiled(*leaves), lighthouse.attention(*leaves, num_levels=1))
    said = capfd.readouterr().err
    assert f"{numbers} would be retained" in said or f"{numbers} or more would be retained" in said
    assert f"pooling_factor=9, top_k={options['top_k']}" in said


def test_the_geometry_of_compiled_code_is_the_librarys(monkeypatch):
    draw = random.Random(11)
    cases = 0
    while cases < 3000:
        tiles = draw.choice([None, None, 1, 2, 3, 5])
        top_k = 2 * draw.randint(1, 400) if tiles is None else 2 * tiles * draw.randint(1, 40)
        top_k = draw.choice([None, top_k, top_k])
        case = (draw.choice([draw.randint(0, 400), draw.randint(0, 100000)]), draw.randint(1, 5), draw.randint(2, 5), top_k, tiles)
        try:
            want = _geometry.top_k(*case), _geometry.num_tiles(*case), _geometry.retained_length(*case)
        except ValueError:
            continue
        with monkeypatch.context() as patch:
            patch.setattr(torch.compiler, "is_compiling", lambda: True)
            assert (_geometry.top_k(*case), _geometry.num_tiles(*case), _geometry.retained_length(*case)) == want, case
        cases += 1


def symbolic(n: int) -> tuple[ShapeEnv, torch.SymInt]:
    """An N that stands for any length, with n at hand."""
    environment, source = ShapeEnv(), ConstantSource("n")
    symbol = environment.create_symbol(n, source, dynamic_dim=DimDynamic.DYNAMIC)
    return environment, environment.create_symintnode(symbol, hint=n, source=source)


def test_k_n_and_s_of_a_symbolic_length_are_expressions_that_hold_for_other_lengths():
    draw = random.Random(12)
    held = 0
    for _ in range(60):
        tiles = draw.choice([None, None, None, 1, 3])
        top_k = draw.choice([None, None, 2 * (tiles or 1) * draw.randint(1, 200)])
        pyramid = (draw.randint(1, 4), draw.randint(2, 5), top_k, tiles)
        n, others = draw.randint(2, 40000), [draw.randint(2, 40000) for _ in range(12)]
        environment, length = symbolic(n)
        for name in ("top_k", "num_tiles", "retained_length"):
            operator = getattr(torch.ops.lighthouse, name)
            try:
                want = operator(n, *pyramid)
            except ValueError:
                continue
            got = operator(length, *pyramid)
            if not isinstance(got, torch.SymInt):
                assert got == want, (name, n, pyramid)
                continue
            assert got.node.hint == want, (name, n, pyramid)
            conditions = [guard.expr for guard in environment.guards]
            for other in others:
                at = {length.node.expr: other}
                if all(bool(condition.subs(at)) for condition in conditions):
                    assert int(got.node.expr.subs(at)) == operator(other, *pyramid), (name, n, other, pyramid)
                    held += 1
        assert len(environment.guards) <= 4 and not environment.replacements, "no condition on N itself"
    assert held > 500, held


@pytest.mark.parametrize("use_reentrant", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_checkpointing_gives_the_same_bits(dtype, use_reentrant):
    """The tree computed again in backward, and the tree kept: selection is deterministic, so both are the plain gradients."""
    leaves, output_grad = inputs(1500, dtype), torch.randn(1, 4, 1500, 16)
    plain = forward_backward(lambda *x: lighthouse.attention(*x, **OPTIONS), leaves, output_grad)

    def recomputed(*x):
        return checkpoint(lambda *y: lighthouse.attention(*y, **OPTIONS), *x, use_reentrant=use_reentrant)

    def kept(*x):
        tree = lighthouse.select(x[0], x[1], **OPTIONS)
        return checkpoint(lambda *y: lighthouse.attention(*y, tree=tree), *x, use_reentrant=use_reentrant)

    for way in (recomputed, kept):
        for got, want in zip(forward_backward_of(way, leaves, output_grad), plain):
            assert torch.equal(got, want)


def forward_backward_of(way, leaves, output_grad):
    """By .backward(), which reentrant checkpoints need."""
    for x in leaves:
        x.grad = None
    out = way(*leaves)
    out.backward(output_grad.to(out.dtype))
    return [out, *(x.grad for x in leaves)]


def test_a_policy_keeps_the_tree():
    """Selective checkpointing that saves what `select` returns: it runs once, all else again, the bits are the same."""
    calls = []

    def policy(context, op, *args, **kwargs):
        if op == torch.ops.lighthouse.select.default:
            calls.append(context.is_recompute)
            return CheckpointPolicy.MUST_SAVE
        return CheckpointPolicy.PREFER_RECOMPUTE

    leaves, output_grad = inputs(1500), torch.randn(1, 4, 1500, 16)
    layer = lambda *x: lighthouse.attention(*x, **OPTIONS)  # noqa: E731
    plain = forward_backward(layer, leaves, output_grad)
    selective = lambda *x: checkpoint(  # noqa: E731
        layer, *x, use_reentrant=False, context_fn=lambda: create_selective_checkpoint_contexts(policy)
    )
    for got, want in zip(forward_backward(selective, leaves, output_grad), plain):
        assert torch.equal(got, want)
    assert calls == [False, True]


def test_autocast_is_that_of_scaled_dot_product_attention():
    q, k, v = inputs(1500)
    mixed = (q, k.detach().bfloat16().requires_grad_(), v)  # as autocast leaves them: k of a projection, q after rotary
    lower = [x.detach().bfloat16().requires_grad_() for x in mixed]
    output_grad = torch.randn(1, 4, 1500, 16)
    expected = forward_backward(lambda *x: lighthouse.attention(*x, **OPTIONS), lower, output_grad)
    with torch.autocast("cpu", torch.bfloat16):
        torch_out = torch.nn.functional.scaled_dot_product_attention(*mixed, is_causal=True, enable_gqa=True)
        got = forward_backward(lambda *x: lighthouse.attention(*x, **OPTIONS), mixed, output_grad)
        tree = lighthouse.select(*mixed[:2], **OPTIONS)
        rows = lighthouse.gather(*mixed, tree)
        by_tree = lighthouse.attention(*mixed, tree=tree)
        inner = lighthouse.attention(*mixed, inner=torch.nn.functional.scaled_dot_product_attention, **OPTIONS)
        double = lighthouse.attention(*(x.double() for x in mixed), **OPTIONS)
    assert got[0].dtype == torch_out.dtype == torch.bfloat16 and torch.equal(got[0], expected[0])
    assert [x.dtype for x in got[1:]] == [x.dtype for x in mixed]
    for a, b in zip(got[1:], expected[1:]):
        assert torch.equal(a, b.to(a.dtype))
    assert {x.dtype for x in rows} == {torch.bfloat16} and torch.equal(by_tree, got[0])
    torch.testing.assert_close(inner, got[0])
    assert double.dtype == torch.float64  # as in torch, which leaves float64 alone
    with pytest.raises(TypeError, match="key must have query's dtype"):
        lighthouse.attention(*mixed, **OPTIONS)


def test_autocast_compiles():
    torch._dynamo.reset()
    leaves = inputs(1500)
    layer = lambda *x: lighthouse.attention(*x, **OPTIONS)  # noqa: E731
    compiled = torch.compile(layer, fullgraph=True, dynamic=True, backend="aot_eager")
    assert torch.equal(compiled(*leaves), layer(*leaves))
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(compiled(*leaves), layer(*leaves)) and compiled(*leaves).dtype == torch.bfloat16


def own_attention(q, k, v, *, is_causal, scale, enable_gqa=False):
    """Of the caller's: plain products, which autograd differentiates."""
    assert is_causal and enable_gqa
    group = q.shape[1] // k.shape[1]
    logits = q @ k.repeat_interleave(group, 1).transpose(-1, -2) * scale
    hidden = torch.ones(logits.shape[-2:], dtype=torch.bool).triu(1)
    return logits.masked_fill(hidden, float("-inf")).softmax(-1) @ v.repeat_interleave(group, 1)


@pytest.mark.parametrize("inner", [torch.nn.functional.scaled_dot_product_attention, own_attention])
def test_any_function_like_scaled_dot_product_attention(inner):
    leaves, output_grad = inputs(800, torch.float64), torch.randn(1, 4, 800, 16)
    expected = forward_backward(lambda *x: lighthouse.attention(*x, **OPTIONS), leaves, output_grad)
    for got, want in zip(forward_backward(lambda *x: lighthouse.attention(*x, inner=inner, **OPTIONS), leaves, output_grad), expected):
        torch.testing.assert_close(got, want)
