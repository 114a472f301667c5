"""What compiling the CUDA sources took: python cuda_build_report.py BUILD_FOLDER

Prints seconds by file and the library's size, and writes results/cuda_build.xml for the summary: it fails where a ceiling is
passed, which is how a template that got out of hand is noticed.
"""

import sys
from pathlib import Path
from xml.sax.saxutils import escape

MOST_SECONDS_OF_A_FILE = 240.0  # on a busy machine with two cores; a quiet one takes a tenth to a third
MOST_LIBRARY_MB = 40.0  # for one architecture


def seconds_by_file(build: Path) -> dict[str, float]:
    """Of the last time that each was compiled, from ninja's log."""
    seconds = {}
    for line in (build / ".ninja_log").read_text().splitlines()[1:]:
        begin, end, _, output, *_ = line.split("\t")
        if output.endswith(".cu.o") or "lighthouse_cuda.dir" in output:
            seconds[Path(output).name.removesuffix(".o")] = (int(end) - int(begin)) / 1000
    return seconds


def main() -> int:
    build = Path(sys.argv[1])
    seconds = seconds_by_file(build)
    library = (build / "lib" / "cuda" / "liblighthouse.so").resolve().stat().st_size / 1e6
    slowest = max(seconds, key=seconds.get)
    print("CUDA sources, seconds: " + ", ".join(f"{name} {took:.0f}" for name, took in sorted(seconds.items())))
    print(f"library {library:.1f} MB")
    checks = {
        "a_file_compiles_in_time": (seconds[slowest] <= MOST_SECONDS_OF_A_FILE,
                                    f"{slowest} took {seconds[slowest]:.0f} s; expected at most {MOST_SECONDS_OF_A_FILE:.0f}"),
        "the_library_is_small": (library <= MOST_LIBRARY_MB, f"{library:.1f} MB; expected at most {MOST_LIBRARY_MB:.0f}"),
    }  # fmt: skip
    cases = "".join(
        f'<testcase name="{name}">' + ("" if ok else f'<failure message="{escape(message)}"/>') + "</testcase>"
        for name, (ok, message) in checks.items()
    )
    for ok, message in checks.values():
        if not ok:
            print("FAILED: " + message)
    (build / "results").mkdir(exist_ok=True)
    (build / "results" / "cuda_build.xml").write_text(f'<testsuite name="cuda_build">{cases}</testsuite>\n')
    return 0 if all(ok for ok, _ in checks.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
