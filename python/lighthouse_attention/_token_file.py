"""Token files as `lighthouse train` reads them (docs/CONFIG.md, Data files)."""

import os
import secrets
import stat
import string
import sys
from array import array
from pathlib import Path
from typing import Any, NoReturn, Optional, Sequence

FORMATS = ("uint16", "uint32", "llm.c")
_HEADER_NUMBERS = 256
_MAGIC_AND_VERSION = {2: (20240520, 1), 4: (20240801, 7)}
_MOST_IN_HEADER = (1 << 31) - 1
_TYPES = {2: "H", 4: "I"}


class TokenFile:
    """Writes beside its place, and moves there by ``finish()``; without that, nothing is left behind.

    Raises ValueError: a vocabulary that does not fit the format, a llm.c file of more tokens than its header can count, a place
    that holds something else than a file, or a file that is not to be replaced.
    """

    def __init__(self, path: Path, format: str, vocab_size: int, overwrite: bool = False) -> None:
        fits = vocab_size <= 1 << 16
        self.format = format if format != "auto" else "uint16" if fits else "uint32"
        if self.format == "uint16" and not fits:
            raise ValueError(f"--format uint16 holds tokens below 65536; the vocabulary has {vocab_size}. Use uint32")
        self.width = 2 if self.format == "uint16" or (self.format == "llm.c" and fits) else 4
        self.num_tokens = 0
        self.is_kept = False  # whether the tokens outlast this object
        self._named, self._overwrite = path, overwrite
        self._replaced = _expect_place(path, overwrite)
        self._path = Path(os.path.realpath(path))  # a link stays, and what it leads to is replaced
        letters = "".join(secrets.choice(string.ascii_lowercase + string.digits) for _ in range(6))
        self._temporary = self._path.with_name(f"{self._path.name[:60]}.{letters}.tmp")
        try:
            self._file = open(self._temporary, "xb")
        except OSError as error:
            raise OSError(f"--out {path}: cannot write in {self._path.parent}: {error.strerror}") from error
        if self.format == "llm.c":
            self._file.write(bytes(4 * _HEADER_NUMBERS))

    def append(self, tokens: Sequence[int]) -> None:
        self.num_tokens += len(tokens)
        self._expect_countable()
        numbers = array(_TYPES[self.width], tokens)
        if sys.byteorder == "big":
            numbers.byteswap()
        try:
            self._file.write(numbers.tobytes())
        except OSError as error:
            self._fail(error)

    def finish(self) -> None:
        self._expect_countable()
        try:
            if self.format == "llm.c":
                header = [*_MAGIC_AND_VERSION[self.width], self.num_tokens]
                self._file.seek(0)
                self._file.write(b"".join(number.to_bytes(4, "little") for number in header))
            self._file.flush()
            if self._replaced is not None:
                _lend_permissions(self._file.fileno(), self._replaced)
            os.fsync(self._file.fileno())
        except OSError as error:
            self._fail(error)
        self._file.close()
        if not self._overwrite and os.path.lexists(self._path):
            self.is_kept = True
            raise ValueError(f"{self._named} appeared while this ran, and was not replaced. The tokens are whole in {self._temporary}")
        os.replace(self._temporary, self._path)
        self.is_kept = True
        folder = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _expect_countable(self) -> None:
        if self.format == "llm.c" and self.num_tokens > _MOST_IN_HEADER:
            raise ValueError(f"llm.c's header counts up to {_MOST_IN_HEADER} tokens; got {self.num_tokens}. Use --format uint16 or "
                             "uint32, or several files")  # fmt: skip

    def _fail(self, error: OSError) -> NoReturn:
        raise OSError(f"cannot write {self._temporary}: {error.strerror}") from error

    def __enter__(self) -> "TokenFile":
        return self

    def __exit__(self, *error: Any) -> None:
        try:
            self._file.close()
        except OSError:
            pass  # of a disk that is full: what is not yet written goes away with the file
        finally:
            if not self.is_kept:
                self._temporary.unlink(missing_ok=True)


def _expect_place(path: Path, overwrite: bool) -> Optional[os.stat_result]:
    """What stands at the path, if it is a file that may be replaced; an error where a token file must not go."""
    try:
        found = os.stat(path)
    except FileNotFoundError:
        found = None
    except OSError as error:
        raise OSError(f"--out {path}: {error.strerror}") from error
    if found is not None and stat.S_ISDIR(found.st_mode):
        raise ValueError(f"--out must name a file; {path} is a folder")
    if found is not None and not stat.S_ISREG(found.st_mode):
        raise ValueError(f"--out must name a regular file; {path} is a device, a pipe or a socket")
    if found is not None and not overwrite:
        raise ValueError(f"{path} exists; give another --out, or --overwrite")
    if found is not None and not os.access(path, os.W_OK):
        raise ValueError(f"--out {path}: this file may not be written, and so is not replaced")
    folder = Path(os.path.realpath(path)).parent
    if not folder.is_dir():
        raise ValueError(f"--out must name a file in a folder that exists; there is no {folder}")
    return found


def _lend_permissions(descriptor: int, replaced: os.stat_result) -> None:
    """Only root can give a file away; for others, a file that they may replace becomes theirs."""
    try:
        os.fchown(descriptor, replaced.st_uid, replaced.st_gid)
    except PermissionError:
        pass
    os.fchmod(descriptor, replaced.st_mode & 0o777)
