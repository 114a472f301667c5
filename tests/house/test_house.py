"""What keeps the house in order: layers, public headers, the README's examples, the package that users install."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import check_layers
from readme_examples import blocks

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def plant(root: Path, name: str, text: str) -> None:
    (root / "include").mkdir(exist_ok=True)
    (root / "src").mkdir(exist_ok=True)
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_layers():
    assert check_layers.check(ROOT) == []


@pytest.mark.parametrize(
    "name, line, word",
    [
        ("src/kernels/cpu/a.cpp", '#include "ops/checks.h"', "kernels/ is below ops/"),
        ("src/pyramid/a.cpp", "#include <ATen/ATen.h>", "knows no framework"),
        ("src/pyramid/a.h", '#include "lighthouse/attention.h"', "pyramid/ is below ops/"),
        ("src/model/a.h", '#  include "train/config.h"', "model/ is below train/"),
        ("src/ops/a.h", "#include <lighthouse/unheard_of.h>", "no layer is known"),
        ("src/oddments/a.h", "", "no such layer"),
        ("src/kernels/cpu/a.cpp", '#include "../../ops/checks.h"', "from src/ or include/"),
        ("include/lighthouse/geometry.h", '#include "attention.h"', "from src/ or include/"),
        ("src/kernels/a.cpp", '/* c */ #include "ops/checks.h"', "write it as"),
        ("src/kernels/a.hpp", "", "expected a suffix"),
        ("src/stray.cpp", "", "a file of no layer"),
    ],
)
def test_planted_offences_are_found(tmp_path, name, line, word):
    plant(tmp_path, name, line + "\n")
    offences = check_layers.check(tmp_path)
    assert len(offences) == 1 and word in offences[0]


def test_what_may_be_included(tmp_path):
    plant(tmp_path, "src/ops/a.cpp", '#include "kernels/node.h"\n#include <ATen/ATen.h>\n#include "lighthouse/geometry.h"\n')
    assert check_layers.check(tmp_path) == []


def test_an_installed_package_builds_the_readmes_program(tmp_path):
    """cmake --install, then a project of a user's own that finds the package: INSTALL.md's listing and the README's main()."""
    build = Path(os.environ["LIGHTHOUSE_BUILD"])
    prefix, consumer = tmp_path / "a prefix", tmp_path / "consumer"
    run = lambda *command: subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)  # noqa: E731
    run("cmake", "--install", str(build), "--prefix", str(prefix))
    (consumer / "source").mkdir(parents=True)
    (example,) = blocks(README, "cpp")
    (consumer / "source" / "main.cpp").write_text(example)
    (listing,) = blocks((ROOT / "docs" / "INSTALL.md").read_text(encoding="utf-8"), "cmake")
    (consumer / "source" / "CMakeLists.txt").write_text(listing)
    run("cmake", "-S", str(consumer / "source"), "-B", str(consumer / "build"), "-G", "Ninja",
        f"-DCMAKE_PREFIX_PATH={prefix}", f"-DLIGHTHOUSE_PYTHON={sys.executable}")  # fmt: skip
    run("cmake", "--build", str(consumer / "build"))
    printed = run(str(consumer / "build" / "my_program")).stdout
    assert "N=4096 L=3 p=4 k=64" in printed
    assert "S=768" in printed, "it engages: S < N"


def test_the_installed_program_runs(tmp_path):
    subprocess.run(["cmake", "--install", os.environ["LIGHTHOUSE_BUILD"], "--prefix", str(tmp_path)], check=True,
                   stdout=subprocess.DEVNULL)  # fmt: skip
    installed = tmp_path / "bin" / "lighthouse"
    version = subprocess.run([installed, "--version"], check=True, capture_output=True, text=True)
    assert version.stdout.startswith("lighthouse ")
    assert commit_of_a_measurement(installed, tmp_path) == "unknown", "the sources that are there now may be newer"


