"""The program's pages, and a real browser to read them in: Chromium without a window."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from recorded_runs import loss, write_run

ROOT = Path(__file__).parent.parent.parent
PROGRAM = Path(os.environ["LIGHTHOUSE_BUILD"]) / "bin" / "lighthouse"
WRITE_PAGES = Path(os.environ["LIGHTHOUSE_WRITE_PAGES"])
RESULTS = ROOT / "bench" / "results"

HOSTILE = "<script>alert(1)<script>\"'&amp; \u202e right\x1b[31m \udcff {}"  # a name, as Python decodes it

INSPECTED = """
[model]
hidden_size = 16
intermediate_size = 16
num_hidden_layers = 2
num_attention_heads = 2
[attention]
num_levels = 2
top_k = 8
[data]
paths = ["text"]
context_length = 2048
[[stages]]
attention = "lighthouse"
steps = 1
"""


def run(program: Path, *arguments) -> str:
    done = subprocess.run([program, *arguments], capture_output=True, timeout=120)
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    return done.stdout.decode()


def nan_between(first: int, last: int):
    return lambda step: float("nan") if first <= step <= last else loss(step)


@pytest.fixture(scope="session")
def runs(tmp_path_factory) -> Path:
    """A folder of recorded runs."""
    folder = tmp_path_factory.mktemp("runs")
    write_run(folder / "dense")
    write_run(folder / "lighthouse", lighthouse=True, losses=lambda step: 1.03 * loss(step))
    write_run(folder / "going", lighthouse=True, done=90)
    write_run(folder / "one-step", steps=1, every=1)
    write_run(folder / "long", steps=5000, every=7)
    write_run(folder / "skipped", losses=nan_between(30, 59))
    write_run(folder / "nan-at-the-end", losses=nan_between(100, 999))
    write_run(folder / "never-finite", losses=lambda step: float("inf"))
    write_run(folder / "constant", losses=lambda step: 2.5, seconds=0.0)
    write_run(folder / "negative", losses=lambda step: -1e-3 * step)
    write_run(folder / "huge", losses=lambda step: 1e300 if step % 2 else 1e-300)
    write_run(folder / "near", losses=lambda step: 1e6 + 1e-5 * step)
    for i in range(9):
        write_run(folder / f"a rather long name of a run that tells how it was trained {i}", losses=lambda step, i=i: loss(step) + i)
    for i in range(2):
        write_run(os.fsencode(folder / HOSTILE.format(i)), lighthouse=i == 1)
        write_run(folder / (str(i) * 250))
    return folder


@pytest.fixture(scope="session")
def pages(tmp_path_factory, runs) -> Path:
    """A folder of pages, one of every kind and those whose figures are unusual."""
    folder = tmp_path_factory.mktemp("pages")
    run(WRITE_PAGES, folder, runs / "dense", runs / "lighthouse")

    def report(name: str, *names) -> None:
        run(PROGRAM, "report", *(os.fsencode(runs / n) for n in names), "--html", folder / name)

    report("report-one.html", "lighthouse")
    report("report-two.html", "dense", "lighthouse")
    report("report-unusual.html", "dense", "skipped", "nan-at-the-end", "never-finite", "constant", "one-step", "going")
    report("report-one-step.html", "one-step")
    report("report-constant.html", "constant")
    report("report-extremes.html", "negative", "huge")
    report("report-near.html", "near")
    report("report-long.html", "long")
    report("report-many.html", *(n for n in os.listdir(runs) if n.startswith("a rather")))
    report("report-hostile.html", *(HOSTILE.format(i) for i in range(2)), "0" * 250, "1" * 250)
    for name, recorded in (("cpu", "attention-cpu"), ("gpu", "bench-h100"), ("gpu-extras", "extras-h100"), ("train", "train-267m-98k")):
        run(PROGRAM, "bench", "--from", RESULTS / f"{recorded}.json", "--html", folder / f"bench-{name}.html")
    (folder / "config.toml").write_text(INSPECTED)
    text = folder / "text <b>.txt"
    text.write_bytes(b"A text with \x1b[31m control bytes, \xff and letters: \xc3\xa9. " * 60)
    run(PROGRAM, "inspect", "--random", folder / "config.toml", "--text", text, "--html", folder / "inspect.html")
    return folder


def why_no_browser() -> str | None:
    sys.path += [path for path in [os.environ.get("LIGHTHOUSE_PAGES_PACKAGES")] if path]
    missing = [name for name in ("chromium", "chromedriver") if not shutil.which(name)]
    if missing:
        return f"{' and '.join(missing)} not found; Debian's packages are chromium and chromium-driver"
    try:
        import selenium  # noqa: F401
    except ImportError:
        return "PyPI's selenium is not installed; ./run test does that"
    return None


class Browser:
    def __init__(self) -> None:
        from selenium import webdriver

        options = webdriver.ChromeOptions()
        options.binary_location = shutil.which("chromium")
        for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars", "--force-device-scale-factor=1"):
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        self.driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))

    def show(self, page: Path, width: int, scheme: str = "light", media: str = "screen") -> None:
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media, "features": features})
        self.driver.get(page.as_uri())

    def check(self, script: str) -> list[str]:
        return self.driver.execute_script((Path(__file__).parent / script).read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def browser():
    reason = why_no_browser()
    if reason:
        pytest.skip(f"pages are not read in a browser: {reason}")
    browser = Browser()
    yield browser
    browser.driver.quit()
