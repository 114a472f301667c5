"""lighthouse tokenize: text files to token files that `lighthouse train` reads, by a Hugging Face tokenizer.

    python -m lighthouse_attention.tokenize --tokenizer tokenizer.json --out tokens.bin FILES AND FOLDERS

Each file is a document (each line of a .jsonl file), encoded whole if it is not of megabytes, and followed by the end token. Special tokens that stand in
the text are encoded as text. The output is written under a temporary name and renamed: it is whole or not there.
"""

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any, Iterable, Iterator, Optional

from ._documents import Document, Remarks, find_files, read_documents
from ._token_file import FORMATS, TokenFile

_USUAL_END_TOKENS = ("<|endoftext|>", "<|end_of_text|>", "</s>", "<eos>", "<|eos|>")
_BATCH_CHARACTERS = 4 << 20  # encoded in one call, over all threads
_BATCH_DOCUMENTS = 4096


class TokenizeError(Exception):
    """Something that the user can put right; its text says what."""


def load_tokenizer(path: Path) -> tuple[Any, Optional[str]]:
    """The tokenizer of a tokenizer.json or of a folder that holds one, and the end token that the folder names, if any."""
    from tokenizers import Tokenizer  # after --threads was read

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
    named = None
    if path.is_dir() and settings.is_file():
        named = json.loads(settings.read_text(encoding="utf-8")).get("eos_token")
        named = named.get("content") if isinstance(named, dict) else named
    return tokenizer, named


def end_token_of(tokenizer: Any, asked: Optional[str], named: Optional[str]) -> tuple[str, int]:
    for token in [asked] if asked is not None else [named, *_USUAL_END_TOKENS]:
        if token is not None and tokenizer.token_to_id(token) is not None:
            return token, tokenizer.token_to_id(token)
    if asked is not None:
        raise TokenizeError(f"--end-token must be a token of the vocabulary; got {asked!r}")
    raise TokenizeError("the tokenizer names no end token that is known here; give it by --end-token")


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


class Progress:
    """A line on standard error with the share that is done and the time that is left, at most once a second."""

    def __init__(self, total: int) -> None:
        import time

        self.clock, self.total = time.monotonic, max(total, 1)
        self.start = self.shown = self.clock()
        self.terminal = sys.stderr.isatty()

    def show(self, done: int, tokens: int, last: bool = False) -> None:
        now = self.clock()
        if not last and now - self.shown < (1 if self.terminal else 10):
            return
        self.shown = now
        left = (now - self.start) * (self.total - done) / max(done, 1)
        text = f"{100 * done / self.total:5.1f}%  {tokens:,} tokens  {int(left) // 60} min {int(left) % 60:02d} s left"
        print(f"\r{text:<60}" if self.terminal and not last else f"{text}", file=sys.stderr, flush=True, end="" if self.terminal else "\n")
        if last and self.terminal:
            print(file=sys.stderr)


def tokenize(arguments: argparse.Namespace) -> None:
    import numpy as np

    tokenizer, named = load_tokenizer(arguments.tokenizer)
    end_token, end = end_token_of(tokenizer, arguments.end_token, named)
    vocab_size = 1 + max(tokenizer.get_vocab(with_added_tokens=True).values())
    if arguments.out.exists() and not arguments.overwrite:
        raise TokenizeError(f"{arguments.out} exists; give another --out, or --overwrite")
    files = find_files(arguments.paths, arguments.include, arguments.exclude)
    remarks = Remarks(arguments.skip_undecodable)
    progress = Progress(sum(file.stat().st_size for file in files))
    num_documents = done = 0
    with TokenFile(arguments.out, arguments.format, vocab_size) as out:
        documents = (d for file in files for d in read_documents(file, arguments.field, arguments.separator, remarks))
        for batch in batches(documents):
            for document, encoding in zip(batch, tokenizer.encode_batch_fast([d.text for d in batch], add_special_tokens=False)):
                out.append(np.array([*encoding.ids, end] if document.ends else encoding.ids, dtype=np.int64))
                num_documents += document.ends
            done += sum(document.size for document in batch)
            progress.show(done, out.num_tokens)
        if num_documents == 0:
            raise TokenizeError(f"{len(files)} files hold no text")
        out.finish()
    progress.show(progress.total, out.num_tokens, last=True)
    remarks.report()
    print(f"{arguments.out}: {out.num_tokens:,} tokens of {num_documents:,} documents, each followed by {end_token!r} ({end})\n")
    print(f'In the configuration:\n[model]\nvocab_size = {max(vocab_size, 256)}\n[data]\npaths = ["{arguments.out}"]\n'
          f'format = "{out.format}"')  # fmt: skip


def parser() -> argparse.ArgumentParser:
    result = argparse.ArgumentParser(
        prog="lighthouse tokenize", formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Turn text into a token file for `lighthouse train`, by a Hugging Face tokenizer. Each file is a document; of a\n"
        ".jsonl file each line is. The end token follows each document.",
        epilog="Example:\n  lighthouse tokenize --tokenizer tokenizer.json --out tokens.bin --include '*.py' src/",
    )  # fmt: skip
    add = result.add_argument
    add("paths", nargs="+", type=Path, metavar="PATH", help="text files and folders; folders are searched recursively")
    add("--tokenizer", type=Path, required=True, metavar="PATH", help="a tokenizer.json, or a folder with one")
    add("--out", type=Path, required=True, metavar="FILE", help="the token file to write")
    add("--format", choices=("auto", *FORMATS), default="auto",
        help="uint16 and uint32: numbers and nothing else; llm.c: with its header; auto: uint16 where the vocabulary fits")  # fmt: skip
    add("--end-token", metavar="TOKEN", help="the token after each document; default: the tokenizer's eos_token, or a usual name")
    add("--include", action="append", default=[], metavar="PATTERN", help="names that files found in folders must match; repeatable")
    add("--exclude", action="append", default=[], metavar="PATTERN", help="names of files and folders to pass over; repeatable")
    add("--field", default="text", metavar="NAME", help="the field of a .jsonl line that holds the text (text)")
    add("--separator", metavar="TEXT", help="text that separates documents within a file")
    add("--skip-undecodable", action="store_true", help="leave out files that are not UTF-8, and say which; default: stop")
    add("--threads", type=int, metavar="N", help="threads; default: one per core")
    add("--overwrite", action="store_true", help="replace a file that exists")
    return result


def main(arguments: Optional[list[str]] = None) -> int:
    given = parser().parse_args(arguments)
    if given.threads is not None:
        if given.threads < 1:
            parser().error(f"--threads must be at least 1; got {given.threads}")
        os.environ["RAYON_NUM_THREADS"] = str(given.threads)
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    try:
        tokenize(given)
    except (TokenizeError, OSError, ValueError) as error:
        print(f"lighthouse tokenize: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"lighthouse tokenize: interrupted; {given.out} is as it was", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
