"""Validation loss under dense attention over tokens and over seconds of training, as SVG, from bench/quality.py's results.

    python bench/quality_curves.py bench/results/quality.json --svg quality.svg [--runs NAME ...]

Writes quality.svg (over tokens) and quality-seconds.svg. A dot marks the end of the Lighthouse stages.
"""

import argparse
import math
import os
import pathlib
import sys
from xml.sax.saxutils import escape

from quality import results_of

WIDTH, HEIGHT = 900, 440
LEFT, TOP, BOTTOM = 64, 20, 56
FONT = 15  # pixels at full width: readable where a page shows the figure at three quarters of it
# Of lines, on a light page and on a dark one: each has a contrast of 4.5 to it.
COLOURS = ["#1f5fa8", "#c44a17", "#1e7a4f", "#8a4fa3", "#866612", "#1a7480", "#a02848", "#5c5c5c"]
ON_DARK = ["#74b3f2", "#ff9f68", "#5fcb96", "#cf9fe6", "#d9b54c", "#5cc4d2", "#f08fae", "#b9c1c9"]
DASHES = ["", "6 3", "2 2"]


def ticks(low: float, high: float) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of ten within the range."""
    rough = (high - low) / 5
    power = 10 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
    return [step * i for i in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]


def styles(colours: list[str], page: str, ink: str, grid: str) -> str:
    """CSS of one colour scheme. The figure has a page of its own behind it, so that it reads on any."""
    lines = "".join(f".c{i}{{stroke:{colour}}}circle.c{i}{{fill:{colour}}}" for i, colour in enumerate(colours))
    return f".page{{fill:{page}}}text{{fill:{ink}}}.grid{{stroke:{grid}}}{lines}\n"


def chart(results: dict, x: str, names: list[str]) -> str:
    """One line per run; all runs where none is named. x: "tokens" or "seconds"."""
    for name in names:
        if name not in results["runs"]:
            sys.exit(f"expected runs among {', '.join(results['runs'])}; got {name}")
    scale, label = {"tokens": (1e6, "million tokens"), "seconds": (1, "seconds of training")}[x]
    lines = {}
    for name in names or results["runs"]:
        finite = [v for v in results["runs"][name]["validations"] if v["dense_loss"] is not None]
        lines[name] = [(v[x] / scale, v["dense_loss"], v["stage_end"] and "lighthouse_loss" in v) for v in finite]
    points = [point for line in lines.values() for point in line]
    if not points:
        sys.exit("expected runs with validation losses; got none")
    high_x = max(point[0] for point in points) or 1
    low_y, high_y = min(point[1] for point in points), max(point[1] for point in points)
    margin = 0.05 * (high_y - low_y) or 0.1
    right, bottom = WIDTH - 56 - 8.4 * max(map(len, lines)), HEIGHT - BOTTOM  # what is right of the axes is the names'
    low_y, high_y = low_y - margin, high_y + margin

    def place(px: float, py: float) -> tuple[float, float]:
        across = LEFT + px / high_x * (right - LEFT)
        return across, TOP + (high_y - py) / (high_y - low_y) * (HEIGHT - TOP - BOTTOM)

    parts = []
    for value in ticks(low_y, high_y):
        y = place(0, value)[1]
        parts.append(f'<line x1="{LEFT}" y1="{y:.1f}" x2="{right}" y2="{y:.1f}" class="grid"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{value:.4g}</text>')
    for value in ticks(0, high_x):
        parts.append(f'<text x="{place(value, 0)[0]:.1f}" y="{bottom + 22}" text-anchor="middle">{value:.4g}</text>')
    parts.append(f'<text x="{(LEFT + right) / 2}" y="{HEIGHT - 10}" text-anchor="middle">{label}; loss under dense attention, nats</text>')
    for number, (name, line) in enumerate(lines.items()):
        colour, dash = number % len(COLOURS), DASHES[number // len(COLOURS) % len(DASHES)]
        style = f'class="c{colour}" stroke-width="1.8"' + (f' stroke-dasharray="{dash}"' if dash else "")
        at = " ".join("{:.1f},{:.1f}".format(*place(px, py)) for px, py, _ in line)
        parts.append(f'<polyline points="{at}" fill="none" {style}/>')
        for px, py, ends in line:
            if ends:
                parts.append('<circle cx="{:.1f}" cy="{:.1f}" r="3.5" class="c{}"/>'.format(*place(px, py), colour))
        y = TOP + 14 + 20 * number
        parts.append(f'<line x1="{right + 14:.1f}" y1="{y - 5}" x2="{right + 36:.1f}" y2="{y - 5}" {style}/>')
        parts.append(f'<text x="{right + 42:.1f}" y="{y}">{escape(name)}</text>')
    height = max(HEIGHT, TOP + 28 + 20 * len(lines))
    title = f"Validation loss under dense attention over {label}: " + ", ".join(lines)
    return (f'<svg xmlns="http://www.w3.org/2000/svg" role="img" viewBox="0 0 {WIDTH} {height}" font-family="system-ui, sans-serif" '
            f'font-size="{FONT}">\n<title>{escape(title)}</title>\n<style>\n{styles(COLOURS, "#fff", "#1b2430", "#dfe5ea")}'
            f'@media (prefers-color-scheme: dark) {{\n{styles(ON_DARK, "#12171d", "#e4e9ee", "#2b343d")}}}\n</style>\n'
            '<rect width="100%" height="100%" rx="6" class="page"/>\n' + "\n".join(parts) + "\n</svg>\n")  # fmt: skip


def write_atomically(path: pathlib.Path, text: str) -> None:
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=pathlib.Path, help="what bench/quality.py run wrote")
    parser.add_argument("--runs", nargs="+", default=[], help="names of runs; default: all")
    parser.add_argument("--svg", type=pathlib.Path, required=True, help="the file over tokens; beside it FILE-seconds.svg")
    arguments = parser.parse_args()
    results = results_of(arguments.results)
    if not arguments.svg.parent.is_dir():
        sys.exit(f"expected a folder for --svg; got {arguments.svg.parent}")
    beside = arguments.svg.with_name(arguments.svg.stem + "-seconds" + arguments.svg.suffix)
    for x, path in (("tokens", arguments.svg), ("seconds", beside)):
        write_atomically(path, chart(results, x, arguments.runs))


if __name__ == "__main__":
    main()
