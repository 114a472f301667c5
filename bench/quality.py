"""The quality experiment: dense beside Lighthouse-then-dense, run after run, and their table.

    python bench/corpus.py --out data/python.txt
    python bench/quality.py run budgets --data data/python.txt --out runs/quality --results bench/results/quality.json
    python bench/quality.py report bench/results/quality.json --again bench/results/quality-earlier.json

`run` trains a plan's runs one after the other (those that are in the results already are passed over) and keeps each one's
validation losses and speeds in the results file. All runs of a seed see the same tokens in the same order. Several of them may
share a plan, one per GPU (CUDA_VISIBLE_DEVICES): a run is taken by whoever makes its folder first.
`report` prints every run; with --again also what settings came to over their seeds and over runs that were made again.

Columns: "Lighthouse" and "dense" are validation losses at the end of stage 1 under both kinds of attention, "jump" is their
difference; "recovered" is the number of dense steps until a validation (one every 50 steps and at the ends of stages) under dense
attention is below what stage 1 ended with under Lighthouse; "seconds" are of training. "copying" and "retrieval" are the scores of
lighthouse eval under dense attention, with 95% intervals.
"""

import argparse
import fcntl
import itertools
import json
import math
import os
import pathlib
import statistics
import subprocess
import sys
import time

STEP_TOKENS, CONTEXT = 32768, 8192  # of configs/quality.toml


CYCLES = 10


def stages(tokens: int, split: float, opening: float, mixed: float) -> str:
    """Steps for a budget: a share of dense ones where the run opens with them, one of Lighthouse, the rest dense. A share of the
    dense ones may come in ten parts, one after each tenth of the Lighthouse ones."""
    total = round(tokens / STEP_TOKENS)
    first, sparse = round(total * opening), round(total * split)
    rows = [("dense", first), ("lighthouse", sparse), ("dense", total - first - sparse)]
    if mixed:
        part, between = round(sparse / CYCLES), round(total * mixed / CYCLES)
        rows = [("lighthouse", part), ("dense", between)] * CYCLES
        rows[-1] = ("dense", total - sum(steps for _, steps in rows[:-1]))
    return "stages=[" + ", ".join(f'{{attention = "{kind}", steps = {steps}}}' for kind, steps in rows if steps) + "]"


def run(name: str, tokens: float, split: float, seed: int = 1, opening: float = 0, mixed: float = 0, **settings) -> dict:
    sets = [f"seed={seed}", stages(round(tokens), split, opening, mixed)]
    sets += [f"{key.replace('__', '.')}={json.dumps(value)}" for key, value in settings.items()]
    return {"name": f"{name}-{tokens / 1e6:.0f}M-s{seed}", "kind": name, "tokens": tokens, "seed": seed, "sets": sets}


PAPER = {"attention__causal_selection": False}
FIRST = {"model__full_attention_layers": [0, 1, 2, 3]}  # configs/quality.toml has {0, 1, 6, 7}, the paper's choice


CELLS = [(65e6, 1), (65e6, 2), (30e6, 1), (130e6, 1)]  # budgets and seeds


def budgets() -> list[dict]:
    """Dense beside Lighthouse by both rules and by the recipe, at three budgets."""
    plan = []
    for tokens, seed in CELLS:
        plan += [run("dense", tokens, 0, seed), run("causal", tokens, 0.625, seed), run("paper", tokens, 0.625, seed, **PAPER)]
    plan += [run("dense-first-paper", tokens, 0.625, seed, **FIRST, **PAPER) for tokens, seed in CELLS]
    return [
        *plan,
        run("dense", 130e6, 0, 2),
        run("causal", 130e6, 0.625, 2),
        run("paper", 130e6, 0.625, 2, **PAPER),
        run("dense-first-paper", 130e6, 0.625, 2, **FIRST, **PAPER),
    ]