def commit_of_a_measurement(path: Path, folder: Path) -> str:
    """Taken where the user stands in a repository of another project."""
    import json

    for command in (["init", "-q"], ["-c", "user.name=x", "-c", "user.email=x@x", "commit", "-q", "--allow-empty", "-m", "theirs"]):
        subprocess.run(["git", *command], cwd=folder, check=True)
    words = ["bench", "--device", "cpu", "--n", "512", "--top-k", "8", "--heads", "1", "--head-dim", "16", "--repeats", "1", "--no-dense"]
    environment = {name: value for name, value in os.environ.items() if name != "LIGHTHOUSE_COMMIT"}
    subprocess.run([path, *words, "--json", "x.json"], cwd=folder, env=environment, check=True, capture_output=True)
    return json.loads((folder / "x.json").read_text(encoding="utf-8"))["commit"]


def test_a_measurement_names_the_commit_of_its_sources(tmp_path):
    def git(*words):
        return subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, text=True).stdout.strip()

    known = (ROOT / ".git").exists() and git("describe", "--always", "--dirty=+changes")
    found = commit_of_a_measurement(Path(os.environ["LIGHTHOUSE_BUILD"]) / "bin" / "lighthouse", tmp_path)
    # Somebody may commit or edit in between.
    assert found.removesuffix("+changes") == (known.removesuffix("+changes") if known else "unknown")


def program(*arguments: str) -> subprocess.CompletedProcess:
    path = Path(os.environ["LIGHTHOUSE_BUILD"]) / "bin" / "lighthouse"
    return subprocess.run([path, *arguments], capture_output=True, text=True, errors="replace", timeout=300)


def test_the_program_teaches():
    assert "train" in program("--help").stdout
    for command in ("train", "generate", "demo", "report", "doctor", "bench", "inspect", "eval", "export", "import",
                    "logits"):  # fmt: skip
        assert "Example" in program(command, "--help").stdout
    for arguments in ([], ["nonsense"], ["train"], ["train", "x.toml", "--no-such-option"]):
        assert program(*arguments).returncode == 2


def test_errors_are_one_line():
    failed = program("train", "/no/such/file.toml")
    assert failed.returncode == 1
    assert failed.stderr.strip() == "lighthouse train: cannot read the configuration /no/such/file.toml: there is no folder /no/such"


def test_hints_can_be_pasted(tmp_path):
    """The program calls itself by the words that started it, and what it cannot know the name of by LIGHTHOUSE_COMMAND."""
    path = Path(os.environ["LIGHTHOUSE_BUILD"]) / "bin" / "lighthouse"
    assert program("trian").stderr.splitlines() == [
        "lighthouse: no such command: trian; did you mean train?", f"{path} --help says more."]  # fmt: skip
    named = subprocess.run([path, "trian"], capture_output=True, text=True, env={**os.environ, "LIGHTHOUSE_COMMAND": "./run lighthouse"})
    assert named.returncode == 2 and named.stderr.splitlines()[1] == "./run lighthouse --help says more."


