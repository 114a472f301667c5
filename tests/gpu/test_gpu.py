"""Runs the tests of this folder without pytest, which a machine with a GPU need not have:

    python tests/gpu/test_gpu.py [NAME...]
"""

import importlib
import sys
import time
import traceback
import unittest
from pathlib import Path

import torch

import support


def find_tests() -> list:
    """(name, function) of all that the other files here define."""
    names = sorted(path.stem for path in Path(__file__).parent.glob("test_gpu_*.py"))
    modules = [importlib.import_module(name) for name in names]
    return [(name, f) for module in modules for name, f in vars(module).items() if name.startswith("test_")]


def run(function) -> str:
    torch.manual_seed(support.SEED)
    try:
        function()
        torch.cuda.synchronize()
        return "passed"
    except unittest.SkipTest as reason:
        return f"skipped ({reason})"
    except Exception:  # noqa: BLE001: a summary comes last, whatever happened
        traceback.print_exc()
        return "FAILED"


def main() -> int:
    support.load_parts()
    tests, wanted = find_tests(), sys.argv[1:]
    outcomes = []
    for name, function in tests:
        if wanted and not any(word in name for word in wanted):
            continue
        start = time.time()
        outcomes.append(run(function))
        # At once: what comes after may end the process.
        print(f"{outcomes[-1]}  {name} ({time.time() - start:.1f} s)", flush=True)
    counts = [sum(outcome.startswith(word) for outcome in outcomes) for word in ("passed", "FAILED", "skipped")]
    print("{} passed, {} failed, {} skipped".format(*counts) + f" on {torch.cuda.get_device_name()}, torch {torch.__version__}")
    if not outcomes:
        print(f"no test is named like {' or '.join(wanted)}; there are {', '.join(name for name, _ in tests)}")
    return 1 if counts[1] or not outcomes else 0


if __name__ == "__main__":
    sys.exit(main())
