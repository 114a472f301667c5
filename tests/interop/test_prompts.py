"""What generate and logits read, and what they say about it."""

import json
import subprocess

import numpy as np
import pytest
from conftest import PROGRAM, lighthouse

GREEDY = ["--temperature", "0", "--max-new-tokens", "12"]


def test_a_text_comes_in_by_any_way(run, tmp_path):
    prompt = "line 3 of – \x01"
    (tmp_path / "prompt").write_text(prompt, encoding="utf-8")
    ways = [["--prompt", prompt], ["--prompt-file", tmp_path / "prompt"]]
    outputs = [lighthouse("generate", run, *way, *GREEDY, text=False).stdout for way in ways]
    piped = subprocess.run([PROGRAM, "generate", run, "--prompt-file", "-", *GREEDY], input=prompt.encode(), capture_output=True)
    assert piped.returncode == 0 and outputs == [piped.stdout] * 2
    new = list(outputs[0][len(prompt.encode()) : -1])
    assert outputs[0].startswith(prompt.encode()) and len(new) == 12

    tokens = list(prompt.encode())
    (tmp_path / "ids.txt").write_text("\n".join(map(str, tokens)))
    np.array(tokens, dtype="uint16").tofile(tmp_path / "ids.bin")
    for given in (",".join(map(str, tokens)), tmp_path / "ids.txt", tmp_path / "ids.bin"):
        assert [int(token) for token in lighthouse("generate", run, "--tokens", given, *GREEDY).stdout.split()] == new


def test_speeds_and_warnings(run, tmp_path):
    figures = tmp_path / "figures.json"
    done = lighthouse("generate", run, "--prompt", "x" * 250, *GREEDY, "--seed", "3", "--threads", "1", "--json", figures)
    assert "The text may grow to 262 tokens; the model was trained on 256." in done.stderr
    assert "250 tokens read in" in done.stderr and "12 new tokens, " in done.stderr
    found = json.loads(figures.read_text())
    assert (found["threads"], found["precision"], found["new_tokens"], found["ended"]) == (1, "float32", 12, False)
    assert found["prompt_tokens_per_second"] > 0 and found["new_tokens_per_second"] > 0
    short = lighthouse("generate", run, "--prompt", "x", *GREEDY)
    assert "may grow" not in short.stderr
    drawn = [lighthouse("generate", run, "--prompt", "x", "--seed", seed, "--max-new-tokens", "40", text=False).stdout for seed in "112"]
    assert drawn[0] == drawn[1] != drawn[2]
    narrow = lighthouse("generate", run, "--prompt", "x", *GREEDY, "--precision", "bfloat16", "--device", "cpu", text=False)
    assert narrow.stdout.startswith(b"x")


@pytest.mark.parametrize(
    "arguments, words",
    [
        ([], "expected --prompt, --prompt-file or --tokens; got none"),
        (["--prompt", ""], "expected a prompt of at least one token; got none"),
        (["--tokens", "1,256"], "expected tokens from 0 to 255; token 1 is 256"),
        (["--tokens", "/no/such/file"], "--tokens: cannot read /no/such/file"),
        (["--prompt-file", "/no/such/file"], "--prompt-file: cannot read /no/such/file"),
        (["--prompt", "x", "--max-new-tokens", "2147483647", "--device", "cpu"], "keys and values of 2147483648 tokens need"),
        (["--prompt", "x", "--stop", "0", "256"], "--stop must name tokens that the model can give, 0 to 255; got 256"),
        (["--prompt", "x", "--json", "/no/such/folder/x.json"], "--json must name a file in a folder that exists"),
    ],
)
def test_wrong_arguments(run, arguments, words):
    refused = lighthouse("generate", run, *arguments, fails=True)
    assert words in refused.stderr and len(refused.stderr.splitlines()) == 1


def test_wrong_numbers(run, tmp_path):
    (tmp_path / "ids").write_text("1 2 three")
    refused = lighthouse("logits", run, "--tokens", tmp_path / "ids", "--out", tmp_path / "out", fails=True)
    assert f'--tokens: expected whole numbers in {tmp_path / "ids"}; got "three"' in refused.stderr
    refused = lighthouse("logits", run, "--prompt", "x", "--out", "/no/such/folder/out", fails=True)
    assert "--out must name a file in a folder that exists" in refused.stderr