def test_trains_and_generates(tmp_path):
    text = tmp_path / "text"
    text.write_bytes(bytes(range(256)) * 200)
    run = tmp_path / "run"
    config = str(ROOT / "configs" / "example-cpu.toml")
    settings = [f'data.paths=["{text}"]', f"output_dir={run}", "data.context_length=512", "stages.0.steps=3",
                "stages.1.steps=2", "model.num_hidden_layers=2", "attention.top_k=8"]  # fmt: skip
    arguments = [part for setting in settings for part in ("--set", setting)]
    trained = program("train", config, *arguments)
    assert trained.returncode == 0, trained.stderr
    assert sorted(p.name for p in run.iterdir()) == [".lock", "checkpoints", "config.toml",
        "events.out.tfevents.0.lighthouse", "metrics.jsonl", "model.safetensors"]  # fmt: skip
    resumed = program("train", str(run), "--resume")
    assert resumed.returncode == 0 and "resumed: step 5 of 5" in resumed.stdout, resumed.stderr
    ended, _, longer = resumed.stdout.partition("This run has ended, after 5 steps, with a loss of ")[2].partition("To train it longer")
    assert "and a validation loss of" in ended and "--set stages.1.steps=4" in longer, resumed.stdout
    longer = longer.partition("lighthouse train ")[2].partition(";")[0].split()
    assert program("train", *longer).returncode == 0, "what the hint says"
    reported = program("report", str(run))
    assert reported.returncode == 0 and "Lighthouse loss" in reported.stdout, reported.stderr
    page = (run / "report.html").read_text()
    assert "switch to dense" in page and "://" not in page
    assert reported.stdout.startswith("run trained on ") and "Its validation loss is " in reported.stdout, "the result first"
    assert "Lighthouse loss" in trained.stdout and "left" in trained.stderr
    again = program("train", config, *arguments)
    assert again.returncode == 1 and "holds config.toml already" in again.stderr
    generated = program("generate", str(run), "--prompt", "abc", "--max-new-tokens", "5")
    assert generated.returncode == 0 and generated.stdout.startswith("abc")


TINY = """
output_dir = "runs/tiny"
[model]
hidden_size = 32
intermediate_size = 48
num_hidden_layers = 3
num_attention_heads = 4
num_key_value_heads = 2
head_dim = 8
full_attention_layers = [0]
[attention]
num_levels = 3
pooling_factor = 4
top_k = 8
[data]
paths = ["text"]
context_length = 512
[[stages]]
attention = "lighthouse"
steps = 1
"""


def test_inspects(tmp_path):
    config, text, page = tmp_path / "tiny.toml", tmp_path / "text", tmp_path / "page.html"
    config.write_text(TINY)
    text.write_bytes(b"<script>\x00 \xff\n" + bytes(range(256)) * 3)
    arguments = ("inspect", "--random", str(config), "--text", str(text))
    shown = program(*arguments, "--offset", "3", "--html", str(page), "--width", "60")
    assert shown.returncode == 0, shown.stderr
    assert "N=512 L=3 p=4 k=8" in shown.stdout and "Layer 2" in shown.stdout and "Layer 0" not in shown.stdout
    strips = [line for line in shown.stdout.splitlines() if line.startswith("head ") and line.endswith("|")]
    assert len(strips) == 4 and all(len(line) <= 60 for line in strips)
    html = page.read_text(encoding="utf-8")
    assert html.endswith("</html>\n") and "<script" not in html and "://" not in html
    assert "<span class='v" in html and html.count("<svg") >= 4
    fewer = program(*arguments, "--layer", "2", "--top-k", "4", "--causal-selection", "--length", "64")
    assert "k=4" in fewer.stdout and "locally causal" in fewer.stdout and "Layer 1" not in fewer.stdout
    for wrong, words in [
        (["--layer", "0"], "expected a layer that uses Lighthouse (1, 2); got 0, which is always dense"),
        (["--layer", "7"], "got 7, and the model has layers 0 to 2"),
        (["--offset", "780"], "--offset must lie within the text"),
        (["--offset", "777"], "expected at least one coarsest window of text, 16 bytes; got 3"),
        (["--length", "800"], "--length must be at most what the text has; got 800"),
        (["--text", "/no/such/text"], "cannot open /no/such/text: No such file"),
        (["--top-k", "3"], "top_k"),
        (["--html", "/no/such/folder/page.html"], "/no/such/folder/page.html"),
    ]:
        given = arguments[:-2] if wrong[0] == "--text" else arguments
        failed = program(*given, *wrong)
        assert failed.returncode == 1 and words in failed.stderr, failed.stderr
        assert len(failed.stderr.strip().splitlines()) == 1
    missing = program("inspect", "/no/such/run", "--text", str(text))
    assert missing.returncode == 1 and "there is no /no/such/run; expected a run's folder" in missing.stderr
    assert program("inspect", "--text", str(text)).returncode == 2


