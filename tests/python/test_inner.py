"""Which attention runs inside: kernels by name, by LIGHTHOUSE_INNER, and functions of the caller's."""

import pytest
import torch

import lighthouse_attention as lighthouse

OPS = torch.ops.lighthouse
OPTIONS = dict(num_levels=2, pooling_factor=4, top_k=8, num_tiles=1)


@pytest.fixture
def qkv():
    torch.manual_seed(3)
    return [torch.randn(2, heads, 200, 16, requires_grad=True) for heads in (4, 2, 2)]


def gradients(out, leaves):
    return (out.detach(), *torch.autograd.grad(out.square().sum(), leaves))


def test_kernels_agree(qkv, monkeypatch):
    tree = lighthouse.select(*qkv[:2], **OPTIONS)
    want = gradients(lighthouse.attention(*qkv, **OPTIONS), qkv)
    for name in ("auto", "flash", "math"):
        monkeypatch.setenv("LIGHTHOUSE_INNER", "auto" if name == "math" else "math")  # the argument goes before it, but for auto
        for call in (lambda: lighthouse.attention(*qkv, **OPTIONS, inner=name), lambda: lighthouse.attention(*qkv, tree=tree, inner=name)):  # noqa: B023
            for got, exact in zip(gradients(call(), qkv), want):
                torch.testing.assert_close(got, exact, rtol=1e-4, atol=1e-4)
        monkeypatch.delenv("LIGHTHOUSE_INNER")
        monkeypatch.setenv("LIGHTHOUSE_INNER", name)
        for got, exact in zip(gradients(lighthouse.attention(*qkv, **OPTIONS), qkv), want):
            torch.testing.assert_close(got, exact, rtol=1e-4, atol=1e-4)
    dense = [x[:, :2].detach() for x in qkv]
    torch.testing.assert_close(OPS.dense_attention(*dense, None, "math"), OPS.dense_attention(*dense, None, "flash"), rtol=1e-4, atol=1e-5)


def test_the_variable_chooses(qkv, monkeypatch):
    """"math" differs in the last bits: then it is the one that ran."""
    want = lighthouse.attention(*qkv, **OPTIONS, inner="math")
    assert not torch.equal(want, lighthouse.attention(*qkv, **OPTIONS))
    monkeypatch.setenv("LIGHTHOUSE_INNER", "math")
    assert torch.equal(want, lighthouse.attention(*qkv, **OPTIONS))
    assert torch.equal(want, lighthouse.attention(*qkv, **OPTIONS, inner="auto"))
    assert not torch.equal(want, lighthouse.attention(*qkv, **OPTIONS, inner="flash"))
    monkeypatch.setenv("LIGHTHOUSE_INNER", "")
    assert not torch.equal(want, lighthouse.attention(*qkv, **OPTIONS))


@pytest.mark.parametrize("name", ["cudnn", "efficient"])
def test_kernels_of_cuda_are_refused_here(qkv, name, monkeypatch):
    with pytest.raises(ValueError, match=f"the inner kernel {name} runs on CUDA; got tensors on the CPU, which has auto, flash and math"):
        lighthouse.attention(*qkv, **OPTIONS, inner=name)
    monkeypatch.setenv("LIGHTHOUSE_INNER", name)
    with pytest.raises(ValueError, match=f"LIGHTHOUSE_INNER={name} runs on CUDA"):
        lighthouse.attention(*qkv, **OPTIONS)


@pytest.mark.parametrize("name", ["fast", "cuDNN", " flash", "Flash", "sdpa", ""])
def test_names_that_are_none(qkv, name, monkeypatch):
    with pytest.raises(ValueError, match=f'one of auto, cudnn, flash, efficient, math; got "{name}"'):
        lighthouse.attention(*qkv, **OPTIONS, inner=name)
    if name:
        monkeypatch.setenv("LIGHTHOUSE_INNER", name)
        with pytest.raises(ValueError, match=f'LIGHTHOUSE_INNER must be one of .*; got "{name}"'):
            lighthouse.attention(*qkv, num_levels=1)


def test_math_computes_what_flash_does_in_every_dtype():
    for dtype, limit in ((torch.float64, 1e-10), (torch.float32, 1e-5), (torch.bfloat16, 3e-2)):
        q, k, v = (torch.randn(1, heads, 130, 8, dtype=dtype) for heads in (6, 3, 3))
        torch.testing.assert_close(OPS.dense_attention(q, k, v, 0.5, "math"), OPS.dense_attention(q, k, v, 0.5, "flash"), rtol=limit, atol=limit)


def test_kernels_by_name_compile(qkv):
    compiled = torch.compile(lambda *x: lighthouse.attention(*x, **OPTIONS, inner="math"), backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(compiled(*qkv), lighthouse.attention(*qkv, **OPTIONS, inner="math"))


def test_what_a_function_returns(qkv):
    layer = lambda inner: lighthouse.attention(*qkv, **OPTIONS, inner=inner)  # noqa: E731
    for inner, error, words in (
        (lambda q, k, v, **_: q.to("meta"), ValueError, "its query's device, cpu; got meta"),
        (lambda q, k, v, **_: q.double(), TypeError, "its query's dtype, torch.float32; got torch.float64"),
        (lambda q, k, v, **_: q[:, :, 1:], ValueError, "its query's shape"),
        (lambda q, k, v, **_: (q, None), TypeError, "inner must return a tensor; got tuple"),
        (lambda q, k, v, **_: None, TypeError, "inner must return a tensor; got NoneType"),
        (3, TypeError, "a kernel's name or a function; got int"),
    ):
        with pytest.raises(error, match=words):
            layer(inner)


def test_a_function_may_return_any_strides(qkv):
    plain = lambda q, k, v, **_: q + (k + v).repeat_interleave(2, 1)  # noqa: E731
    for change in (lambda x: x.transpose(2, 3).contiguous().transpose(2, 3), lambda x: x[:, :, :1].expand_as(x), lambda x: x[:, :1].expand_as(x)):
        got = gradients(lighthouse.attention(*qkv, **OPTIONS, inner=lambda *x, **o: change(plain(*x, **o))), qkv)  # noqa: B023
        want = gradients(lighthouse.attention(*qkv, **OPTIONS, inner=lambda *x, **o: change(plain(*x, **o)).contiguous()), qkv)  # noqa: B023
        for a, b in zip(got, want):
            torch.testing.assert_close(a, b)
