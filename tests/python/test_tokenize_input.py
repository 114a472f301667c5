"""lighthouse tokenize: texts that are broken, and files that are none."""

import gzip
import json
import os

import numpy as np
import pytest

from lighthouse_attention.tokenize import main
from tiny_tokenizers import byte_level, documents_of


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    return byte_level(tmp_path_factory.mktemp("tokenizer") / "tokenizer.json")


class Run:
    """Tokenizes files of a folder, and knows what was said."""

    def __init__(self, tokenizer, folder, capsys):
        self.tokenizer, self.folder, self.capsys = tokenizer, folder, capsys
        self.out = folder / "t.bin"

    def __call__(self, *arguments) -> tuple[int, str]:
        status = main(["--tokenizer", str(self.tokenizer), "--out", str(self.out), "--overwrite", *map(str, arguments)])
        return status, self.capsys.readouterr().err

    def texts(self) -> list[str]:
        return documents_of(np.fromfile(self.out, "<u2"), self.tokenizer)


@pytest.fixture
def run(tokenizer, tmp_path, capsys):
    return Run(tokenizer, tmp_path, capsys)


BROKEN_LINES = [
    (b"{", "expected a JSON object; Expecting property name enclosed in double quotes at byte 18 of the file"),
    (b'{"text": "x"', "expected a JSON object; Expecting ',' delimiter at byte 29"),
    (b'{"text": "\xff"}', "expected UTF-8 text; byte 27 of the file is not (invalid start byte)"),
    (b'{"text": "\xed\xa0\xbd"}', "expected UTF-8 text; byte 27"),  # half of a surrogate pair, encoded
    (b'{"text": "broken \\ud83d emoji"}', 'expected text in "text"; got half of a surrogate pair, \\ud83d; the line begins at byte 17'),
    (b'{"text": "\\ude00\\ud83d"}', "got half of a surrogate pair, \\ude00"),
    (b'{"text": "a\x00b"}', "expected a JSON object; Invalid control character at"),
    (b"\x00" * 20, "expected a JSON object; Expecting value at byte 17"),
    (b'{"body": "y", "id": 3}', 'expected an object with text in "text"; got one with "body", "id"; the line begins at byte 17'),
    (b"{}", "got an empty one"),
    (b'{"text": null}', "got null there"),
    (b'{"text": 3}', "got a number there"),
    (b'{"text": true}', "got true or false there"),
    (b'{"text": ["a"]}', "got an array there"),
    (b'{"text": {"a": 1}}', "got an object there"),
    (b'{"text": "a", "text": "b"}', 'got "text" 2 times'),
    (b"[1]", 'expected an object with text in "text"; got an array'),
    (b'"text"', "got text"),
    (b"3", "got a number"),
    (b"[" * 100000, "nested too deeply"),
    (b'{"a":' * 100000, "nested too deeply"),
    (b'{"text": "a"} {"text": "b"}', "expected a JSON object; Extra data"),
    (b'\xef\xbb\xbf{"text": "a"}', "expected a JSON object"),  # a byte order mark amid the file
]  # fmt: skip


@pytest.mark.parametrize("line, words", BROKEN_LINES)
def test_broken_lines(run, tmp_path, line, words):
    """An error with the file and the line; or that line alone left out, and said."""
    file = tmp_path / "a.jsonl"
    file.write_bytes(b'{"text": "one"} \n' + line + b'\n{"text": "three"}')
    status, told = run(file)
    assert status == 1 and f"{file}, line 2: expected" in told and words in told and "--skip-undecodable" in told
    assert len(told.splitlines()) == 1 and not run.out.exists()
    status, told = run("--skip-undecodable", file)
    assert status == 0 and run.texts() == ["one", "three"]
    assert "left out 1 document that could not be read:" in told and f"{file}, line 2: expected" in told and words in told


def test_lines_that_are_fine(run, tmp_path):
    lines = [
        b'\xef\xbb\xbf{"text": "with a byte order mark"}\r\n',
        b"\r\n",
        b"  \t \n",
        b'{"text": "escapes \\ud83e\\udd8a \\u00e9 \\u0000 \\n"}\n',
        b'{"id": ' + b"9" * 5000 + b', "text": "numbers of many digits"}\n',
        b'{"meta": {"a": 1, "a": 2, "text": 5}, "text": "names that stand twice elsewhere"}\n',
        b'{"text": "\xf0\x9f\xa6\x8a"}\n',
        b'{"text": ""}\n',
        b'{"text": "no line end"}',
    ]
    for name in ("a.jsonl", "A.JSONL", "a.ndjson"):
        (tmp_path / name).write_bytes(b"".join(lines))
        status, told = run(tmp_path / name)
        assert status == 0, told
        assert run.texts() == ["with a byte order mark", "escapes 🦊 é \0 \n", "numbers of many digits",
                               "names that stand twice elsewhere", "🦊", "no line end"]  # fmt: skip


def test_what_is_left_out_is_counted(run, tmp_path):
    """Broken lines of several files, among good ones: each alone."""
    lines = [json.dumps({"text": f"line {i}"}) if i % 3 else '{"text": "\\ud800"}' for i in range(30)]
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    (tmp_path / "b.txt").write_bytes(b"good\xff")
    (tmp_path / "c.txt").write_text("also good")
    status, told = run("--skip-undecodable", *(tmp_path / name for name in ("a.jsonl", "b.txt", "c.txt")))
    assert status == 0 and run.texts() == [*(f"line {i}" for i in range(30) if i % 3), "also good"]
    assert "left out 11 documents that could not be read:" in told and "  and 6 more" in told
    (tmp_path / "c.txt").unlink()
    (tmp_path / "a.jsonl").write_text('{"body": "wrong field"}\n' * 3)
    status, told = run("--skip-undecodable", tmp_path / "a.jsonl")
    assert status == 1 and "1 files hold no text" in told and "left out 3 documents" in told and '"body"' in told


