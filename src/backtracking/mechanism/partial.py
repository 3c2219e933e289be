"""Per-event results that are kept as they come, so that an interrupted analysis goes on where it stopped."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from backtracking.run import io
from backtracking.run.progress import Reporter
from backtracking.run.records import Record

Values = dict[str, Any]


class PartRow(Record):
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

    Rows made under other settings (another model, other prompts, another config) are dropped.
    """
    found = _kept(path, set(keys), settings)
    pending = [index for index, key in enumerate(keys) if key not in found]
    if found and pending:
        reporter.say(f"  resuming: {len(found):,} of {len(keys):,} positions done")
    with io.JsonlAppender(path) as file, reporter.bar(label, len(pending), "positions") as bar:
        for index, values in compute(pending):
            row = PartRow(key=keys[index], settings=settings, values=values)
            file.append(row)
            found[row.key] = values
            bar.advance()
    return [found[key] for key in keys]


def _kept(path: Path, keys: set[str], settings: str) -> dict[str, Values]:
    if not path.exists():
        return {}
    io.heal_jsonl(path)
    found: dict[str, Values] = {}
    lines = []
    for number, row in enumerate(io.read_jsonl(path, PartRow, made_by="the stage that was interrupted")):
        if row.settings == settings and row.key in keys and row.key not in found:
            found[row.key] = row.values
            lines.append(number)
    io.keep_lines(path, lines)
    return found
