"""What the tests of the CUDA back end share: random cases, the limit of one rounding, layouts, the C++ parts' operators."""

import os
import random
import sys
from pathlib import Path

import torch

os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # for deterministic mode; read at the first product
sys.path.append(str(Path(__file__).resolve().parents[1] / "python"))

from layouts import angles  # noqa: E402, F401

import lighthouse_attention as lighthouse  # noqa: E402

SEED = int(os.environ.get("LIGHTHOUSE_TEST_SEED", "20261123"))
CASES = int(os.environ.get("LIGHTHOUSE_TEST_CASES", "150"))
OPS = torch.ops.lighthouse
PARTS = torch.ops.lighthouse_test  # tests/gpu/operators.cpp


def load_parts() -> None:
    """The library of tests/gpu/operators.cpp, which is built beside the library that is tested."""
    from lighthouse_attention._library import loaded_from

    path = loaded_from().resolve().parent / "liblighthouse_gpu_test.so"
    if not path.is_file():
        raise RuntimeError(f"{path} is not there: build the target lighthouse_gpu_test, as ./run gpu-test does")
    torch.ops.load_library(str(path))


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


def expect_error(kind: type, words: str, call) -> None:
    try:
        call()
    except kind as error:
        assert words in str(error), f"expected {words!r} in: {error}"
    else:
        raise AssertionError(f"expected a {kind.__name__} with {words!r}")


def same(a: torch.Tensor, b: torch.Tensor) -> bool:
    """The same but for one rounding: kernels for pieces of another width may fuse other products with sums."""
    return a.dtype == b.dtype and a.shape == b.shape and torch.allclose(a.double(), b.double(), rtol=torch.finfo(a.dtype).eps, atol=1e-6)


def relative_error(got: torch.Tensor, want: torch.Tensor) -> float:
    """Of the norms; `want` in float64."""
    return ((got.cpu().double() - want.cpu().double()).norm() / want.cpu().double().norm().clamp(min=1e-30)).item()


def moves(x: torch.Tensor, tree) -> list:
    """Gather, scatter and their adjoints of one tensor."""
    rows = lighthouse.gather(x, x, x, tree)
    args = (tree.nodes, *pyramid(tree))
    backward = OPS.gather_backward(*rows, tree.nodes, x.size(2), *pyramid(tree))
    return [*rows, lighthouse.scatter(rows[0], tree), OPS.scatter_backward(x, *args), *backward]


def reference_layer(q, k, v, tree):
    """The layer in float64 by the CPU's gather and scatter and a whole matrix, on a tree."""
    rows = lighthouse.gather(q, k, v, tree)
    group = q.size(1) // k.size(1)
    kk, vv = (x.repeat_interleave(group, 1) for x in rows[1:])
    logits = rows[0] @ kk.transpose(-1, -2) / q.size(-1) ** 0.5
    mask = torch.ones(logits.shape[-2:], dtype=torch.bool).tril()
    return lighthouse.scatter(logits.masked_fill(~mask, float("-inf")).softmax(-1) @ vv, tree)