EVALUATED = """
[model]
hidden_size = 32
intermediate_size = 48
num_hidden_layers = 2
num_attention_heads = 2
num_key_value_heads = 1
head_dim = 16
[attention]
num_levels = 2
pooling_factor = 2
top_k = 8
[data]
paths = ["{text}"]
context_length = 256
validation_fraction = 0.1
[checkpoint]
interval = 1
[[stages]]
attention = "dense"
steps = 2
"""


def test_a_run_begun_again_elsewhere_stays_as_it_is(tmp_path):
    text, config, run, other = tmp_path / "text", tmp_path / "run.toml", tmp_path / "run", tmp_path / "other"
    text.write_bytes(bytes(range(256)) * 40)
    config.write_text(EVALUATED.format(text=text))
    assert program("train", str(config), "--set", f"output_dir={run}").returncode == 0
    before = (run / "model.safetensors").read_bytes()
    done = program("train", str(run), "--set", f"output_dir={other}", "--set", "seed=2", "--overwrite")
    assert done.returncode == 0, done.stderr
    assert (run / "model.safetensors").read_bytes() == before != (other / "model.safetensors").read_bytes()
    rising = program("train", str(run), "--set", "schedule.warmup_steps=1000", "--overwrite")
    assert rising.returncode == 0 and "the learning rate only rises" in rising.stderr


def test_evaluates(tmp_path):
    import json

    text, config, run = tmp_path / "text", tmp_path / "run.toml", tmp_path / "run"
    text.write_bytes(bytes(range(256)) * 40)
    config.write_text(EVALUATED.format(text=text))
    trained = program("train", str(config), "--set", f"output_dir={run}")
    assert trained.returncode == 0, trained.stderr
    files = [part for name in ("json", "html") for part in (f"--{name}", str(tmp_path / f"eval.{name}"))]
    few = ["--sequences", "3", "--trials", "2", "--depths", "0", "100"]
    shown = program("eval", str(run), *few, *files)
    assert shown.returncode == 0, shown.stderr
    assert "128-255" in shown.stdout and "bits per byte" in shown.stdout and "Untrained weights" in shown.stdout
    assert "left" in shown.stderr
    figures = json.loads((tmp_path / "eval.json").read_text(encoding="utf-8"))
    assert [(b["begin"], b["end"], b["tokens"]) for b in figures["loss"]["buckets"]] == [(0, 128, 384), (128, 256, 384)]
    assert [(c["length"], c["depth"], c["trials"]) for c in figures["retrieval"]["cells"]] == [(256, 0, 2), (256, 100, 2)]
    assert len(figures["copy"]["cells"]) == 2 and figures["copy"]["untrained"]["length"] == 256
    last = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()][-1]
    same = program("eval", str(run), "--tasks", "loss", "--sequences", "4", "--json", str(tmp_path / "same.json"))
    overall = json.loads((tmp_path / "same.json").read_text(encoding="utf-8"))["loss"]["overall"]["loss"]
    assert same.returncode == 0 and overall == pytest.approx(last["dense_loss"], abs=1e-5)
    page = (tmp_path / "eval.html").read_text(encoding="utf-8")
    assert page.endswith("</html>\n") and "<script" not in page and "100%" in page and "nan" not in page
    again = program("eval", str(run), *few, "--json", str(tmp_path / "again.json"))
    assert again.stdout.split("\n", 1)[1] in shown.stdout, "a seed fixes the texts"
    (checkpoint,) = [p for p in (run / "checkpoints").iterdir() if "2" in p.name]
    of_file = program("eval", str(checkpoint), "--tasks", "retrieval", "--lengths", "64", "128", "--trials", "1")
    assert of_file.returncode == 0 and "128" in of_file.stdout and "Copying" not in of_file.stdout, of_file.stderr
    for wrong, words in [
        (["--context", "2000"], "--context must be at most what the run held out, 1023 tokens and a target; got 2000"),
        (["--lengths", "20"], "lengths must be at least"),
        (["--lengths", "99999999999"], "--lengths: a sequence of 99999999999 tokens needs about"),
        (["--json", "/no/such/folder/x.json"], "--json must name a file in a folder that exists"),
        (["--json", str(tmp_path)], "--json must name a file; got the folder"),
    ]:
        failed = program("eval", str(run), *wrong)
        assert failed.returncode == 1 and words in failed.stderr, failed.stderr
        assert len(failed.stderr.strip().splitlines()) == 1
    failed = program("eval", str(run), "--seed", "-1")
    assert failed.returncode == 2 and "--seed: expected a whole number from 0 to 18446744073709551615; got -1" in failed.stderr, failed
    twice = program("eval", str(run), "--tasks", "retrieval", "--lengths", "128", "64", "64", "--depths", "50", "0", "50", "--trials", "3",
                    "--json", str(tmp_path / "twice.json"))  # fmt: skip
    cells = json.loads((tmp_path / "twice.json").read_text(encoding="utf-8"))["retrieval"]["cells"]
    assert twice.returncode == 0 and [(c["length"], c["depth"]) for c in cells] == [(64, 0), (64, 50), (128, 0), (128, 50)]
    text.write_bytes(bytes(range(256)) * 41)
    changed = program("eval", str(run), "--tasks", "loss")
    assert changed.returncode == 1 and "the data changed since the model was trained" in changed.stderr
    assert program("eval", str(run), "--tasks", "copy", "--trials", "1", "--depths", "0").returncode == 0


