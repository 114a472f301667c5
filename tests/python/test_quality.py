"""bench/quality.py: the steps of plans, and the table of synthetic runs."""

import json
import re
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).resolve().parents[2] / "bench"
sys.path.insert(0, str(BENCH))

import quality  # noqa: E402
import quality_curves  # noqa: E402


def steps_of(item: dict) -> list[int]:
    (text,) = [text for text in item["sets"] if text.startswith("stages=")]
    return [int(number) for number in re.findall(r"steps = (\d+)", text)]


@pytest.mark.parametrize(
    "tokens, split, opening, expected",
    [
        (65e6, 0.625, 0, [("lighthouse", 1240), ("dense", 744)]),
        (65e6, 0, 0, [("dense", 1984)]),  # a stage of no steps is left out
        (10 * 32768, 1, 0, [("lighthouse", 10)]),
        (20 * 32768, 0.55, 0.2, [("dense", 4), ("lighthouse", 11), ("dense", 5)]),
    ],
)
def test_steps_of_stages(tokens, split, opening, expected):
    item = quality.run("x", tokens, split, opening=opening)
    (text,) = [text for text in item["sets"] if text.startswith("stages=")]
    assert re.findall(r'attention = "(\w+)"', text) == [kind for kind, _ in expected]
    assert steps_of(item) == [steps for _, steps in expected]
    assert sum(steps_of(item)) == round(tokens / quality.STEP_TOKENS)


@pytest.mark.parametrize("plan", quality.PLANS)
def test_plans(plan):
    """No two runs share a folder, and runs of one budget and seed train the same number of steps, so see the same data."""
    items = quality.PLANS[plan]()
    names = [item["name"] for item in items]
    assert len(set(names)) == len(names)
    for item in items:
        assert sum(steps_of(item)) == round(item["tokens"] / quality.STEP_TOKENS), item["name"]


@pytest.mark.parametrize("plan", ["equal", "jump", "long"])
def test_long_runs_keep_the_tokens_of_a_step(plan):
    for item in quality.PLANS[plan]():
        values = dict(text.split("=", 1) for text in item["sets"])
        assert int(values["data.context_length"]) * int(values["training.batch_size"]) == quality.STEP_TOKENS


def test_a_run_is_taken_once(tmp_path):
    assert quality.take(tmp_path / "runs" / "a") and not quality.take(tmp_path / "runs" / "a")
    assert quality.take(tmp_path / "runs" / "b")


def test_results_are_added(tmp_path):
    for name in "ab":
        quality.add_result(tmp_path / "new" / "results.json", {"name": name, "tokens": 1})
    assert list(quality.read_results(tmp_path / "new" / "results.json")["runs"]) == ["a", "b"]


def write_run(folder: Path) -> None:
    validation = {"kind": "validation", "stage": "lighthouse", "stage_end": False}
    step = {"kind": "step", "loss": 1.0}
    lines = [
        step | {"step": 1, "attention": "lighthouse", "tokens_per_second": 100.0},
        step | {"step": 2, "attention": "lighthouse", "tokens_per_second": 300.0, "loss": None, "skipped": True},
        step | {"step": 3, "attention": "lighthouse", "tokens_per_second": 200.0},
        validation | {"step": 3, "tokens": 30, "seconds": 3.0, "stage_end": True, "dense_loss": 1.5, "lighthouse_loss": 1.4},
        step | {"step": 4, "attention": "dense", "tokens_per_second": 50.0},
        validation | {"step": 4, "tokens": 40, "seconds": 4.5, "stage": "dense", "dense_loss": 1.45},
        validation | {"step": 7, "tokens": 70, "seconds": 9.0, "stage": "dense", "stage_end": True, "dense_loss": 1.2},
    ]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_row_of_a_run(tmp_path):
    write_run(tmp_path)
    item = {"name": "x", "kind": "x", "tokens": 70e6, "seed": 2} | quality.summary(tmp_path)
    assert item["skipped"] == 1
    row = quality.named_row(item)
    assert row["jump"] == "+0.1000" and row["Lighthouse"] == "1.4000" and row["dense"] == "1.5000"
    assert row["recovered"] == "4"  # step 7: below 1.4; step 4 is not
    assert row["final"] == "1.2000" and row["seconds"] == "9"

    item["validations"][-1]["dense_loss"] = 1.41
    assert quality.named_row(item)["recovered"] == "no"


def test_row_of_a_dense_run():
    end = {"step": 7, "tokens": 70, "seconds": 9.0, "stage": "dense", "stage_end": True, "dense_loss": 1.2}
    item = {"kind": "dense", "tokens": 7e6, "seed": 1, "validations": [end], "tokens_per_second": {"dense": 5e4}, "seconds": 9.0}
    assert quality.row_of(item) == ["dense", "7M", "1", "–", "–", "–", "–", "1.2000", "9", "50k", "–", "–"]
    item["evaluation"] = {"copy": {"score": 0.5, "interval": [0.41, 0.59]}}
    assert quality.row_of(item)[-2:] == ["0.50 (0.41–0.59)", "–"]


def test_report_groups_by_context(capsys):
    end = {"step": 7, "tokens": 70, "seconds": 9.0, "stage": "dense", "stage_end": True, "dense_loss": 1.2}
    run = {"validations": [end], "tokens_per_second": {"dense": 5e4}, "seconds": 9.0}
    items = [quality.run("b", 9e6, 0, data__context_length=32768), quality.run("a", 7e6, 0, 2), quality.run("a", 7e6, 0)]
    quality.report({"runs": {item["name"]: item | run for item in items}})
    lines = [line for line in capsys.readouterr().out.splitlines() if line[:3] in ("At ", "| a", "| b")]
    assert [line[:14] for line in lines] == ["At 8,192 token", "| a | 7M | 1 |", "| a | 7M | 2 |", "At 32,768 toke", "| b | 9M | 1 |"]


