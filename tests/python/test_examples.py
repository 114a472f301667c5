"""The scripts of examples/, shortened."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

from engagement import expect_lighthouse_in_configuration

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def run(script: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess:
    environment = {**os.environ, **variables}
    return subprocess.run([sys.executable, EXAMPLES / script, *arguments], capture_output=True, text=True, env=environment)


def test_a_llama_is_trained_recovered_saved_and_loaded_without_the_package(tmp_path):
    out = ["--out", str(tmp_path / "llama")]
    trained = run("transformers_llama.py", *out, "--steps", "10", "--recovery", "10", "--context", "256")
    assert trained.returncode == 0, trained.stderr
    assert "Lighthouse layers attend over 48 of 256 rows" in trained.stdout and "would be retained" not in trained.stderr
    assert "step  10  lighthouse" in trained.stdout and "step  20  sdpa" in trained.stdout
    losses = [float(line.split("loss ")[1].split(",")[0]) for line in trained.stdout.splitlines() if "loss" in line]
    assert losses[1] < losses[0] < 5.6
    hidden = run("transformers_llama.py", *out, "--check", PYTHONPATH="", LIGHTHOUSE_LIBRARY="/no/library")
    assert hidden.returncode == 0, hidden.stderr
    assert "equal bit for bit" in hidden.stdout
    assert "lighthouse" not in (tmp_path / "llama" / "config.json").read_text()


def test_the_continued_llama_attends_over_a_shorter_sequence():
    spec = importlib.util.spec_from_file_location("continue_llama", EXAMPLES / "continue_llama.py")
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    for context in (512, 4096, 65536):
        config = example.CONFIG.format(
            out="out", model="full_attention_layers = [0, 1]", context=context, data="data", learning_rate=1e-3, batch_size=1
        )
        expect_lighthouse_in_configuration(config + example.LONG.format(lighthouse=1, dense=1))
