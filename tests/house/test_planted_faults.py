"""The planted faults of tests/mutations fit the sources as they are. Whether tests notice them is run by hand: it takes long."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_planted_faults_fit_the_sources():
    checked = subprocess.run([sys.executable, ROOT / "tests" / "mutations" / "run.py", "--check"], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr
