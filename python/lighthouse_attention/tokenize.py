"""lighthouse tokenize: text files to token files that `lighthouse train` reads, by a Hugging Face tokenizer.

    python -m lighthouse_attention.tokenize --tokenizer tokenizer.json --out tokens.bin FILES AND FOLDERS

Each file is a document (each line of a .jsonl file), encoded whole if it is not of megabytes, and followed by the end token. Special tokens that stand in
the text are encoded as text. The output is written under a temporary name and renamed: it is whole or not there.
"""

import argparse
import contextlib
import json
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any, Iterable, Iterator, Optional

from ._documents import Document, Remarks, read_documents
from ._text_files import find_files
from ._token_file import FORMATS, TokenFile

_USUAL_END_TOKENS = ("<|endoftext|>", "<|end_of_text|>", "</s>", "<eos>", "<|eos|>")
_BATCH_CHARACTERS = 4 << 20  # encoded in one call, over all threads
_BATCH_DOCUMENTS = 4096
_MOST_THREADS = 1024
_RARE_LETTER = "\U00013000"  # a hieroglyph


class TokenizeError(Exception):
    """Something that the user can put right; its text says what."""


def load_tokenizer(path: Path) -> tuple[Any, Optional[str]]:
    """The tokenizer of a tokenizer.json or of a folder that holds one, and the end token that the folder names, if any."""
    try:
        from tokenizers import Tokenizer  # after --threads was read
    except ImportError as error:
        raise TokenizeError(f"this needs Hugging Face's tokenizers: pip install tokenizers ({error})") from error

    file = path / "tokenizer.json" if path.is_dir() else path
    if not file.is_file():
        raise TokenizeError(f"--tokenizer must name a tokenizer.json or a folder with one; there is no {file}")
    try:
        tokenizer = Tokenizer.from_file(str(file))
    except Exception as error:  # the library raises plain Exception
        raise TokenizeError(f"{file}: expected a Hugging Face tokenizer; {error}") from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    tokenizer.encode_special_tokens = True
    settings = file.with_name("tokenizer_config.json")
    return tokenizer, named_end_token(settings) if path.is_dir() and settings.is_file() else None


