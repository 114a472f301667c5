import os

import pytest
import torch

SEED = int(os.environ.get("LIGHTHOUSE_TEST_SEED", "20261123"))


@pytest.fixture(autouse=True)
def seeded():
    """Every test starts from the same seed, so that it fails alone as it failed among others."""
    torch.manual_seed(SEED)
    print(f"LIGHTHOUSE_TEST_SEED={SEED}")


@pytest.fixture
def restored_threads():
    """For a test that sets the number of threads."""
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)
