"""Documents of text files, for `lighthouse tokenize`."""

import codecs
import json
import re
import sys
from collections import deque
from pathlib import Path
from typing import Iterator, NamedTuple, Optional

# A tokenizer takes some 160 bytes of memory for each character that it encodes in one call.
WHOLE_CHARACTERS = 4 << 20
_PIECE_CHARACTERS = 1 << 20
_LINES = (".jsonl", ".ndjson")
_SHOWN = 5

# What files begin with that hold text in another form, or none.
_OTHER_FORMATS = (
    (b"\xff\xfe", "UTF-16 or UTF-32 text; iconv converts it"),
    (b"\xfe\xff", "UTF-16 text; iconv converts it"),
    (b"\x00\x00\xfe\xff", "UTF-32 text; iconv converts it"),
    (b"\x1f\x8b", "a gzip file; unpack it first"),
    (b"\x28\xb5\x2f\xfd", "a zstd file; unpack it first"),
    (b"\xfd7zXZ\x00", "an xz file; unpack it first"),
    (b"BZh", "a bzip2 file; unpack it first"),
    (b"PK\x03\x04", "a zip archive; unpack it first"),
    (b"PAR1", "a Parquet file; write its texts as .jsonl first"),
)
_POINTER = b"version https://git-lfs.github.com/"


class Document(NamedTuple):
    """A document, or a piece of a long one."""

    text: str
    size: int  # bytes of its file that it stands for
    ends: bool = True  # false for all but the last piece
    place: str = ""  # its file, and the line there


class Remarks:
    """What the user should hear of at the end: documents that could not be read and were left out, and long ones that were cut.

    Where leaving out was not asked for, the first such document is an error.
    """

    def __init__(self, may_skip: bool) -> None:
        self.may_skip = may_skip
        self.skipped: list[str] = []  # the first few, with the reasons
        self.num_skipped = 0
        self.num_cut = 0
        self.separator_seen = False
        self.notes: list[str] = []

    def skip(self, place: str, why: str) -> None:
        if not self.may_skip:
            raise ValueError(f"{place}: {why}. --skip-undecodable leaves out such documents; --exclude, files in folders")
        self.num_skipped += 1
        if len(self.skipped) < _SHOWN:
            self.skipped.append(f"{place}: {why}")

    def lines(self) -> list[str]:
        lines = list(self.notes)
        if self.num_skipped:
            lines.append(f"left out {_count(self.num_skipped, 'document')} that could not be read:")
            lines += [f"  {what}" for what in self.skipped]
            if self.num_skipped > len(self.skipped):
                lines.append(f"  and {self.num_skipped - len(self.skipped):,} more")
        if self.num_cut:
            is_longer = "is longer" if self.num_cut == 1 else "are longer"
            lines.append(f"{_count(self.num_cut, 'document')} {is_longer} than {WHOLE_CHARACTERS:,} characters and encoded in "
                         "pieces, cut at line ends where there are any, which can change a token at each cut")  # fmt: skip
        return lines

    def report(self) -> None:
        for line in self.lines():
            print(line, file=sys.stderr)


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" + ("" if number == 1 else "s")


def read_documents(path: Path, field: str, separator: Optional[str], remarks: Remarks) -> Iterator[Document]:
    """A file's documents that have text: the whole, its parts between separators, or the field of each line of a .jsonl file."""
    if path.suffix.lower() in _LINES:
        texts = _lines(path, field, remarks)
    else:
        texts = _parts(path, separator, remarks)
    for text, size, place in texts:
        yield from _pieces(text, size, remarks, place)


def _parts(path: Path, separator: Optional[str], remarks: Remarks) -> Iterator[tuple[str, int, str]]:
    """Texts of a file, each with its bytes and its place."""
    data = path.read_bytes()  # bytes, not text mode: line ends stay as they are
    other = _other_format(data)
    if other is not None:
        remarks.skip(str(path), f"expected UTF-8 text; it is {other}")
        return
    begin = len(codecs.BOM_UTF8) if data.startswith(codecs.BOM_UTF8) else 0  # says how the file is written, and is no text
    mark = separator.encode() if separator else b""
    parts = deque(data[begin:].split(mark) if mark else [data[begin:]])
    remarks.separator_seen |= len(parts) > 1
    del data  # and each part when it is decoded: a file may be of gigabytes
    while parts:
        part = parts.popleft()
        size = len(part)
        try:
            text = part.decode("utf-8")
        except UnicodeDecodeError as error:
            remarks.skip(str(path), f"expected UTF-8 text; byte {begin + error.start} is not ({error.reason})")
            text = ""
        del part
        begin += size + len(mark)
        yield text, size, str(path)


