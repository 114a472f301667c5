"""`lighthouse tokenize`, the program's: what it writes is what the program trains on."""

import sys
from pathlib import Path

from test_house import EVALUATED, program


def make_tokenizer(path: Path) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    bpe.train_from_iterator(
        ["for name in names: print(name)\n" * 50],
        trainers.BpeTrainer(vocab_size=270, special_tokens=["</s>"], initial_alphabet=alphabet, show_progress=False),
    )
    bpe.save(str(path))


def tensors_of(file: Path) -> bytes:
    """Without the header, whose metadata name the files that the run was trained on."""
    raw = file.read_bytes()
    return raw[8 + int.from_bytes(raw[:8], "little") :]


def test_tokenizes_and_trains(tmp_path, monkeypatch):
    monkeypatch.setenv("LIGHTHOUSE_PYTHON", sys.executable)
    make_tokenizer(tmp_path / "tokenizer.json")
    text, out = tmp_path / "text.txt", tmp_path / "tokens.bin"
    text.write_bytes(bytes(range(32, 127)) * 60)
    arguments = ["tokenize", "--tokenizer", str(tmp_path / "tokenizer.json"), str(text)]
    done = program(*arguments, "--out", str(out))
    assert done.returncode == 0, done.stderr
    vocab_size = next(line for line in done.stdout.splitlines() if line.startswith("vocab_size"))
    config = tmp_path / "run.toml"
    for format in ("uint16", "llm.c", "uint32"):
        file = tmp_path / f"{format}.bin"
        assert program(*arguments, "--out", str(file), "--format", format).returncode == 0
        config.write_text(EVALUATED.format(text=file).replace("[model]", f"[model]\n{vocab_size}")
                          .replace("[data]", f'[data]\nformat = "{format}"'))  # fmt: skip
        trained = program("train", str(config), "--set", f"output_dir={tmp_path / format}")
        assert trained.returncode == 0, trained.stderr
    weights = {tensors_of(tmp_path / f / "model.safetensors") for f in ("uint16", "llm.c", "uint32")}
    assert len(weights) == 1, "one text, one run"


def test_errors_of_the_interpreter(tmp_path, monkeypatch):
    assert "Example" in program("tokenize", "--help").stdout
    monkeypatch.setenv("LIGHTHOUSE_PYTHON", "/no/such/python")
    failed = program("tokenize", "x")
    assert failed.returncode == 1 and len(failed.stderr.splitlines()) == 1
    assert "cannot run /no/such/python: No such file or directory" in failed.stderr and "LIGHTHOUSE_PYTHON" in failed.stderr
    monkeypatch.setenv("LIGHTHOUSE_PYTHON", sys.executable)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (tmp_path / "lighthouse_attention.py").write_text("raise ImportError('as where torch is missing')")
    failed = program("tokenize", "x")
    assert failed.returncode == 1 and len(failed.stderr.splitlines()) == 1
    assert "as where torch is missing" in failed.stderr and "pip install" in failed.stderr


def test_a_broken_line_is_named_in_one_line(tmp_path, monkeypatch):
    monkeypatch.setenv("LIGHTHOUSE_PYTHON", sys.executable)
    make_tokenizer(tmp_path / "tokenizer.json")
    lines, out = tmp_path / "a.jsonl", tmp_path / "tokens.bin"
    lines.write_text('{"text": "fine"}\n{"text": "broken \\ud83d emoji"}\n{"text": "fine too"}\n')
    arguments = ["tokenize", "--tokenizer", str(tmp_path / "tokenizer.json"), str(lines), "--out", str(out)]
    failed = program(*arguments)
    assert failed.returncode == 1 and len(failed.stderr.splitlines()) == 1 and not out.exists()
    assert f"{lines}, line 2: expected text" in failed.stderr and "half of a surrogate pair" in failed.stderr
    done = program(*arguments, "--skip-undecodable")
    assert done.returncode == 0 and "of 2 documents" in done.stdout
    assert "left out 1 document" in done.stderr and f"{lines}, line 2" in done.stderr
