"""The public functions against the reference, over random shapes and both rules."""

import random
import warnings

import pytest
import torch

import lighthouse_attention as lighthouse
import reference
from lighthouse_attention import _attention
from conftest import SEED


def random_case(index: int) -> dict:
    draw = random.Random(SEED + index)
    while True:
        levels, p = draw.randint(2, 4), draw.randint(2, 5)
        n_tokens, top_k = draw.randint(8, 160), draw.choice([None, *[2 * draw.randint(1, 8) for _ in range(3)]])
        options = dict(num_levels=levels, pooling_factor=p, top_k=top_k, causal_selection=draw.random() < 0.5)
        kv_heads, group = draw.randint(1, 3), draw.randint(1, 3)
        sizes = {key: options[key] for key in ("num_levels", "pooling_factor", "top_k")}
        if lighthouse.retained_length(n_tokens, **sizes) < n_tokens:
            shape = (draw.randint(1, 2), kv_heads * group, kv_heads, n_tokens, draw.choice([1, 3, 8, 17]))
            return dict(shape=shape, options=options)


def make_inputs(shape, dtype=torch.float64, requires_grad=True):
    batch, heads, kv_heads, n, dim = shape
    make = lambda h: torch.randn(batch, h, n, dim, dtype=dtype, requires_grad=requires_grad)  # noqa: E731
    return make(heads), make(kv_heads), make(kv_heads)


@pytest.mark.parametrize("index", range(60))
def test_output_and_gradients_equal_the_reference(index):
    case = random_case(index)
    q, k, v = make_inputs(case["shape"])
    tree = lighthouse.select(q, k, **case["options"])
    out = lighthouse.attention(q, k, v, **case["options"])
    expected = reference.attention(q, k, v, tree)
    torch.testing.assert_close(out, expected, rtol=1e-9, atol=1e-10, msg=lambda m: f"{case}: {m}")
    grad = torch.randn_like(out)
    gradients = torch.autograd.grad(out, (q, k, v), grad)
    for name, got, want in zip("qkv", gradients, torch.autograd.grad(expected, (q, k, v), grad)):
        torch.testing.assert_close(got, want, rtol=1e-8, atol=1e-9, msg=lambda m, name=name: f"d{name} of {case}: {m}")


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_low_precision_error_is_like_torchs_own(dtype):
    """At most twice (three times, backward) the error of torch's kernel on inputs pooled in float64 and rounded."""
    options = dict(num_levels=3, pooling_factor=4, top_k=32)
    q, k, v = make_inputs((2, 4, 2, 777, 64), dtype)
    tree = lighthouse.select(q, k, **options)
    wide = [x.detach().double().requires_grad_() for x in (q, k, v)]
    expected = reference.attention(*wide, tree)
    grad = torch.randn_like(expected).to(dtype)
    expected_gradients = torch.autograd.grad(expected, wide, grad.double())

    gather, scatter = reference.matrices(tree)
    heads = lambda m: m.repeat_interleave(2, 1)  # noqa: E731
    low = [x.to(dtype).requires_grad_() for x in (heads(gather) @ wide[0].detach(), gather @ wide[1].detach(), gather @ wide[2].detach())]
    inner = torch.nn.functional.scaled_dot_product_attention(*low, is_causal=True, enable_gqa=True)
    baseline = heads(scatter) @ inner.double()
    inner_gradients = torch.autograd.grad(inner, low, (heads(scatter).mT @ grad.double()).to(dtype))
    baseline_gradients = [
        heads(gather).mT @ inner_gradients[0].double(),
        gather.mT @ inner_gradients[1].double(),
        gather.mT @ inner_gradients[2].double(),
    ]
    out = lighthouse.attention(q, k, v, **options)
    assert out.dtype == dtype
    error = lambda x, y: (x.double() - y).norm() / y.norm()  # noqa: E731
    # Rounding the result itself to the storage type is allowed for in the baseline too.
    assert error(out, expected) <= 2 * error(baseline.to(dtype), expected)
    gradients = torch.autograd.grad(out, (q, k, v), grad)
    for got, base, want in zip(gradients, baseline_gradients, expected_gradients):
        assert error(got, want) <= 3 * error(base.to(dtype), want)


