"""Files that survive: atomic writes, and append-only JSONL that heals."""

import contextlib
import itertools
import json
import math
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeVar

from pydantic import ValidationError

from backtracking.errors import UserError
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
    """Cut off a torn last line, as left by a crash; returns how many bytes were dropped."""
    if not path.exists():
        return 0
    with path.open("rb+") as file:
        size = file.seek(0, os.SEEK_END)
        end = _end_of_last_line(file, size)
        if end < size:
            file.truncate(end)
            os.fsync(file.fileno())
        return size - end


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
    require_file(path, made_by=made_by)
    read = FirstRows.now_in(path) if grows else Whole(path)
    note(read)
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.endswith(b"\n"):
                break  # still being written, or torn by a crash: not a row yet
            record = _parsed(line, row, f"{path}, line {number}")
            if intact and isinstance(record, SealedRecord) and not record.is_intact:
                raise UserError(
                    f"{path}, line {number}: the row was changed after it was written",
                    "what is computed from it would not be what the model said",
                    f"run: {made_by}, which makes such rows again, or restore the file from a copy",
                )
            yield record
    if intact:
        verify(read)


def _parsed(line: bytes, row: type[R], place: str) -> R:
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
    with path.open("rb") as file:
        file.seek(start)
        return _parsed(file.readline(), row, f"{path}, byte {start}")


def count_lines(path: Path) -> int:
    """How many finished rows a JSONL file holds; none when there is no file."""
    if not path.exists():
        return 0
    with path.open("rb") as file:
        return sum(line.endswith(b"\n") for line in file)


def line_starts(path: Path) -> list[int]:
    """Where each line of a file begins, and where the last one ends."""
    starts = [0]
    with path.open("rb") as file:
        for line in file:
            starts.append(starts[-1] + len(line))
    return starts


class JsonlAppender:
    """Appends rows and flushes each, so that a kill loses at most the row being written."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        heal_jsonl(path)
        self._file = path.open("ab", buffering=0)

    def append(self, row: Record) -> None:
        """Adds one row; it is in the file when this returns."""
        line = memoryview(row.model_dump_json(exclude_none=True).encode() + b"\n")
        start = self._file.seek(0, os.SEEK_END)
        try:
            while line:
                line = line[self._file.write(line) :]
        except OSError:
            with contextlib.suppress(OSError):
                self._file.truncate(start)  # a full disk must not leave half a row
            raise

    def close(self) -> None:
        """Brings the rows to the disk and lets go of the file."""
        with contextlib.suppress(OSError):
            os.fsync(self._file.fileno())
        self._file.close()

    def __enter__(self) -> "JsonlAppender":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


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
    if not path.exists() or not path.stat().st_size:
        return None
    names = (f"{path.stem}.previous{number or ''}{path.suffix}" for number in itertools.count())
    target = next(candidate for name in names if not (candidate := path.with_name(name)).exists())
    if copy:
        shutil.copyfile(path, target)
    else:
        path.replace(target)
    return target


def keep_lines(path: Path, numbers: list[int]) -> None:
    """Rewrite a file with only these lines (counted from 0), in this order; memory stays flat."""
    starts = line_starts(path)
    with path.open("rb") as file:
        if numbers == list(range(len(starts) - 1)):
            return
        with atomic_path(path) as temporary, temporary.open("wb") as out:
            for number in numbers:
                file.seek(starts[number])
                out.write(file.read(starts[number + 1] - starts[number]))
