"""Which completions two runs share, token for token: rows that are the same can differ in nothing."""

from collections.abc import Iterable, Mapping
from typing import Any

from backtracking.artifacts.phase1 import GENERATIONS
from backtracking.reports.rows_behind import file_of_rows
from backtracking.reports.two_runs.side import ComparedRun
from backtracking.run.io import read_jsonl
from backtracking.run.records import GenerationRecord

_ROW = tuple[str, int, int | None]
"""Problem, sample, and which set of a random arm."""


def shared_completions(
    a: ComparedRun, b: ComparedRun, groups: Iterable[tuple[str, str]]
) -> list[dict[str, Any]]:
    """How many completions of each prompt format and condition are in both, and how many are the same."""
    counts = []
    for variant, condition in groups:
        ours, theirs = (_tokens(side, variant, condition) for side in (a, b))
        if both := ours.keys() & theirs.keys():
            same = sum(ours[row] == theirs[row] for row in both)
            counts.append(
                {"variant": variant, "condition": condition}
                | {"a": len(ours), "b": len(theirs), "both": len(both), "same": same}
            )
    return counts


def _tokens(side: ComparedRun, variant: str, condition: str) -> Mapping[_ROW, int]:
    """A short stand-in for what each row says; texts from elsewhere have no tokens."""
    path = file_of_rows(side.paths, variant, condition)
    if path is None:
        return {}
    records = read_jsonl(path, GenerationRecord, made_by=GENERATIONS.made_by, intact=False)
    return {
        (one.example_id, one.sample_id, one.draw): hash((one.completion, tuple(one.completion_ids)))
        for one in records
    }
