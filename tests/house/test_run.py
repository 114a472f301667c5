"""What ./run does before it builds, in a tree of its own and with programs that only pretend."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# Makes what a virtual environment, cmake and ninja would, and writes down who came.
PYTHON = f"""#!/bin/sh
case "$*" in
  *check_requirements*) exit 1 ;;
  "-m venv"*) echo begins >>"$LOG"; sleep 1; mkdir -p "$3/bin"; ln -s "$0" "$3/bin/python" ;;
  *"pip install"*) echo installed >>"$LOG"; exit "${{PIP_STATUS:-0}}" ;;
  *) exec {sys.executable} "$@" ;;
esac
"""
CMAKE = """#!/bin/sh
echo configures >>"$LOG"
touch build/release/build.ninja
"""
NINJA = """#!/bin/sh
echo "ninja: no work to do."
"""


@pytest.fixture
def tree(tmp_path):
    (tmp_path / "cmake").mkdir()
    for name in ("run", "requirements.txt", "cmake/check_requirements.py"):
        shutil.copy(ROOT / name, tmp_path / name)
    stubs = tmp_path / "stubs"
    stubs.mkdir()
    for name, text in (("python3", PYTHON), ("cmake", CMAKE), ("ninja", NINJA)):
        (stubs / name).write_text(text)
        (stubs / name).chmod(0o755)
    return tmp_path


def start(tree: Path, **variables) -> subprocess.Popen:
    environment = {**os.environ, "PATH": f"{tree / 'stubs'}:{os.environ['PATH']}", "LOG": str(tree / "log"),
                   "LIGHTHOUSE_CACHE": str(tree / "cache"), "LIGHTHOUSE_CUDA": "off", **variables}  # fmt: skip
    return subprocess.Popen([tree / "run", "setup"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)


def test_several_at_once_set_up_once(tree):
    printed = []
    runs = [start(tree) for _ in range(3)]
    for run in runs:
        printed.append(run.communicate(timeout=60)[0])
        assert run.returncode == 0, printed
    assert (tree / "log").read_text().split() == ["begins", "installed", "configures"]
    assert any("Waiting for another ./run" in text for text in printed)


def test_a_failed_installation_ends_it(tree):
    run = start(tree, PIP_STATUS="1")
    printed = run.communicate(timeout=60)[0]
    assert run.returncode == 1
    assert printed.splitlines()[-1] == "run: pip could not install what requirements.txt lists"
    assert "configures" not in (tree / "log").read_text()
    # The next one begins again.
    assert start(tree).wait(timeout=60) == 0


def test_a_cache_that_cannot_be_written(tree):
    (tree / "file").write_text("")
    run = start(tree, LIGHTHOUSE_CACHE=str(tree / "file" / "cache"))
    printed = run.communicate(timeout=60)[0]
    assert run.returncode == 1 and "run: cannot write" in printed.splitlines()[-1]
