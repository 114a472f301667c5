"""The H100 tables of docs/PERFORMANCE.md, as Markdown, from what `lighthouse bench --json` recorded.

python bench/tables.py bench/results/bench-h100.json
"""

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


def main() -> None:
    with open(sys.argv[1], encoding="utf-8") as file:
        results = json.load(file)["results"]
    print("Forward, ms:\n")
    times(results, "forward")
    print("Forward and backward, ms:\n")
    times(results, "forward_backward")
    print("Stages, ms (times the floor):\n")
    stages(results)


if __name__ == "__main__":
    main()