def recipes() -> list[dict]:
    """What a recipe may change, one thing at a time, at the budget where every run is through the fall (docs/TRAINING.md)."""
    tokens = 130e6
    both = {**FIRST, **PAPER}
    return [
        run("dense-first-paper-open-20", tokens, 0.55, opening=0.2, **both),
        run("dense-first-paper-split-80", tokens, 0.8, **both),
        run("dense-first-paper-k128", tokens, 0.625, **both, attention__top_k=128),
        run("dense-first-paper-k512", tokens, 0.625, **both, attention__top_k=512),
        run("dense-first-paper-L2", tokens, 0.625, **both, attention__num_levels=2),
        run("dense-first-mixed", tokens, 0.625, mixed=0.125, **FIRST),
        run("dense-first-paper-mixed", tokens, 0.625, mixed=0.125, **both),
        run("dense-first-paper-p8", tokens, 0.625, **both, attention__num_levels=2, attention__pooling_factor=8),
        run("dense-first-paper-L4", tokens, 0.625, **both, attention__num_levels=4),
        run("dense-first-paper-linear", tokens, 0.625, **both, schedule__kind="linear"),
        run("dense-linear", tokens, 0, schedule__kind="linear"),
        run("dense-first-paper-split-50", tokens, 0.5, **both),
        run("dense-first-2-paper", tokens, 0.625, **PAPER, model__full_attention_layers=[0, 1]),
        run("dense-first-open-20", tokens, 0.55, opening=0.2, **FIRST),
        run("alternate-paper", tokens, 0.625, **PAPER, model__full_attention_layers=[0, 2, 4, 6]),
        run("dense-last-paper", tokens, 0.625, **PAPER, model__full_attention_layers=[4, 5, 6, 7]),
        run("dense-first-k512", tokens, 0.625, **FIRST, attention__top_k=512),
        *(run("dense-first", tokens, 0.625, seed, **FIRST) for tokens, seed in CELLS),
    ]


def long_settings() -> dict:
    """A longer context at the tokens of a step."""
    context = 32768
    return {
        "data__context_length": context,
        "training__batch_size": STEP_TOKENS // context,
        "attention__top_k": context // 32,
        # The default of 16 sequences would be half a million tokens per validation, under quadratic attention.
        "training__validation_sequences": 16 * CONTEXT // context,
    }


def equal() -> list[dict]:
    """The recipe at the longer context beside dense runs of as many seconds, and of as many tokens."""
    settings = long_settings()
    return [
        run("dense-first-paper-32k", 130e6, 0.625, **settings, **FIRST, **PAPER),
        run("dense-32k", 102e6, 0, **settings),  # the seconds of 130M tokens with Lighthouse
        run("dense-first-paper-32k", 130e6, 0.625, 2, **settings, **FIRST, **PAPER),
        run("dense-32k", 102e6, 0, 2, **settings),
        run("dense-32k", 130e6, 0, 2, **settings),
        run("dense-32k", 130e6, 0, **settings),
    ]


def jump() -> list[dict]:
    """The causal rule's jump at the switch at the longer context, and what may make it small: more levels, dense steps
    before the Lighthouse ones or among them."""
    settings = long_settings()
    return [
        run("causal-32k", 130e6, 0.625, **settings),
        run("causal-32k", 65e6, 0.625, **settings),
        run("causal-L4-32k", 65e6, 0.625, **settings, attention__num_levels=4),
        run("dense-first-L4-32k", 65e6, 0.625, **settings, **FIRST, attention__num_levels=4),
        run("causal-L4-32k", 130e6, 0.625, **settings, attention__num_levels=4),
        run("causal-32k", 130e6, 0.625, 2, **settings),
        run("causal-mixed-32k", 130e6, 0.625, mixed=0.125, **settings),
        run("causal-mixed-32k", 130e6, 0.625, 2, mixed=0.125, **settings),
        run("causal-open-20-32k", 130e6, 0.55, opening=0.2, **settings),
        run("causal-open-20-32k", 130e6, 0.55, 2, opening=0.2, **settings),
        run("dense-first-L4-32k", 130e6, 0.625, **settings, **FIRST, attention__num_levels=4),
        run("dense-first-L4-32k", 130e6, 0.625, 2, **settings, **FIRST, attention__num_levels=4),
        run("dense-first-mixed-32k", 130e6, 0.625, 2, mixed=0.125, **settings, **FIRST),
    ]


