"""Completions behind fixed prefixes: a line each, with what was put in and what came of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from backtracking.artifacts import phase1, phase2
from backtracking.artifacts.kinds import Table
from backtracking.explore.facets import Facet, coded
from backtracking.explore.study import MeasuredRun
from backtracking.measurements.fixed_prefixes import INJECTED, RIGHT
from backtracking.run.records import BASELINE_NAME

TABLES: Mapping[str, tuple[Table, str]] = {
    "conditions": (phase1.PREFIX_ROWS, "conditions of Phase 1"),
    "confirmed": (phase2.CONFIRM_PREFIX_ROWS, "arms that were confirmed"),
    "forced": (phase2.FORCED_ERROR_ROWS, "forced errors under every arm"),
}
"""Where such completions are told of, by what links call it."""
_FIXED = (
    coded("of", "From", [(name, text) for name, (_, text) in TABLES.items()]),
    coded("put", "The step", [(INJECTED, "made wrong"), (RIGHT, "as it was")]),
    coded("follows", "An onset follows", [("yes", "before the next step"), ("no", "no")]),
    coded("ends", "It ends", [("right", "right"), ("wrong", "wrong, or without an answer")]),
    coded("cut", "Ending", [("no", "ended by itself"), ("yes", "cut, or in a loop")]),
)
_NAMED = {"run": "Run", "arm": "Arm", "example": "Problem"}

RowOf = Mapping[tuple[str, str, int], int]
"""The number of a baseline's row in the index, by run, problem and sample."""


@dataclass
class PrefixRows:
    """All such completions, column by column, filtered by the same rules as rows are."""

    columns: dict[str, list[Any]] = field(default_factory=dict)
    values: dict[str, dict[str, int]] = field(default_factory=dict)

    @classmethod
    def of(cls, studies: Sequence[MeasuredRun], rows: RowOf) -> "PrefixRows":
        """What the runs' tables hold; `rows` tells where the text of a prefix can be read."""
        found = cls()
        for study in studies:
            for name, (table, _) in TABLES.items():
                if table.exists(study.paths):
                    found._take(study.name, name, table.read(study.paths), rows)
        return found

    def __len__(self) -> int:
        return len(self.columns.get("run", ()))

    @property
    def facets(self) -> list[Facet]:
        """What they can be filtered by."""
        named = [
            coded(key, title, [(value, value) for value in self.values.get(key, {})], shown=key != "example")
            for key, title in _NAMED.items()
        ]
        return [*named, *_FIXED]

    def as_json(self, place: Mapping[int, int]) -> dict[str, Any]:
        """As pages read them; `place` is where rows of the index stand on the page."""
        return {
            "rows": len(self),
            "facets": [facet.as_json() for facet in self.facets],
            "columns": self.columns | {"row": [place.get(row, -1) for row in self.columns.get("row", ())]},
        }

    def _take(self, run: str, of: str, table: pd.DataFrame, rows: RowOf) -> None:
        for line in table.to_dict("records"):
            example, sample = str(line["example_id"]), int(line["sample_id"])
            named = {"run": run, "arm": str(line["arm"]), "example": example}
            for key, value in named.items():
                known = self.values.setdefault(key, {})
                self._column(key).append(known.setdefault(value, len(known)))
            options = {
                "of": of,
                "put": line["kind"],
                "follows": "yes" if _is_true(line["onset_follows"]) else "no",
                "ends": "right" if _is_true(line["is_correct"]) else "wrong",
                "cut": "no" if line["finish_reason"] == "stop" else "yes",
            }
            for facet in _FIXED:
                values = [option.value for option in facet.options]
                self._column(facet.key).append(values.index(str(options[facet.key])))
            more = {
                "sample": sample,
                "draw": None if pd.isna(line["draw"]) else int(line["draw"]),
                "step": str(line["step"]),
                "changed": str(line["changed"]),
                "tokens": int(line["completion_tokens"]),
                "row": rows.get((run, example, sample), -1),
            }
            for key, entry in more.items():
                self._column(key).append(entry)

    def _column(self, key: str) -> list[Any]:
        return self.columns.setdefault(key, [])


def _is_true(value: object) -> bool:
    return str(value) == "True"


def baseline_places(names: Sequence[tuple[str, ...]]) -> RowOf:
    """The first baseline row of each problem and sample, by the names of all rows."""
    found: dict[tuple[str, str, int], int] = {}
    for number, (run, _, arm, example, sample) in enumerate(names):
        if arm == BASELINE_NAME:
            found.setdefault((run, example, int(sample)), number)
    return found
