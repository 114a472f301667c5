"""lighthouse tokenize: what it writes, and what it refuses. The tokenizers are trained or made here."""

import json
import random

import numpy as np
import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from conftest import SEED
from lighthouse_attention._token_file import TokenFile
from lighthouse_attention.tokenize import main

END = "<|endoftext|>"


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    """A byte-level BPE of 280 tokens, saved with a truncation and a padding that must not be applied."""
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    bpe.train_from_iterator(
        ["the quick brown fox jumps over the lazy dog " * 20],
        trainers.BpeTrainer(vocab_size=280, special_tokens=[END, "<pad>"], initial_alphabet=alphabet, show_progress=False),
    )
    bpe.enable_truncation(4)
    bpe.enable_padding(length=64, pad_token="<pad>", pad_id=1)
    bpe.save(str(path))
    return path


def texts(count: int) -> list[str]:
    draw = random.Random(SEED)
    alphabet = "the quick fox\n\t é漢🦊\r\n"
    return ["".join(draw.choice(alphabet) for _ in range(draw.randint(1, 300))) for _ in range(count)]


def documents_of(tokens: np.ndarray, tokenizer) -> list[str]:
    bpe, end = Tokenizer.from_file(str(tokenizer)), 0
    assert tokens[-1] == end
    pieces = np.split(tokens, np.flatnonzero(tokens == end) + 1)[:-1]
    return [bpe.decode(piece[:-1].tolist(), skip_special_tokens=False) for piece in pieces]


def test_documents_come_back(tokenizer, tmp_path, capsys):
    written = texts(40)
    for i, text in enumerate(written):
        (tmp_path / f"{i:03d}.txt").write_bytes(text.encode())
    out = tmp_path / "out" / "tokens.bin"
    out.parent.mkdir()
    assert main(["--tokenizer", str(tokenizer), "--out", str(out), "--threads", "2", *map(str, sorted(tmp_path.glob("*.txt")))]) == 0
    tokens = np.fromfile(out, "<u2")
    assert documents_of(tokens, tokenizer) == written
    printed, progress = capsys.readouterr()
    assert f"{len(tokens):,} tokens of 40 documents" in printed and "vocab_size = 280" in printed and 'format = "uint16"' in printed
    assert "left" in progress and list(out.parent.iterdir()) == [out]


def test_special_tokens_in_a_text_are_text(tokenizer, tmp_path):
    (tmp_path / "a.txt").write_text(f"one{END}two")
    assert main(["--tokenizer", str(tokenizer), "--out", str(tmp_path / "t.bin"), str(tmp_path / "a.txt")]) == 0
    tokens = np.fromfile(tmp_path / "t.bin", "<u2")
    assert (tokens == 0).sum() == 1 and documents_of(tokens, tokenizer) == [f"one{END}two"]


def test_lines_of_jsonl_and_separators(tokenizer, tmp_path):
    lines = [{"text": "first", "id": 1}, {"text": "zweiter é\n"}, {"text": ""}]
    (tmp_path / "a.jsonl").write_text("\n".join(json.dumps(line) for line in lines) + "\n\n")
    (tmp_path / "b.txt").write_text("third%%fourth%%")
    arguments = ["--tokenizer", str(tokenizer), "--out", str(tmp_path / "t.bin"), "--separator", "%%"]
    assert main([*arguments, str(tmp_path / "a.jsonl"), str(tmp_path / "b.txt")]) == 0
    assert documents_of(np.fromfile(tmp_path / "t.bin", "<u2"), tokenizer) == ["first", "zweiter é\n", "third", "fourth"]


def test_folders_patterns_and_order(tokenizer, tmp_path):
    for name in ("b/2.py", "b/1.py", "a.py", "note.md", "skip/x.py"):
        (tmp_path / "src" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "src" / name).write_text(name)
    arguments = ["--include", "*.py", "--exclude", "skip", str(tmp_path / "src")]
    assert main(["--tokenizer", str(tokenizer), "--out", str(tmp_path / "t.bin"), *arguments]) == 0
    assert documents_of(np.fromfile(tmp_path / "t.bin", "<u2"), tokenizer) == ["a.py", "b/1.py", "b/2.py"]


