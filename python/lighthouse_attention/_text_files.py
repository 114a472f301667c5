"""Which files `lighthouse tokenize` reads: as `lighthouse train` finds those of data.paths (docs/CONFIG.md, Data files)."""

import fnmatch
import os
from pathlib import Path

_SHOWN = 3


class _PassedOver:
    """Names of what was passed over, by the reason."""

    def __init__(self) -> None:
        self.names: dict[str, list[Path]] = {}

    def add(self, why: str, path: Path) -> None:
        self.names.setdefault(why, []).append(path)

    def notes(self) -> list[str]:
        return [f"{why}: " + ", ".join(map(str, paths[:_SHOWN])) + (f" and {len(paths) - _SHOWN:,} more" if len(paths) > _SHOWN else "")
                for why, paths in self.names.items()]  # fmt: skip


def find_files(paths: list[Path], include: list[str], exclude: list[str], out: Path) -> tuple[list[Path], list[str]]:
    """The files named, and those in the folders named, sorted within each; and remarks on what was passed over.

    Raises ValueError where there is nothing, or where a named file is `out`, which will be written.
    """
    passed_over = _PassedOver()
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = _files_below(path, include, exclude, passed_over)
            if not inside:
                notes = "".join(f"; {note}" for note in passed_over.notes())
                raise ValueError(f"{path}: no file in this folder" + (" matches" if include or exclude else "") + notes)
            found += inside
        elif path.is_file():
            if _is_same(path, out):
                raise ValueError(f"{path} is also --out; expected another name for what is written")
            found.append(path)
        elif os.path.lexists(path):
            is_loose = path.is_symlink() and not path.exists()
            raise ValueError(f"{path}: " + ("this link leads nowhere" if is_loose else "expected a regular file or a folder"))
        else:
            raise ValueError(f"{path}: no such file or folder")
    return _once(found, out, passed_over), passed_over.notes()


def _files_below(top: Path, include: list[str], exclude: list[str], passed_over: _PassedOver) -> list[Path]:
    takes_hidden = any(pattern.startswith(".") for pattern in include)

    def is_wanted(path: Path) -> bool:
        if _matches(path.name, exclude):
            return False
        if (path.name.startswith(".") and not takes_hidden) or path.name == "__pycache__":
            passed_over.add("hidden files and folders were passed over", path)
            return False
        return True

    files: list[Path] = []
    for folder, folders, names in os.walk(top, onerror=_fail):
        folders[:] = [name for name in folders if is_wanted(Path(folder, name)) and not _is_link(Path(folder, name), passed_over)]
        files += [path for path in (Path(folder, name) for name in names)
                  if is_wanted(path) and (not include or _matches(path.name, include)) and _is_text_file(path, passed_over)]  # fmt: skip
    return sorted(files)


def _is_link(path: Path, passed_over: _PassedOver) -> bool:
    if path.is_symlink():
        passed_over.add("links to folders were not followed", path)
    return path.is_symlink()


def _is_text_file(path: Path, passed_over: _PassedOver) -> bool:
    if path.is_file():
        return True
    if path.is_symlink() and not path.exists():
        passed_over.add("links that lead nowhere were passed over", path)
    else:
        passed_over.add("pipes, sockets and devices were passed over", path)
    return False


def _once(files: list[Path], out: Path, passed_over: _PassedOver) -> list[Path]:
    seen: set[str] = set()
    kept: list[Path] = []
    for path in files:
        real = os.path.realpath(path)
        if real == os.path.realpath(out):
            passed_over.add("the output is no input, and was passed over", path)
        elif real in seen:
            passed_over.add("files that are named more than once are taken once", path)
        else:
            kept.append(path)
        seen.add(real)
    return kept


def _is_same(path: Path, other: Path) -> bool:
    return os.path.realpath(path) == os.path.realpath(other)


def _fail(error: OSError) -> None:
    raise error


def _matches(name: str, patterns: list[str]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
