"""Documents of text files, for `lighthouse tokenize`."""

import fnmatch
import json
import os
import sys
from pathlib import Path
from typing import Iterator, NamedTuple, Optional


# A tokenizer takes some 160 bytes of memory for each character that it encodes in one call.
WHOLE_CHARACTERS = 4 << 20
_PIECE_CHARACTERS = 1 << 20


class Document(NamedTuple):
    """A document, or a piece of a long one."""

    text: str
    size: int  # bytes of its file that it stands for
    ends: bool = True  # false for all but the last piece


class Remarks:
    """What the user should hear of: files that are not UTF-8 (an error, or passed over), long documents that were cut."""

    def __init__(self, may_skip: bool) -> None:
        self.may_skip = may_skip
        self.skipped: list[str] = []
        self.num_cut = 0

    def skip(self, path: Path, error: UnicodeDecodeError) -> None:
        what = f"{path}: expected UTF-8 text; byte {error.start} is not ({error.reason})"
        if not self.may_skip:
            raise ValueError(f"{what}. --exclude passes it over, --skip-undecodable all such files")
        self.skipped.append(str(path))

    def report(self) -> None:
        if self.skipped:
            shown = ", ".join(self.skipped[:5]) + (", ..." if len(self.skipped) > 5 else "")
            print(f"left out {len(self.skipped)} files that are not UTF-8: {shown}", file=sys.stderr)
        if self.num_cut:
            print(f"{self.num_cut} documents are longer than {WHOLE_CHARACTERS:,} characters: they were encoded in pieces, cut at line "
                  "ends where there are any, which can change a token at each cut", file=sys.stderr)  # fmt: skip


def find_files(paths: list[Path], include: list[str], exclude: list[str]) -> list[Path]:
    """The files named, and those in the folders named, sorted within each. Links to folders are not followed."""
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside: list[Path] = []
            for folder, folders, names in os.walk(path, onerror=_fail):
                folders[:] = [name for name in folders if not _matches(name, exclude)]
                inside += [Path(folder, name) for name in names
                           if (not include or _matches(name, include)) and not _matches(name, exclude)]  # fmt: skip
            if not inside:
                raise ValueError(f"{path}: no file in this folder" + (" matches" if include or exclude else ""))
            found += sorted(inside)
        elif path.exists():
            found.append(path)
        else:
            raise ValueError(f"{path}: no such file or folder")
    strange = next((path for path in found if not path.is_file()), None)
    if strange is not None:
        raise ValueError(f"{strange}: expected a regular file")
    return found


def _fail(error: OSError) -> None:
    raise error


def _matches(name: str, patterns: list[str]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def read_documents(path: Path, field: str, separator: Optional[str], remarks: Remarks) -> Iterator[Document]:
    """A file's documents that have text: the whole, its parts between separators, or the field of each line of a .jsonl file."""
    try:
        if path.suffix == ".jsonl":
            for text, size in _lines(path, field):
                yield from _pieces(text, size, remarks)
            return
        data = path.read_bytes()  # bytes, not text mode: line ends stay as they are
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        remarks.skip(path, error)
        return
    size = len(data)
    del data
    parts = text.split(separator) if separator else [text]
    for part in parts:
        yield from _pieces(part, size // len(parts), remarks)


def _pieces(text: str, size: int, remarks: Remarks) -> Iterator[Document]:
    if not text:
        return
    if len(text) <= WHOLE_CHARACTERS:
        yield Document(text, size)
        return
    remarks.num_cut += 1
    begin = 0
    while begin < len(text):
        end = min(begin + _PIECE_CHARACTERS, len(text))
        if end < len(text):
            # After the last line end in reach, else after the last space, else anywhere.
            end = next((cut + 1 for cut in (text.rfind(mark, begin, end) for mark in "\n ") if cut >= 0), end)
        yield Document(text[begin:end], size * (end - begin) // len(text), ends=end == len(text))
        begin = end


def _lines(path: Path, field: str) -> Iterator[tuple[str, int]]:
    """Texts of a .jsonl file, with the bytes of their lines."""
    with open(path, "rb") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                record = json.loads(line)
            except json.JSONDecodeError as error:
                raise ValueError(f"{path}, line {number}: expected a JSON object; {error.msg}") from error
            text = record.get(field) if isinstance(record, dict) else None
            if not isinstance(text, str):
                raise ValueError(f'{path}, line {number}: expected an object with text in "{field}"; got {line[:60]!r}')
            yield text, len(line)
