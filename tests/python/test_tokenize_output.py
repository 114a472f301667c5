"""lighthouse tokenize: where its file goes, and what happens when it cannot."""

import os
import signal
import stat
import subprocess
import sys

import numpy as np
import pytest

import lighthouse_attention._token_file as token_file
import lighthouse_attention.tokenize as module
from lighthouse_attention._token_file import TokenFile
from lighthouse_attention.tokenize import main
from tiny_tokenizers import byte_level, documents_of


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    return byte_level(tmp_path_factory.mktemp("tokenizer") / "tokenizer.json")


@pytest.fixture
def text(tmp_path):
    (tmp_path / "a.txt").write_text("the fox")
    return tmp_path / "a.txt"


def told(capsys, tokenizer, out, *arguments) -> str:
    assert main(["--tokenizer", str(tokenizer), "--out", str(out), *map(str, arguments)]) == 1
    failed = capsys.readouterr().err
    assert len(failed.splitlines()) == 1, failed
    return failed


def test_an_existing_file_stays_unless_asked(tokenizer, text, tmp_path, capsys):
    out = tmp_path / "t.bin"
    out.write_bytes(b"before")
    out.chmod(0o640)
    assert "t.bin exists; give another --out, or --overwrite" in told(capsys, tokenizer, out, text)
    (tmp_path / "b.txt").write_bytes(b"\xff")
    assert "b.txt" in told(capsys, tokenizer, out, "--overwrite", text, tmp_path / "b.txt")
    assert out.read_bytes() == b"before"
    assert main(["--tokenizer", str(tokenizer), "--out", str(out), "--overwrite", str(text)]) == 0
    assert documents_of(np.fromfile(out, "<u2"), tokenizer) == ["the fox"]
    assert stat.S_IMODE(out.stat().st_mode) == 0o640
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.txt", "b.txt", "t.bin"]


@pytest.mark.parametrize("overwrite", [[], ["--overwrite"]])
def test_places_that_are_no_files(tokenizer, text, tmp_path, capsys, overwrite):
    """Found before the work, and nothing there is replaced."""
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "null").symlink_to("/dev/null")
    for name, words in [
        ("folder", "--out must name a file; {} is a folder"),
        ("pipe", "{} is a device, a pipe or a socket"),
        ("null", "{} is a device, a pipe or a socket"),
        ("/dev/null", "/dev/null is a device"),
        ("none/t.bin", "--out must name a file in a folder that exists; there is no"),
        ("a.txt/t.bin", "--out {}: Not a directory"),
        ("loop", "--out {}: Too many levels of symbolic links"),
        ("x" * 300, "File name too long"),
        ("/sys/t.bin", "--out /sys/t.bin: cannot write in /sys: "),
    ]:
        assert words.format(tmp_path / name) in told(capsys, tokenizer, tmp_path / name, *overwrite, text)
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode) and stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.txt", "folder", "loop", "null", "pipe"]


def test_links_are_followed(tokenizer, text, tmp_path):
    (tmp_path / "far").mkdir()
    link, target = tmp_path / "t.bin", tmp_path / "far" / "tokens.bin"
    link.symlink_to(target)
    for arguments in ([], ["--overwrite"]):  # to nothing at first, then to a file
        assert main(["--tokenizer", str(tokenizer), "--out", str(link), *arguments, str(text)]) == 0
        assert link.is_symlink() and documents_of(np.fromfile(target, "<u2"), tokenizer) == ["the fox"]
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_places_that_may_not_be_written(tokenizer, text, tmp_path, capsys):
    shut = tmp_path / "shut"
    shut.mkdir()
    (shut / "t.bin").write_bytes(b"")
    (shut / "t.bin").chmod(0o400)
    assert "may not be written" in told(capsys, tokenizer, shut / "t.bin", "--overwrite", text)
    shut.chmod(0o500)
    assert f"cannot write in {shut}: Permission denied" in told(capsys, tokenizer, shut / "new.bin", text)