def test_report_of_runs_made_more_than_once(tmp_path, capsys):
    write_run(tmp_path)
    item = {"name": "x", "kind": "x", "tokens": 70e6, "seed": 2, "sets": []} | quality.summary(tmp_path)

    def ended(loss):
        return item | {"validations": [*item["validations"][:-1], item["validations"][-1] | {"dense_loss": loss}]}

    other_seed = ended(1.6) | {"name": "x, seed 3", "seed": 3, "evaluation": {"copy": {"score": 0.5, "interval": [0.4, 0.6]}}}
    once = ended(1.7) | {"name": "once", "kind": "once"}
    results = {"runs": {run["name"]: run for run in (item, other_seed, once)}}
    earlier = {"runs": {"x@2": ended(1.1), "x@1": ended(1.3), "only there": item | {"name": "y"}}}
    quality.report_again(results, earlier)
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| x") or line.startswith("| once")]
    seconds = f"{item['seconds']:.0f}"
    assert lines == [
        f"| x | 70M | 3 + 1 | 1.4000 | 1.1000 to 1.6000 | +0.1000 | {seconds} | 0.50 | – |",  # (1.2 + 1.6) / 2
        "| x | 70M | 2 | 1.2000, 1.1000, 1.3000 | 0.2000 | +0.1000, +0.1000, +0.1000 |",
    ]

    earlier["runs"]["x@1"]["sets"] = ["seed=3"]
    with pytest.raises(SystemExit, match="expects runs of the same settings; got x"):
        quality.report_again(results, earlier)
    with pytest.raises(SystemExit, match="got no run that both have"):
        quality.report_again(results, {"runs": {"y": item | {"name": "y"}}})


def test_a_run_that_diverged_is_shown(tmp_path):
    write_run(tmp_path)
    item = {"name": "x", "kind": "x", "tokens": 70e6, "seed": 2} | quality.summary(tmp_path)
    for validation in item["validations"]:
        validation["dense_loss"] = None  # JSON's NaN
    row = quality.named_row(item)
    assert (row["dense"], row["jump"], row["recovered"], row["final"]) == ("nan", "+nan", "no", "nan")


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", '{"runs": {"a": {}}}', '{"runs": {"a": {"validations": []}}}', "\xff"])
def test_other_files_are_refused(tmp_path, text):
    file = tmp_path / "results.json"
    file.write_text(text, encoding="latin-1")
    with pytest.raises(SystemExit, match="expected results that bench/quality.py run wrote; got .*results.json"):
        quality.results_of(file)
    with pytest.raises(SystemExit, match="cannot read .*none.json: No such file"):
        quality.results_of(tmp_path / "none.json")


def test_curves(tmp_path):
    write_run(tmp_path)
    results = {"runs": {"a<b": {"name": "a<b", "kind": "x", "tokens": 70, "seed": 2} | quality.summary(tmp_path)}}
    for x in ("tokens", "seconds"):
        svg = quality_curves.chart(results, x, [])
        assert svg.startswith("<svg ") and svg.endswith("</svg>\n") and "a&lt;b" in svg and svg.count("<polyline") == 1
    with pytest.raises(SystemExit, match="expected runs among a<b; got none"):
        quality_curves.chart(results, "tokens", ["none"])


@pytest.mark.parametrize("script, arguments, words", [
    ("tables", ["FILE"], "cannot read FILE: No such file or directory"),
    ("tables", ["TEXT"], "TEXT: expected JSON"),
    ("tables", ["JSON"], "expected what `lighthouse bench --json` recorded; got JSON"),
    ("tables", ["RESULTS"], "it lacks 'ms'"),
    ("corpus", ["--unpack", "FILE", "--out", "OUT"], "No such file or directory: 'FILE'"),
    ("corpus", ["--unpack", "TEXT", "--out", "OUT"], "expected a file that xz packed; got TEXT"),
    ("quality", ["report", "TEXT"], "expected results that bench/quality.py run wrote; got TEXT"),
    ("quality", ["run", "jump", "--data", "x", "--out", "OUT", "--results", "TEXT"], "expected results that bench/quality.py run wrote; got TEXT"),
    ("quality", ["run", "jump", "--data", "x", "--out", "OUT", "--results", "TEXT/x.json"], "cannot write --results TEXT/x.json"),
    ("quality_curves", ["TEXT", "--svg", "OUT"], "expected results that bench/quality.py run wrote; got TEXT"),
])  # fmt: skip
def test_files_that_are_not_what_was_expected(tmp_path, monkeypatch, capsys, script, arguments, words):
    """An error in words, and nothing is left behind."""
    import importlib

    (tmp_path / "TEXT").write_text("text of an article")
    (tmp_path / "JSON").write_text("[1]")
    (tmp_path / "RESULTS").write_text('{"results": [{"N": 1}]}')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [script, *arguments])
    with pytest.raises(SystemExit) as ended:
        importlib.import_module(script).main()
    assert words in str(ended.value) and len(str(ended.value).splitlines()) == 1
    assert {path.name for path in tmp_path.iterdir()} <= {"TEXT", "JSON", "RESULTS", "TEXT.lock"}
