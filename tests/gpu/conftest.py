"""Without a GPU these tests are skipped, and say so."""

import pytest
import torch


def pytest_collection_modifyitems(items):
    if not torch.cuda.is_available():
        for item in items:
            item.add_marker(pytest.mark.skip(reason="needs an NVIDIA GPU"))


@pytest.fixture(autouse=True, scope="session")
def parts():
    if torch.cuda.is_available():
        import support

        support.load_parts()
