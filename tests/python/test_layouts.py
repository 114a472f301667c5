"""Every layout of the inputs: overlapping, expanded, transposed, sliced, misaligned."""

import pytest
import torch
from layouts import LAYOUTS, check_every_operator, check_strange_trees

import lighthouse_attention as lighthouse


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_operator_takes_every_layout(name):
    check_every_operator("cpu", torch.float32, limit=2e-5, names=(name,))
    check_every_operator("cpu", torch.bfloat16, limit=2e-2, dim=6, names=(name,))


def test_trees_of_any_layout():
    check_strange_trees("cpu")


def test_rotary_of_overlapping_rows_has_contiguous_ones():
    """empty_like makes the last stride 4 of these."""
    q = torch.arange(200.0).as_strided((1, 1, 4, 8), (64, 64, 1, 1))
    cos, sin = torch.ones(4, 4), torch.zeros(4, 4)
    for rotated in lighthouse.rotary(q, q, cos, sin):
        assert rotated.stride(-1) == 1 and torch.equal(rotated, q)
    q, cos, sin = (torch.empty(200, device="meta").as_strided(x.shape, x.stride()) for x in (q, cos, sin))
    assert all(x.stride(-1) == 1 for x in lighthouse.rotary(q, q, cos, sin))