def test_benchmarks(tmp_path):
    import json

    files = {name: tmp_path / f"bench.{name}" for name in ("json", "html", "svg")}
    outputs = [part for name, path in files.items() for part in (f"--{name}", str(path))]
    done = program("bench", "--device", "cpu", "--n", "512", "1024", "--top-k", "16", "400", "--heads", "2", "--kv-heads", "1",
                   "--head-dim", "16", "--repeats", "2", *outputs)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "gather backward" in done.stdout and "k=400: skipped" in done.stderr and "left" in done.stderr
    figures = json.loads(files["json"].read_text(encoding="utf-8"))
    assert [(r["N"], r["top_k"]) for r in figures["results"]] == [(512, 16), (1024, 16)]
    assert figures["setting"]["kv_heads"] == 1 and figures["lighthouse"] and figures["commit"]
    assert "<script" not in files["html"].read_text(encoding="utf-8")
    assert files["svg"].read_text(encoding="utf-8").startswith("<svg ")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bench.html", "bench.json", "bench.svg"]


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["--top-k", "15"], "top_k must be even and at least 2; got top_k=15"),
        (["--kv-heads", "3"], "kv-heads must divide heads; got heads=4, kv-heads=3"),
        (["--dtype", "float16"], "dtype must be float32 or bfloat16; got float16"),
        (["--json", "/no/such/folder/x.json"], "--json must name a file in a folder that exists"),
        (["--rule", "paper", "--causal-selection"], "--causal-selection and --rule must agree; got --rule paper"),
        (["--rule", "both"], "--rule both is for --device cuda"),
        (["--layout", "bnhd"], "--layout is for --device cuda"),
        (["--extras"], "--extras is for --device cuda"),
    ],
)
def test_wrong_benchmarks_fail_before_they_run(arguments, words):
    assert "Example" in program("bench", "--help").stdout
    failed = program("bench", "--device", "cpu", *arguments)
    assert failed.returncode == 1 and words in failed.stderr and len(failed.stderr.splitlines()) == 1


def test_benchmarks_on_a_gpu_that_is_not_there():
    if "compute capability" in program("doctor").stdout:
        pytest.skip("there is a GPU")
    failed = program("bench", "--device", "cuda")
    assert failed.returncode == 1 and len(failed.stderr.splitlines()) == 1
    assert "LIGHTHOUSE_CUDA=on" in failed.stderr or "nvidia-smi" in failed.stderr


