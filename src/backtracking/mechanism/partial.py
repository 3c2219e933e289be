"""Per-event results that are kept as they come, from which an interrupted analysis resumes."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from backtracking.run import io
from backtracking.run.progress import Reporter
from backtracking.run.records import SealedRecord
from backtracking.run.rowfile import RowFile

Values = dict[str, Any]


class PartRow(SealedRecord):
    """What was computed for one item, and under which settings."""

    key: str
    settings: str
    values: Values


def compute_resumably(
    path: Path,
    keys: Sequence[str],
    compute: Callable[[list[int]], Iterator[tuple[int, Values]]],
    *,
    settings: str,
    reporter: Reporter,
    label: str,
) -> list[Values]:
    """Values of every key, in order; `compute` is asked only for the indices that the file lacks.

    Rows made under other settings (another model, other prompts, another config) are dropped, and so are
    those that were changed after they were written.
    """
    file = RowFile(path, PartRow, settings, made_by="the stage that was interrupted")
    kept = _kept(file, set(keys))
    pending = [index for index, key in enumerate(keys) if key not in kept]
    if kept and pending:
        reporter.say(f"  resuming: {len(kept):,} of {len(keys):,} positions done")
    with file.appending() as append, reporter.bar(label, len(pending), "positions") as bar:
        for index, values in compute(pending):
            row = PartRow(key=keys[index], settings=settings, values=values)
            append(row)
            kept[row.key] = values
            bar.advance()
    return [kept[key] for key in keys]


def _kept(file: RowFile[PartRow], keys: set[str]) -> dict[str, Values]:
    if not file.path.exists():
        return {}
    io.heal_jsonl(file.path)
    kept: dict[str, Values] = {}
    lines = []
    for number, row in enumerate(file.rows(verify=False)):
        is_own = row.is_intact and row.settings == file.made_with
        if is_own and row.key in keys and row.key not in kept:
            kept[row.key] = row.values
            lines.append(number)
    file.keep(lines)
    return kept
