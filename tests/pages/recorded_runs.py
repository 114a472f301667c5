"""Folders of runs as `lighthouse train` leaves them, with any figures: reports are made of these without training."""

import json
import math
import os
from pathlib import Path

CONFIG = """
seed = 1
output_dir = "run"
[model]
num_hidden_layers = 1
hidden_size = 16
intermediate_size = 16
num_attention_heads = 2
[attention]
num_levels = 2
top_k = 4
[data]
paths = ["text"]
context_length = 64
[optimizer]
learning_rate = 0.003
"""


def finite(value: float) -> float | None:
    """As in the record: JSON has no infinities."""
    return value if math.isfinite(value) else None


def loss(step: int) -> float:
    return 1.5 + 4 * math.exp(-step / 30)


def write_run(folder: Path | bytes, *, steps: int = 120, done: int | None = None, lighthouse: bool = False,
              seconds: float = 1.0, losses=loss, validations=None, every: int = 10) -> None:
    """`losses` and `validations`: of a step; every so many steps there is a validation."""
    os.makedirs(folder)
    first = steps * 2 // 3
    lines = []
    clock = 0.0
    for step in range(1, (done or steps) + 1):
        stage = "lighthouse" if lighthouse and step <= first else "dense"
        clock += seconds * (0.5 if stage == "lighthouse" else 1)
        common = {"step": step, "tokens": step * 4096, "seconds": clock, "time": 0.0, "stage": stage}
        skipped = not math.isfinite(losses(step))
        lines.append({"kind": "step", **common, "attention": stage, "loss": finite(losses(step)), "learning_rate": 0.003,
                      "gradient_norm": None if skipped else 0.7, "tokens_per_second": 4096 / seconds if seconds else None,
                      "retained_fraction": 0.25 if stage == "lighthouse" else 1.0, "skipped": skipped})  # fmt: skip
        if step % every == 0 or step == steps:
            line = {"kind": "validation", **common, "stage_end": step == steps or (lighthouse and step == first),
                    "dense_loss": finite((validations or losses)(step))}  # fmt: skip
            if stage == "lighthouse":
                line["lighthouse_loss"] = line["dense_loss"]
            lines.append(line)
    stages = [("lighthouse", first), ("dense", steps - first)] if lighthouse else [("dense", steps)]
    config = CONFIG + "".join(f'[[stages]]\nattention = "{name}"\nsteps = {count}\n' for name, count in stages)
    folder = os.fsencode(folder)
    for name, text in ((b"config.toml", config), (b"metrics.jsonl", "".join(json.dumps(line) + "\n" for line in lines))):
        with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
            file.write(text)
