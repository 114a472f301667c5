"""What pip makes of the project: a wheel and a source archive of the library and the Python files, nothing else."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import tarfile
import time
import venv
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parents[2]
VERSION = (ROOT / "python" / "lighthouse_attention" / "_version.py").read_text().split('"')[-2]
PYTHON_FILES = {str(path.relative_to(ROOT / "python")) for path in (ROOT / "python").rglob("*.py")} | {"lighthouse_attention/py.typed"}

USER = """
import torch, lighthouse_attention as lighthouse
assert "site-packages" in lighthouse.__file__, lighthouse.__file__
q = torch.randn(1, 4, 2000, 16, requires_grad=True)
out = lighthouse.attention(q, q, q, top_k=32)
out.square().mean().backward()
print(lighthouse.__version__, tuple(out.shape), bool(q.grad.isfinite().all()))
"""


COMMAND = "pip install --no-build-isolation ."  # as README.md and docs/PYTHON.md have it


def run(*command, **options) -> str:
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def environment(folder: Path) -> Path:
    """The interpreter of a new virtual environment, without any package."""
    venv.create(folder, with_pip=False)
    return folder / "bin" / "python"


def install(python: Path, sources: Path, build: Path) -> list[str]:
    """The command that is documented, for another interpreter, with the library that was built already: compiling it again
    would take minutes."""
    pip, *words = shlex.split(COMMAND)
    assert pip == "pip" and words[-1] == "."
    return [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", str(python), *words[:-1], "--no-index",
            f"--config-settings=build-dir={build}",
            f"--config-settings=cmake.define.LIGHTHOUSE_LIBRARY={os.environ['LIGHTHOUSE_LIBRARY']}", str(sources)]  # fmt: skip


@pytest.fixture(scope="module")
def sources(tmp_path_factory) -> Path:
    """What a build needs, in a folder with blanks in its name."""
    folder = tmp_path_factory.mktemp("a user") / "my copy of it"
    folder.mkdir()
    for name in ("CMakeLists.txt", "LICENSE", "README.md", "pyproject.toml"):
        shutil.copy(ROOT / name, folder)
    for name in ("cmake", "include", "python", "src"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


@pytest.fixture(scope="module")
def fresh(tmp_path_factory, sources) -> Path:
    """The interpreter of a new virtual environment that sees this one's torch and has the project installed by pip."""
    folder = tmp_path_factory.mktemp("venv")
    python = environment(folder)
    (site,) = folder.glob("lib/python*/site-packages")
    (site / "torch.pth").write_text(str(Path(torch.__file__).parent.parent) + "\n")
    start = time.perf_counter()
    run(*install(python, sources, folder / "the build"))
    print(f"pip install of the project, its library built before: {time.perf_counter() - start:.1f} s")
    return python


def bare_environment() -> dict[str, str]:
    return {name: x for name, x in os.environ.items() if name not in ("PYTHONPATH", "LIGHTHOUSE_LIBRARY")}


def test_the_documented_command_is_the_one_that_is_tested():
    """And what it needs stands before it."""
    assert COMMAND in (ROOT / "README.md").read_text(encoding="utf-8")
    for name in ("docs/PYTHON.md", "pyproject.toml"):
        text = (ROOT / name).read_text(encoding="utf-8")
        assert "scikit-build-core" in text[: text.index(COMMAND)], f"{name}: {COMMAND} fails where scikit-build-core is missing"
    requirements = re.findall(r'"([^"]+)"', re.search(r"^requires = \[(.*)\]", (ROOT / "pyproject.toml").read_text(), re.MULTILINE)[1])
    needed = [line for line in (ROOT / "docs" / "PYTHON.md").read_text().splitlines() if line.startswith("pip install") and "once" in line]
    assert len(needed) == 1 and all(re.match(r"[\w-]+", requirement)[0] in needed[0] for requirement in requirements)


def test_what_building_needs_is_said_where_it_is_missing(sources, tmp_path):
    """As for someone who has torch and nothing to build with: words, no traceback."""
    failed = subprocess.run(install(environment(tmp_path / "venv"), sources, tmp_path / "build"), capture_output=True, text=True)
    assert failed.returncode != 0
    told = failed.stdout + failed.stderr
    assert "lacks scikit-build-core" in told and 'pip install "torch==2.11.*" "scikit-build-core>=1.1" cmake ninja' in told
    assert "Traceback" not in told and "BackendUnavailable" not in told