def long() -> list[dict]:
    """What a recipe may change at the longer context, and dense runs for fewer tokens."""
    settings = long_settings()
    return [
        run("dense-first-mixed-32k", 65e6, 0.625, mixed=0.125, **settings, **FIRST),
        run("dense-first-k512-32k", 65e6, 0.625, **{**settings, "attention__top_k": 512}, **FIRST),
        run("dense-first-k2048-32k", 65e6, 0.625, **{**settings, "attention__top_k": 2048}, **FIRST),
        run("dense-first-L2-32k", 65e6, 0.625, **settings, **FIRST, attention__num_levels=2),
        run("dense-first-k512-L2-32k", 65e6, 0.625, **{**settings, "attention__top_k": 512}, **FIRST, attention__num_levels=2),
        run("dense-first-mixed-32k", 130e6, 0.625, mixed=0.125, **settings, **FIRST),
        run("dense-first-paper-p8-32k", 130e6, 0.625, **settings, **FIRST, **PAPER, attention__num_levels=2, attention__pooling_factor=8),
        run("dense-first-paper-mixed-32k", 130e6, 0.625, mixed=0.125, **settings, **FIRST, **PAPER),
        run("dense-first-32k", 130e6, 0.625, **settings, **FIRST),
        run("dense-32k", 65e6, 0, **settings),
        run("dense-first-32k", 65e6, 0.625, **settings, **FIRST),
        run("dense-first-split-80-32k", 65e6, 0.8, **settings, **FIRST),
        run("dense-32k", 45e6, 0, **settings),
        run("dense-first-2-split-80-32k", 65e6, 0.8, **settings, model__full_attention_layers=[0, 1]),
        run("dense-32k", 35e6, 0, **settings),
    ]


PLANS = {"budgets": budgets, "equal": equal, "jump": jump, "long": long, "recipes": recipes}


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


def add_result(path: pathlib.Path, item: dict) -> None:
    """Others may be adding theirs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path.with_name(path.name + ".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        results = read_results(path)
        results["runs"][item["name"]] = {**item, "commit": os.environ.get("LIGHTHOUSE_COMMIT", "unknown")}
        write_results(path, results)


def read_results(path: pathlib.Path) -> dict:
    if path.exists():
        return loaded(path)
    return {"commit": os.environ.get("LIGHTHOUSE_COMMIT", "unknown"), "runs": {}}


def expect_writable(path: pathlib.Path) -> None:
    """Before hours of training, whose results could not be kept."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        open(path.with_name(path.name + ".lock"), "a").close()
        read_results(path)
    except OSError as error:
        sys.exit(f"cannot write --results {path}: {error.strerror}")


