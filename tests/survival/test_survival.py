"""A run survives what happens to processes and disks: kills, signals, full disks."""

import os
import random
import shutil
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path

import pytest

from conftest import Run

KILLS = int(os.environ.get("LIGHTHOUSE_TEST_KILLS", "50"))
POLL = 0.0003  # seconds: a checkpoint's write takes several milliseconds
SEED = int(os.environ.get("LIGHTHOUSE_TEST_SEED", "20261123"))


def kill_in_write(run: Run, process: subprocess.Popen, chance: random.Random) -> bool:
    """Kills in the middle of some checkpoint's write; False if the process ended first."""
    skip = chance.randrange(1, 4)
    while process.poll() is None:
        if run.unfinished():
            if skip == 0:
                time.sleep(chance.uniform(0, 0.004))  # anywhere between the file's creation and its rename
                process.kill()
                process.wait()
                return True
            skip -= 1
            while run.unfinished() and process.poll() is None:
                time.sleep(POLL)
        time.sleep(POLL)
    return False


def kill_any_time(run: Run, process: subprocess.Popen, chance: random.Random) -> bool:
    at = len(run.lines())
    while process.poll() is None and len(run.lines()) <= at:  # past its start
        time.sleep(0.002)
    time.sleep(chance.uniform(0, 0.6))
    if process.poll() is not None:
        return False
    process.kill()
    process.wait()
    return True


def test_kills(reference, tmp_path, text):
    """Each kill is followed by a resume; each run's record equals that of the run that nothing interrupted."""
    chance = random.Random(SEED)
    expected = reference.lines()
    kills, in_write, stages, runs = 0, 0, Counter(), 0
    while kills < KILLS:
        run = Run(tmp_path, f"run-{runs}", text)
        runs += 1
        finished = False
        while not finished and kills < KILLS:
            process = run.start("--resume")
            killer = kill_in_write if chance.random() < 0.5 else kill_any_time
            if killer(run, process, chance):
                kills += 1
                in_write += bool(run.unfinished())
                lines = run.lines()
                stages[lines[-1]["stage"] if lines else "before the first step"] += 1
                # What stands is right at every moment: a prefix, no line lost or doubled.
                assert lines == expected[: len(lines)]
            else:
                finished = True
                assert process.returncode == 0, process.stderr.read()
            process.communicate()
        done = run.finish("--resume")
        assert done.returncode == 0, done.stderr
        assert run.lines() == expected
        assert (run.folder / "model.safetensors").read_bytes() == (reference.folder / "model.safetensors").read_bytes()
        assert not run.unfinished()
        shutil.rmtree(run.folder)
    print(f"\n{kills} kills in {runs} runs (seed {SEED}): {in_write} left an unfinished checkpoint; by stage {dict(stages)}")
    assert in_write >= KILLS // 5
    assert min(stages["lighthouse"], stages["dense"]) >= KILLS // 10


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2])
def test_signals_write_a_checkpoint(reference, tmp_path, text, number):
    run = Run(tmp_path, "run", text)
    process = run.start()
    while len(run.lines()) < 5:
        time.sleep(0.005)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    steps = [line["step"] for line in run.lines() if line["kind"] == "step"]
    assert f"after step {steps[-1]} of 80, with a checkpoint" in errors
    assert (run.checkpoints / f"step-{steps[-1]:08d}.safetensors").exists()
    done = run.finish("--resume")
    assert done.returncode == 0 and f"resumed: step {steps[-1]} of 80" in done.stdout, done.stderr
    assert run.lines() == reference.lines()


def test_a_second_signal_ends_at_once(tmp_path, text):
    run = Run(tmp_path, "run", text)
    process = run.start("--set", "training.accumulation_steps=4000")  # a step of minutes
    while not (run.folder / "metrics.jsonl").exists():
        time.sleep(0.01)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    time.sleep(0.2)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=10)
    assert process.returncode == -signal.SIGINT


def test_a_step_after_another_number_of_threads_is_announced(tmp_path, text):
    run = Run(tmp_path, "run", text)
    process = run.start()
    while len(run.lines()) < 5:
        time.sleep(0.005)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    done = run.finish("--resume", "--set", "training.num_threads=2")
    assert done.returncode == 0 and "threads: 1 then, 2 now" in done.stderr


def mounted(folder: Path, size: str) -> bool:
    folder.mkdir()
    return subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder],
                          capture_output=True).returncode == 0  # fmt: skip


def test_disk_full(reference, tmp_path, text):
    """Room for two checkpoints and part of a third: the run says so, the last one is whole, and goes on."""
    disk = tmp_path / "disk"
    checkpoint = max(path.stat().st_size for path in reference.checkpoints.iterdir())
    if not mounted(disk, str(int(2.5 * checkpoint))):
        pytest.skip("needs the right to mount a small tmpfs")
    try:
        run = Run(tmp_path, "disk/run", text)
        process = run.finish()
        assert process.returncode == 1
        print("\n" + process.stderr.splitlines()[-1])
        assert "the checkpoint of step 9 was not written" in process.stderr
        assert "No space left on device" in process.stderr and "--resume" in process.stderr
        assert sorted(path.name for path in run.checkpoints.iterdir()) == [
            "step-00000003.safetensors", "step-00000006.safetensors"]  # fmt: skip
        again = run.finish("--resume")
        assert again.returncode == 1 and "step-00000006.safetensors, is whole" in again.stderr
        subprocess.run(["mount", "-o", f"remount,size={8 * checkpoint}", disk], check=True)
        done = run.finish("--resume")
        assert done.returncode == 0, done.stderr
        assert "resumed: step 6 of 80" in done.stdout
        assert run.lines() == reference.lines()
    finally:
        subprocess.run(["umount", disk])
