"""Copies of the tree to break: each with a build of its own, so that several faults can be judged side by side."""

import contextlib
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Iterable, Iterator, Optional

from mutation import Mutation

ROOT = Path(__file__).resolve().parents[2]
WORK = ROOT / "build" / "mutations"
COPIED = ("CMakeLists.txt", "pyproject.toml", "LICENSE", "README.md", "run", "requirements.txt", "cmake", "configs", "docs", "examples",
          "include", "python", "src", "tests", "third_party_bundle")  # fmt: skip
FOLDER_OF = {"test_geometry": "core", "test_core": "core", "test_train": "train", "test_analysis": "analysis",
             "test_selection_map": "analysis"}  # fmt: skip


class BuildError(Exception):
    """What the compiler said."""


class JudgeError(Exception):
    """A judge that fails without any fault can judge none."""


def files_of(root: Path) -> Iterator[Path]:
    """Relative paths of what a build and its tests need."""
    for name in COPIED:
        if (root / name).is_file():
            yield Path(name)
        for folder, folders, names in os.walk(root / name):
            folders[:] = [inner for inner in folders if inner != "__pycache__"]
            yield from (Path(folder, inner).relative_to(root) for inner in names if Path(folder, inner).is_file())


def targets_of(judge: str) -> tuple[str, ...]:
    """What must be built before the judge can be asked."""
    kind, _, rest = judge.partition(":")
    if kind in FOLDER_OF:
        return (kind,)
    if kind == "gpu":
        return ("lighthouse", "lighthouse_gpu_test")
    return ("lighthouse",) if "tests/python" in rest else ("lighthouse", "lighthouse_program")


def gpu_architecture() -> str:
    """The compute capability of the GPU that is here, like 90."""
    command = ["nvidia-smi", "--query-gpu=compute_cap", "--format=csv,noheader"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[0].replace(".", "")


_gpu = threading.Lock()  # tests on it run one after the other: some fill its memory


def has_gpu() -> bool:
    try:
        return subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True).stdout.startswith("GPU")
    except OSError:
        return False


class Copy:
    """One copy of the tree, build/mutations/copy-NUMBER. `threads` is its share of the processor."""

    def __init__(self, number: int, threads: int) -> None:
        self.tree = WORK / f"copy-{number}" / "tree"
        self.build = WORK / f"copy-{number}" / "build"
        self.threads = threads
        self._update()

    def _update(self) -> None:
        """Files that did not change keep their time, so that ninja leaves them alone; what a fault left behind is undone."""
        wanted = set(files_of(ROOT))
        for path in wanted:
            content, copy = (ROOT / path).read_bytes(), self.tree / path
            if not copy.is_file() or copy.read_bytes() != content:
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.write_bytes(content)
                shutil.copymode(ROOT / path, copy)
        for path in set(files_of(self.tree)) - wanted:
            (self.tree / path).unlink()

    def configure(self, cuda: bool, only_library: bool = False) -> None:
        """`only_library`: all that judges on a GPU need, where GoogleTest need not be."""
        others = "OFF" if only_library else "ON"
        # Compiling takes longer than the tests of a fault: little is optimised.
        command = ["cmake", "-S", self.tree, "-B", self.build, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release",
                   "-DCMAKE_CXX_FLAGS_RELEASE=-O1 -DNDEBUG", f"-DLIGHTHOUSE_BUILD_PROGRAM={others}", f"-DLIGHTHOUSE_BUILD_TESTS={others}",
                   f"-DLIGHTHOUSE_PYTHON={sys.executable}", f"-DLIGHTHOUSE_CUDA={'ON' if cuda else 'OFF'}",
                   f"-DCMAKE_PROJECT_lighthouse_INCLUDE={self.tree / 'tests' / 'mutations' / 'compile_alone.cmake'}"]  # fmt: skip
        if cuda:
            command.append(f"-DLIGHTHOUSE_CUDA_ARCHS={os.environ.get('LIGHTHOUSE_CUDA_ARCHS') or gpu_architecture()}")
        result = subprocess.run(command, capture_output=True, text=True)
        if result.returncode != 0:
            raise BuildError(result.stdout[-2000:] + result.stderr[-2000:])

    def make(self, targets: Iterable[str]) -> None:
        command = ["ninja", "-C", str(self.build), "-j", str(self.threads), *sorted(set(targets))]
        result = subprocess.run(command, capture_output=True, text=True, errors="replace")
        if result.returncode != 0:
            raise BuildError("\n".join(line for line in result.stdout.splitlines() if "error" in line)[:2000] or result.stdout[-2000:])

    def ask(self, judge: str, seconds: float) -> Optional[str]:
        """The first test that fails, or None where all pass."""
        with _gpu if judge.startswith("gpu") else contextlib.nullcontext():
            return self._ask(judge, seconds)

    def _ask(self, judge: str, seconds: float) -> Optional[str]:
        kind, _, rest = judge.partition(":")
        library = self.build / "lib" / "liblighthouse.so"
        environment = {**os.environ, "LIGHTHOUSE_TEST_CASES": "60", "OMP_WAIT_POLICY": "passive", "OMP_NUM_THREADS": str(self.threads),
                       "PYTHONPATH": str(self.tree / "python"), "PYTHONDONTWRITEBYTECODE": "1", "HF_HUB_OFFLINE": "1",
                       "LIGHTHOUSE_BUILD": str(self.build), "LIGHTHOUSE_PYTHON": sys.executable,
                       "LIGHTHOUSE_LIBRARY": str(library)}  # fmt: skip
        if kind in FOLDER_OF:
            command = [self.build / "tests" / FOLDER_OF[kind] / kind, "--gtest_fail_fast", *([f"--gtest_filter={rest}"] if rest else [])]
        elif kind == "pytest":
            command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *rest.split()]
        elif kind == "gpu":
            command = [sys.executable, self.tree / "tests" / "gpu" / "test_gpu.py", *rest.split()]
        else:
            raise ValueError(f"a judge must begin with a program of {', '.join(FOLDER_OF)}, pytest or gpu; got {judge}")
        try:
            result = subprocess.run(command, cwd=self.tree, env=environment, capture_output=True, text=True, errors="replace",
                                    stdin=subprocess.DEVNULL, timeout=seconds)  # fmt: skip
        except subprocess.TimeoutExpired:
            return f"{judge} did not end in {seconds:.0f} s"
        if "[==========] 0 tests" in result.stdout:
            return f"{judge} is no test"
        if result.returncode == 0:
            return None
        failed = re.search(r"^\[  FAILED  \] ([\w./]+)|^(?:FAILED|ERROR) +(\S+)", result.stdout, re.MULTILINE)
        return (failed[1] or failed[2]) if failed else f"{kind} ended with {result.returncode}: {(result.stdout + result.stderr)[-200:].strip()}"

    def broken_by(self, mutation: Mutation) -> "Fault":
        return Fault(self.tree / mutation.file, mutation)


class Fault:
    """Plants a fault for a while: `with copy.broken_by(mutation) as fits:`, false where its text is not, or not once, in the file."""

    def __init__(self, path: Path, mutation: Mutation) -> None:
        self._path, self._mutation = path, mutation

    def __enter__(self) -> bool:
        self._original = self._path.read_text(encoding="utf-8")
        broken = self._mutation.applied(self._original)
        if broken is not None:
            self._path.write_text(broken, encoding="utf-8")
        return broken is not None

    def __exit__(self, *error: object) -> None:
        self._path.write_text(self._original, encoding="utf-8")


def timed(call: callable) -> tuple[object, float]:
    begin = time.monotonic()
    return call(), time.monotonic() - begin
