"""The Python examples of docs/PYTHON.md run, one after the other, with a model at hand."""

import re
from pathlib import Path

from tiny_models import llama

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "PYTHON.md").read_text(encoding="utf-8")


def test_examples_of_the_docs():
    examples = re.findall(r"^```python\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
    assert len(examples) == 3
    namespace = {"model": llama()}
    for example in examples:
        exec(compile(example, "PYTHON.md", "exec"), namespace)
    assert namespace["out"].shape == (1, 8, 4096, 64) and namespace["model"].config._attn_implementation == "sdpa"
