"""Are the tests worth anything? Breaks a copy of the tree in many small ways and reports which ways the tests notice.

    ./run python tests/mutations/run.py [NAME ...]

The copy and its build stay in build/mutations, so that a second run compiles only what a mutation touches. Exits with 1
if a mutation was missed or no longer fits the source. By hand only: it takes some ten minutes.
"""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

from mutations import MUTATIONS, Mutation

ROOT = Path(__file__).resolve().parents[2]
COPY = ROOT / "build" / "mutations" / "tree"
BUILD = ROOT / "build" / "mutations" / "build"
PROGRAMS = ("test_geometry", "test_core")
TEST_SECONDS = 300  # a mutation may also hang
ENVIRONMENT = {**os.environ, "LIGHTHOUSE_TEST_CASES": "60", "OMP_WAIT_POLICY": "passive"}


def copy_tree() -> None:
    """The files that git would track; those that did not change keep their time, so that ninja leaves them alone."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    command += ["CMakeLists.txt", "cmake", "include", "src", "tests"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            write_if_changed(COPY / name, (ROOT / name).read_bytes())


def write_if_changed(path: Path, content: bytes) -> None:
    if path.is_file() and path.read_bytes() == content:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def configure() -> None:
    command = ["cmake", "-S", COPY, "-B", BUILD, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release"]
    command += ["-DLIGHTHOUSE_BUILD_PROGRAM=OFF", "-DLIGHTHOUSE_BUILD_TESTS=ON", f"-DLIGHTHOUSE_PYTHON={sys.executable}"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def build() -> bool:
    jobs = os.environ.get("LIGHTHOUSE_JOBS", str(os.cpu_count()))
    result = subprocess.run(["ninja", "-C", BUILD, "-j", jobs, *PROGRAMS], capture_output=True, text=True)
    if result.returncode != 0:
        print(result.stdout[-2000:])
    return result.returncode == 0


def failing_test() -> str | None:
    """The first test that fails, or None where all pass."""
    for program in PROGRAMS:
        try:
            result = subprocess.run(
                [BUILD / "tests" / "core" / program, "--gtest_fail_fast"],
                env=ENVIRONMENT, capture_output=True, text=True, errors="replace", timeout=TEST_SECONDS,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return f"{program} did not end"
        if result.returncode != 0:
            failed = re.search(r"^\[  FAILED  \] ([\w.]+)", result.stdout, re.MULTILINE)
            return failed[1] if failed else f"{program} crashed ({result.returncode})"
    return None


def mutated(mutation: Mutation, source: str) -> str | None:
    for find, replace in mutation.edits:
        if source.count(find) != 1:
            return None
        source = source.replace(find, replace)
    return source


def judge(mutation: Mutation) -> tuple[str, str]:
    """(verdict, detail) of one mutation; the copy is as it was afterwards."""
    path = COPY / mutation.file
    original = path.read_text()
    broken = mutated(mutation, original)
    if broken is None:
        return "stale", "its text is not, or not once, in the source"
    path.write_text(broken)
    try:
        if not build():
            return "stale", "does not compile"
        test = failing_test()
    finally:
        path.write_text(original)
    return ("caught", test) if test else ("MISSED", "no test failed")


def main() -> int:
    chosen = [mutation for mutation in MUTATIONS if not sys.argv[1:] or mutation.name in sys.argv[1:]]
    copy_tree()
    configure()
    if not build():
        return 1
    if test := failing_test():
        print(f"The tests fail without any mutation: {test}")
        return 1

    width = max(len(mutation.name) for mutation in chosen)
    missed = 0
    for mutation in chosen:
        begin = time.monotonic()
        verdict, detail = judge(mutation)
        missed += verdict != "caught"
        seconds = time.monotonic() - begin
        print(f"{verdict:7} {mutation.name:{width}}  {mutation.breaks}  [{detail}, {seconds:.0f} s]", flush=True)
    print(f"{len(chosen) - missed} of {len(chosen)} mutations caught")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
