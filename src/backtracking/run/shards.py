"""Shards: a file of rows that grows too long goes on in numbered files beside it, and stays one sequence.

`baseline.jsonl` is the first of them, `baseline.shards/00002.jsonl` the next. Whoever reads the first reads
all, as if they were one file; places are counted in bytes from its beginning.
"""

import hashlib
import os
import shutil
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import accumulate, islice
from pathlib import Path
from typing import IO

from backtracking.errors import UserError
from backtracking.run.provenance import folder_digest

_FOLDER, _NEW, _READY = ".shards", ".shards-new", ".shards-ready"


def folder_of(path: Path) -> Path:
    """Where the shards beyond the first lie, with the index of each."""
    return path.with_suffix(_FOLDER)


def later_shard(path: Path, number: int) -> Path:
    """A shard by its number, from 2 on."""
    return folder_of(path) / _name(number)


def _name(number: int) -> str:
    return f"{number:05}.jsonl"


def number_of(file: Path) -> int:
    """Which shard of its sequence a file is."""
    return int(file.stem) if file.parent.suffix == _FOLDER else 1


def shards_of(path: Path) -> list[Path]:
    """The files that a sequence has, in their order."""
    later = sorted(folder_of(path).glob(f"{'[0-9]' * 5}.jsonl")) if path.suffix == ".jsonl" else []
    return [file for file in (path, *later) if file.exists()]


def is_later_shard(file: Path) -> bool:
    """Whether a file goes on with another one."""
    return file.parent.suffix == _FOLDER and file.parent.with_suffix(".jsonl").exists()


def missing_shard(path: Path) -> Path | None:
    """The first file that a sequence lacks before one that it has."""
    for wanted, file in enumerate(shards_of(path), start=1):
        if number_of(file) != wanted:
            return later_shard(path, wanted) if wanted > 1 else path
    return None


def require_all(path: Path, made_by: str) -> None:
    """Refuse a sequence with a gap."""
    if (missing := missing_shard(path)) is not None:
        raise UserError(
            f"missing shard: {missing}",
            f"it held rows of {path.name}, and others follow them",
            f"restore it from a copy, or run: {made_by}, which makes such rows again",
        )


def lines(path: Path) -> Iterator[bytes]:
    """The lines of all shards."""
    for file in shards_of(path):
        with file.open("rb") as opened:
            yield from opened


def sequence_digest(path: Path) -> str:
    """SHA-256 of all shards' bytes: the same however they are cut."""
    summary = hashlib.sha256()
    for file in shards_of(path):
        if file.is_dir():
            summary.update(folder_digest(file).encode())
        else:
            with file.open("rb") as opened:
                hashlib.file_digest(opened, lambda: summary)
    return summary.hexdigest()


class LinesByStart:
    """Lines of a sequence by the byte at which they begin; neighbours are read through one open file."""

    def __init__(self, path: Path) -> None:
        self._files = shards_of(path)
        self._begins = [0, *accumulate(file.stat().st_size for file in self._files)]
        self._at = -1
        self._opened: IO[bytes] | None = None

    @property
    def cuts(self) -> list[int]:
        """Where the shards beyond the first begin."""
        return self._begins[1:-1]

    def __getitem__(self, start: int) -> bytes:
        number = min(bisect_right(self._begins, start), len(self._files)) - 1
        if self._opened is None or number != self._at:
            self.close()
            self._at, self._opened = number, self._files[number].open("rb")
        self._opened.seek(start - self._begins[number])
        return self._opened.readline()

    def close(self) -> None:
        """Let go of the file that was read last."""
        if self._opened is not None:
            self._opened.close()

    def __enter__(self) -> "LinesByStart":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def write_shards(path: Path, rows: Iterable[bytes], most: int) -> None:
    """Replace a sequence by these lines, so many to a shard; a kill leaves all old or all new ones."""
    new = path.with_suffix(_NEW)
    _remove(new)
    new.mkdir(parents=True)
    try:
        number, ahead = 1, iter(rows)
        while _write_some(new / _name(number), islice(ahead, most)) == most:
            number += 1
        if number > 1 and not (last := new / _name(number)).stat().st_size:
            last.unlink()
        new.replace(path.with_suffix(_READY))
    except BaseException:
        with suppress(OSError):
            _remove(new)
        raise
    settle(path)


def _write_some(path: Path, rows: Iterable[bytes]) -> int:
    count = 0
    with path.open("wb") as file:
        for row in rows:
            file.write(row)
            count += 1
        file.flush()
        os.fsync(file.fileno())
    return count


def settle(path: Path) -> None:
    """Put finished new shards in the place of the old ones, also where an earlier start was killed at it."""
    _remove(path.with_suffix(_NEW))
    ready = path.with_suffix(_READY)
    if not ready.is_dir():
        return
    _remove(folder_of(path))
    if (first := ready / _name(1)).exists():
        first.replace(path)
    if any(ready.iterdir()):
        ready.replace(folder_of(path))
    else:
        ready.rmdir()


def _remove(folder: Path) -> None:
    if folder.is_symlink() or folder.is_file():
        folder.unlink()
    elif folder.exists():
        shutil.rmtree(folder)


def move_or_copy(path: Path, target: Path, *, copy: bool) -> None:
    """Rename or copy a whole sequence; the first file comes last, so that none is left without it."""
    folder, aside = folder_of(path), folder_of(target)
    if copy:
        if folder.is_dir():
            shutil.copytree(folder, aside)
        if path.exists():
            shutil.copyfile(path, target)
        return
    if folder.is_dir():
        folder.replace(aside)
    if path.exists():
        path.replace(target)
