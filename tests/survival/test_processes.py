"""What a process is started with, and told, besides its arguments: closed files, full devices, signals that are ignored or doubled."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from conftest import PROGRAM, Run

SHORT = ["--set", "stages.0.steps=4", "--set", "stages.1.steps=2"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory, text) -> Run:
    run = Run(tmp_path_factory.mktemp("finished"), "run", text)
    done = run.finish(*SHORT)
    assert done.returncode == 0, done.stderr
    return run


def wait_for_lines(run: Run, count: int, process: subprocess.Popen) -> None:
    while len(run.lines()) < count:
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.005)


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (1, 2), (0, 1, 2)])
def test_closed_standard_files(finished, tmp_path, text, closed):
    """A file of the run would get the number of one that is closed, and progress would be written into it."""
    run = Run(tmp_path, "run", text)
    process = subprocess.Popen([PROGRAM, "train", run.config, *SHORT], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL, preexec_fn=lambda: [os.close(number) for number in closed])  # fmt: skip
    assert process.wait(timeout=120) == 0
    assert run.lines() == finished.lines()
    assert (run.folder / "model.safetensors").read_bytes() == (finished.folder / "model.safetensors").read_bytes()


def test_output_that_is_lost_is_an_error(finished, tmp_path):
    """Every command's: what was printed did not arrive."""
    commands = [["--help"], ["--version"], ["train", "--help"], ["doctor"], ["report", finished.folder],
                ["generate", finished.folder, "--prompt", "line", "--max-new-tokens", "4"],
                ["export", finished.folder, "--to", "hf", tmp_path / "exported"],
                ["eval", finished.folder, "--tasks", "loss"]]  # fmt: skip
    for command in commands:
        with open("/dev/full", "w") as full:
            done = subprocess.run([PROGRAM, *command], stdout=full, stderr=subprocess.PIPE, text=True, timeout=120)
        assert done.returncode == 1, command
        assert "could not be written to standard output" in done.stderr, command
    with open("/dev/full", "w") as full:  # what is lost on standard error is nobody's result
        done = subprocess.run([PROGRAM, "report", finished.folder], stdout=subprocess.PIPE, stderr=full, timeout=120)
    assert done.returncode == 0 and done.stdout


def test_results_go_to_standard_output_and_pipes(finished, tmp_path):
    generate = [PROGRAM, "generate", finished.folder, "--prompt", "line", "--max-new-tokens", "4", "--json"]
    printed = subprocess.run([*generate, "/dev/stdout"], capture_output=True, timeout=120)
    assert printed.returncode == 0, printed.stderr
    assert json.loads(printed.stdout[printed.stdout.index(b"\n{") :])["new_tokens"] == 4
    with open(tmp_path / "out", "wb") as out:  # a file: written on from where it stands
        subprocess.run([*generate, "/dev/fd/1"], stdout=out, stderr=subprocess.DEVNULL, check=True, timeout=120)
    written = (tmp_path / "out").read_bytes()
    assert written.startswith(b"line") and json.loads(written[written.index(b"\n{") :])["new_tokens"] == 4
    os.mkfifo(tmp_path / "pipe")
    process = subprocess.Popen([*generate, tmp_path / "pipe"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    assert json.loads((tmp_path / "pipe").read_text())["new_tokens"] == 4
    assert process.wait(timeout=60) == 0 and sorted(path.name for path in tmp_path.iterdir()) == ["out", "pipe"]


def test_json_that_ends_processes(tmp_path):
    deep = tmp_path / "deep.json"
    deep.write_text('{"device":' * 100_000)
    done = subprocess.run([PROGRAM, "bench", "--from", deep], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and "more than 200 lists and objects within each other" in done.stderr


def test_signals_that_are_ignored_stay_ignored(tmp_path, text):
    """nohup ignores SIGHUP, and a script's shell SIGINT for what it starts in the background."""
    run = Run(tmp_path, "run", text)
    ignore = lambda: [signal.signal(number, signal.SIG_IGN) for number in (signal.SIGHUP, signal.SIGINT)]  # noqa: E731
    process = subprocess.Popen([PROGRAM, "train", run.config], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=ignore)
    wait_for_lines(run, 3, process)
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGINT):
        process.send_signal(number)
    wait_for_lines(run, 8, process)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM and "with a checkpoint" in errors


@pytest.mark.parametrize("numbers", [(signal.SIGTERM, signal.SIGTERM), (signal.SIGUSR1, signal.SIGTERM),
                                     (signal.SIGTERM, signal.SIGHUP), (signal.SIGHUP, signal.SIGHUP)])  # fmt: skip
def test_two_signals_that_are_one_wish(tmp_path, text, numbers):
    """timeout(1) sends its signal twice, systemd SIGHUP after SIGTERM, a batch system SIGTERM after its warning."""
    run = Run(tmp_path, "run", text)
    process = run.start("--set", "training.accumulation_steps=40")  # a step takes longer than what is between the signals
    wait_for_lines(run, 1, process)
    process.send_signal(numbers[0])
    time.sleep(0.0 if numbers[0] == numbers[1] == signal.SIGTERM else 0.15)
    process.send_signal(numbers[1])
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + numbers[0], errors
    assert "with a checkpoint" in errors and not run.unfinished()


def test_an_interrupted_export_leaves_nothing(finished, tmp_path):
    """Whenever the signal comes there is the whole folder or none, and nothing beside it."""
    seen = set()
    for delay in (0.0, 0.05, 0.1, 0.2, 0.3, 0.5):
        folder = tmp_path / f"after-{delay}"
        folder.mkdir()
        process = subprocess.Popen([PROGRAM, "export", finished.folder, "--to", "hf", folder / "model"], stdout=subprocess.DEVNULL)
        time.sleep(delay)
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)
        names = sorted(path.name for path in folder.iterdir())
        assert names in ([], ["model"]), names
        seen.add(bool(names))
        if names:
            assert (folder / "model" / "tokenizer.json").exists()
    assert seen
