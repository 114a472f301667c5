"""The lighthouse program as a process that can be killed."""

import json
import os
import subprocess
from pathlib import Path

import pytest

PROGRAM = Path(os.environ["LIGHTHOUSE_BUILD"]) / "bin" / "lighthouse"
TIMES = {"seconds", "time", "tokens_per_second"}  # what differs from run to run

CONFIG = """
seed = 11
output_dir = "{output}"
[model]
hidden_size = 192
intermediate_size = 384
num_hidden_layers = 2
num_attention_heads = 3
num_key_value_heads = 1
[attention]
pooling_factor = 2
top_k = 16
causal_selection = true
[data]
paths = ["{text}"]
context_length = 256
validation_fraction = 0.1
[training]
validation_interval = 7
validation_sequences = 2
num_threads = 1
[checkpoint]
interval = 3
keep = 2
[[stages]]
attention = "lighthouse"
steps = 40
[[stages]]
attention = "dense"
steps = 40
"""


class Run:
    """A run's folder, and processes that train in it."""

    def __init__(self, root: Path, name: str, text: Path) -> None:
        self.folder = root / name
        self.config = root / f"{name}.toml"
        self.config.write_text(CONFIG.format(output=self.folder, text=text))

    def start(self, *arguments: str) -> subprocess.Popen:
        return subprocess.Popen([PROGRAM, "train", self.config, *arguments], stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True)  # fmt: skip

    def finish(self, *arguments: str) -> subprocess.CompletedProcess:
        return subprocess.run([PROGRAM, "train", self.config, *arguments], capture_output=True, text=True, timeout=300)

    @property
    def checkpoints(self) -> Path:
        return self.folder / "checkpoints"

    def unfinished(self) -> list[str]:
        """Names of checkpoints that are being written, or that a kill left so."""
        return [name for name in os.listdir(self.checkpoints) if name.endswith(".tmp")] if self.checkpoints.exists() else []

    def lines(self) -> list[dict]:
        """The record's whole lines, without what differs from run to run."""
        path = self.folder / "metrics.jsonl"
        whole = path.read_text().rpartition("\n")[0] if path.exists() else ""
        lines = [json.loads(line) for line in whole.splitlines()]
        return [{key: value for key, value in line.items() if key not in TIMES} for line in lines]


@pytest.fixture(scope="session")
def text(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("data") / "text"
    path.write_text("".join(f"line {i * i % 9973} of a text, and {i * 7 % 31} more\n" for i in range(20000)))
    return path


@pytest.fixture(scope="session")
def reference(tmp_path_factory, text) -> Run:
    """The run that nothing interrupts."""
    run = Run(tmp_path_factory.mktemp("reference"), "run", text)
    done = run.finish()
    assert done.returncode == 0, done.stderr
    return run
