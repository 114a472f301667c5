"""The H100 tables of docs/PERFORMANCE.md and docs/TRAINING.md, as Markdown, from what `lighthouse bench --json` recorded.

python bench/tables.py bench/results/bench-h100.json
python bench/tables.py bench/results/train-267m-98k.json
"""

import argparse
import json
import sys


def label(r: dict) -> str:
    rule = "causal" if r["rule"] == "causal" else "paper's"
    return f"{rule}, {r['layout'].upper()}"


def times(results: list, key: str) -> None:
    print("| N | S | rule, layout | layer | dense | FA2 | inner call | dense / layer | of the limit | TFLOP/s dense, inner |")
    print("|---:|---:|---|---:|---:|---:|---:|---:|---:|---:|")
    for r in results:
        ms, rate = r["ms"], r["tflops"]
        fa2 = ms["flash_attention_2"][key]  # a time, or "not measured"
        fa2 = "–" if isinstance(fa2, str) else f"{fa2:.1f}"
        print(f"| {r['N']:,} | {r['S']:,} | {label(r)} | {ms['layer'][key]:.3f} | {ms['dense'][key]:.2f} | {fa2} | "
              f"{ms['inner'][key]:.3f} | {r['dense_over_layer'][key]:.1f}× | {100 * r['limit_over_layer'][key]:.0f}% | "
              f"{rate['dense'][key]:.0f}, {rate['inner'][key]:.0f} |")  # fmt: skip
    print()


def stages(results: list) -> None:
    names = ["select", "gather", "select and gather", "scatter", "scatter backward", "gather backward", "rotary", "rotary score"]
    print("| N | rule, layout | " + " | ".join(names) + " | cascade alone | copy, TB/s |")
    print("|---:|---|" + "---:|" * (len(names) + 2))
    for r in results:
        by_name = {stage["name"]: stage for stage in r["stages"]}
        cells = [f"{by_name[n]['ms']:.3f} ({by_name[n]['ms'] / by_name[n]['floor_ms']:.2f})" for n in names]
        cells += [f"{by_name['cascade']['ms']:.3f}", f"{r['copy_bytes_per_second'] / 1e12:.2f}"]
        print(f"| {r['N']:,} | {label(r)} | " + " | ".join(cells) + " |")
    print()


def gigabytes(count: float) -> str:
    return f"{count / 1e9:.1f}" if count else "–"  # not measured on a CPU


def training(recorded: dict) -> None:
    print("| stage | ms per step | tokens/s | of the products' speed | peak GB, allocated | reserved |")
    print("|---|---:|---:|---:|---:|---:|")
    for s in recorded["stages"]:
        print(f"| {s['name']} | {s['step_ms']:.0f} | {s['tokens_per_second']:,.0f} | {100 * s['flops_utilisation']:.0f}% | "
              f"{gigabytes(s['peak_bytes'])} | {gigabytes(s['peak_reserved_bytes'])} |")  # fmt: skip
    print()
    names = list(dict.fromkeys(part["name"] for s in recorded["stages"] for part in s["parts"]))
    print("| part | " + " | ".join(f"{s['name']}, ms | factor" for s in recorded["stages"]) + " |")
    print("|---|" + "---:|---:|" * len(recorded["stages"]))
    for name in names:
        cells = []
        for s in recorded["stages"]:
            part = next((p for p in s["parts"] if p["name"] == name), None)
            cells.append(f"{part['ms']:.1f}" if part else "–")
            cells.append(f"{part['ms'] / part['floor_ms']:.2f}" if part and part["floor_ms"] > 0 else "–")
        print(f"| {name} | " + " | ".join(cells) + " |")


def recorded_in(path: str) -> dict:
    """What bench recorded: anything else is an error in words."""
    try:
        with open(path, encoding="utf-8") as file:
            recorded = json.load(file)
    except OSError as error:
        sys.exit(f"cannot read {path}: {error.strerror}")
    except ValueError as error:
        sys.exit(f"{path}: expected JSON; {error}")
    if not isinstance(recorded, dict) or not ("results" in recorded or "stages" in recorded):
        sys.exit(f"expected what `lighthouse bench --json` recorded; got {path}")
    return recorded


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recorded", help="what `lighthouse bench --json` wrote")
    path = parser.parse_args().recorded
    recorded = recorded_in(path)
    try:
        print_tables(recorded)
    except (KeyError, TypeError) as error:
        sys.exit(f"{path}: expected what `lighthouse bench --json` of a GPU recorded; it lacks {error}")


def print_tables(recorded: dict) -> None:
    if "results" not in recorded:
        training(recorded)
        return
    results = recorded["results"]
    print("Forward, ms:\n")
    times(results, "forward")
    print("Forward and backward, ms:\n")
    times(results, "forward_backward")
    print("Stages, ms (times the floor):\n")
    stages(results)


if __name__ == "__main__":
    main()
