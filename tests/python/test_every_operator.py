"""Every operator that the library registers: torch's opcheck, and gradients against finite differences where it has any."""

import pytest
import torch
from torch.library import opcheck

import lighthouse_attention  # noqa: F401  registers the operators

OPS = torch.ops.lighthouse
PYRAMID = (3, 2, 2, None)
DEFAULT_BUDGET = (3, 2, None, None)
N, D = 21, 2
NAMES = sorted(name.partition("::")[2] for name in torch._C._dispatch_get_all_op_names() if name.startswith("lighthouse::"))


def heads(count: int, rows: int = N, requires_grad: bool = True) -> torch.Tensor:
    return torch.randn(1, count, rows, D, dtype=torch.float64, requires_grad=requires_grad)


def angles() -> tuple[torch.Tensor, torch.Tensor]:
    angle = torch.rand(N, D // 2)
    return angle.cos(), angle.sin()


def cases(pyramid: tuple = PYRAMID) -> dict[str, list[tuple]]:
    """Arguments of each operator; tensors that require gradients are those that get one."""
    q, k, v = heads(4), heads(2), heads(2)
    scores = torch.rand(1, 2, N), torch.rand(1, 2, N)
    nodes = OPS.select(q, k, None, None, *pyramid, True, False)
    rows = OPS.retained_length(N, *pyramid)
    assert rows < N
    gathered = heads(4, rows), heads(2, rows), heads(2, rows)
    windows = OPS.rotary_score(q.detach(), k.detach(), *angles(), *pyramid)[2:]
    return {
        "select": [(q, k, None, None, *pyramid, True, False), (q, k, *scores, *pyramid, True, True)],
        "select_windows": [(*windows, N, *pyramid, True, False), (*windows, N, *pyramid, True, True)],
        "rotary": [(q, k, *angles(), False), (q, k, *angles(), True)],
        "rotary_score": [(q, k, *angles(), *pyramid)],
        "gather": [(q, k, v, nodes, *pyramid)],
        "gather_backward": [(*gathered, nodes, N, *pyramid)],
        "scatter": [(gathered[0], nodes, N, *pyramid)],
        "scatter_backward": [(q, nodes, *pyramid)],
        "entries": [(nodes, N, *pyramid)],
        "writes": [(nodes, N, *pyramid)],
        "attention": [(q, k, v, *scores, False, *pyramid, True, False, None), (q, k, v, *windows, True, *pyramid, True, True, 0.5)],
        "dense_attention": [(q, k, v, None), (heads(2), k, v, 0.5)],
    }


WITHOUT_TENSORS = {"retained_length", "num_tiles", "top_k", "warn_dense"}
WITHOUT_GRADIENT = {"select", "select_windows", "entries", "writes"}


def test_the_table_is_whole():
    assert sorted(cases().keys() | WITHOUT_TENSORS) == NAMES


@pytest.mark.parametrize("pyramid", [PYRAMID, DEFAULT_BUDGET], ids=["top_k", "default"])
@pytest.mark.parametrize("name", sorted(set(NAMES) - WITHOUT_TENSORS))
def test_opcheck(name, pyramid):
    if pyramid == DEFAULT_BUDGET and "top_k" not in str(getattr(OPS, name).default._schema):
        pytest.skip("has no top_k")
    for arguments in cases(pyramid)[name]:
        opcheck(getattr(OPS, name).default, arguments)


@pytest.fixture
def one_thread(restored_threads):
    """Finite differences are many tiny calls: threads would only wait for each other."""
    torch.set_num_threads(1)


@pytest.mark.parametrize("name", sorted(set(NAMES) - WITHOUT_TENSORS - WITHOUT_GRADIENT))
def test_gradcheck(name, one_thread):
    for arguments in cases()[name]:
        leaves = [x for x in arguments if isinstance(x, torch.Tensor) and x.requires_grad]

        def call(*given):
            given = iter(given)
            filled = [next(given) if isinstance(x, torch.Tensor) and x.requires_grad else x for x in arguments]
            out = getattr(OPS, name)(*filled)
            return tuple(x for x in (out if isinstance(out, tuple) else (out,)) if x.requires_grad)

        assert len(leaves) > 0 and torch.autograd.gradcheck(call, leaves)


@pytest.mark.parametrize("name", sorted(WITHOUT_GRADIENT))
def test_no_gradient(name):
    for arguments in cases()[name]:
        assert not getattr(OPS, name)(*arguments).requires_grad
