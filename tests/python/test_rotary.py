"""Rotary embedding and the scores taken with it, against plain formulas and the separate operators."""

import random

import pytest
import torch
from conftest import SEED
from torch.autograd import gradcheck

import lighthouse_attention as lighthouse

OPS = torch.ops.lighthouse


def angles(n: int, dim: int, theta: float = 10000.0):
    frequencies = theta ** (-torch.arange(0, dim, 2).double() / dim)
    table = torch.outer(torch.arange(n).double(), frequencies)
    return table.cos().float(), table.sin().float()


def plain(x, cos, sin):
    a, b = x.double().chunk(2, -1)
    c, s = cos.double(), sin.double()
    return torch.cat((a * c - b * s, b * c + a * s), -1)


def inputs(n, dim, heads=4, kv_heads=2, dtype=torch.float32, strided=True):
    make = lambda h: torch.randn(2, n, h, dim, dtype=dtype).transpose(1, 2)  # noqa: E731
    q, k = make(heads), make(kv_heads)
    return (q, k) if strided else (q.contiguous(), k.contiguous())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("n,dim", [(1, 2), (7, 6), (100, 64), (333, 128)])
def test_rotation_is_the_plain_one(dtype, n, dim):
    for strided in (True, False):
        q, k = inputs(n, dim, dtype=dtype, strided=strided)
        cos, sin = angles(n, dim)
        for got, x in zip(lighthouse.rotary(q, k, cos, sin), (q, k)):
            want = plain(x, cos, sin)
            assert got.dtype == dtype and got.shape == x.shape and got.stride() == x.stride()
            # One rounding to the dtype, and those of two products and a sum before it.
            before = torch.finfo(torch.promote_types(dtype, torch.float32)).eps * 2 * x.abs().max().double()
            assert ((got.double() - want).abs() <= torch.finfo(dtype).eps * want.abs() + before).all()


def test_inverse_undoes_it():
    q, k = inputs(50, 16, dtype=torch.float64)
    cos, sin = angles(50, 16)
    back = OPS.rotary(*OPS.rotary(q, k, cos, sin, False), cos, sin, True)
    assert torch.allclose(back[0], q, atol=1e-6) and torch.allclose(back[1], k, atol=1e-6)


@pytest.mark.parametrize("index", range(20))
def test_scores_are_those_that_selection_would_take(index):
    draw = random.Random(SEED + index)
    n, dim = draw.choice([1, 15, 64, 500, 1111]), draw.choice([2, 8, 10, 64])
    options = dict(num_levels=draw.choice([1, 2, 3, 4]), pooling_factor=draw.choice([2, 3, 4]),
                   top_k=2 * draw.choice([1, 4, 16]))  # fmt: skip
    causal = draw.random() < 0.5
    q, k = inputs(n, dim, dtype=draw.choice([torch.float32, torch.bfloat16]))
    q2, k2, scores = lighthouse.rotary_score(q, k, *angles(n, dim), **options)
    plain_q, plain_k = lighthouse.rotary(q, k, *angles(n, dim))
    assert torch.equal(q2, plain_q) and torch.equal(k2, plain_k)
    want = lighthouse.select(q2, k2, causal_selection=causal, **options)
    got = lighthouse.select(q2, k2, causal_selection=causal, window_scores=scores, **options)
    assert torch.equal(got.nodes, want.nodes) and got[1:] == want[1:]


def test_the_layer_takes_them():
    q, k = inputs(2000, 32)
    v = torch.randn_like(k)
    leaves = [x.detach().requires_grad_() for x in (q, k, v)]
    options = dict(top_k=32, causal_selection=True)
    cos, sin = angles(2000, 32)

    def separate(q, k, v):
        return lighthouse.attention(*lighthouse.rotary(q, k, cos, sin), v, **options)

    def fused(q, k, v):
        q, k, scores = lighthouse.rotary_score(q, k, cos, sin, top_k=32)
        return lighthouse.attention(q, k, v, window_scores=scores, **options)

    grad = torch.randn_like(q)
    want, got = ((f(*leaves), *torch.autograd.grad(f(*leaves), leaves, grad)) for f in (separate, fused))
    assert all(torch.equal(a, b) for a, b in zip(want, got))
    inner = torch.nn.functional.scaled_dot_product_attention
    q, k, scores = lighthouse.rotary_score(*leaves[:2], cos, sin, top_k=32)
    out = lighthouse.attention(q, k, leaves[2], window_scores=scores, inner=inner, **options)
    assert torch.allclose(out, want[0], atol=1e-5)
    # Where dense attention runs, scores are of no use and no harm.
    q, k, scores = lighthouse.rotary_score(*leaves[:2], cos, sin, num_levels=1)
    assert lighthouse.attention(q, k, leaves[2], num_levels=1, window_scores=scores).shape == q.shape


