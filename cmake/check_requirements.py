"""Exits 0 where this interpreter already has what a requirements file lists (names, ==X.Y.* pins); ./run asks it.

    check_requirements.py FILE [--only NAME]
"""

import argparse
import importlib.metadata
import sys


def satisfied(requirement: str) -> bool:
    name, _, pin = requirement.partition("==")
    try:
        version = importlib.metadata.version(name.strip())
    except importlib.metadata.PackageNotFoundError:
        return False
    pin = pin.strip()
    return not pin or version == pin or (pin.endswith(".*") and version.startswith(pin[:-1]))


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("file")
parser.add_argument("--only")
arguments = parser.parse_args()
with open(arguments.file, encoding="utf-8") as file:
    lines = [line.split("#")[0].strip() for line in file]
wanted = [line for line in lines if line and arguments.only in (None, line.partition("==")[0].strip())]
sys.exit(not all(satisfied(line) for line in wanted))