def test_files_that_are_not_utf8(run, tmp_path):
    for content, words in [
        (b"good until \xff here", "expected UTF-8 text; byte 11 is not (invalid start byte)"),
        (b"cut in a letter \xe2\x82", "byte 16 is not (unexpected end of data)"),
        (b"\xef\xbb\xbfmark\xff", "byte 7 is not"),
        ("Grüße an alle".encode("latin-1"), "byte 2 is not"),
        ("text of two bytes each".encode("utf-16"), "expected UTF-8 text; it is UTF-16"),
        ("text of two bytes each".encode("utf-16-le"), "many of its bytes are 0"),
        (gzip.compress(b"text " * 50), "it is a gzip file; unpack it first"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n", "it is a Git LFS pointer"),
    ]:
        (tmp_path / "a.txt").write_bytes(content)
        (tmp_path / "b.txt").write_text("good")
        status, told = run(tmp_path / "a.txt", tmp_path / "b.txt")
        assert status == 1 and f"a.txt: {words}" in told or words in told, told
        assert not run.out.exists() and len(told.splitlines()) == 1
        status, told = run("--skip-undecodable", tmp_path / "a.txt", tmp_path / "b.txt")
        assert status == 0 and run.texts() == ["good"] and "left out 1 document" in told and words in told
        run.out.unlink()


def test_parts_between_separators_are_left_out_alone(run, tmp_path):
    (tmp_path / "a.txt").write_bytes("eins é%%".encode() + b"two \xff%%three")
    status, told = run("--separator", "%%", tmp_path / "a.txt")
    assert status == 1 and "a.txt: expected UTF-8 text; byte 13 is not" in told
    status, told = run("--separator", "%%", "--skip-undecodable", tmp_path / "a.txt")
    assert status == 0 and run.texts() == ["eins é", "three"] and "left out 1 document" in told


def test_line_ends_and_marks_of_text(run, tmp_path):
    """Line ends stay as they are; a byte order mark is not text."""
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbfone\r\ntwo\r\n")
    (tmp_path / "b.txt").write_bytes(b"\xef\xbb\xbf")
    (tmp_path / "c.txt").write_bytes(b"")
    assert run(*(tmp_path / f"{name}.txt" for name in "abc"))[0] == 0
    assert run.texts() == ["one\r\ntwo\r\n"]


def test_what_is_lost_with_an_error_is_said(run, tmp_path, monkeypatch):
    import lighthouse_attention.tokenize as module

    monkeypatch.setattr(module, "_BATCH_DOCUMENTS", 1)
    (tmp_path / "a.txt").write_text("abcdefgh")
    (tmp_path / "b.txt").write_bytes(b"\xff")
    status, told = run(tmp_path / "a.txt", tmp_path / "b.txt")
    assert status == 1 and "Nothing is written: the 9 tokens encoded before are dropped" in told
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.txt", "b.txt"]


def test_a_file_that_goes_away(run, tmp_path, monkeypatch):
    import lighthouse_attention.tokenize as module

    found = module.find_files
    (tmp_path / "a.txt").write_text("a")

    def find_files(*arguments):
        files = found(*arguments)
        monkeypatch.setattr(module, "Progress", lambda total: (tmp_path / "a.txt").unlink() or Silent())
        return files

    class Silent:
        show = staticmethod(lambda *arguments, **options: None)

    monkeypatch.setattr(module, "find_files", find_files)
    status, told = run(tmp_path / "a.txt")
    assert status == 1 and f"cannot read {tmp_path / 'a.txt'}: No such file or directory" in told


def test_what_is_passed_over_in_folders_is_said(run, tmp_path):
    src = tmp_path / "src"
    for name in ("a.txt", ".hidden", ".git/config", "__pycache__/b.txt", "sub/c.txt"):
        (src / name).parent.mkdir(parents=True, exist_ok=True)
        (src / name).write_text(name)
    (src / "to_sub").symlink_to(src / "sub")
    (src / "to_nothing").symlink_to(src / "nothing")
    (src / "same.txt").symlink_to(src / "a.txt")
    os.mkfifo(src / "pipe")
    run.out = src / "t.bin"
    run.out.write_bytes(b"\xff of another run")
    status, told = run(src, src / "sub" / "c.txt")
    assert status == 0 and run.texts() == ["a.txt", "sub/c.txt"], told
    for words in ("hidden files and folders were passed over: ", "links to folders were not followed: ", "lead nowhere", "pipes, sockets",
                  "named more than once are taken once", "the output is no input"):  # fmt: skip
        assert words in told
    assert "wrong" not in told and run("--include", ".hidden", src)[0] == 0 and run.texts() == [".hidden"]


@pytest.mark.parametrize("make, words", [
    (lambda path: os.mkfifo(path), "expected a regular file or a folder"),
    (lambda path: path.symlink_to("nothing"), "this link leads nowhere"),
    (lambda path: None, "no such file or folder"),
    (lambda path: path.mkdir(), "no file in this folder"),
])  # fmt: skip
def test_named_paths_that_are_no_text(run, tmp_path, make, words):
    make(tmp_path / "x")
    status, told = run(tmp_path / "x")
    assert status == 1 and words in told and str(tmp_path / "x") in told and len(told.splitlines()) == 1


def test_the_output_is_no_input(run, tmp_path):
    run.out.write_text("text that would be read and replaced")
    status, told = run(run.out)
    assert status == 1 and "is also --out" in told and run.out.read_text().startswith("text that")
