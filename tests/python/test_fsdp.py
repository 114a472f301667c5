"""FSDP2 on the CPU: two Gloo processes that share the parameters train as one process does."""

import subprocess
import sys
from pathlib import Path

import torch

WORKER = Path(__file__).with_name("fsdp_worker.py")


def run(world: int, folder: Path) -> dict:
    output = folder / f"world-{world}.pt"
    command = lambda rank: [sys.executable, str(WORKER), str(rank), str(world), str(folder / f"meet-{world}"), str(output)]  # noqa: E731
    workers = [subprocess.Popen(command(rank), stderr=subprocess.PIPE, text=True) for rank in range(world)]
    for worker in workers:
        try:
            _, errors = worker.communicate(timeout=120)
        finally:
            worker.kill()
        assert worker.returncode == 0, errors
    return torch.load(output)


def test_two_processes_train_as_one(tmp_path):
    """float64. A gradient is a sum over 600 tokens, in one order or in two halves: the results differ by no more than the
    number of terms times the unit roundoff, of the sum of magnitudes, for which 100 times the largest entry stands. AdamW
    divides by the gradient's size, so that weights move alike: by the learning rate times the relative difference."""
    one, two = run(1, tmp_path), run(2, tmp_path)
    tolerance = 600 * 2**-53 * 100
    torch.testing.assert_close(two["losses"][0], one["losses"][0], rtol=tolerance, atol=0)
    assert one["gradients"].keys() == two["gradients"].keys() and len(one["gradients"]) == 18
    worst = 0.0
    for name, gradient in one["gradients"].items():
        assert gradient.abs().max() > 0
        difference = ((two["gradients"][name] - gradient).abs().max() / gradient.abs().max()).item()
        worst = max(worst, difference)
        assert difference <= tolerance, name
    losses = (two["losses"] - one["losses"]).abs().max().item()
    weights = max((two["weights"][name] - x).abs().max().item() for name, x in one["weights"].items())
    print(f"largest differences: gradients {worst:.1e} (relative), losses {losses:.1e}, weights after 3 steps {weights:.1e}")
    # An entry whose gradient is near zero takes its sign from the rounding error: bounded by the steps' length, seen far below.
    assert losses <= 1e-9 and weights <= 1e-6
    assert one["losses"][-1] < one["losses"][0]
