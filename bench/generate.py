"""Greedy generation on the CPU: `lighthouse generate` beside transformers' generate(), the same weights, float32, a key/value cache.

    ./run python bench/generate.py [--shapes 0.9M 34M 132M] [--prompt 512] [--new 64] [--model FOLDER]

Both run in turns, with the same number of threads, and must give the same tokens. The prompt's time ends with the first new token;
the others are counted apart. Models are made here, of random weights; --model takes a folder in Hugging Face's format instead. Rates
are medians of one run. Times of loading are not counted.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
import transformers

PROGRAM = Path(__file__).resolve().parents[1] / "build" / "release" / "bin" / "lighthouse"
# Vocabulary, width, feed-forward, layers, heads, key/value heads.
SHAPES = {"0.9M": (256, 128, 384, 4, 4, 2), "34M": (8192, 512, 1536, 8, 8, 4), "132M": (32000, 768, 2304, 12, 12, 4),
          "456M": (32000, 1280, 3840, 20, 20, 4)}  # fmt: skip


class Clock:
    """A streamer that notes when tokens come: the prompt first, then the new ones."""

    def __init__(self) -> None:
        self.times = []

    def put(self, tokens: torch.Tensor) -> None:
        self.times.append(time.perf_counter())

    def end(self) -> None:
        pass


def make_model(folder: Path, shape: str) -> Path:
    vocabulary, width, intermediate, layers, heads, kv_heads = SHAPES[shape]
    torch.manual_seed(0)
    config = transformers.LlamaConfig(vocab_size=vocabulary, hidden_size=width, intermediate_size=intermediate, num_hidden_layers=layers,
                                      num_attention_heads=heads, num_key_value_heads=kv_heads, max_position_embeddings=32768,
                                      initializer_range=0.05, bos_token_id=None, eos_token_id=None)  # fmt: skip
    transformers.LlamaForCausalLM(config).save_pretrained(folder / shape)
    return folder / shape


def theirs(model, prompt: torch.Tensor, new: int) -> tuple[float, float, list[int]]:
    """Tokens per second of the prompt and of the new ones, and the new tokens."""
    clock = Clock()
    out = model.generate(prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=new, min_new_tokens=new, do_sample=False,
                         streamer=clock)  # fmt: skip
    began, first, *_, last = clock.times
    return prompt.shape[1] / (first - began), (new - 1) / (last - first), out[0, prompt.shape[1] :].tolist()


def called(*arguments: str | Path) -> None:
    try:
        done = subprocess.run([PROGRAM, *arguments], capture_output=True, text=True)
    except OSError as error:
        sys.exit(f"cannot run {PROGRAM}: {error.strerror}; ./run setup builds it")
    if done.returncode != 0:
        sys.exit(f"lighthouse {arguments[0]} failed: {done.stderr.strip()}")


def ours(run: Path, tokens: Path, new: int, threads: int) -> tuple[float, float, list[int]]:
    figures = run / "figures.json"
    called("generate", run, "--tokens", tokens, "--max-new-tokens", str(new), "--temperature", "0", "--no-stop",
           "--device", "cpu", "--threads", str(threads), "--json", figures)  # fmt: skip
    found = json.loads(figures.read_text())
    return found["prompt_tokens_per_second"], found["new_tokens_per_second"], found["tokens"]


def measure(folder: Path, name: str, arguments: argparse.Namespace, work: Path) -> None:
    run = work / f"{name}-run"
    called("import", folder, "--out", run)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    prompt = torch.randint(0, model.config.vocab_size, (1, arguments.prompt), generator=torch.Generator().manual_seed(1))
    tokens = work / "prompt.txt"
    tokens.write_text(" ".join(map(str, prompt[0].tolist())))
    theirs(model, prompt, 4)  # warm up
    rates = {"lighthouse": [], "transformers": []}
    for _ in range(arguments.repeats):
        rates["lighthouse"].append(ours(run, tokens, arguments.new, arguments.threads))
        rates["transformers"].append(theirs(model, prompt, arguments.new))
    same = all(a[2] == b[2] for a, b in zip(*rates.values()))
    (read_l, new_l), (read_t, new_t) = ([statistics.median(r[i] for r in rates[who]) for i in (0, 1)] for who in rates)
    print(f"| {name} | {read_l:,.0f} | {read_t:,.0f} | {read_l / read_t:.2f}× | {new_l:,.1f} | {new_t:,.1f} | {new_l / new_t:.2f}× | "
          f"{'yes' if same else 'NO'} |", flush=True)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shapes", nargs="+", choices=SHAPES, default=["0.9M", "34M", "132M"])
    parser.add_argument("--model", type=Path, nargs="+", default=[], help="folders in Hugging Face's format, in place of the shapes")
    parser.add_argument("--prompt", type=int, default=512, help="tokens")
    parser.add_argument("--new", type=int, default=64, help="tokens to generate")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    os.environ["HF_HUB_OFFLINE"] = "1"
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    print(f"transformers {transformers.__version__}, torch {torch.__version__}, {arguments.threads} threads, float32; "
          f"{arguments.prompt} tokens of prompt, {arguments.new} new; tokens/s\n")  # fmt: skip
    print("| model | prompt: lighthouse | transformers | ratio | new: lighthouse | transformers | ratio | same tokens |")
    print("|---|---:|---:|---:|---:|---:|---:|---|")
    with tempfile.TemporaryDirectory() as work:
        for folder in arguments.model or [make_model(Path(work), shape) for shape in arguments.shapes]:
            measure(folder, folder.name, arguments, Path(work))


if __name__ == "__main__":
    main()
