"""Every argument reaches the operators on every path, forward and backward: tiles, both rules, given scores, scale."""

import random

import pytest
import torch

import lighthouse_attention as lighthouse
import reference
from conftest import SEED


def random_case(index: int) -> tuple[tuple[int, ...], dict]:
    """Shapes and options that retain fewer than N entries, explicit tiles and cover_prefix=False among them."""
    draw = random.Random(SEED + 1000 + index)
    while True:
        levels, p, n = draw.randint(2, 4), draw.choice([2, 3, 4, 5, 7]), draw.randint(10, 180)
        coarsest = n // p ** (levels - 1)
        if coarsest == 0:
            continue
        tiles = draw.randint(1, min(coarsest, 4))
        options = dict(num_levels=levels, pooling_factor=p, top_k=2 * tiles * draw.randint(1, 3), num_tiles=tiles)
        if lighthouse.retained_length(n, **options) < n:
            rule = draw.choice([dict(), dict(cover_prefix=False), dict(causal_selection=True)])
            kv_heads = draw.randint(1, 2)
            shape = (draw.randint(1, 2), kv_heads * draw.randint(1, 3), kv_heads, n, draw.choice([1, 4, 9]))
            return shape, {**options, **rule}


@pytest.mark.parametrize("index", range(40))
def test_every_path_passes_its_arguments_on(index):
    (batch, heads, kv_heads, n, dim), options = random_case(index)
    draw = random.Random(SEED + index)
    wanted = [draw.random() < 0.7 for _ in range(3)]
    if not any(wanted):
        wanted[0] = True
    q, k, v = (
        torch.randn(batch, h, n, dim, dtype=torch.float64, requires_grad=grad)
        for h, grad in zip((heads, kv_heads, kv_heads), wanted)
    )
    scale = draw.choice([None, 0.2])
    scores = None
    if draw.random() < 0.5:
        scores = tuple(torch.randint(0, 4, (batch, kv_heads, n)).float() for _ in range(2))
    tree = lighthouse.select(q, k, scores=scores, **options)
    sizes = {name: getattr(tree, name) for name in ("num_levels", "pooling_factor", "top_k", "num_tiles")}
    assert tree.num_tokens == n and sizes.items() <= options.items()

    def inner(q_, k_, v_, *, is_causal, scale, enable_gqa=False):
        assert is_causal and enable_gqa == (heads != kv_heads)
        return reference.dense_attention(q_, k_, v_, scale)

    expected = reference.attention(q, k, v, tree, scale)
    output_grad = torch.randn_like(expected)
    inputs = [x for x in (q, k, v) if x.requires_grad]
    expected_grads = torch.autograd.grad(expected, inputs, output_grad)
    paths = dict(
        selected=lighthouse.attention(q, k, v, scores=scores, scale=scale, **options),
        given_tree=lighthouse.attention(q, k, v, tree=tree, scale=scale),
        given_inner=lighthouse.attention(q, k, v, scores=scores, scale=scale, inner=inner, **options),
    )
    for path, out in paths.items():
        torch.testing.assert_close(out, expected, rtol=1e-9, atol=1e-10, msg=lambda m: f"{path} of {options}: {m}")
        for got, want in zip(torch.autograd.grad(out, inputs, output_grad), expected_grads):
            torch.testing.assert_close(got, want, rtol=1e-8, atol=1e-9, msg=lambda m: f"{path} of {options}: {m}")


def test_scores_get_no_gradient():
    q = torch.randn(1, 1, 200, 4, requires_grad=True)
    scores = torch.rand(1, 1, 200, requires_grad=True)
    out = lighthouse.attention(q, q, q, num_levels=2, pooling_factor=4, top_k=4, scores=(scores, scores))
    out.sum().backward()
    assert q.grad is not None and scores.grad is None


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_stages_keep_the_dtype_forward_and_backward(dtype):
    q, k, v = (torch.randn(1, h, 100, 8, dtype=dtype, requires_grad=True) for h in (4, 2, 2))
    tree = lighthouse.select(q, k, num_levels=2, pooling_factor=3, top_k=4)
    rows = lighthouse.gather(q, k, v, tree)
    out = lighthouse.scatter(rows[0], tree)
    assert {x.dtype for x in (*rows, out)} == {dtype}
    grads = torch.autograd.grad((out, *rows[1:]), (q, k, v), (torch.ones_like(out), *map(torch.ones_like, rows[1:])))
    assert {x.dtype for x in grads} == {dtype}
