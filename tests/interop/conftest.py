"""The program beside transformers: tiny models of both, made here; nothing is fetched."""

import os
import random
import subprocess
from pathlib import Path

import pytest
import torch
import transformers
from safetensors.torch import load_file

PROGRAM = Path(os.environ["LIGHTHOUSE_BUILD"]) / "bin" / "lighthouse"
SEED = int(os.environ.get("LIGHTHOUSE_TEST_SEED", "20261124"))

CONFIG = """
seed = 3
output_dir = "{output}"
[model]
hidden_size = 64
intermediate_size = 96
num_hidden_layers = 3
num_attention_heads = 4
num_key_value_heads = 2
tie_word_embeddings = {tied}
full_attention_layers = [0]
[attention]
pooling_factor = 2
top_k = 8
causal_selection = true
[data]
paths = ["{text}"]
context_length = 256
validation_fraction = 0.1
[optimizer]
learning_rate = 5e-3
[training]
num_threads = 1
[checkpoint]
interval = 40
[[stages]]
attention = "lighthouse"
steps = 80
[[stages]]
attention = "dense"
steps = 40
"""


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(SEED)
    print(f"LIGHTHOUSE_TEST_SEED={SEED}")


def lighthouse(*arguments, fails: bool = False, text: bool = True) -> subprocess.CompletedProcess:
    """The program, expected to do what it is told, or to refuse it in one line (and what the line lists)."""
    # What a model of bytes writes need not be UTF-8.
    decoding = {"text": True, "errors": "replace"} if text else {}
    done = subprocess.run([PROGRAM, *map(str, arguments)], capture_output=True, timeout=300, stdin=subprocess.DEVNULL, **decoding)
    assert done.returncode == (1 if fails else 0), done.stderr
    return done


def train(root: Path, name: str, text: Path, tied: bool) -> Path:
    config = root / f"{name}.toml"
    config.write_text(CONFIG.format(output=root / name, text=text, tied=str(tied).lower()))
    lighthouse("train", config)
    return root / name


@pytest.fixture(scope="session")
def text(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("data") / "text"
    path.write_text("".join(f"line {i * i % 97} of a text – it repeats\n" for i in range(3000)), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def run(tmp_path_factory, text) -> Path:
    """A run with grouped heads, trained by both attentions."""
    return train(tmp_path_factory.mktemp("run"), "run", text, tied=False)


@pytest.fixture(scope="session")
def exported(run, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("exported") / "model"
    lighthouse("export", run, "--to", "hf", folder)
    return folder


LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": 64}  # fmt: skip


def llama(dtype: torch.dtype = torch.float32, **changes) -> transformers.LlamaForCausalLM:
    """Of random weights, with everything that the family has: grouped heads, tied embeddings, scaled rotary embedding."""
    shape = dict(vocab_size=320, hidden_size=48, intermediate_size=80, num_hidden_layers=2, num_attention_heads=6,
                 num_key_value_heads=2, head_dim=16, max_position_embeddings=512, tie_word_embeddings=True,
                 rope_parameters=LLAMA3 | {"rope_theta": 500000.0}, initializer_range=0.1)  # fmt: skip
    return transformers.LlamaForCausalLM(transformers.LlamaConfig(**(shape | changes))).to(dtype).eval()


def logits_of(model_folder: Path, tokens: list[int], folder: Path) -> torch.Tensor:
    """The program's logits, [N, V]."""
    ids, out = folder / "tokens.txt", folder / "logits.safetensors"
    ids.write_text(" ".join(map(str, tokens)))
    lighthouse("logits", model_folder, "--tokens", ids, "--out", out, "--device", "cpu")
    return load_file(out)["logits"]


def difference(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    """The largest difference over the largest value."""
    assert ours.shape == theirs.shape
    return ((ours - theirs).abs().max() / theirs.abs().max()).item()


def random_tokens(count: int, below: int = 256) -> list[int]:
    source = random.Random(SEED)
    return [source.randrange(below) for _ in range(count)]
