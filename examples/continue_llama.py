"""A Hugging Face Llama continued at a longer context with Lighthouse, recovered, and served by plain transformers.

    ./run python examples/continue_llama.py --out runs/continue                        some minutes on 2 cores
    ./run python examples/continue_llama.py --out runs/continue --lm-eval PROGRAM      then lm-eval on the result

1. `lighthouse train` makes a small Llama with grouped-query attention on bytes, and `export` writes it as Hugging Face's. Another
   Llama of bytes could take its place (--model FOLDER); for one with a tokenizer, `lighthouse tokenize` makes the data.
2. `import` reads that folder, and `train --init` goes on from it at four times the context: a Lighthouse stage, a dense one.
3. `export` writes the result. transformers, without anything of ours, loads it, writes text with it and takes its loss at both lengths.
4. lm-eval (pip install "lm-eval[hf]") scores it on held-out files, by a task of local text that this script writes.
"""

import argparse
import json
import pathlib
import shlex
import shutil
import subprocess
import sys
import sysconfig

ROOT = pathlib.Path(__file__).resolve().parents[1]
STDLIB = pathlib.Path(sysconfig.get_paths()["stdlib"])

CONFIG = """
seed = 1
output_dir = "{out}"
[model]
{model}
[attention]
causal_selection = true
[data]
paths = ["{data}"]
include = ["*.py"]
exclude = ["test", "tests", "idlelib", "site-packages"]
context_length = {context}
[optimizer]
learning_rate = {learning_rate}
[schedule]
kind = "constant-then-decay"
warmup_steps = 10
[training]
batch_size = {batch_size}
validation_sequences = 8
"""
SHORT_MODEL = """hidden_size = 128
intermediate_size = 384
num_hidden_layers = 4
num_attention_heads = 4
num_key_value_heads = 2"""
LONG = '[[stages]]\nattention = "lighthouse"\nsteps = {lighthouse}\n[[stages]]\nattention = "dense"\nsteps = {dense}\n'

SERVE = """
import sys, torch, transformers
folder, text = sys.argv[1], open(sys.argv[2], "rb").read().decode()
tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
model = transformers.AutoModelForCausalLM.from_pretrained(folder)
tokens = tokenizer(text, return_tensors="pt").input_ids[:, : int(sys.argv[3])]
assert tokenizer.decode(tokens[0]) == text[: len(tokenizer.decode(tokens[0]))]
with torch.no_grad():
    losses = torch.nn.functional.cross_entropy(model(tokens).logits[0, :-1], tokens[0, 1:], reduction="none")
    new = model.generate(tokens[:, :256], attention_mask=torch.ones_like(tokens[:, :256]), max_new_tokens=64, do_sample=False, pad_token_id=0)
half = len(losses) // 2
print(f"{folder}: loss {losses[:half].mean():.3f} in the first half of {tokens.shape[1]} tokens, {losses[half:].mean():.3f} in the second")
print("greedy: " + repr(tokenizer.decode(new[0, 256:])))
assert not any("lighthouse" in name for name in sys.modules)
"""

TASK = """
task: held_out_python
dataset_path: json
dataset_kwargs: {data_files: {test: FILE}}
output_type: loglikelihood_rolling
test_split: test
doc_to_text: ""
doc_to_target: "{{text}}"
metric_list: [{metric: byte_perplexity}, {metric: bits_per_byte}]
metadata: {version: 1}
"""


def call(*command: object) -> None:
    words = [str(word) for word in command]
    shown = ["..." if "\n" in word else word for word in words]
    print("\n$ " + shlex.join(shown), flush=True)
    subprocess.run(words, check=True, cwd=ROOT)


def lighthouse(*arguments: object) -> None:
    call("./run", "lighthouse", *arguments)


def make_short_model(out: pathlib.Path, steps: int, context: int) -> pathlib.Path:
    config = CONFIG.format(out=out / "short", model=SHORT_MODEL, context=context, data=STDLIB, learning_rate=3e-3, batch_size=4)
    (out / "short.toml").write_text(config + f'[[stages]]\nattention = "dense"\nsteps = {steps}\n')
    lighthouse("train", out / "short.toml", "--overwrite")
    lighthouse("export", out / "short", "--to", "hf", out / "short-hf", "--overwrite")
    return out / "short-hf"


def evaluate(out: pathlib.Path, program: str) -> None:
    documents = sorted(STDLIB.glob("idlelib/*.py"))[:8]  # left out of training
    lines = (json.dumps({"text": path.read_text(encoding="utf-8")[:4000]}) for path in documents)
    (out / "held-out.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (out / "tasks").mkdir(exist_ok=True)
    (out / "tasks" / "held_out_python.yaml").write_text(TASK.replace("FILE", str(out / "held-out.jsonl")).lstrip())
    # A tokenizer of bytes has no token that begins a text: a line's end (10) stands before it.
    arguments = f"pretrained={out / 'long-hf'},max_length=4096,add_bos_token=False,prefix_token_id=10"
    call(program, "run", "--model", "hf", "--model_args", arguments, "--tasks", "held_out_python", "--include_path", out / "tasks",
         "--device", "cpu", "--batch_size", "1")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=pathlib.Path, required=True, help="the folder to work in")
    parser.add_argument("--model", type=pathlib.Path, help="the folder of a Llama of bytes in Hugging Face's format, in place of step 1")
    parser.add_argument("--steps", type=int, default=200, help="of step 1")
    parser.add_argument("--lighthouse", type=int, default=60, help="steps at the longer context with Lighthouse")
    parser.add_argument("--dense", type=int, default=20, help="dense steps after them")
    parser.add_argument("--context", type=int, default=4096, help="the longer one, in tokens")
    parser.add_argument("--lm-eval", help="lm-eval's program")
    arguments = parser.parse_args()
    out, context = arguments.out.resolve(), arguments.context
    out.mkdir(parents=True, exist_ok=True)

    source = arguments.model.resolve() if arguments.model else make_short_model(out, arguments.steps, context // 4)
    shutil.rmtree(out / "imported", ignore_errors=True)
    lighthouse("import", source, "--out", out / "imported")
    # The model's sizes are the imported one's; which layers stay dense is ours to say.
    dense = "full_attention_layers = [0, 1]"
    config = CONFIG.format(out=out / "long", model=dense, context=context, data=STDLIB, learning_rate=1e-3, batch_size=1)
    (out / "long.toml").write_text(config + LONG.format(lighthouse=arguments.lighthouse, dense=arguments.dense))
    lighthouse("train", out / "long.toml", "--overwrite", "--init", out / "imported")
    lighthouse("export", out / "long", "--to", "hf", out / "long-hf", "--overwrite")
    for folder in (source, out / "long-hf"):
        call(sys.executable, "-c", SERVE, folder, STDLIB / "idlelib" / "editor.py", context)
    if arguments.lm_eval:
        evaluate(out, arguments.lm_eval)


if __name__ == "__main__":
    main()