def _other_format(data: bytes) -> Optional[str]:
    if data.startswith(_POINTER):
        return "a Git LFS pointer, which stands for the file; git lfs pull fetches it"
    head = data[:4096]
    if len(head) >= 16 and head.count(0) * 5 >= len(head) * 2:
        return "UTF-16 text or no text: many of its bytes are 0"
    try:
        head[: len(head) - 3].decode("utf-8")
        return None
    except UnicodeDecodeError:
        return next((name for mark, name in _OTHER_FORMATS if data.startswith(mark)), None)


def _pieces(text: str, size: int, remarks: Remarks, place: str = "") -> Iterator[Document]:
    if not text:
        return
    if len(text) <= WHOLE_CHARACTERS:
        yield Document(text, size, place=place)
        return
    remarks.num_cut += 1
    begin = 0
    while begin < len(text):
        end = min(begin + _PIECE_CHARACTERS, len(text))
        if end < len(text):
            # After the last line end in reach, else after the last space, else anywhere.
            end = next((cut + 1 for cut in (text.rfind(mark, begin, end) for mark in "\n ") if cut >= 0), end)
        yield Document(text[begin:end], size * (end - begin) // len(text), end == len(text), place)
        begin = end


class _Object(tuple):
    """A JSON object as its pairs, so that a name that stands twice is seen."""


# As float, since Python refuses whole numbers of many digits, and none is looked at.
_decoder = json.JSONDecoder(object_pairs_hook=_Object, parse_int=float)
_KINDS = {_Object: "an object", list: "an array", str: "text", float: "a number", bool: "true or false", type(None): "null"}
_HALVES = re.compile("[\ud800-\udfff]")


class _NoDocument(Exception):
    """Why a line is no document; where is the character of the line, if one is to blame."""

    def __init__(self, why: str, where: Optional[int] = None) -> None:
        super().__init__(why)
        self.where = where


def _lines(path: Path, field: str, remarks: Remarks) -> Iterator[tuple[str, int, str]]:
    """Texts of a .jsonl file, each with the bytes of its line and its place."""
    begin = 0
    with open(path, "rb") as file:
        for number, line in enumerate(file, 1):
            place = f"{path}, line {number}"
            try:
                text = _text_of(line, begin == 0, field)
                if text:
                    yield text, len(line), place
            except UnicodeDecodeError as error:
                remarks.skip(place, f"expected UTF-8 text; byte {begin + error.start} of the file is not ({error.reason})")
            except _NoDocument as error:
                where = f" at byte {begin + error.where} of the file" if error.where is not None else f"; the line begins at byte {begin}"
                remarks.skip(place, f"{error}{where}")
            begin += len(line)


def _text_of(line: bytes, is_first: bool, field: str) -> str:
    if is_first and line.startswith(codecs.BOM_UTF8):
        line = line.removeprefix(codecs.BOM_UTF8).rjust(len(line))  # blanks keep the places of errors
    if not line.strip():
        return ""
    letters = line.decode("utf-8").rstrip()
    try:
        record = _decoder.decode(letters)
    except json.JSONDecodeError as error:
        raise _NoDocument(f"expected a JSON object; {error.msg}", len(letters[: error.pos].encode())) from error
    except RecursionError as error:
        raise _NoDocument("expected a JSON object; its arrays or objects are nested too deeply") from error
    values = [value for name, value in record if name == field] if isinstance(record, _Object) else []
    if len(values) != 1 or not isinstance(values[0], str):
        raise _NoDocument(f'expected an object with text in "{field}"; got {_described(record, values, field)}')
    half = _HALVES.search(values[0])
    if half is not None:
        raise _NoDocument(f'expected text in "{field}"; got half of a surrogate pair, \\u{ord(half[0]):04x}')
    return values[0]


def _described(record: object, values: list, field: str) -> str:
    if not isinstance(record, _Object):
        return _KINDS[type(record)]
    if len(values) == 1:
        return f"{_KINDS[type(values[0])]} there"
    if values:
        return f'"{field}" {len(values)} times'
    names = [f'"{name[:30]}"' for name, _ in record]
    return "one with " + ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "") if names else "an empty one"
