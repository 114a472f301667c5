"""Adds up what the test programs reported: python summary.py BUILD_FOLDER... --seconds N."""

import argparse
import re
import sys
import xml.etree.ElementTree as xml
from pathlib import Path


def count(report: Path) -> tuple[int, int, int]:
    """(tests, failed, skipped) of one JUnit or GoogleTest file."""
    cases = list(xml.parse(report).getroot().iter("testcase"))
    failed = sum(1 for case in cases if case.find("failure") is not None or case.find("error") is not None)
    skipped = sum(1 for case in cases if case.find("skipped") is not None or case.get("status") == "notrun")
    return len(cases), failed, skipped


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("builds", nargs="+", type=Path)
    parser.add_argument("--seconds", type=int, default=0)
    arguments = parser.parse_args()
    total = failures = skips = random_cases = 0
    for build in arguments.builds:
        if not (build / "results").is_dir():
            continue  # a part that this machine skipped, as was said
        print(f"\n{build.name}:")
        log = build / "Testing" / "Temporary" / "LastTest.log"
        text = log.read_text(errors="replace") if log.exists() else ""
        cases = sum(int(n) for n in re.findall(r"(\d+) random property cases", text))
        for report in sorted((build / "results").glob("*.xml")):
            tests, failed, skipped = count(report)
            total, failures, skips = total + tests, failures + failed, skips + skipped
            print(f"  {report.stem:<24} {tests:5d} tests" + (f", {failed} failed" if failed else ""))
        random_cases += cases
        if cases:
            print(f"  {cases} random property cases")
    print(f"\n{random_cases} random property cases in all; {arguments.seconds // 60} min {arguments.seconds % 60} s "
          "with building")  # fmt: skip
    print(f"{total - failures - skips} passed, {failures} failed" + (f", {skips} skipped" if skips else ""))
    return 1 if failures or total == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
