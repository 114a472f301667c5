"""Exits 0 where this interpreter already has what a requirements file lists (names, ==X.Y.* pins); ./run asks it."""

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


lines = (line.split("#")[0].strip() for line in open(sys.argv[1], encoding="utf-8"))
sys.exit(not all(satisfied(line) for line in lines if line))