@pytest.fixture(scope="module")
def large_tokenizer(tmp_path_factory):
    """Words as tokens, more than 16 bits can number; its folder names the end token."""
    folder = tmp_path_factory.mktemp("large")
    words = Tokenizer(models.WordLevel({**{f"w{i}": i for i in range(70000)}, "[end]": 70000}, unk_token="w0"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({"eos_token": {"content": "[end]"}}))
    return folder


def test_large_vocabularies_take_32_bits(large_tokenizer, tmp_path, capsys):
    (tmp_path / "a.txt").write_text("w3 w69999")
    for format, dtype, header in (("auto", "<u4", 0), ("uint32", "<u4", 0), ("llm.c", "<u4", 256)):
        out = tmp_path / f"{format}.bin"
        assert main(["--tokenizer", str(large_tokenizer), "--out", str(out), "--format", format, str(tmp_path / "a.txt")]) == 0
        assert np.fromfile(out, dtype)[header:].tolist() == [3, 69999, 70000]
    assert np.fromfile(out, "<i4")[:3].tolist() == [20240801, 7, 3]
    assert "vocab_size = 70001" in capsys.readouterr().out
    assert main(["--tokenizer", str(large_tokenizer), "--out", str(tmp_path / "x"), "--format", "uint16", str(tmp_path / "a.txt")]) == 1
    assert "holds tokens below 65536; the vocabulary has 70001" in capsys.readouterr().err


def test_headers_of_llm_c(tokenizer, tmp_path):
    (tmp_path / "a.txt").write_text("the dog")
    arguments = ["--tokenizer", str(tokenizer), "--format", "llm.c", str(tmp_path / "a.txt")]
    assert main(["--out", str(tmp_path / "t.bin"), *arguments]) == 0
    data = (tmp_path / "t.bin").read_bytes()
    assert np.frombuffer(data, "<i4", 3).tolist() == [20240520, 1, (len(data) - 1024) // 2]
    assert documents_of(np.frombuffer(data, "<u2", offset=1024), tokenizer) == ["the dog"]


def test_nothing_is_left_behind_by_a_failure(tokenizer, tmp_path, capsys):
    bad = tmp_path / "texts"
    bad.mkdir()
    (bad / "a.txt").write_text("good")
    (bad / "b.txt").write_bytes(b"good until \xff here")
    out = tmp_path / "t.bin"
    arguments = ["--tokenizer", str(tokenizer), "--out", str(out), str(bad)]
    assert main(arguments) == 1
    assert "b.txt: expected UTF-8 text; byte 11 is not" in capsys.readouterr().err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["texts"]
    assert main(["--skip-undecodable", *arguments]) == 0
    assert "left out 1 files that are not UTF-8" in capsys.readouterr().err
    before = out.read_bytes()
    assert main(arguments) == 1 and "t.bin exists; give another --out, or --overwrite" in capsys.readouterr().err
    assert main(["--overwrite", *arguments]) == 1 and out.read_bytes() == before


@pytest.mark.parametrize(
    "lines, words",
    [
        ("{", "a.jsonl, line 1: expected a JSON object"),
        ('{"text": "x"}\n{"body": "y"}', 'a.jsonl, line 2: expected an object with text in "text"; got'),
        ("[1]", "line 1: expected an object with text"),
        ('{"text": 3}', "line 1: expected an object with text"),
        ('{"text": ""}', "1 files hold no text"),
    ],
)
def test_wrong_lines(tokenizer, tmp_path, capsys, lines, words):
    (tmp_path / "a.jsonl").write_text(lines)
    assert main(["--tokenizer", str(tokenizer), "--out", str(tmp_path / "t.bin"), str(tmp_path / "a.jsonl")]) == 1
    assert words in capsys.readouterr().err
    assert not (tmp_path / "t.bin").exists()


def test_wrong_arguments(tokenizer, tmp_path, capsys):
    (tmp_path / "a.txt").write_text("a")
    (tmp_path / "no.json").write_text("{}")
    (tmp_path / "empty").mkdir()
    text, out = str(tmp_path / "a.txt"), str(tmp_path / "t.bin")
    for arguments, words in [
        (["--tokenizer", str(tmp_path), "--out", out, text], "must name a tokenizer.json or a folder with one"),
        (["--tokenizer", str(tmp_path / "no.json"), "--out", out, text], "expected a Hugging Face tokenizer"),
        (["--tokenizer", str(tokenizer), "--out", out, "--end-token", "<s>", text], "--end-token must be a token of the vocabulary"),
        (["--tokenizer", str(tokenizer), "--out", out, str(tmp_path / "none")], "no such file or folder"),
        (["--tokenizer", str(tokenizer), "--out", out, str(tmp_path / "empty")], "no file in this folder"),
        (["--tokenizer", str(tokenizer), "--out", str(tmp_path / "none" / "t.bin"), text], "--out must name a file in a folder"),
    ]:
        assert main(arguments) == 1
        failed = capsys.readouterr().err
        assert words in failed and len(failed.splitlines()) == 1, failed
    with pytest.raises(SystemExit):
        main(["--tokenizer", str(tokenizer), "--out", out, "--threads", "0", text])


def test_long_documents_are_cut_at_lines(tokenizer, tmp_path, capsys, monkeypatch):
    import lighthouse_attention._documents as documents

    draw = random.Random(SEED)
    long = "".join(draw.choice(["the fox\n", "dog ", "éé"]) for _ in range(4000)) + "x" * 700
    (tmp_path / "a.txt").write_bytes(long.encode())
    (tmp_path / "b.txt").write_text("short")
    arguments = ["--tokenizer", str(tokenizer), "--out", str(tmp_path / "t.bin"), str(tmp_path / "a.txt"), str(tmp_path / "b.txt")]
    monkeypatch.setattr(documents, "WHOLE_CHARACTERS", 1000)
    monkeypatch.setattr(documents, "_PIECE_CHARACTERS", 300)
    assert main(arguments) == 0
    assert documents_of(np.fromfile(tmp_path / "t.bin", "<u2"), tokenizer) == [long, "short"]
    printed = capsys.readouterr()
    assert "1 documents are longer than 1,000 characters" in printed.err and "of 2 documents" in printed.out
    pieces = list(documents._pieces(long, 100000, documents.Remarks(False)))
    assert [piece.ends for piece in pieces] == [False] * (len(pieces) - 1) + [True]
    assert all(piece.text[-1] == "\n" for piece in pieces[:-4]) and sum(piece.size for piece in pieces) <= 100000


def test_too_many_tokens_for_a_header(tmp_path):
    with TokenFile(tmp_path / "t.bin", "llm.c", 300) as file:
        file.num_tokens = 1 << 31
        with pytest.raises(ValueError, match="counts up to 2147483647 tokens; got 2147483648"):
            file.finish()
    assert list(tmp_path.iterdir()) == []