def test_layouts_give_the_same_bits():
    options = dict(num_levels=3, pooling_factor=2, top_k=8)
    q, k, v = make_inputs((2, 4, 2, 101, 24), torch.float32, requires_grad=False)
    expected = lighthouse.attention(q, k, v, **options)
    swapped = [x.transpose(1, 2).contiguous().transpose(1, 2) for x in (q, k, v)]
    padded = [torch.nn.functional.pad(x, (3, 5, 1, 2))[:, :, 1:-2, 3:-5] for x in (q, k, v)]
    columns = [x.mT.contiguous().mT for x in (q, k, v)]
    for inputs in (swapped, padded, columns):
        torch.testing.assert_close(lighthouse.attention(*inputs, **options), expected, rtol=1e-6, atol=1e-6)
        tree, same = lighthouse.select(*inputs[:2], **options), lighthouse.select(q, k, **options)
        assert torch.equal(tree.nodes, same.nodes)
        for got, want in zip(lighthouse.gather(*inputs, tree), lighthouse.gather(q, k, v, same)):
            assert torch.equal(got, want)


@pytest.mark.parametrize("causal_selection", [False, True])
def test_given_the_tree_nothing_looks_ahead(causal_selection):
    q, k, v = make_inputs((1, 2, 1, 96, 8))
    tree = lighthouse.select(q, k, num_levels=3, pooling_factor=2, top_k=8, causal_selection=causal_selection)
    out = lighthouse.attention(q, k, v, tree=tree)
    for j in (0, 17, 50, 94):
        for gradient in torch.autograd.grad(out[:, :, j].sum(), (q, k, v), retain_graph=True):
            assert gradient[:, :, j + 1 :].abs().max() == 0


def with_gradients(inputs, **options) -> tuple:
    out = lighthouse.attention(*inputs, top_k=64, **options)
    return (out, *torch.autograd.grad(out.square().sum(), inputs))


def test_same_inputs_same_bits_for_any_number_of_threads(restored_threads):
    """All but the inner kernel's own: torch's backward pass on the CPU multiplies by MKL, whose last bits depend, on some
    processors, on which thread a head falls to."""

    def inner(q, k, v, **kwargs):
        return q * (k + v).repeat_interleave(2, 1).cumsum(2)

    inputs = make_inputs((2, 4, 2, 1500, 32), torch.float32)
    results = []
    for count in (1, 2, 3, 2):
        torch.set_num_threads(count)
        results.append(with_gradients(inputs, inner=inner))
    for result in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], result))


@pytest.mark.parametrize("threads", (1, 2, 3))
def test_same_inputs_same_bits_run_after_run(threads, restored_threads):
    inputs = make_inputs((2, 4, 2, 1500, 32), torch.float32)
    torch.set_num_threads(threads)
    first = with_gradients(inputs)
    for _ in range(4):
        assert all(torch.equal(a, b) for a, b in zip(first, with_gradients(inputs)))


def test_one_level_is_dense_attention():
    q, k, v = make_inputs((2, 6, 2, 65, 16))
    torch.testing.assert_close(lighthouse.attention(q, k, v, num_levels=1), reference.dense_attention(q, k, v))


