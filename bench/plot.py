"""Draws the figures of bench/attention.py --json as an SVG: time of one layer over sequence length, log-log.

    ./run python bench/plot.py bench/results/attention-cpu.json docs/attention-cpu.svg
"""

import json
import math
import sys

WIDTH, HEIGHT = 760, 420
LEFT, RIGHT, TOP, BOTTOM = 78, 190, 24, 56
LINES = [
    ("dense_ms", "dense attention", "#d1571b", ""),
    ("layer_ms", "Lighthouse, whole layer", "#1f5fa8", ""),
    ("inner_ms", "its inner attention call", "#1f5fa8", "5 4"),
    ("beside_ms", "everything beside it", "#2a8a5c", ""),
]


def duration(ms: float) -> str:
    return f"{ms:g} ms" if ms < 1000 else f"{ms / 1000:g} s"


def draw(results: list[dict], subtitle: str) -> str:
    lengths = [r["N"] for r in results]
    times = [r[key] for r in results for key, *_ in LINES if key in r]
    low, high = math.floor(math.log10(min(times))), math.ceil(math.log10(max(times)))

    def x(n: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * math.log(n / lengths[0]) / math.log(lengths[-1] / lengths[0])

    def y(ms: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (math.log10(ms) - low) / (high - low)

    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="system-ui, sans-serif" '
        'font-size="13" fill="#1c2733">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
    ]
    for power in range(low, high + 1):
        at = y(10.0**power)
        out.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at:.1f}" y2="{at:.1f}" stroke="#e4e8ec"/>')
        out.append(f'<text x="{LEFT - 8}" y="{at + 4:.1f}" text-anchor="end">{duration(10.0**power)}</text>')
    for n in lengths:
        out.append(f'<text x="{x(n):.1f}" y="{HEIGHT - BOTTOM + 20}" text-anchor="middle">{n // 1024}K</text>')
    out.append(f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 12}" text-anchor="middle">tokens ({subtitle})</text>')
    labels = []
    for key, name, color, dash in LINES:
        points = [(x(r["N"]), y(r[key])) for r in results if key in r]
        path = " ".join(f"{px:.1f},{py:.1f}" for px, py in points)
        out.append(f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="2.2" stroke-dasharray="{dash}"/>')
        out += [f'<circle cx="{px:.1f}" cy="{py:.1f}" r="3" fill="{color}"/>' for px, py in points]
        labels.append([points[-1][1] + 4, name, color])
    labels.sort()
    for above, label in zip(labels, labels[1:]):  # names beside the lines' ends, kept apart
        label[0] = max(label[0], above[0] + 16)
    out += [f'<text x="{WIDTH - RIGHT + 8}" y="{at:.1f}" fill="{color}">{name}</text>' for at, name, color in labels]
    last = results[-1]
    if "dense_ms" in last:
        middle = (y(last["dense_ms"]) + y(last["layer_ms"])) / 2
        out.append(f'<text x="{x(last["N"]) - 10:.1f}" y="{middle:.1f}" text-anchor="end" font-weight="600">'
                   f'{last["dense_over_layer"]:.0f}× at {last["N"] // 1024}K</text>')  # fmt: skip
    return "\n".join(out) + "\n</svg>\n"


def main() -> None:
    source, target = sys.argv[1:3]
    with open(source, encoding="utf-8") as file:
        data = json.load(file)
    with open(target, "w", encoding="utf-8") as file:
        file.write(draw(data["results"], data["setting"]))


if __name__ == "__main__":
    main()
