"""The tables of docs/PERFORMANCE.md from a recorded run: python bench/gpu_tables.py bench/results/attention-h100.json"""

import json
import sys

FLOPS = 2 * 8 * 128  # of a causal forward pass, per pair of a query and a key: H = 8, D = 128


def rate(ms: float, length: int, passes: float) -> str:
    return f"{FLOPS * length**2 * passes / ms / 1e9:.0f}"


def main() -> None:
    with open(sys.argv[1], encoding="utf-8") as file:
        results = json.load(file)["results"]
    for title, key, passes in (("Forward", "forward", 1.0), ("Forward and backward", "full", 3.5)):
        print(f"{title}, ms:\n\n| N | S | rule, layout | layer | dense | inner call | dense / layer | of the limit | TFLOP/s dense, inner |")
        print("|---:|---:|---|---:|---:|---:|---:|---:|---:|")
        for r in results:
            t = r[key]
            rule = "causal" if r["causal"] else "paper's"
            print(f"| {r['n']:,} | {r['s']:,} | {rule}, {r['layout'].upper()} | {t['layer']:.3f} | {t['dense']:.2f} | {t['inner']:.3f} | "
                  f"{r[key + '_ratio']:.1f}x | {100 * r[key + '_of_limit']:.0f}% | {rate(t['dense'], r['n'], passes)}, "
                  f"{rate(t['inner'], r['s'], passes)} |")  # fmt: skip
        print()
    print("Stages, ms (times the floor):\n\n| N | rule, layout | score and select | gather | both | scatter | scatter backward | gather backward | copy, TB/s |")
    print("|---:|---|---:|---:|---:|---:|---:|---:|---:|")
    for r in results:
        ms, floor = r["stages"], r["floors"]
        rule = "causal" if r["causal"] else "paper's"
        both = (ms["select"] + ms["gather"], floor["select"] + floor["gather"])
        cell = lambda a, b: f"{a:.3f} ({a / b:.2f})"  # noqa: E731
        cells = [cell(ms["select"], floor["select"]), cell(ms["gather"], floor["gather"]), cell(*both)]
        cells += [cell(ms[name], floor[name]) for name in ("scatter", "scatter_backward", "gather_backward")]
        copy = 2 * r["n"] * 8 * 128 * 2 / ms["copy"] / 1e9
        print(f"| {r['n']:,} | {rule}, {r['layout'].upper()} | " + " | ".join(cells) + f" | {copy:.2f} |")


if __name__ == "__main__":
    main()
