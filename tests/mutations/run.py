"""Plants each bug of mutations.py in a copy of the tree, rebuilds what it touches and sees which tests fail.

    ./run python tests/mutations/run.py [--only WORD] [--cases N]

Takes some ten minutes on two cores. Prints a table; exits 1 if a bug goes unnoticed.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from mutations import MUTATIONS

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = ["test_geometry", "test_core"]


def run(*command: str, **options) -> subprocess.CompletedProcess:
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", **options)


def build(folder: Path) -> subprocess.CompletedProcess:
    return run("ninja", "-C", str(folder), "lighthouse", *PROGRAMS)


def failing_test(folder: Path, environment: dict[str, str]) -> str | None:
    """The first test that fails, or how the program died; None where all pass."""
    for program in PROGRAMS:
        path = next(p for p in (folder / "tests").rglob(program) if p.is_file())
        try:
            done = run(str(path), "--gtest_brief=1", "--gtest_fail_fast", env=environment, timeout=600)
        except subprocess.TimeoutExpired:
            return f"{program} did not end"
        if done.returncode != 0:
            failed = [line for line in done.stdout.splitlines() if "[  FAILED  ]" in line]
            return failed[0].split("]")[1].split("(")[0].strip() if failed else f"{program} died ({done.returncode})"
    return None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="bugs whose description has this word")
    parser.add_argument("--cases", type=int, default=25, help="random cases per property")
    arguments = parser.parse_args()
    environment = {**os.environ, "LIGHTHOUSE_TEST_CASES": str(arguments.cases)}

    with tempfile.TemporaryDirectory(prefix="lighthouse-mutations-") as temporary:
        tree, folder = Path(temporary) / "tree", Path(temporary) / "build"
        shutil.copytree(ROOT, tree, ignore=shutil.ignore_patterns("build", ".git", "runs"))
        print("building the unchanged tree ...", flush=True)
        configured = run("cmake", "-S", str(tree), "-B", str(folder), "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release",
                         f"-DLIGHTHOUSE_PYTHON={sys.executable}", "-DLIGHTHOUSE_BUILD_PROGRAM=OFF")  # fmt: skip
        built = build(folder)
        if configured.returncode or built.returncode:
            sys.exit(configured.stdout + built.stdout)
        unchanged = failing_test(folder, environment)
        if unchanged:
            sys.exit(f"the unchanged tree fails: {unchanged}")

        missed = 0
        chosen = [m for m in MUTATIONS if arguments.only in m[0]]
        started = time.monotonic()
        for number, (what, file, old, new) in enumerate(chosen, 1):
            path = tree / file
            source = path.read_text()
            if source.count(old) != 1:
                sys.exit(f"{what}: expected its text once in {file}; found it {source.count(old)} times")
            path.write_text(source.replace(old, new))
            built = build(folder)
            caught = "does not compile" if built.returncode else failing_test(folder, environment)
            path.write_text(source)
            missed += caught is None or caught == "does not compile"
            left = (time.monotonic() - started) / number * (len(chosen) - number)
            print(f"{number:2d} {what:<66} {'caught by ' + caught if caught else 'MISSED'}   [{left / 60:.0f} min left]", flush=True)
    print(f"{len(chosen) - missed} of {len(chosen)} planted bugs caught")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
