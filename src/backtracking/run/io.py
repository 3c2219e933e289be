"""Files that survive: atomic writes, and append-only JSONL that heals."""

import contextlib
import itertools
import json
import math
import os
import tempfile
from array import array
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeVar

from pydantic import ValidationError

from backtracking.errors import UserError
from backtracking.run import shards
from backtracking.run.cells import harmless, original
from backtracking.run.inputs import FirstRows, Whole, note, verify
from backtracking.run.records import Record, SealedRecord

if TYPE_CHECKING:
    import pandas as pd

R = TypeVar("R", bound=Record)
_TEXTS = ("example_id", "control_example_id", "predicted_answer")
"""Columns whose texts may look like numbers."""


@contextlib.contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` that takes its name only when the block ends well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text whole, or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, data: Any) -> None:
    """Write JSON that any parser reads: NaN and infinities become null."""
    write_text(path, json.dumps(_finite(data), indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def _finite(data: Any) -> Any:
    if isinstance(data, dict):
        return {str(key): _finite(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_finite(value) for value in data]
    if hasattr(data, "item"):
        data = data.item()
    if isinstance(data, float) and not math.isfinite(data):
        return None
    return data


_NO_COLUMNS = (b"\r\n", b"\n")
"""What a table without columns is written as, here and elsewhere."""


def write_csv(path: Path, table: "pd.DataFrame") -> None:
    """Write a table; CRLF ends the lines, because only then is a lone CR inside a text quoted."""
    with atomic_path(path) as temporary:
        harmless(table).to_csv(temporary, index=False, lineterminator="\r\n")


def read_csv(path: Path, **options: Any) -> "pd.DataFrame":
    """Read a table; only an empty cell is missing, a text such as `NA` is a text, ids and answers always."""
    import pandas as pd

    note(Whole(path))
    settings: dict[str, Any] = {"keep_default_na": False, "na_values": [""], "low_memory": False}
    texts = dict.fromkeys(_TEXTS, str)
    try:
        table: pd.DataFrame = pd.read_csv(path, dtype=texts, **(settings | options))
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        if path.read_bytes() not in _NO_COLUMNS:
            raise UserError(
                f"{path} is not a table",
                str(error).rpartition("error: ")[2].strip(),
                "restore it, or make it again with the command that made it",
            ) from error
        table = pd.DataFrame()
    verify(Whole(path))
    return original(table)


def read_json(path: Path, *, made_by: str, sealed: bool = False) -> Any:
    """Read an artifact; `made_by` is the command to run when it is not there.

    One that is `sealed` carries its own digest, which its reader checks.
    """
    note(Whole(path))
    data = read_record(path, made_by=made_by)
    if not sealed:
        verify(Whole(path))
    return data


def read_record(path: Path, *, made_by: str) -> Any:
    """Read JSON that says what was done; no result depends on it, so that it was read is not noted."""
    require_file(path, made_by=made_by)
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:  # also numbers of more digits than Python reads
        raise UserError(f"{path} is not valid JSON", str(error), f"delete it and run: {made_by}") from error


def read_bytes(path: Path) -> bytes:
    """A file's bytes, noted as read."""
    note(Whole(path))
    verify(Whole(path))
    return path.read_bytes()


def exists(path: Path) -> bool:
    """Whether a file is there that is read if it is: that it was not is noted as well."""
    is_there = path.exists()
    if not is_there:
        note(Whole(path))
    return is_there


def require_file(path: Path, *, made_by: str) -> Path:
    """The path, if the file is there; else an error that names the command that makes it."""
    Whole(path, made_by=made_by).require()
    return path


def heal_jsonl(path: Path) -> int:
    """Cut off torn last lines, as left by a crash; returns how many bytes were dropped."""
    shards.settle(path)
    return sum(map(_heal, shards.shards_of(path)))


def _heal(path: Path) -> int:
    with path.open("rb+") as file:
        size = file.seek(0, os.SEEK_END)
        end = _end_of_last_line(file, size)
        if end < size:
            file.truncate(end)
            os.fsync(file.fileno())
        return size - end


def _count_in(file: Path) -> int:
    with file.open("rb") as opened:
        return sum(1 for _ in opened)


def _end_of_last_line(file: IO[bytes], size: int) -> int:
    block = 1 << 16
    stop = size
    while stop > 0:
        start = max(0, stop - block)
        file.seek(start)
        newline = file.read(stop - start).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        stop = start
    return 0


def read_jsonl(
    path: Path, row: type[R], *, made_by: str, intact: bool = True, grows: bool = False
) -> Iterator[R]:
    """Stream typed rows; a damaged or edited line is reported by number and nothing is changed on disk.

    Rows that are appended later count as a change unless the file `grows` for other stages' sake.
    """
    if intact:
        require_file(path, made_by=made_by)
        shards.require_all(path, made_by)
    read = FirstRows.now_in(path) if grows else Whole(path)
    note(read)
    files = shards.shards_of(path)
    for file in files:
        yield from rows_of_shard(file, row, made_by if intact else None, may_be_torn=file == files[-1])
    if intact:
        verify(read)


def rows_of_shard(file: Path, row: type[R], made_by: str | None, *, may_be_torn: bool) -> Iterator[R]:
    """The rows of one file alone, where a command is named all of them intact.

    A last line without its newline is still being written, or torn by a crash: not a row yet.
    """
    with file.open("rb") as opened:
        for number, line in enumerate(opened, start=1):
            if may_be_torn and not line.endswith(b"\n"):
                break
            record = parsed_row(line, row, place := f"{file}, line {number}")
            if made_by is not None:
                check_intact(record, place, made_by)
            yield record


def check_intact(record: Record, place: str, made_by: str) -> None:
    """Refuse a row that does not fit its own digest."""
    if isinstance(record, SealedRecord) and not record.is_intact:
        raise UserError(
            f"{place}: the row was changed after it was written",
            "what is computed from it would not be what the model said",
            f"run: {made_by}, which makes such rows again, or restore the file from a copy",
        )


def parsed_row(line: bytes, row: type[R], place: str) -> R:
    """A line as a row, or an error that says where it stands and what is wrong with it."""
    try:
        return row.model_validate_json(line)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the line"
        raise UserError(
            f"{place}: not a valid {row.__name__} row",
            f"{where}: {first['msg']}",
            "restore the file from a copy, or delete that line; nothing was overwritten",
        ) from error


def read_row(path: Path, start: int, row: type[R], *, made_by: str) -> R:
    """The row whose line begins at a byte of the file."""
    require_file(path, made_by=made_by)
    with shards.LinesByStart(path) as lines:
        return parsed_row(lines[start], row, f"{path}, byte {start}")


def count_lines(path: Path) -> int:
    """How many finished rows a JSONL file holds; none when there is no file."""
    return sum(line.endswith(b"\n") for line in shards.lines(path))


def line_starts(path: Path) -> "array[int]":
    """Where each line of a file begins, and where the last one ends."""
    return array("q", itertools.accumulate(map(len, shards.lines(path)), initial=0))


class JsonlAppender:
    """Appends rows and flushes each, so that a kill loses at most the row being written.

    After `shard_rows` rows it goes on in the next shard; without a number all stand in one file.
    """

    def __init__(self, path: Path, shard_rows: int | None = None) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        heal_jsonl(path)
        self._path, self._most = path, shard_rows
        self._open((shards.shards_of(path) or [path])[-1])

    def _open(self, shard: Path) -> None:
        self._shard, self._file = shard, shard.open("ab", buffering=0)
        self._room = None if self._most is None else self._most - _count_in(shard)

    def _make_room(self) -> None:
        if self._room is not None and self._room <= 0:
            shard = shards.later_shard(self._path, shards.number_of(self._shard) + 1)
            shard.parent.mkdir(exist_ok=True)
            full = self._file
            self._open(shard)
            _bring_to_disk(full)

    def append(self, row: Record) -> None:
        """Adds one row; it is in the file when this returns."""
        self._make_room()
        line = memoryview(row.model_dump_json(exclude_none=True).encode() + b"\n")
        start = self._file.seek(0, os.SEEK_END)
        try:
            while line:
                line = line[self._file.write(line) :]
        except OSError:
            with contextlib.suppress(OSError):
                self._file.truncate(start)  # a full disk must not leave half a row
            raise
        if self._room is not None:
            self._room -= 1

    def close(self) -> None:
        """Brings the rows to the disk and lets go of the file."""
        _bring_to_disk(self._file)

    def __enter__(self) -> "JsonlAppender":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _bring_to_disk(file: IO[bytes]) -> None:
    with contextlib.suppress(OSError):
        os.fsync(file.fileno())
    file.close()


def write_jsonl(path: Path, rows: Iterable[Record]) -> int:
    """Write a whole JSONL file atomically; returns the number of rows."""
    count = 0
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        for row in rows:
            file.write(row.model_dump_json(exclude_none=True).encode() + b"\n")
            count += 1
    return count


def set_aside(path: Path, *, copy: bool = False) -> Path | None:
    """Rename (or copy) a file that can't be built on; nothing that was set aside before is lost."""
    shards.settle(path)
    if not any(file.stat().st_size for file in shards.shards_of(path)):
        return None
    names = (f"{path.stem}.previous{number or ''}{path.suffix}" for number in itertools.count())
    target = next(free for name in names if not shards.shards_of(free := path.with_name(name)))
    shards.move_or_copy(path, target, copy=copy)
    return target


def keep_lines(path: Path, numbers: Sequence[int], shard_rows: int | None = None) -> None:
    """Rewrite a file with only these lines (counted from 0), in this order; memory stays flat."""
    starts = line_starts(path)
    most = shard_rows or max(len(starts), 1)
    is_as_asked = len(numbers) == len(starts) - 1 and all(n == place for place, n in enumerate(numbers))
    with shards.LinesByStart(path) as lines:
        if is_as_asked and lines.cuts == starts[most:-1:most].tolist() and not shards.missing_shard(path):
            return
        kept = (lines[starts[number]] for number in numbers)
        if len(numbers) > most or shards.folder_of(path).exists():
            shards.write_shards(path, kept, most)
            return
        with atomic_path(path) as temporary, temporary.open("wb") as out:
            out.writelines(kept)
