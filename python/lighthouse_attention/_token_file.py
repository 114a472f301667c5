"""Token files as `lighthouse train` reads them (docs/CONFIG.md, Data files)."""

import os
from pathlib import Path
from typing import Any

import numpy as np

FORMATS = ("uint16", "uint32", "llm.c")
_HEADER_NUMBERS = 256
_MAGIC_AND_VERSION = {2: (20240520, 1), 4: (20240801, 7)}


class TokenFile:
    """Writes beside its place, and moves there by ``finish()``; without that, nothing is left behind.

    Raises ValueError: a vocabulary that does not fit the format, a llm.c file of more tokens than its header can count.
    """

    def __init__(self, path: Path, format: str, vocab_size: int) -> None:
        fits = vocab_size <= 1 << 16
        self.format = format if format != "auto" else "uint16" if fits else "uint32"
        if self.format == "uint16" and not fits:
            raise ValueError(f"--format uint16 holds tokens below 65536; the vocabulary has {vocab_size}. Use uint32")
        self.width = 2 if self.format == "uint16" or (self.format == "llm.c" and fits) else 4
        self.num_tokens = 0
        self._path = path
        self._temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
        if not path.parent.is_dir():
            raise ValueError(f"--out must name a file in a folder that exists; there is no {path.parent}")
        self._file = open(self._temporary, "wb")
        if self.format == "llm.c":
            self._file.write(bytes(4 * _HEADER_NUMBERS))

    def append(self, tokens: np.ndarray) -> None:
        self._file.write(tokens.astype(f"<u{self.width}").tobytes())
        self.num_tokens += len(tokens)

    def finish(self) -> None:
        if self.format == "llm.c":
            if self.num_tokens > np.iinfo(np.int32).max:
                raise ValueError(f"llm.c's header counts up to {np.iinfo(np.int32).max} tokens; got {self.num_tokens}. Use --format")
            header = np.zeros(_HEADER_NUMBERS, "<i4")
            header[:3] = (*_MAGIC_AND_VERSION[self.width], self.num_tokens)
            self._file.seek(0)
            self._file.write(header.tobytes())
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        os.replace(self._temporary, self._path)
        folder = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def __enter__(self) -> "TokenFile":
        return self

    def __exit__(self, *error: Any) -> None:
        self._file.close()
        self._temporary.unlink(missing_ok=True)
