"""What the program reads as data, where several commands and several starts have to agree."""

import json
import os
import subprocess
from array import array
from pathlib import Path

from test_house import EVALUATED, program

WORDS = b"for name in names: print(name)\n"


def config_of(folder: Path, data: Path, vocab_size: int = 256) -> Path:
    path = folder / "run.toml"
    path.write_text(EVALUATED.format(text=data).replace("[model]", f"[model]\nvocab_size = {vocab_size}"))
    return path


def refused(*arguments: str) -> str:
    done = program(*map(str, arguments))
    assert done.returncode == 1 and len(done.stderr.strip().splitlines()) == 1, done
    return done.stderr


def test_text_is_refused_by_every_command_of_a_model_of_other_tokens(tmp_path):
    text, run = tmp_path / "text.txt", tmp_path / "run"
    text.write_bytes(WORDS * 100)
    (tmp_path / "tokens.bin").write_bytes(array("H", [(i * 7) % 320 for i in range(3000)]).tobytes())
    config = config_of(tmp_path, tmp_path / "tokens.bin", 320)
    done = program("train", str(config), "--set", f"output_dir={run}")
    assert done.returncode == 0 and "3000 tokens (uint16)" in done.stdout, done
    (run / "huggingface").mkdir()
    (run / "huggingface" / "tokenizer.json").write_text(json.dumps({"model": {"vocab": {"a": 0}, "merges": []}, "added_tokens": []}))
    words = "the model's 320 tokens are not bytes"
    other = ["--set", f"output_dir={tmp_path / 'other'}"]
    for_text = ["--set", f'data.paths=["{text}"]']
    error = refused("train", config, "--init", str(run), *for_text, *other)
    assert words in error and "text.txt is text; make a token file of it:" in error and "tokenize --tokenizer" in error
    assert words in refused("train", config, "--init", str(run), *for_text, "--set", "data.format=text", *other)
    assert not (tmp_path / "other").exists()
    assert words in refused("generate", str(run), "--prompt", "x")
    assert words in refused("logits", str(run), "--prompt", "x", "--out", str(tmp_path / "logits"))
    assert words in refused("inspect", str(run), "--text", str(text))
    assert words in refused("eval", str(run), "--tasks", "copy")
    evaluated = program("eval", str(run), "--sequences", "1")
    assert evaluated.returncode == 0 and words in evaluated.stderr and "Copying" not in evaluated.stdout, evaluated


def test_a_run_within_its_data_goes_on(tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    (data / "text.txt").write_bytes(WORDS * 300)
    (tmp_path / "link").symlink_to(data)
    config = config_of(tmp_path, tmp_path / "link")
    for folder in (data / "run", tmp_path / "link" / "other"):
        arguments = ["train", str(config), "--set", f"output_dir={folder}"]
        begun = program(*arguments)
        assert begun.returncode == 0 and "data: 1 file" in begun.stdout, begun
        (folder / "model.safetensors").unlink()
        (folder / "checkpoints" / "step-00000002.safetensors").unlink()
        resumed = program(*arguments, "--resume")
        assert resumed.returncode == 0 and "resumed: step 1 of 2" in resumed.stdout, resumed
        assert "is no data" in resumed.stderr or "are no data" in resumed.stderr
        assert program("eval", str(folder), "--tasks", "loss", "--sequences", "1").returncode == 0
    assert "the run's own folder" in refused("train", config, "--set", f"output_dir={data}")


def test_a_changed_file_ends_a_run_with_a_checkpoint(tmp_path):
    text, run = tmp_path / "text", tmp_path / "run"
    text.write_bytes(WORDS * 50000)
    config = config_of(tmp_path, text)
    config.write_text(config.read_text().replace("steps = 2", "steps = 100000").replace("interval = 1", "interval = 100000"))
    command = [Path(os.environ["LIGHTHOUSE_BUILD"]) / "bin" / "lighthouse", "train", config, "--set", f"output_dir={run}"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process:
        next(line for line in process.stderr if "step " in line)
        os.truncate(text, 4096)
        errors = process.stderr.read()
    assert process.returncode == 1 and "changed while it was in use: it had 1550000 bytes and now has 4096" in errors, errors
    assert "A checkpoint has the steps up to" in errors and list((run / "checkpoints").iterdir())