def said(call) -> list[str]:
    """The warnings of a call."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call()
    return [str(warning.message) for warning in caught]


def test_short_sequences_run_dense_and_say_so_once_for_each_length_and_options(monkeypatch):
    monkeypatch.setattr(_attention, "_warned_dense", {})
    q, k, v = make_inputs((1, 2, 2, 100, 8))
    run = lambda n=100, **options: said(lambda: lighthouse.attention(q[:, :, :n], k[:, :, :n], v[:, :, :n], **options))  # noqa: E731
    assert run(top_k=1536) == [
        "lighthouse::attention: 130 of 100 tokens would be retained (num_levels=3, pooling_factor=4, top_k=1536), so dense "
        "attention runs instead. A longer sequence or a smaller top_k would gain."
    ]
    torch.testing.assert_close(lighthouse.attention(q, k, v, top_k=1536), reference.dense_attention(q, k, v))
    assert run(top_k=1536) == []
    assert len(run(top_k=512)) == len(run(99, top_k=1536)) == 1
    (by_default,) = run(15)
    assert "15 of 15 tokens" in by_default and "top_k=2)" in by_default
    assert run(16) == run(0) == run(num_levels=1) == []
    every = [text for n in range(20, 60) for text in run(n, top_k=1536)]
    assert len(every) == 6 and every[-1].endswith("not reported any more.")  # after 100 and 99


def test_a_dense_tree_and_a_dense_inner_call_are_said_too(monkeypatch):
    monkeypatch.setattr(_attention, "_warned_dense", {})
    q, k, v = make_inputs((1, 2, 2, 100, 8))
    tree = lighthouse.select(q, k, top_k=256)
    assert len(said(lambda: lighthouse.attention(q, k, v, tree=tree))) == 1
    assert len(said(lambda: lighthouse.attention(q, k, v, top_k=512, inner=reference_inner))) == 1


def reference_inner(q, k, v, is_causal, scale):
    return reference.dense_attention(q, k, v, scale)


@pytest.mark.parametrize("n", [16, 40, 127, 128, 1000, 2048, 4096, 8191, 8193, 20000])
def test_the_default_top_k_is_a_64th_and_the_same_wherever_it_is_left_out(n):
    tiles = max(1, n // 8192)
    top_k = 2 * tiles * max(1, n // (128 * tiles))
    q, k, v = make_inputs((1, 2, 1, n, 4), torch.float32)
    tree, named = lighthouse.select(q, k), lighthouse.select(q, k, top_k=top_k)
    assert tree[1:] == named[1:] == (n, 3, 4, top_k, tiles) and torch.equal(tree.nodes, named.nodes)
    retained = lighthouse.retained_length(n)
    assert retained == lighthouse.retained_length(n, top_k=top_k) == tree.retained_length == tree.entries().size(2) < n

    out = lighthouse.attention(q, k, v)
    grad = torch.randn_like(out)
    gradients = torch.autograd.grad(out, (q, k, v), grad, retain_graph=True)
    unresolved = tree._replace(top_k=None, num_tiles=None)  # as torch.compile makes it
    assert unresolved.retained_length == retained and torch.equal(unresolved.entries(), tree.entries())
    assert torch.equal(unresolved.writes(), tree.writes())
    ways = [
        lambda: lighthouse.attention(q, k, v, top_k=top_k),
        lambda: lighthouse.attention(q, k, v, tree=tree),
        lambda: lighthouse.attention(q, k, v, tree=unresolved),
        lambda: lighthouse.attention(q, k, v, num_tiles=tiles),
    ]
    for way in ways:
        same = way()
        assert torch.equal(same, out)
        for got, want in zip(torch.autograd.grad(same, (q, k, v), grad), gradients):
            assert torch.equal(got, want)
    rows = lighthouse.gather(q, k, v, tree)
    for got, want in zip(lighthouse.gather(q, k, v, unresolved), rows):
        assert torch.equal(got, want)
    assert torch.equal(lighthouse.scatter(rows[0], unresolved), lighthouse.scatter(rows[0], tree))


def test_tiles_alone_decide_how_the_default_top_k_is_rounded():
    q, k, v = make_inputs((1, 2, 1, 1000, 4), torch.float32, requires_grad=False)
    tree = lighthouse.select(q, k, num_tiles=3)
    assert (tree.top_k, tree.num_tiles) == (2 * 3 * 2, 3)
    with pytest.raises(ValueError, match="num_tiles must be between 1 and the number of coarsest windows, 62; got num_tiles=63"):
        lighthouse.select(q, k, num_tiles=63)


def test_the_inner_attention_is_the_callers():
    q, k, v = make_inputs((1, 4, 2, 200, 8))
    options = dict(num_levels=2, pooling_factor=4, top_k=8)
    calls = []

    def inner(q_, k_, v_, **kwargs):
        calls.append((q_.shape, k_.shape, v_.shape, kwargs))
        return torch.nn.functional.scaled_dot_product_attention(q_, k_, v_, **kwargs)

    out = lighthouse.attention(q, k, v, inner=inner, scale=0.3, **options)
    retained = lighthouse.retained_length(200, **options)
    shapes = ((1, 4, retained, 8), (1, 2, retained, 8), (1, 2, retained, 8))
    assert calls == [(*shapes, dict(is_causal=True, scale=0.3, enable_gqa=True))]
    torch.testing.assert_close(out, lighthouse.attention(q, k, v, scale=0.3, **options))
    lighthouse.attention(q, q, q, inner=inner, **options)
    assert "enable_gqa" not in calls[-1][3]


def test_a_tree_can_be_used_again():
    q, k, v = make_inputs((1, 2, 2, 300, 16), torch.float32)
    options = dict(num_levels=3, pooling_factor=4, top_k=16)
    tree = lighthouse.select(q, k, **options)
    assert torch.equal(lighthouse.attention(q, k, v, tree=tree), lighthouse.attention(q, k, v, **options))
    assert tree.retained_length == tree.entries().size(2) == lighthouse.retained_length(300, **options)


def test_scores_decide_the_selection():
    q, k, v = make_inputs((1, 2, 1, 256, 8))
    scores = torch.zeros(1, 1, 256)
    scores[..., 200] = 1
    options = dict(num_levels=2, pooling_factor=4, top_k=4, scores=(scores, scores))
    tree = lighthouse.select(q, k, **options)
    # Expanded: window 0 (prefix), 50 (its score), then ties by the lower index: 1 and 2 for the keys.
    tokens = [e for e in tree.entries()[0, 0].tolist() if e < 256]
    assert tokens == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 200, 201, 202, 203]
    assert torch.equal(lighthouse.attention(q, k, v, **options), lighthouse.attention(q, k, v, tree=tree))
    half = (scores.half(), scores.bfloat16())
    assert torch.equal(lighthouse.select(q, k, **{**options, "scores": half}).nodes, tree.nodes)


def test_recomputation_gives_the_same_gradients():
    from torch.utils.checkpoint import checkpoint

    q, k, v = make_inputs((1, 2, 2, 400, 16), torch.float32)
    layer = lambda *x: lighthouse.attention(*x, num_levels=3, pooling_factor=4, top_k=16)  # noqa: E731
    plain = torch.autograd.grad(layer(q, k, v).sum(), (q, k, v))
    again = torch.autograd.grad(checkpoint(layer, q, k, v, use_reentrant=False).sum(), (q, k, v))
    assert all(torch.equal(a, b) for a, b in zip(plain, again))


@pytest.mark.parametrize("shape", [(1, 1, 1, 0, 4), (0, 2, 1, 64, 4), (1, 2, 1, 1, 4), (1, 1, 1, 15, 4), (2, 2, 2, 17, 1)])
def test_empty_and_tiny_inputs(shape):
    q, k, v = make_inputs(shape)
    out = lighthouse.attention(q, k, v, num_levels=3, pooling_factor=4, top_k=2)
    assert out.shape == q.shape
    out.sum().backward()
    tree = lighthouse.select(q, k, num_levels=3, pooling_factor=4, top_k=2)
    assert tree.entries().shape == (shape[0], shape[2], tree.retained_length)


def test_nan_and_infinity_do_not_break_selection():
    q, k, v = make_inputs((1, 2, 1, 300, 8), torch.float32, requires_grad=False)
    q[0, 0, 100] = float("nan")
    k[0, 0, 200, 3] = float("inf")
    tree = lighthouse.select(q, k, num_levels=2, pooling_factor=4, top_k=4)
    assert 800 // 4 == 200 and 200 in tree.entries()[0, 0].tolist()  # the window of the infinite key is expanded
    every = lighthouse.select(q * float("nan"), k * float("nan"), num_levels=2, pooling_factor=4, top_k=4)
    assert every.entries()[0, 0, :5].tolist() == [0, 1, 2, 3, 300]