def take(folder: pathlib.Path) -> bool:
    """Whether this process is the first to ask for the run. A file beside its folder says so until the run is done."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.close(os.open(folder.with_name(folder.name + ".taken"), os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return False
    return True


def called(command: str | list[str]) -> str:
    done = subprocess.run(command, shell=isinstance(command, str), capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{command} failed: {done.stderr[-2000:]}")
    return done.stdout


def evaluation(command: list[str], folder: pathlib.Path) -> dict:
    """The overall scores of retrieval and copying, with their intervals."""
    file = folder / "eval.json"
    called([*command, "--json", str(file)])
    whole = json.loads(file.read_text())
    return {task: whole[task]["overall"] for task in ("retrieval", "copy") if task in whole}


def run_plan(arguments: argparse.Namespace) -> None:
    expect_writable(arguments.results)
    began = time.monotonic()
    plan = [item for name in arguments.plan for item in PLANS[name]()]
    for item in plan:
        folder = arguments.out / item["name"]
        if item["name"] in read_results(arguments.results)["runs"] or not take(folder):
            continue
        try:
            if arguments.time_limit and time.monotonic() - began > arguments.time_limit:
                print(f"time limit: {item['name']} and what follows it are left", file=sys.stderr)
                break
            sets = [f"output_dir={folder}", f"data.paths={json.dumps([str(arguments.data)])}", *item["sets"], *arguments.set]
            called([*arguments.program.split(), "train", arguments.config, "--overwrite", *(f"--set={text}" for text in sets)])
            item = {**item, **summary(folder)}
            if arguments.eval:
                item["evaluation"] = evaluation([*arguments.program.split(), "eval", str(folder), *arguments.eval.split()], folder)
            add_result(arguments.results, item)
        finally:
            folder.with_name(folder.name + ".taken").unlink()
        done = len(read_results(arguments.results)["runs"])
        print(f"[{done} of {len(plan)}, {time.monotonic() - began:.0f} s gone] " + "  ".join(row_of(item)), file=sys.stderr, flush=True)
    report(read_results(arguments.results))


def stage_end(item: dict) -> dict | None:
    """The last validation of the Lighthouse stages."""
    ends = [v for v in item["validations"] if v["stage_end"] and "lighthouse_loss" in v]
    return ends[-1] if ends else None


HEADER = ["run", "tokens", "seed", "Lighthouse", "dense", "jump", "recovered", "final", "seconds", "tokens/s (stage 1, dense)", "copying", "retrieval"]


def score_text(item: dict, task: str) -> str:
    if task not in item.get("evaluation", {}):
        return "–"
    score = item["evaluation"][task]
    return f"{score['score']:.2f} ({score['interval'][0]:.2f}–{score['interval'][1]:.2f})"


def number(loss: float | None) -> float:
    """JSON has no NaN: metrics have null for it."""
    return math.nan if loss is None else loss


def final_loss(item: dict) -> float:
    return number(item["validations"][-1]["dense_loss"])


def row_of(item: dict) -> list[str]:
    end = stage_end(item)
    speeds = "/".join(f"{item['tokens_per_second'][kind] / 1e3:.0f}k" for kind in ("lighthouse", "dense") if kind in item["tokens_per_second"])
    row = [item["kind"], f"{item['tokens'] / 1e6:.0f}M", str(item["seed"])]
    if end:
        lighthouse, dense = number(end["lighthouse_loss"]), number(end["dense_loss"])
        after = [v for v in item["validations"] if v["step"] > end["step"] and number(v["dense_loss"]) < lighthouse]
        recovered = str(after[0]["step"] - end["step"]) if after else "no"
        row += [f"{lighthouse:.4f}", f"{dense:.4f}", f"{dense - lighthouse:+.4f}", recovered]
    else:
        row += ["–"] * 4
    return [*row, f"{final_loss(item):.4f}", f"{item['seconds']:.0f}", speeds, score_text(item, "copy"), score_text(item, "retrieval")]


def named_row(item: dict) -> dict[str, str]:
    return dict(zip(HEADER, row_of(item), strict=True))


def context_of(item: dict) -> int:
    lengths = [text.split("=")[1] for text in item["sets"] if text.startswith("data.context_length=")]
    return int(lengths[0]) if lengths else CONTEXT


def order_of(item: dict) -> tuple:
    return context_of(item), item["tokens"], item["seed"]


def report(results: dict) -> None:
    items = sorted(results["runs"].values(), key=order_of)
    for context, group in itertools.groupby(items, context_of):
        print(f"At {context:,} tokens of context:\n\n| " + " | ".join(HEADER) + " |\n|---|" + "---:|" * (len(HEADER) - 1))
        for item in group:
            print("| " + " | ".join(row_of(item)) + " |")
        print()


def gathered(results: dict, earlier: dict) -> list[list[dict]]:
    """The runs, each in a list with the earlier ones of its settings, newest first. Earlier ones go by their item's name: a
    file may have several of one name, under keys of its own."""
    lists = {name: [item] for name, item in results["runs"].items()}
    for item in earlier["runs"].values():
        if item["name"] in lists:
            lists[item["name"]].append(item)
    other_settings = [name for name, items in lists.items() if any(item.get("sets") != items[0].get("sets") for item in items)]
    if other_settings or all(len(items) == 1 for items in lists.values()):
        sys.exit(f"--again expects runs of the same settings; got {' and '.join(other_settings[:3]) or 'no run that both have'}")
    return sorted(lists.values(), key=lambda items: order_of(items[0]))


def span(texts: list[str]) -> str:
    """From the lowest to the highest of numbers that are texts."""
    ordered = sorted(texts, key=float)
    return ordered[0] if ordered[0] == ordered[-1] else f"{ordered[0]} to {ordered[-1]}"


def summary_row(seeds: list[list[dict]]) -> list[str]:
    """Settings over their seeds and repeats; means are of the seeds' means."""
    first, every = seeds[0][0], [item for items in seeds for item in items]
    jumps = [named_row(item)["jump"] for item in every if stage_end(item)]
    scores = []
    for task in ("copy", "retrieval"):
        taken = [[item["evaluation"][task]["score"] for item in items if task in item.get("evaluation", {})] for items in seeds]
        taken = [values for values in taken if values]
        scores.append(f"{statistics.fmean([statistics.fmean(values) for values in taken]):.2f}" if taken else "–")
    return [
        first["kind"],
        f"{first['tokens'] / 1e6:.0f}M",
        " + ".join(str(len(items)) for items in seeds),
        f"{statistics.fmean([statistics.fmean([final_loss(item) for item in items]) for items in seeds]):.4f}",
        span([f"{final_loss(item):.4f}" for item in every]),
        span(jumps) if jumps else "–",
        f"{statistics.fmean([statistics.fmean([item['seconds'] for item in items]) for items in seeds]):.0f}",
        *scores,
    ]


