"""One page to send on: chosen rows, each with its baseline's, as many as a size allows."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

from backtracking.explore.explorer import Explorer
from backtracking.explore.page import embedded, whole_page
from backtracking.run import io

LARGEST = 15_000_000
_LINE = 250
"""More than what a row takes in the index."""


@dataclass(frozen=True)
class Exported:
    """What a page holds."""

    path: Path
    rows: int
    chosen: int
    size: int


def export(explorer: Explorer, path: Path, chosen: Sequence[int], largest: int = LARGEST) -> Exported:
    """Write the page; where not all rows have room, problems give one each before any gives two."""
    empty = whole_page({"index": explorer.index_json([]), "rows": []})
    kept = _fitting(explorer, chosen, largest - len(empty.encode()))
    order = sorted(kept)
    place = {number: new for new, number in enumerate(order)}
    rows = [kept[number] | {"number": place[number]} for number in order]
    page = whole_page({"index": explorer.index_json(order), "rows": rows})
    io.write_text(path, page)
    return Exported(path, len(order), len(chosen), path.stat().st_size)


def _fitting(explorer: Explorer, chosen: Sequence[int], room: int) -> dict[int, dict[str, Any]]:
    kept: dict[int, dict[str, Any]] = {}
    baselines = explorer.index.columns["baseline"]
    for number in _spread(explorer, chosen):
        wanted = [row for row in (baselines[number], number) if row >= 0 and row not in kept]
        new = {row: explorer.row_json(row) for row in wanted}
        room -= sum(len(embedded(row)) + _LINE for row in new.values())
        if room < 0:
            break
        kept |= new
    return kept


def _spread(explorer: Explorer, chosen: Sequence[int]) -> list[int]:
    """Rows in turns of the problems, and those of a problem in turns of the arms."""
    columns = explorer.index.columns
    by_arm = _in_turns(chosen, lambda row: tuple(columns[name][row] for name in ("run", "variant", "arm")))
    return _in_turns(by_arm, lambda row: columns["example"][row])


def _in_turns(rows: Sequence[int], group: Callable[[int], Hashable]) -> list[int]:
    """One row of each group before any group gives two."""
    groups: dict[Hashable, list[int]] = {}
    for row in rows:
        groups.setdefault(group(row), []).append(row)
    return [row for turn in zip_longest(*groups.values()) for row in turn if row is not None]