def test_a_file_that_appears_meanwhile_is_not_replaced(tmp_path):
    out = tmp_path / "t.bin"
    with TokenFile(out, "uint16", 300) as file:
        file.append([1, 2, 3])
        out.write_bytes(b"of another process")
        with pytest.raises(ValueError, match="appeared while this ran, and was not replaced. The tokens are whole in") as caught:
            file.finish()
    assert out.read_bytes() == b"of another process"
    kept = next(path for path in tmp_path.iterdir() if path != out)
    assert str(kept) in str(caught.value) and np.fromfile(kept, "<u2").tolist() == [1, 2, 3]


def test_a_full_disk(tmp_path, monkeypatch):
    """The error names the file, and nothing is left, though closing it fails as well."""
    class Full:
        def __init__(self, path, mode):
            open(path, mode).close()

        def write(self, data):
            raise OSError(28, "No space left on device")

        close = flush = lambda self: self.write(b"")

    monkeypatch.setattr(token_file, "open", Full, raising=False)
    with pytest.raises(OSError, match=r"cannot write .*t\.bin\..*\.tmp: No space left on device"):
        with TokenFile(tmp_path / "t.bin", "uint16", 300) as file:
            file.append([1])
    assert list(tmp_path.iterdir()) == []


def test_names_of_any_bytes(tokenizer, text, tmp_path, capsys):
    out = os.fsdecode(os.fsencode(tmp_path) + b'/t "\xff".bin')
    assert main(["--tokenizer", str(tokenizer), "--out", out, str(text)]) == 0
    printed = capsys.readouterr().out
    assert r't \"\udcff\".bin"]' in printed and os.path.exists(out)


@pytest.mark.parametrize("name, status", [("SIGTERM", 143), ("SIGHUP", 129), ("SIGINT", 130)])
def test_an_end_by_signal_leaves_nothing(tokenizer, text, tmp_path, capsys, monkeypatch, name, status):
    number = getattr(signal, name)
    if signal.getsignal(number) is signal.SIG_IGN:
        pytest.skip(f"{name} is ignored here, as under nohup")
    read, before = module.read_documents, signal.getsignal(number)

    def read_and_be_ended(*arguments):
        yield from read(*arguments)
        assert any(path.suffix == ".tmp" for path in tmp_path.iterdir())
        signal.raise_signal(number)

    monkeypatch.setattr(module, "read_documents", read_and_be_ended)
    out = tmp_path / "t.bin"
    out.write_bytes(b"before")
    assert main(["--tokenizer", str(tokenizer), "--out", str(out), "--overwrite", str(text)]) == status
    assert "t.bin is as it was" in capsys.readouterr().err and signal.getsignal(number) is before
    assert out.read_bytes() == b"before" and sorted(path.name for path in tmp_path.iterdir()) == ["a.txt", "t.bin"]


def test_closed_and_full_standard_files(tokenizer, text, tmp_path):
    """What is printed must not end in the token file, and no traceback tells that it could not be printed."""
    assert main(["--tokenizer", str(tokenizer), "--out", str(tmp_path / "t.bin"), str(text)]) == 0
    command = f"exec {sys.executable} -m lighthouse_attention.tokenize --tokenizer {tokenizer} {text} --out {tmp_path}"
    shells = [subprocess.Popen(["sh", "-c", f"{command}/{name} {redirection}"], stderr=subprocess.PIPE, text=True)
              for name, redirection in (("closed", "<&- >&- 2>&-"), ("full", ">/dev/full"))]  # fmt: skip
    told = [shell.communicate()[1] for shell in shells]
    closed, full = shells
    assert closed.returncode == 0 and full.returncode == 1
    for name in ("closed", "full"):
        assert (tmp_path / name).read_bytes() == (tmp_path / "t.bin").read_bytes()
    assert "full is written, but what was to be printed is not: No space left on device" in told[1]
    assert "Traceback" not in told[1] and "Exception" not in told[1]