def test_a_fresh_environment_runs_what_pip_installed(fresh, tmp_path):
    printed = run(fresh, "-c", USER, cwd=tmp_path, env=bare_environment())
    assert printed.split() == [VERSION, "(1,", "4,", "2000,", "16)", "True"]


def test_the_package_says_its_versions(fresh, tmp_path):
    printed = run(fresh, "-m", "lighthouse_attention", cwd=tmp_path, env=bare_environment())
    assert VERSION in printed and "liblighthouse.so" in printed and torch.__version__ in printed


def test_mistakes_with_python_m_are_words(fresh, tmp_path):
    for change, arguments, words in [
        (dict(LIGHTHOUSE_LIBRARY="/no/such.so"), ["lighthouse_attention"], "no liblighthouse.so; looked at"),
        (dict(LIGHTHOUSE_LIBRARY=__file__), ["lighthouse_attention.tokenize", "--help"], f"cannot load {__file__}"),
        (dict(), ["lighthouse_attention", "versions"], "unrecognized arguments: versions"),
    ]:
        failed = subprocess.run([fresh, "-m", *arguments], capture_output=True, text=True, cwd=tmp_path,
                                env={**bare_environment(), **change})  # fmt: skip
        assert failed.returncode != 0 and words in failed.stderr and "Traceback" not in failed.stderr
    bare = environment(tmp_path / "no torch")
    failed = subprocess.run([bare, "-m", "lighthouse_attention"], capture_output=True, text=True, cwd=ROOT / "python", env=bare_environment())
    assert failed.returncode == 1 and 'needs torch 2.11: pip install "torch==2.11.*"' in failed.stderr and "Traceback" not in failed.stderr


def test_what_is_installed(fresh):
    (site,) = fresh.parent.parent.glob("lib/python*/site-packages")
    installed = {str(p.relative_to(site)) for p in (site / "lighthouse_attention").rglob("*") if p.is_file() and p.suffix != ".pyc"}
    assert installed == PYTHON_FILES | {"lighthouse_attention/liblighthouse.so"}
    (metadata,) = site.glob("lighthouse_attention-*.dist-info/METADATA")
    assert f"Version: {VERSION}\n" in metadata.read_text() and "Requires-Dist: torch==2.11.*\n" in metadata.read_text()
    assert "Tag: py3-none-" in (metadata.parent / "WHEEL").read_text()


def test_the_program_has_the_same_version():
    program = Path(os.environ["LIGHTHOUSE_BUILD"]) / "bin" / "lighthouse"
    assert run(program, "--version").split() == ["lighthouse", VERSION]


def test_another_release_of_torch_is_refused_by_name(fresh, tmp_path):
    (tmp_path / "torch.py").write_text('__version__ = "2.12.1"')
    failed = subprocess.run([fresh, "-c", "import lighthouse_attention"], capture_output=True, text=True, cwd=tmp_path,
                            env={**bare_environment(), "PYTHONPATH": str(tmp_path)})  # fmt: skip
    assert failed.returncode == 1
    assert "lighthouse_attention is built for torch 2.11.*; got torch 2.12.1" in failed.stderr


def test_a_source_archive_holds_what_a_build_needs(tmp_path):
    run(sys.executable, "-c", f"import scikit_build_core.build as b; print(b.build_sdist({str(tmp_path)!r}))", cwd=ROOT)
    (archive,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(archive) as file:
        names = {name.partition("/")[2] for name in file.getnames()}
    sources = {str(p.relative_to(ROOT)) for layer in ("pyramid", "kernels", "ops") for p in (ROOT / "src" / layer).rglob("*") if p.is_file()}
    cmake = {str(p.relative_to(ROOT)) for p in (ROOT / "cmake").glob("*.cmake")}
    other = {f"python/{name}" for name in PYTHON_FILES} | {"pyproject.toml", "CMakeLists.txt", "LICENSE", "README.md", "PKG-INFO", "cmake/pip_backend.py"}
    headers = {f"include/lighthouse/{p.name}" for p in (ROOT / "include" / "lighthouse").iterdir()}
    assert names == sources | cmake | other | headers | {"src/CMakeLists.txt"}
    assert archive.stat().st_size < 1 << 20
