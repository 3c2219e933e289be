"""Rates of two runs, arm by arm, with the difference: paired by problem where both ran the same ones."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd

from backtracking.artifacts.kinds import Table
from backtracking.artifacts.phase1 import EVENTS
from backtracking.artifacts.phase2 import (
    CONFIRM_EVENTS,
    SCALE_EVENTS,
    SCALES,
    SEARCH_EVENTS,
    SUBSET_EVENTS,
    SUBSETS,
)
from backtracking.claims.wording import lines_of, number
from backtracking.measurements.comparison import average, compare
from backtracking.measurements.metrics import METRICS, Metric
from backtracking.measurements.statistics import Difference, Interval, difference_of_independent
from backtracking.measurements.tallies import groups, holds, tally_file
from backtracking.reports.two_runs.side import ComparedRun

COMPARED = tuple(metric for metric in METRICS if metric.compared)
LEAST_PROBLEMS = 2
"""So many problems must be in both runs for a paired difference."""
_BY_ROW = (EVENTS, SUBSET_EVENTS, SCALE_EVENTS, SEARCH_EVENTS, CONFIRM_EVENTS)
_BY_ARM = (SUBSETS, SCALES)
ANY_FORMAT = "any"
"""The prompt format of tables that name none."""

FormatAndCondition = tuple[str, str]
"""Prompt format and condition or arm."""


@dataclass(frozen=True)
class ConditionSums:
    """What a run measured under one condition: sums per problem, or a table's rates and no more."""

    sums: pd.DataFrame | None = None
    line: Mapping[str, Any] | None = None

    def holds(self, metric: Metric) -> bool:
        """Whether it has what the metric needs."""
        if self.sums is not None:
            return holds(self.sums, metric)
        return self.line is not None and number(self.line, metric.name) is not None

    def value(self, metric: Metric) -> Interval:
        """The metric with its interval, where one can be given."""
        if self.sums is not None:
            return average(self.sums, metric)
        ends = [number(self.line or {}, f"{metric.name}{end}") for end in ("", "_low", "_high")]
        return Interval(*(float("nan") if end is None else end for end in ends))

    @cached_property
    def problems(self) -> frozenset[str]:
        """The ids of its problems; none where only rates are left."""
        return frozenset() if self.sums is None else frozenset(self.sums["example_id"])

    def of(self, problems: frozenset[str]) -> pd.DataFrame:
        """The sums of some problems alone."""
        assert self.sums is not None
        return self.sums[self.sums["example_id"].isin(problems)]


def rates(a: ComparedRun, b: ComparedRun) -> list[dict[str, Any]]:
    """Every metric under every condition that both runs have, and B minus A."""
    ours, theirs = measured_rates(a), measured_rates(b)
    shared = [group for group in ours if group in theirs]
    for side, own, other in ((a, ours, theirs), (b, theirs, ours)):
        if not own:
            side.lacks("rates: it has no table of completions or arms")
        for variant in dict.fromkeys(variant for variant, _ in other) if own else ():
            if absent := [arm for form, arm in other if form == variant and (form, arm) not in own]:
                of = "" if variant == "any" else f" of {variant}"
                side.lacks(f"completions{of} under {', '.join(absent)}")
    same = _same(a, b)
    return [line for group in shared for line in _lines(group, ours[group], theirs[group], same)]


def measured_rates(side: ComparedRun) -> dict[FormatAndCondition, ConditionSums]:
    """What a run measured, by prompt format and condition; sweeps share rows, so the first table counts."""
    measured_under: dict[FormatAndCondition, ConditionSums] = {}
    for table in _BY_ROW:
        if side.evidence.table(table) is not None:
            for group, sums in _groups(side, table).items():
                measured_under.setdefault(
                    group, ConditionSums(sums=sums.rename_axis("example_id").reset_index())
                )
    if measured_under:
        return measured_under
    for table in _BY_ARM:
        lines = side.evidence.table(table)
        for line in () if lines is None else lines_of(lines):
            measured_under.setdefault((ANY_FORMAT, str(line["arm"])), ConditionSums(line=line))
    if measured_under:
        side.lacks("intervals: it kept rates of its arms, no completions")
    return measured_under


def _groups(side: ComparedRun, table: Table) -> dict[FormatAndCondition, pd.DataFrame]:
    cap = side.config.generation.max_new_tokens if side.is_earlier else None
    return groups(tally_file(table.path(side.paths), cap=cap), side.config.prompting.variant_names)


@dataclass(frozen=True)
class _Same:
    """Which problems are the same in both runs: of one id, and one text where both texts are known."""

    ours: Mapping[str, str] | None
    theirs: Mapping[str, str] | None

    def __call__(self, problems: frozenset[str]) -> frozenset[str]:
        if self.ours is None or self.theirs is None:
            return problems
        return frozenset(key for key in problems if self.ours.get(key) == self.theirs.get(key))


def _same(a: ComparedRun, b: ComparedRun) -> _Same:
    for side in (a, b):
        if side.questions is None:
            side.lacks("its problems: they are matched by id alone")
    return _Same(a.questions, b.questions)


def _lines(
    group: FormatAndCondition, one: ConditionSums, other: ConditionSums, same: _Same
) -> list[dict[str, Any]]:
    shared = same(one.problems & other.problems)
    counts = {"problems_a": len(one.problems), "problems_b": len(other.problems), "problems": len(shared)}
    named = {"variant": group[0], "condition": group[1]}
    is_paired = len(shared) >= LEAST_PROBLEMS
    return [
        {**named, "metric": metric.name, "unit": metric.unit, **counts, "paired": is_paired}
        | {"a": _interval(one.value(metric)), "b": _interval(other.value(metric))}
        | (_paired(metric, one.of(shared), other.of(shared)) if is_paired else _apart(metric, one, other))
        for metric in COMPARED
        if one.holds(metric) and other.holds(metric)
    ]


def _paired(metric: Metric, one: pd.DataFrame, other: pd.DataFrame) -> dict[str, Any]:
    """B minus A by problem, and both on the problems that they share."""
    change = compare(other, one, metric)
    shared = {"a_shared": _interval(average(one, metric)), "b_shared": _interval(average(other, metric))}
    return shared | {"difference": _interval(change) | {"p": change.p}}


def _apart(metric: Metric, one: ConditionSums, other: ConditionSums) -> dict[str, Any]:
    """B minus A, of runs that have nothing to do with each other."""
    return {"difference": _interval(difference_of_independent(other.value(metric), one.value(metric)))}


def _interval(estimate: Interval | Difference) -> dict[str, float]:
    return {"value": estimate.value, "low": estimate.low, "high": estimate.high}
