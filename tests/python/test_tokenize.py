"""lighthouse tokenize: what it writes, and what it refuses. The tokenizers are trained or made here."""

import json
import random

import numpy as np
import pytest
from tokenizers import Tokenizer, models

from conftest import SEED
from lighthouse_attention._token_file import TokenFile
from lighthouse_attention.tokenize import main
from tiny_tokenizers import END, byte_level, documents_of, words


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    return byte_level(tmp_path_factory.mktemp("tokenizer") / "tokenizer.json")


def texts(count: int) -> list[str]:
    draw = random.Random(SEED)
    alphabet = "the quick fox\n\t é漢🦊\r\n"
    return ["".join(draw.choice(alphabet) for _ in range(draw.randint(1, 300))) for _ in range(count)]


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
    assert "left" in progress and "drops" not in progress and list(out.parent.iterdir()) == [out]


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
    words(folder / "tokenizer.json", {**{f"w{i}": i for i in range(70000)}, "[end]": 70000}, "w0")
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
    ]:
        assert main(arguments) == 1
        failed = capsys.readouterr().err
        assert words in failed and len(failed.splitlines()) == 1, failed
    for option, value, words in [
        ("--threads", "0", "a whole number from 1 to 1024; got 0"),
        ("--threads", "99999999999", "a whole number from 1 to 1024"),
        ("--threads", "two", "a whole number from 1 to 1024; got two"),
        ("--separator", "", "must not be empty"),
        ("--field", "", "must not be empty"),
        ("--out", "", "must name a file; got ''"),
        ("--out", f"{tmp_path}/t/", "must name a file"),
    ]:
        with pytest.raises(SystemExit):
            main(["--tokenizer", str(tokenizer), "--out", out, option, value, text])
        assert words in capsys.readouterr().err


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
    assert "1 document is longer than 1,000 characters" in printed.err and "of 2 documents" in printed.out
    pieces = list(documents._pieces(long, 100000, documents.Remarks(False)))
    assert [piece.ends for piece in pieces] == [False] * (len(pieces) - 1) + [True]
    assert all(piece.text[-1] == "\n" for piece in pieces[:-4]) and sum(piece.size for piece in pieces) <= 100000


def test_too_many_tokens_for_a_header(tmp_path):
    """Said as soon as it is so, not after the last of the text."""
    for last_step in (lambda file: file.append([5]), TokenFile.finish):
        with TokenFile(tmp_path / "t.bin", "llm.c", 300) as file:
            file.num_tokens = 1 << 31
            with pytest.raises(ValueError, match="counts up to 2147483647 tokens; got 214748364.*uint32"):
                last_step(file)
        assert list(tmp_path.iterdir()) == []


def settings_of_folder(folder, text: str):
    (folder / "tokenizer_config.json").write_text(text)
    return folder


@pytest.mark.parametrize("text, words", [
    ("{", "expected JSON"),
    ('{"eos_token": 3}', "expected text as eos_token; got 3"),
    ("[" * 100000, "expected JSON"),
])  # fmt: skip
def test_broken_settings_of_a_tokenizer(tokenizer, tmp_path, capsys, text, words):
    folder = settings_of_folder(tmp_path, text)
    byte_level(folder / "tokenizer.json")
    (tmp_path / "a.txt").write_text("a")
    assert main(["--tokenizer", str(folder), "--out", str(tmp_path / "t.bin"), str(tmp_path / "a.txt")]) == 1
    failed = capsys.readouterr().err
    assert f"tokenizer_config.json: {words}" in failed and len(failed.splitlines()) == 1


def test_settings_that_are_no_object_name_no_end_token(tokenizer, tmp_path):
    byte_level(tmp_path / "tokenizer.json")
    (tmp_path / "a.txt").write_text("a")
    arguments = ["--tokenizer", str(settings_of_folder(tmp_path, "[1]")), "--out", str(tmp_path / "t.bin")]
    assert main([*arguments, str(tmp_path / "a.txt")]) == 0


def test_what_the_vocabulary_lacks_is_counted(tmp_path, capsys):
    tokenizer = words(tmp_path / "w.json", {"a": 0, "b": 1, "[UNK]": 2, "</s>": 3}, "[UNK]")
    (tmp_path / "a.txt").write_text("a c b d")
    (tmp_path / "b.txt").write_text(" \n ")
    assert main(["--tokenizer", str(tokenizer), "--out", str(tmp_path / "t.bin"), str(tmp_path / "a.txt"), str(tmp_path / "b.txt")]) == 0
    assert np.fromfile(tmp_path / "t.bin", "<u2").tolist() == [0, 2, 1, 2, 3, 3]
    told = capsys.readouterr().err
    assert "2 of 6 tokens are '[UNK]'" in told and "1 texts became no token at all, the first in" in told and "b.txt" in told


@pytest.mark.parametrize("model, words", [
    (models.Unigram([("<unk>", 0.0), ("</s>", 0.0), ("a", -1.0)], unk_id=0), "1 of 3 tokens are '<unk>'"),
    (models.BPE({"a": 0, "</s>": 1}, []), "drops letters that its vocabulary lacks"),
    (models.BPE({"a": 0, "</s>": 1, "<unk>": 2}, [], unk_token="<unk>"), "1 of 3 tokens are '<unk>'"),
])  # fmt: skip
def test_losses_of_other_models(tmp_path, capsys, model, words):
    Tokenizer(model).save(str(tmp_path / "t.json"))
    (tmp_path / "a.txt").write_text("ac")
    assert main(["--tokenizer", str(tmp_path / "t.json"), "--out", str(tmp_path / "t.bin"), str(tmp_path / "a.txt")]) == 0
    assert words in capsys.readouterr().err


def test_a_text_that_the_tokenizer_cannot_encode(tmp_path, capsys):
    tokenizer = words(tmp_path / "w.json", {"a": 0, "</s>": 1}, "[UNK]")  # a vocabulary without its token for what is unknown
    (tmp_path / "a.jsonl").write_text('{"text": "a a"}\n{"text": "a b"}\n')
    assert main(["--tokenizer", str(tokenizer), "--out", str(tmp_path / "t.bin"), str(tmp_path / "a.jsonl")]) == 1
    told = capsys.readouterr().err
    assert "a.jsonl, line 2: the tokenizer cannot encode this text" in told and len(told.splitlines()) == 1


def test_a_separator_that_stands_nowhere(tokenizer, tmp_path, capsys):
    (tmp_path / "a.txt").write_text("one\ntwo")
    arguments = ["--tokenizer", str(tokenizer), "--out", str(tmp_path / "t.bin"), str(tmp_path / "a.txt")]
    assert main([*arguments, "--separator", "\\n"]) == 0
    assert "stands in none of the files" in capsys.readouterr().err
    assert main([*arguments, "--separator", "\n", "--overwrite"]) == 0
    assert "stands in none" not in capsys.readouterr().err


def test_help_has_an_example(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0 and "Example:" in capsys.readouterr().out
