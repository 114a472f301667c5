"""The examples of the README and the docs: the Python ones run, and all of them engage Lighthouse attention."""

from pathlib import Path

import pytest

import lighthouse_attention
from engagement import blocks, expect_lighthouse, expect_lighthouse_in_configuration
from tiny_models import llama

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def test_python_examples_of_the_docs():
    """One after the other, with a model at hand."""
    examples = blocks(text_of("docs/PYTHON.md"), "python")
    assert len(examples) == 3
    namespace = {"model": llama()}
    for example in examples:
        with expect_lighthouse():
            exec(compile(example, "PYTHON.md", "exec"), namespace)
    assert namespace["out"].shape == (1, 8, 4096, 64) and namespace["model"].config._attn_implementation == "sdpa"


def test_python_examples_of_the_readme(capsys):
    """Each alone, as a reader copies it."""
    examples = blocks(text_of("README.md"), "python")
    assert len(examples) == 2
    for example in examples:
        with expect_lighthouse():
            exec(compile(example, "README.md", "exec"), {})
        assert "768 of 4096 rows" in capsys.readouterr().out


def test_what_attends_elsewhere_is_run_here_too():
    """Other pages may have Python of their own, but none that attends."""
    for page in PAGES:
        if page.name not in ("README.md", "PYTHON.md"):
            assert not any("lighthouse_attention" in code for code in blocks(page.read_text(encoding="utf-8"), "python")), page


def configurations() -> dict[str, str]:
    found = {str(path.relative_to(ROOT)): path.read_text() for path in sorted((ROOT / "configs").glob("*.toml"))}
    for page in PAGES:
        for number, block in enumerate(blocks(page.read_text(encoding="utf-8"), "toml"), 1):
            if "[[stages]]" in block:
                found[f"{page.name}, block {number}"] = block
    return found


@pytest.mark.parametrize("name", configurations())
def test_configurations_engage(name):
    expect_lighthouse_in_configuration(configurations()[name])


def test_the_minimal_configuration_engages():
    expect_lighthouse_in_configuration("[data]\npaths = ['text']\n[[stages]]\nsteps = 1\n")
    assert lighthouse_attention.retained_length(4096) == 768