def test_recorded_benchmarks(tmp_path):
    """--from: the tables again, and files; of what was recorded here, and of files that are no such thing."""
    recorded = ROOT / "bench" / "results" / "attention-cpu.json"
    copy, svg = tmp_path / "copy.json", tmp_path / "figure.svg"
    shown = program("bench", "--from", str(recorded), "--json", str(copy), "--svg", str(svg))
    assert shown.returncode == 0 and "gather backward" in shown.stdout and "27.1x" in shown.stdout
    assert copy.read_text(encoding="utf-8") == recorded.read_text(encoding="utf-8")
    assert "× at 64K" in svg.read_text(encoding="utf-8")
    training = ROOT / "bench" / "results" / "train-267m-98k.json"
    shown = program("bench", "--from", str(training))
    assert shown.returncode == 0 and "swiglu" in shown.stdout and "1.92 times as fast as all of its steps dense" in shown.stdout
    failed = program("bench", "--from", str(training), "--svg", str(svg))
    assert failed.returncode == 1 and "which has tables and a page: no --json or --svg" in failed.stderr
    wrong = tmp_path / "wrong.json"
    for text, words in (("{}", "wrote; got"), ("no json", "wrote; got"), ('{"device": {"gpu": 1}}', "wrote; got"), ('{"config": ""}', "wrote; got")):
        wrong.write_text(text, encoding="utf-8")
        failed = program("bench", "--from", str(wrong))
        assert failed.returncode == 1 and words in failed.stderr and len(failed.stderr.splitlines()) == 1
    assert "cannot read" in program("bench", "--from", str(tmp_path / "none.json")).stderr
    assert program("bench", "--from", str(recorded), "--n", "512").returncode == 2
    for layers_only in (["--svg", "x.svg"], ["--threads", "2"], ["--top-k", "64"], ["--no-dense"], ["--from", str(recorded)]):
        failed = program("bench", "--train", str(ROOT / "configs/example-cpu.toml"), *layers_only)
        assert failed.returncode == 2 and f"{layers_only[0]} excludes --train" in failed.stderr + failed.stdout, failed


def configuration_keys() -> list[str]:
    """The keys that the parser asks for, of all sections, by their last names."""
    source = (ROOT / "src" / "train" / "config.cpp").read_text(encoding="utf-8")
    keys = re.findall(r'(?:section|root|scaling->)\.?(?:integers?|number|boolean|texts?|table|choice(?:<bool>)?)\("(\w+)"', source)
    assert len(keys) > 45
    return keys


def test_every_configuration_key_is_documented():
    table = (ROOT / "docs" / "CONFIG.md").read_text(encoding="utf-8")
    text = program("train", "--help").stdout
    for key in configuration_keys():
        assert f"`{key}`" in table or f"[{key}]" in table, key
        assert re.search(rf"\b{key}\b", text), key


def test_every_option_is_documented():
    """Each option that a command's help names stands in docs/CONFIG.md."""
    table = (ROOT / "docs" / "CONFIG.md").read_text(encoding="utf-8")
    commands = re.findall(r"^  (\w+) {2,}", program("--help").stdout.partition("Subcommands:")[2], re.MULTILINE)
    assert {"train", "report", "doctor"} <= set(commands)
    for command in commands:
        assert f"lighthouse {command}" in table, command
        for option in re.findall(r"^  (?:-\w,)?(--[\w-]+)", program(command, "--help").stdout, re.MULTILINE):
            assert option in ("--help",) or f"`{option}`" in table, (command, option)


def test_the_doctor_finds_nothing_wrong():
    done = program("doctor")
    assert done.returncode == 0 and "the same bits" in done.stdout, done.stdout


def test_report_errors(tmp_path):
    failed = program("report", str(tmp_path))
    assert failed.returncode == 1 and "is not a run's folder" in failed.stderr


def test_example_configurations_load():
    for path in sorted((ROOT / "configs").glob("*.toml")):
        failed = program("train", str(path), "--set", "data.paths=/no/such/data")
        assert "data.paths must be an array" in failed.stderr, failed.stderr
