"""Indexes of shards: where each row begins, so that a few rows are found without reading all the others.

A file that has no shards has no index. One that does not fit its shard is not used: the shard is read.
"""

import hashlib
import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from backtracking.run import io, shards
from backtracking.run.inputs import Whole, note, verify
from backtracking.run.records import GenerationRecord, RowId


@dataclass(frozen=True)
class Entry:
    """Where a row begins in its shard, which row it is, and the digest that it carries."""

    start: int
    key: RowId
    digest: str | None


def index_of(path: Path, shard: Path) -> Path:
    """The index of one shard of a file."""
    return shards.later_shard(path, shards.number_of(shard)).with_suffix(".index")


def write_indexes(path: Path) -> None:
    """Index every shard that is not indexed as it is now; a file without shards needs none."""
    files = shards.shards_of(path)
    for shard in files if len(files) > 1 else ():
        if _entries(path, shard) is None:
            _write(index_of(path, shard), shard)


def _write(index: Path, shard: Path) -> None:
    entries, start = bytearray(), 0
    with shard.open("rb") as file:
        for line in file:
            row = json.loads(line)
            entry = [start, row["example_id"], row["sample_id"], row.get("digest")]
            entries += json.dumps(entry, ensure_ascii=False).encode() + b"\n"
            start += len(line)
    head = {"bytes": start, "digest": hashlib.sha256(entries).hexdigest()}
    with io.atomic_path(index) as temporary:
        temporary.write_bytes(json.dumps(head).encode() + b"\n" + entries)


def _entries(path: Path, shard: Path) -> list[Entry] | None:
    """What the index of a shard says; none where there is none, or not one of this shard."""
    try:
        head, _, entries = index_of(path, shard).read_bytes().partition(b"\n")
        said = json.loads(head)
    except (OSError, ValueError):
        return None
    if said != {"bytes": shard.stat().st_size, "digest": hashlib.sha256(entries).hexdigest()}:
        return None
    rows = map(json.loads, entries.splitlines())
    return [Entry(start, (example, sample), digest) for start, example, sample, digest in rows]


def find_rows(path: Path, keys: Collection[RowId], *, made_by: str) -> dict[RowId, GenerationRecord]:
    """The rows of these keys, as far as they are there, in the order of the file."""
    if len(shards.shards_of(path)) < 2:
        rows = io.read_jsonl(path, GenerationRecord, made_by=made_by)
        return {row.id: row for row in rows if row.id in keys}
    io.require_file(path, made_by=made_by)
    shards.require_all(path, made_by)
    note(Whole(path))
    found = {row.id: row for shard in shards.shards_of(path) for row in _found(path, shard, keys, made_by)}
    verify(Whole(path))
    return found


def _found(path: Path, shard: Path, keys: Collection[RowId], made_by: str) -> Iterator[GenerationRecord]:
    entries = _entries(path, shard)
    if entries is None:
        rows = io.rows_of_shard(shard, GenerationRecord, made_by, may_be_torn=False)
        yield from (row for row in rows if row.id in keys)
        return
    with shards.LinesByStart(shard) as lines:
        for entry in entries:
            if entry.key in keys:
                place = f"{shard}, byte {entry.start}"
                row = io.parsed_row(lines[entry.start], GenerationRecord, place)
                io.check_intact(row, place, made_by)
                yield row
