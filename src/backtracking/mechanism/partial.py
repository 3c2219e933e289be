"""Per-event results that are kept as they come, from which an interrupted analysis resumes."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from backtracking.run import io
from backtracking.run.progress import Reporter
from backtracking.run.provenance import digest
from backtracking.run.records import DIGEST_LENGTH, SealedRecord
from backtracking.run.rowfile import RowFile

Values = dict[str, Any]


class PartRow(SealedRecord):
    """What was computed for one item, and under which settings."""

    key: str
    settings: str
    group: str | None = None
    """Which items were computed together, where their numbers depend on it in the last digits."""
    values: Values


def compute_resumably(
    path: Path,
    keys: Sequence[str],
    compute: Callable[[Sequence[Sequence[int]]], Iterator[tuple[int, Values]]],
    *,
    settings: str,
    reporter: Reporter,
    label: str,
    unit: str = "positions",
    together: Sequence[Sequence[int]] | None = None,
) -> list[Values]:
    """Values of every key, in order; `compute` is asked only for what the file lacks, as groups of indices.

    Rows made under other settings (another model, other prompts, another config) are dropped, and so are
    those that were changed after they were written. Items that are computed `together` are computed whole or
    not at all, so that their numbers do not depend on where an earlier start was stopped.
    """
    first: dict[str, int] = {}
    for index, key in enumerate(keys):
        first.setdefault(key, index)
    groups = [[index for index in group if first[keys[index]] == index] for group in together or ()]
    named = {digest([keys[index] for index in group])[:DIGEST_LENGTH]: group for group in groups}
    group_of = {keys[index]: name for name, group in named.items() for index in group}
    file = RowFile(path, PartRow, settings, made_by="the stage that was interrupted")
    kept = _kept(file, {key: group_of.get(key) for key in first})
    pending = [index for key, index in first.items() if key not in kept]
    if kept and pending:
        reporter.say(f"  resuming: {len(kept):,} of {len(first):,} {unit} done")
    asked = [pending] if together is None else [group for group in groups if set(group) & set(pending)]
    with file.appending() as append, reporter.bar(label, sum(map(len, asked)), unit) as bar:
        for index, values in compute(asked):
            key = keys[index]
            append(PartRow(key=key, settings=settings, group=group_of.get(key), values=values))
            kept[key] = values
            bar.advance()
    return [kept[key] for key in keys]


def _kept(file: RowFile[PartRow], group_of: Mapping[str, str | None]) -> dict[str, Values]:
    """The values on disk that can be built on; all others leave the file."""
    if not file.path.exists():
        return {}
    io.heal_jsonl(file.path)
    kept: dict[str, Values] = {}
    lines: dict[str, int] = {}
    for number, row in enumerate(file.rows(intact=False)):
        is_own = row.is_intact and row.settings == file.made_with
        if is_own and row.key in group_of and row.group == group_of[row.key] and row.key not in kept:
            kept[row.key] = row.values
            lines[row.key] = number
    begun = {group for key, group in group_of.items() if group is not None and key not in kept}
    for key in [key for key in kept if group_of[key] in begun]:
        del kept[key], lines[key]
    file.keep(lines.values())
    return kept
