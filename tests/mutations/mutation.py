"""What a planted fault is."""

from typing import NamedTuple


class Mutation(NamedTuple):
    """Replaces each `find`, which must stand exactly once in the file, by its `replace`.

    Judges are the tests that should notice, the cheapest first:
        "test_train:Optimizer.*:Schedule.*"   a GoogleTest program and a filter; where the filter's tests all pass, the whole
                                              program runs as well
        "pytest:tests/python/test_rotary.py"  arguments of pytest
        "gpu:test_gather test_scatter"        tests of tests/gpu/test_gpu.py by name, on a GPU
    """

    name: str
    breaks: str
    file: str
    judges: tuple[str, ...]
    edits: tuple[tuple[str, str], ...]

    def applied(self, source: str) -> str | None:
        """The source with the fault; None where it no longer fits."""
        for find, replace in self.edits:
            if source.count(find) != 1:
                return None
            source = source.replace(find, replace)
        return source


def mutation(name: str, breaks: str, file: str, judges: tuple[str, ...], *edits: tuple[str, str]) -> Mutation:
    return Mutation(name, breaks, file, judges, edits)