def named_end_token(settings: Path) -> Optional[str]:
    """eos_token of a tokenizer_config.json."""
    try:
        read = json.loads(settings.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise TokenizeError(f"{settings}: expected JSON; {error}. Repair or remove it") from error
    named = read.get("eos_token") if isinstance(read, dict) else None
    named = named.get("content") if isinstance(named, dict) else named
    if named is not None and not isinstance(named, str):
        raise TokenizeError(f"{settings}: expected text as eos_token; got {named!r}. Repair or remove it")
    return named


def end_token_of(tokenizer: Any, asked: Optional[str], named: Optional[str]) -> tuple[str, int]:
    for token in [asked] if asked is not None else [named, *_USUAL_END_TOKENS]:
        if token is not None and tokenizer.token_to_id(token) is not None:
            return token, tokenizer.token_to_id(token)
    if asked is not None:
        raise TokenizeError(f"--end-token must be a token of the vocabulary; got {asked!r}")
    raise TokenizeError("the tokenizer names no end token that is known here; give it by --end-token")


def documents_of(files: list[Path], field: str, separator: Optional[str], remarks: Remarks) -> Iterator[Document]:
    for file in files:
        try:
            yield from read_documents(file, field, separator, remarks)
        except OSError as error:
            raise TokenizeError(f"cannot read {file}: {error.strerror}") from error
        except MemoryError as error:
            raise TokenizeError(f"{file} is read whole, and is too large for the memory that is free; split it") from error


def batches(documents: Iterable[Document]) -> Iterator[list[Document]]:
    batch: list[Document] = []
    characters = 0
    for document in documents:
        batch.append(document)
        characters += len(document.text)
        if characters >= _BATCH_CHARACTERS or len(batch) >= _BATCH_DOCUMENTS:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch


def encoded(tokenizer: Any, batch: list[Document]) -> list[list[int]]:
    """The tokens of each document, without an end token."""

    def encode(documents: list[Document]) -> list[list[int]]:
        encodings = tokenizer.encode_batch_fast([document.text for document in documents], add_special_tokens=False)
        return [encoding.ids for encoding in encodings]

    try:
        return encode(batch)
    except Exception as error:  # the library raises plain Exception, and does not say for which text
        for document in batch:
            try:
                encode([document])
            except Exception as reason:
                raise TokenizeError(f"{document.place}: the tokenizer cannot encode this text; {reason}") from reason
        raise TokenizeError(f"the tokenizer failed: {error}") from error


def unknown_token(tokenizer: Any) -> Optional[str]:
    """The one that stands for what the vocabulary lacks, if there is one."""
    model = tokenizer.model
    if type(model).__name__ != "Unigram":
        return getattr(model, "unk_token", None)
    stored = json.loads(tokenizer.to_str())["model"]  # the object does not tell
    return None if stored.get("unk_id") is None else stored["vocab"][stored["unk_id"]][0]


class Losses:
    """Counts what the vocabulary has no tokens for."""

    def __init__(self, tokenizer: Any) -> None:
        self.token = unknown_token(tokenizer)
        self.unknown = tokenizer.token_to_id(self.token) if self.token is not None else None
        self.drops = False
        if self.unknown is None:
            with contextlib.suppress(Exception):  # the library's; a model that lacks its own unknown token refuses such letters
                self.drops = not tokenizer.encode(_RARE_LETTER, add_special_tokens=False).ids
        self.num_unknown = self.num_empty = 0
        self.first_empty = ""

    def see(self, document: Document, tokens: list[int]) -> None:
        if self.unknown is not None:
            self.num_unknown += tokens.count(self.unknown)
        if not tokens:
            self.num_empty += 1
            self.first_empty = self.first_empty or document.place

    def notes(self, num_tokens: int) -> list[str]:
        notes = []
        if self.drops:
            notes.append(f"this tokenizer drops letters that its vocabulary lacks, without a token for them; {_RARE_LETTER} is such a letter")
        if self.num_unknown:
            notes.append(f"{self.num_unknown:,} of {num_tokens:,} tokens are {self.token!r}: the vocabulary has none for that text")
        if self.num_empty:
            notes.append(f"{self.num_empty:,} texts became no token at all, the first in {self.first_empty}")
        return notes


class Progress:
    """A line on standard error with the share that is done and the time that is left, at most once a second."""

    def __init__(self, total: int) -> None:
        self.total = max(total, 1)
        self.start = self.shown = time.monotonic()
        self.terminal = sys.stderr.isatty()

    def show(self, done: int, tokens: int, last: bool = False) -> None:
        now = time.monotonic()
        if not last and now - self.shown < (1 if self.terminal else 10):
            return
        self.shown = now
        left = (now - self.start) * (self.total - done) / max(done, 1)
        text = f"{100 * done / self.total:5.1f}%  {tokens:,} tokens  {int(left) // 60} min {int(left) % 60:02d} s left"
        line_end = "" if self.terminal and not last else "\n"
        with contextlib.suppress(OSError):  # whoever read it may be gone; the work goes on
            print(f"\r{text:<60}" if self.terminal else text, file=sys.stderr, flush=True, end=line_end)


def tokenize(arguments: argparse.Namespace) -> None:
    tokenizer, named = load_tokenizer(arguments.tokenizer)
    end_token, end = end_token_of(tokenizer, arguments.end_token, named)
    vocab_size = 1 + max(tokenizer.get_vocab(with_added_tokens=True).values())
    files, notes = find_files(arguments.paths, arguments.include, arguments.exclude, arguments.out)
    remarks = Remarks(arguments.skip_undecodable)
    remarks.notes += notes
    losses = Losses(tokenizer)
    progress = Progress(sum(file.stat().st_size for file in files))
    num_documents = done = 0
    with TokenFile(arguments.out, arguments.format, vocab_size, arguments.overwrite) as out, told_what_is_lost(out):
        for batch in batches(documents_of(files, arguments.field, arguments.separator, remarks)):
            for document, tokens in zip(batch, encoded(tokenizer, batch)):
                losses.see(document, tokens)
                out.append([*tokens, end] if document.ends else tokens)
                num_documents += document.ends
            done += sum(document.size for document in batch)
            progress.show(done, out.num_tokens)
        if num_documents == 0:
            raise TokenizeError("; ".join([f"{len(files)} files hold no text", *remarks.lines()]))
        out.finish()
    progress.show(progress.total, out.num_tokens, last=True)
    if arguments.separator is not None and not remarks.separator_seen:
        remarks.notes.append(f"--separator {arguments.separator!r} stands in none of the files")
    remarks.notes += losses.notes(out.num_tokens)
    remarks.report()
    say(
        f"{arguments.out}: {out.num_tokens:,} tokens of {num_documents:,} documents, each followed by {end_token!r} ({end})\n\n"
        f"In the configuration:\n[model]\nvocab_size = {max(vocab_size, 256)}\n[data]\n"
        f'paths = [{json.dumps(str(arguments.out), ensure_ascii=False)}]\nformat = "{out.format}"',
        arguments.out,
    )


def say(text: str, written: Path) -> None:
    try:
        print(text, flush=True)
    except OSError as error:
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python tries again as it ends, and complains
        raise TokenizeError(f"{written} is written, but what was to be printed is not: {error.strerror}") from error


@contextlib.contextmanager
def told_what_is_lost(out: TokenFile) -> Iterator[None]:
    """Adds to an error how much work goes with it."""
    try:
        yield
    except (TokenizeError, OSError, ValueError) as error:
        if out.num_tokens == 0 or out.is_kept:
            raise
        raise TokenizeError(f"{error}. Nothing is written: the {out.num_tokens:,} tokens encoded before are dropped") from error


def output_path(text: str) -> Path:
    if text == "" or text.endswith("/"):
        raise argparse.ArgumentTypeError(f"must name a file; got {text!r}")
    return Path(text)


def some_text(text: str) -> str:
    if text == "":
        raise argparse.ArgumentTypeError("must not be empty")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise argparse.ArgumentTypeError(f"must be UTF-8; got {os.fsencode(text)!r}") from None
    return text


def thread_count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text[:9]) <= _MOST_THREADS:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1 to {_MOST_THREADS}; got {text}")
    return int(text)


