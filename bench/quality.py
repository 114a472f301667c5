"""The quality experiment: dense beside Lighthouse-then-dense, run after run, and their table.

    python bench/corpus.py --out data/python.txt
    python bench/quality.py run budgets --data data/python.txt --out runs/quality --results bench/results/quality.json
    python bench/quality.py report bench/results/quality.json

`run` trains a plan's runs one after the other (those that are in the results already are passed over) and keeps each one's
validation losses and speeds in the results file. All runs of a seed see the same tokens in the same order.

Columns: "Lighthouse" and "dense" are validation losses at the end of stage 1 under both kinds of attention, "jump" is their
difference; "recovered" is the number of dense steps until a validation (one every 25 or 50 steps) under dense attention is below
what stage 1 ended with under Lighthouse; "seconds" are of training.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import time

STEP_TOKENS = 65536  # of configs/quality.toml


def stages(tokens: int, split: float, before: list[dict] | None = None) -> str:
    """Steps for a budget: a share of Lighthouse, in equal parts where there are several kinds of it, the rest dense."""
    total = round(tokens / STEP_TOKENS)
    kinds = before or [{}]
    sparse = round(total * split)
    rows = [{"attention": "lighthouse", "steps": sparse // len(kinds) + (i < sparse % len(kinds)), **kind} for i, kind in enumerate(kinds)]
    rows = [row for row in rows if row["steps"] > 0] + [{"attention": "dense", "steps": total - sparse}]
    tables = ["{" + ", ".join(f"{key} = {json.dumps(value)}" for key, value in row.items()) + "}" for row in rows if row["steps"]]
    return "stages=[" + ", ".join(tables) + "]"


def run(name: str, tokens: float, split: float, seed: int = 1, before: list[dict] | None = None, **settings) -> dict:
    sets = [f"seed={seed}", stages(round(tokens), split, before)]
    sets += [f"{key.replace('__', '.')}={json.dumps(value)}" for key, value in settings.items()]
    return {"name": f"{name}-{tokens / 1e6:.0f}M-s{seed}", "kind": name, "tokens": tokens, "seed": seed, "sets": sets}


PAPER = {"attention__causal_selection": False}


def budgets() -> list[dict]:
    plan = []
    for tokens, seeds in ((65e6, (1, 2)), (30e6, (1,)), (130e6, (1,))):
        for seed in seeds:
            plan += [run("dense", tokens, 0, seed), run("causal", tokens, 0.625, seed), run("paper", tokens, 0.625, seed, **PAPER)]
    return plan


def recipes() -> list[dict]:
    tokens = 65e6
    return [
        run("dense", tokens, 0),
        run("causal", tokens, 0.625),
        run("paper", tokens, 0.625, **PAPER),
        run("split-50", tokens, 0.5),
        run("split-80", tokens, 0.8),
        run("k512", tokens, 0.625, attention__top_k=512),
        run("alternate", tokens, 0.625, model__full_attention_layers=[0, 2, 4, 6]),
        run("dense-first", tokens, 0.625, model__full_attention_layers=[0, 1, 2, 3]),
        run("dense-last", tokens, 0.625, model__full_attention_layers=[4, 5, 6, 7]),
        run("dense-first", tokens, 0.625, 2, model__full_attention_layers=[0, 1, 2, 3]),
        run("dense", tokens, 0, 2),
        run("dense-first-split-80", tokens, 0.8, model__full_attention_layers=[0, 1, 2, 3]),
        run("dense-first-paper", tokens, 0.625, **PAPER, model__full_attention_layers=[0, 1, 2, 3]),
        run("dense-first-2", tokens, 0.625, model__full_attention_layers=[0, 1]),
        run("six-dense", tokens, 0.625, model__full_attention_layers=[0, 1, 2, 5, 6, 7]),
        run("L2", tokens, 0.625, attention__num_levels=2),
        run("L2-p2", tokens, 0.625, attention__num_levels=2, attention__pooling_factor=2),
        run("k-grows", tokens, 0.625, before=[{"name": "k256", "top_k": 256}, {"name": "k512", "top_k": 512}]),
        run("linear", tokens, 0.625, schedule__kind="linear"),
        run("cosine", tokens, 0.625, schedule__kind="cosine"),
        run("lr-1e-3", tokens, 0.625, optimizer__learning_rate=1e-3),
        run("dense-lr-1e-3", tokens, 0, optimizer__learning_rate=1e-3),
    ]


def long() -> list[dict]:
    """Longer contexts at the tokens of a step: equal tokens, and a dense run for fewer, to set beside Lighthouse by seconds."""
    plan = []
    for context in (32768, 65536):
        settings = {"data__context_length": context, "training__batch_size": STEP_TOKENS // context, "attention__top_k": context // 32}
        # The default of 16 sequences would be a million tokens per validation, under quadratic attention.
        settings["training__validation_sequences"] = 16 * 8192 // context
        for kind, tokens, split in (("dense", 65e6, 0), ("causal", 65e6, 0.625), ("dense", 40e6, 0), ("dense", 50e6, 0)):
            plan.append(run(f"{kind}-{context // 1024}k", tokens, split, **settings))
    return plan


PLANS = {"budgets": budgets, "recipes": recipes, "long": long}


def summary(folder: pathlib.Path) -> dict:
    """What the results keep of a finished run."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    steps = [line for line in lines if line["kind"] == "step"]
    keep = ("step", "tokens", "seconds", "stage", "stage_end", "dense_loss", "lighthouse_loss")
    validations = [{key: line[key] for key in keep if key in line} for line in lines if line["kind"] == "validation"]
    speeds = {}
    for line in steps:
        speeds.setdefault(line["attention"], []).append(line["tokens_per_second"])
    return {
        "validations": validations,
        "tokens_per_second": {kind: sorted(values)[len(values) // 2] for kind, values in speeds.items()},
        "seconds": validations[-1]["seconds"],
        "skipped": sum(line.get("skipped", False) for line in steps),
    }


def write_results(path: pathlib.Path, results: dict) -> None:
    temporary = path.with_name(path.name + ".tmp")
    with open(temporary, "w", encoding="utf-8") as file:
        json.dump(results, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def run_plan(arguments: argparse.Namespace) -> None:
    results = json.loads(arguments.results.read_text()) if arguments.results.exists() else {"runs": {}}
    results.setdefault("commit", os.environ.get("LIGHTHOUSE_COMMIT", "unknown"))
    began = time.monotonic()
    plan = [r for r in PLANS[arguments.plan]() if r["name"] not in results["runs"]]
    for number, item in enumerate(plan, 1):
        if arguments.time_limit and time.monotonic() - began > arguments.time_limit:
            print(f"time limit: {len(plan) - number + 1} runs left", file=sys.stderr)
            break
        folder = arguments.out / item["name"]
        sets = [f"output_dir={folder}", f"data.paths={json.dumps([str(arguments.data)])}", *item["sets"], *arguments.set]
        command = [*arguments.program.split(), "train", arguments.config, "--overwrite", *(f"--set={text}" for text in sets)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"{item['name']} failed: {done.stderr[-2000:]}")
        results["runs"][item["name"]] = {**item, **summary(folder)}
        for command in arguments.then:
            done = subprocess.run(command.format(run=folder), shell=True, capture_output=True, text=True)
            if done.returncode != 0:
                sys.exit(f"{command} failed: {done.stderr[-2000:]}")
            results["runs"][item["name"]].setdefault("then", []).append(json.loads(done.stdout))
        write_results(arguments.results, results)
        row = row_of(results["runs"][item["name"]])
        left = (time.monotonic() - began) / number * (len(plan) - number)
        print(f"[{number}/{len(plan)}, about {left:.0f} s left] " + "  ".join(row), file=sys.stderr, flush=True)
    report(results)


def stage_end(item: dict) -> dict | None:
    """The last validation of the Lighthouse stages."""
    ends = [v for v in item["validations"] if v["stage_end"] and "lighthouse_loss" in v]
    return ends[-1] if ends else None


HEADER = ["run", "tokens", "seed", "Lighthouse", "dense", "jump", "recovered", "final", "seconds", "tokens/s (stage 1, dense)"]


def row_of(item: dict) -> list[str]:
    end = stage_end(item)
    speeds = "/".join(f"{item['tokens_per_second'][kind] / 1e3:.0f}k" for kind in ("lighthouse", "dense") if kind in item["tokens_per_second"])
    row = [item["kind"], f"{item['tokens'] / 1e6:.0f}M", str(item["seed"])]
    if end:
        after = [v for v in item["validations"] if v["step"] > end["step"] and v["dense_loss"] < end["lighthouse_loss"]]
        recovered = str(after[0]["step"] - end["step"]) if after else "no"
        row += [f"{end['lighthouse_loss']:.4f}", f"{end['dense_loss']:.4f}", f"{end['dense_loss'] - end['lighthouse_loss']:+.4f}", recovered]
    else:
        row += ["–"] * 4
    return [*row, f"{item['validations'][-1]['dense_loss']:.4f}", f"{item['seconds']:.0f}", speeds]


def report(results: dict) -> None:
    print("| " + " | ".join(HEADER) + " |\n|---|" + "---:|" * (len(HEADER) - 1))
    for item in results["runs"].values():
        print("| " + " | ".join(row_of(item)) + " |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    running = commands.add_parser("run", help="train a plan's runs")
    running.add_argument("plan", choices=PLANS)
    running.add_argument("--data", type=pathlib.Path, required=True, help="the corpus")
    running.add_argument("--out", type=pathlib.Path, required=True, help="folder for the runs")
    running.add_argument("--results", type=pathlib.Path, required=True, help="JSON file of the results so far")
    running.add_argument("--program", default="./run lighthouse", help="how to call lighthouse (default: %(default)s)")
    running.add_argument("--config", default="configs/quality.toml")
    running.add_argument("--set", action="append", default=[], help="override a key in every run")
    running.add_argument("--then", action="append", default=[], help="command on each finished run, {run} its folder, that prints JSON")
    running.add_argument("--time-limit", type=float, help="seconds after which no run is started")
    reporting = commands.add_parser("report", help="the table of a results file")
    reporting.add_argument("results", type=pathlib.Path)
    arguments = parser.parse_args()
    if arguments.command == "run":
        run_plan(arguments)
    else:
        report(json.loads(arguments.results.read_text()))


if __name__ == "__main__":
    main()