def report_again(results: dict, earlier: dict) -> None:
    """What was run more than once: settings over seeds and repeats, and how far repeats come out apart."""
    lists = gathered(results, earlier)
    settings: dict = {}
    for items in lists:
        settings.setdefault((context_of(items[0]), items[0]["tokens"], items[0]["kind"]), []).append(items)
    for context in sorted({key[0] for key in settings}):
        header = ["run", "tokens", "runs of each seed", "final, mean", "lowest to highest", "jump", "seconds", "copying", "retrieval"]
        print(f"Settings of more than one run, at {context:,} tokens of context:\n")
        print("| " + " | ".join(header) + " |\n|---|" + "---:|" * (len(header) - 1))
        for key, seeds in settings.items():
            if key[0] == context and sum(len(items) for items in seeds) > 1:
                print("| " + " | ".join(summary_row(seeds)) + " |")
        print()
    print("Runs of one seed that were made more than once, newest first:\n\n| run | tokens | seed | final | apart | jump |\n|---|" + "---:|" * 5)
    for items in lists:
        if len(items) == 1:
            continue
        rows = [named_row(item) for item in items]
        finals = [final_loss(item) for item in items]
        cells = [rows[0][key] for key in ("run", "tokens", "seed")]
        cells += [", ".join(row["final"] for row in rows), f"{max(finals) - min(finals):.4f}"]
        cells += [", ".join(row["jump"] for row in rows) if stage_end(items[0]) else "–"]
        print("| " + " | ".join(cells) + " |")


def results_of(path: pathlib.Path) -> dict:
    """Results that are to be shown: anything else is an error in words."""
    results = loaded(path)
    try:
        if all(item["name"] and item["validations"] and item["tokens_per_second"] is not None for item in results["runs"].values()):
            return results
    except (TypeError, KeyError, AttributeError):
        pass
    sys.exit(f"expected results that bench/quality.py run wrote; got {path}")


def loaded(path: pathlib.Path) -> dict:
    """A file of results, whatever is in its runs."""
    try:
        results = json.loads(path.read_text())
    except OSError as error:
        sys.exit(f"cannot read {path}: {error.strerror}")
    except ValueError:
        results = None
    if isinstance(results, dict) and isinstance(results.get("runs"), dict):
        return results
    sys.exit(f"expected results that bench/quality.py run wrote; got {path}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    running = commands.add_parser("run", help="train a plan's runs")
    running.add_argument("plan", choices=PLANS, nargs="+")
    running.add_argument("--data", type=pathlib.Path, required=True, help="the corpus")
    running.add_argument("--out", type=pathlib.Path, required=True, help="folder for the runs")
    running.add_argument("--results", type=pathlib.Path, required=True, help="JSON file of the results so far")
    running.add_argument("--program", default="./run lighthouse", help="how to call lighthouse (default: %(default)s)")
    running.add_argument("--config", default="configs/quality.toml")
    running.add_argument("--set", action="append", default=[], help="override a key in every run")
    running.add_argument("--eval", default="--tasks retrieval copy", help="options of lighthouse eval on each finished run; empty: none (default: %(default)s)")
    running.add_argument("--time-limit", type=float, help="seconds after which no run is started")
    reporting = commands.add_parser("report", help="the table of a results file")
    reporting.add_argument("results", type=pathlib.Path)
    reporting.add_argument("--again", type=pathlib.Path, help="earlier results of the same runs, for tables of both")
    arguments = parser.parse_args()
    if arguments.command == "run":
        run_plan(arguments)
    else:
        results = results_of(arguments.results)
        report(results)
        if arguments.again:
            report_again(results, results_of(arguments.again))


if __name__ == "__main__":
    main()
