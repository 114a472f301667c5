"""The package's functions where tensors have no values, or keep no record of changes."""

import contextlib

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

import lighthouse_attention as lighthouse

N = 512
MODES = {
    "inference mode": lambda: torch.inference_mode(),
    "no gradients": lambda: torch.no_grad(),
    "meta": lambda: torch.device("meta"),
    "fake": lambda: FakeTensorMode(),
    "plain": contextlib.nullcontext,
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("options", [{}, dict(num_levels=2, pooling_factor=4, top_k=16, causal_selection=True)], ids=["default", "options"])
def test_every_function(mode, options):
    pyramid = {name: x for name, x in options.items() if name != "causal_selection"}
    kept = lighthouse.retained_length(N, **pyramid)
    with MODES[mode]():
        q, k = torch.randn(1, 4, N, 16), torch.randn(1, 2, N, 16)
        angles, scores = torch.randn(N, 8), torch.rand(1, 2, N)
        tree = lighthouse.select(q, k, **options)
        rows, _, _ = lighthouse.gather(q, k, k, tree)
        rotated, _, window_scores = lighthouse.rotary_score(q, k, angles, angles, **pyramid)
        assert rows.shape == (1, 4, kept, 16) and tree.entries().shape == tree.writes().shape == (1, 2, kept)
        for out in (
            lighthouse.scatter(rows, tree),
            rotated,
            lighthouse.rotary(q, k, angles, angles)[0],
            lighthouse.attention(q, k, k, **options),
            lighthouse.attention(q, k, k, tree=tree),
            lighthouse.attention(q, k, k, scores=(scores, scores), **options),
            lighthouse.attention(q, k, k, window_scores=window_scores, **options),
            lighthouse.attention(q, k, k, inner=torch.nn.functional.scaled_dot_product_attention, **options),
        ):
            assert out.shape == q.shape and out.device == q.device