def test_gradients():
    q, k = (x.requires_grad_() for x in inputs(20, 6, dtype=torch.float64))
    cos, sin = angles(20, 6)
    assert gradcheck(lambda q, k: lighthouse.rotary(q, k, cos, sin), (q, k))
    scored = lambda q, k: lighthouse.rotary_score(q, k, cos, sin, num_levels=2, top_k=2)[:2]  # noqa: E731
    assert gradcheck(scored, (q, k))
    _, _, scores = lighthouse.rotary_score(q, k, cos, sin, num_levels=2, top_k=2)
    assert not scores[0].requires_grad and not scores[1].requires_grad


def test_opcheck():
    q, k = (x.requires_grad_() for x in inputs(40, 8))
    cos, sin = angles(40, 8)
    torch.library.opcheck(OPS.rotary.default, (q, k, cos, sin, False))
    torch.library.opcheck(OPS.rotary_score.default, (q, k, cos, sin, 2, 4, 8, None))
    scores = OPS.rotary_score(q, k, cos, sin, 2, 4, 8, None)[2:]
    torch.library.opcheck(OPS.select_windows.default, (*scores, 40, 2, 4, 8, None, True, False))


def test_compiles_whole():
    cos, sin = angles(3000, 16)

    def layer(q, k, v):
        n = q.size(2)
        q, k, scores = lighthouse.rotary_score(q, k, cos[:n], sin[:n], top_k=32)
        return lighthouse.attention(q, k, v, top_k=32, window_scores=scores)

    compiled = torch.compile(layer, fullgraph=True, dynamic=True)
    for n in (2000, 2500):
        q, k = inputs(n, 16)
        v = torch.randn_like(k)
        assert torch.allclose(compiled(q, k, v), layer(q, k, v), atol=1e-5)


@pytest.mark.parametrize(
    "change,error,message",
    [
        (dict(cos=torch.zeros(9, 4)), ValueError, r"cos must be \[N, D/2\] with N=10, D/2=4; got \[9, 4\]"),
        (dict(sin=torch.zeros(10, 4, 1)), ValueError, r"sin must be \[N, D/2\]"),
        (dict(cos=torch.zeros(10, 4).double()), TypeError, "cos must be float32; got Double"),
        (dict(sin=torch.zeros(10, 4, device="meta")), ValueError, "sin must be on query's device, cpu; got meta"),
        (dict(q=torch.zeros(1, 2, 10, 7), k=torch.zeros(1, 2, 10, 7)), ValueError, "D must be even; got 7"),
        (dict(k=torch.zeros(1, 3, 10, 8)), ValueError, "H must be a positive multiple"),
    ],
)
def test_errors(change, error, message):
    arguments = dict(q=torch.zeros(1, 2, 10, 8), k=torch.zeros(1, 2, 10, 8), cos=torch.zeros(10, 4), sin=torch.zeros(10, 4))
    with pytest.raises(error, match=message):
        lighthouse.rotary(**(arguments | change))
    with pytest.raises(error, match=message):
        lighthouse.rotary_score(**(arguments | change))


def test_bad_window_scores():
    q = torch.randn(1, 2, 1000, 8)
    options = dict(top_k=16)
    good = OPS.rotary_score(q, q, *angles(1000, 8), 3, 4, 16, None)[2:]
    with pytest.raises(ValueError, match=r"must be \[B, K, 310\] for N=1000, num_levels=3, pooling_factor=4; got \[1, 2, 309\]"):
        lighthouse.attention(q, q, q, window_scores=tuple(s[..., 1:] for s in good), **options)
    with pytest.raises(TypeError, match="must be float32; got BFloat16"):
        lighthouse.select(q, q, window_scores=tuple(s.bfloat16() for s in good), **options)
    with pytest.raises(ValueError, match="must have one shape and device"):
        lighthouse.select(q, q, window_scores=(good[0], good[1][:, :1]), **options)
    with pytest.raises(ValueError, match="of the inputs' B=1, K=2 on cpu; got B=1, K=1"):
        lighthouse.attention(q, q, q, window_scores=tuple(s[:, :1] for s in good), **options)
    with pytest.raises(ValueError, match="one of tree, scores and window_scores; got scores and window_scores"):
        lighthouse.attention(q, q, q, scores=(q[..., 0], q[..., 0]), window_scores=good, **options)
    with pytest.raises(ValueError, match="not both; got both"):
        lighthouse.select(q, q, scores=(q[..., 0], q[..., 0]), window_scores=good, **options)
