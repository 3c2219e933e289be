"""Rows of trace files, folders, hub datasets and Inspect logs, one at a time."""

import csv
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from backtracking.errors import UserError
from backtracking.run.hub import asking_hub
from backtracking.run.shards import is_later_shard, shards_of
from backtracking.sources import inspect_logs
from backtracking.sources.columns import SourceRow

ENDINGS = (".jsonl", ".json", ".csv", ".parquet", ".eval")


def read_rows(source: str, split: str | None = None) -> Iterator[SourceRow]:
    """All rows of a file, of the files in a folder, or of a dataset on the hub."""
    path = Path(source)
    if path.is_dir():
        found = (file for file in path.rglob("*") if file.is_file() and file.suffix.lower() in ENDINGS)
        files = sorted(file for file in found if not is_later_shard(file))
        if not files:
            raise UserError(f"{path} holds no traces", f"files that are read end in {', '.join(ENDINGS)}")
        for file in files:
            yield from _read_file(file)
    elif path.is_file():
        yield from _read_file(path)
    elif path.suffix.lower() in ENDINGS or not _may_be_on_hub(source):
        raise UserError(f"there is no file or folder {source}", next_step="check the path")
    else:
        yield from _read_hub(source, split)


def _may_be_on_hub(source: str) -> bool:
    return source.count("/") <= 1 and not source.startswith((".", "/", "~"))


def _read_file(path: Path) -> Iterator[SourceRow]:
    readers = {
        ".jsonl": _read_jsonl,
        ".json": _read_json,
        ".csv": _read_csv,
        ".parquet": _read_parquet,
        ".eval": inspect_logs.read_archive,
    }
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise UserError(
            f"{path}: unknown ending", next_step=f"use a file that ends in one of {', '.join(ENDINGS)}"
        )
    yield from reader(path)


def _read_jsonl(path: Path) -> Iterator[SourceRow]:
    for file in shards_of(path):
        with file.open(encoding="utf-8-sig", errors="replace") as opened:
            for number, line in enumerate(opened, start=1):
                if line.strip():
                    yield _mapping(_loads(line, f"{file}, line {number}"), f"{file}, line {number}")


def _read_json(path: Path) -> Iterator[SourceRow]:
    data = _loads(path.read_text(encoding="utf-8-sig", errors="replace"), str(path))
    if inspect_logs.is_log(data):
        yield from inspect_logs.log_rows(data)
        return
    if isinstance(data, dict):
        lists = [value for value in data.values() if isinstance(value, list)]
        data = lists[0] if len(lists) == 1 else data
    if not isinstance(data, list):
        raise UserError(f"{path} holds no list of traces", f"its top level is {type(data).__name__}")
    for number, row in enumerate(data, start=1):
        yield _mapping(row, f"{path}, entry {number}")


def _read_csv(path: Path) -> Iterator[SourceRow]:
    csv.field_size_limit(1 << 30)
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        # values beyond the header's columns stand under no name
        rows = csv.DictReader(file)
        yield from ({str(k): v for k, v in row.items() if k is not None} for row in rows)


def _read_parquet(path: Path) -> Iterator[SourceRow]:
    import pyarrow
    from pyarrow.parquet import ParquetFile

    try:
        with ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=256):
                yield from batch.to_pylist()
    except (pyarrow.ArrowException, OSError) as error:
        raise UserError(f"cannot read {path}", str(error)) from error


def _read_hub(name: str, split: str | None) -> Iterator[SourceRow]:
    import datasets

    try:
        with asking_hub("dataset", name, "source", "give a local file"):
            rows = datasets.load_dataset(name, split=split or "train", streaming=True)
        yield from (dict(row) for row in rows)
    except UserError:
        raise
    except Exception as error:  # the hub client raises many kinds; all mean that it could not be had
        raise UserError(
            f"cannot load dataset {name!r} (split {split or 'train'}) from the hub",
            f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no detail'}",
            "check the name, --split and the network, or give a local file",
        ) from error


def _loads(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:  # also numbers of more digits than Python reads
        raise UserError(f"{where}: not valid JSON", str(error)) from error


def _mapping(row: Any, where: str) -> SourceRow:
    if not isinstance(row, Mapping):
        raise UserError(f"{where}: not a mapping of columns", f"it is {type(row).__name__}")
    return dict(row)
