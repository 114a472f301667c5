"""Documents of text files, for `lighthouse tokenize`."""

import fnmatch
import json
import os
import sys
from pathlib import Path
from typing import Iterator, NamedTuple, Optional


class Document(NamedTuple):
    text: str
    size: int  # bytes of its file that it stands for


class SkippedFiles:
    """Files that are not UTF-8: an error, or passed over and named at the end."""

    def __init__(self, allowed: bool) -> None:
        self.allowed = allowed
        self.files: list[str] = []

    def add(self, path: Path, error: UnicodeDecodeError) -> None:
        what = f"{path}: expected UTF-8 text; byte {error.start} is not ({error.reason})"
        if not self.allowed:
            raise ValueError(f"{what}. --exclude passes it over, --skip-undecodable all such files")
        self.files.append(str(path))

    def report(self) -> None:
        if self.files:
            shown = ", ".join(self.files[:5]) + (", ..." if len(self.files) > 5 else "")
            print(f"left out {len(self.files)} files that are not UTF-8: {shown}", file=sys.stderr)


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


def read_documents(path: Path, field: str, separator: Optional[str], skipped: SkippedFiles) -> Iterator[Document]:
    """A file's documents that have text: the whole, its parts between separators, or the field of each line of a .jsonl file."""
    try:
        if path.suffix == ".jsonl":
            yield from _lines(path, field)
            return
        # Bytes, not text mode: line ends stay as they are.
        data = path.read_bytes()
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        skipped.add(path, error)
        return
    parts = text.split(separator) if separator else [text]
    size = len(data)
    del data
    for part in parts:
        if part:
            yield Document(part, size // len(parts))


def _lines(path: Path, field: str) -> Iterator[Document]:
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
            if text:
                yield Document(text, len(line))