def parser() -> argparse.ArgumentParser:
    result = argparse.ArgumentParser(
        prog="lighthouse tokenize", formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Turn text into a token file for `lighthouse train`, by a Hugging Face tokenizer. Each file is a document; of a\n"
        ".jsonl file each line is. The end token follows each document. In folders, hidden files are passed over.",
        epilog="A file that is not UTF-8, or a line of a .jsonl file that is not JSON or has no text, ends the run with its place, and\n"
        "nothing is written; with --skip-undecodable it is left out, and counted at the end.\n\n"
        "Example:\n  lighthouse tokenize --tokenizer tokenizer.json --out tokens.bin --include '*.py' src/",
    )  # fmt: skip
    add = result.add_argument
    add("paths", nargs="+", type=Path, metavar="PATH", help="text files and folders; folders are searched recursively")
    add("--tokenizer", type=Path, required=True, metavar="PATH", help="a tokenizer.json, or a folder with one")
    add("--out", type=output_path, required=True, metavar="FILE", help="the token file to write; a link is followed")
    add("--format", choices=("auto", *FORMATS), default="auto",
        help="uint16 and uint32: numbers and nothing else; llm.c: with its header; auto: uint16 where the vocabulary fits")  # fmt: skip
    add("--end-token", type=some_text, metavar="TOKEN",
        help="the token after each document; default: the tokenizer's eos_token, or a usual name")  # fmt: skip
    add("--include", action="append", default=[], metavar="PATTERN", help="names that files found in folders must match; repeatable")
    add("--exclude", action="append", default=[], metavar="PATTERN",
        help="names of files and folders in folders to pass over; repeatable")  # fmt: skip
    add("--field", type=some_text, default="text", metavar="NAME", help="the field of a .jsonl line that holds the text (text)")
    add("--separator", type=some_text, metavar="TEXT", help="text that separates documents within a file that is not .jsonl")
    add("--skip-undecodable", action="store_true",
        help="leave out documents that cannot be read, and say which: a file (or its part between separators) that is not UTF-8, a "
        ".jsonl line that is not UTF-8, not JSON or without text; default: stop")  # fmt: skip
    add("--threads", type=thread_count, metavar="N", help="threads; default: one per core")
    add("--overwrite", action="store_true", help="replace a file that exists")
    return result


class Ended(BaseException):
    """A signal that asks the process to end; what is not finished is cleaned up on the way out."""


@contextlib.contextmanager
def signals_that_end() -> Iterator[None]:
    def end(number: int, frame: Any) -> None:
        raise Ended(number)

    before = {}
    if threading.current_thread() is threading.main_thread():
        # One that is ignored stays so: that is how nohup works.
        before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGHUP)
                  if signal.getsignal(number) is signal.SIG_DFL}  # fmt: skip
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def open_standard_files() -> None:
    """Where one was closed, the next file that is opened would stand in its place, and take what is printed."""
    for number, (name, mode) in enumerate([("stdin", "r"), ("stdout", "w"), ("stderr", "w")]):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))


def main(arguments: Optional[list[str]] = None) -> int:
    open_standard_files()
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # names of files may be anything
    given = parser().parse_args(arguments)
    if given.threads is not None:
        os.environ["RAYON_NUM_THREADS"] = str(given.threads)
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    try:
        with signals_that_end():
            tokenize(given)
    except (TokenizeError, OSError, ValueError) as error:
        return failed(str(error), 1)
    except MemoryError:
        return failed("not enough memory; fewer --threads and smaller files take less", 1)
    except KeyboardInterrupt:
        return failed(f"interrupted; {given.out} is as it was", 130)
    except Ended as ended:
        return failed(f"ended by {signal.Signals(ended.args[0]).name}; {given.out} is as it was", 128 + ended.args[0])
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # how a failure inside of tokenizers arrives
            raise
        return failed(f"the tokenizer failed: {error}", 1)
    return 0


def failed(why: str, status: int) -> int:
    with contextlib.suppress(OSError):
        print(f"lighthouse tokenize: {why}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
