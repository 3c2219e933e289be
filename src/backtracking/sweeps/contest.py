"""The arms of a search held against the best one so far: which of them surely are not better."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from backtracking.measurements.comparison import compare
from backtracking.measurements.looks import Looks
from backtracking.measurements.metrics import OUTCOMES
from backtracking.measurements.outcome import FallingOutcome
from backtracking.measurements.tallies import contributions
from backtracking.measurements.tradeoff import (
    DESTRUCTIVE,
    NO_EFFECT,
    find_best_tradeoff,
    seems_best,
    summarize_arms,
)
from backtracking.run.records import BASELINE_NAME

OUT = (DESTRUCTIVE, NO_EFFECT)
"""Verdicts with which an arm cannot be picked."""


@dataclass
class Contest:
    """The best arm so far of those that have all their rows."""

    margin: float
    judged_by: Sequence[FallingOutcome]
    best: pd.DataFrame | None = None
    """Its measured rows."""
    is_held: bool = False
    """Whether its accuracy is surely held, so that it stands whatever accuracy others keep."""

    def leaving(self, events: pd.DataFrame, looks: Looks) -> dict[str, str]:
        """Of the arms with these rows, those that cannot be picked any more, and why.

        Each by itself has the whole level: there is one best arm to lose, however many are tried.
        """
        looks = looks.shared_by(1)
        table = summarize_arms(events, self.margin, looks)
        out = {str(row["arm"]): str(row["verdict"]) for row in table.to_dict("records")}
        why = {arm: verdict for arm, verdict in out.items() if verdict in OUT}
        if self.best is None:
            return why
        best, name = contributions(self.best), self.best["arm"].iloc[0]
        for arm, rows in events.groupby("arm", sort=False):
            level = looks.level(rows["example_id"].nunique())
            if arm not in (BASELINE_NAME, *why) and self._is_beaten(contributions(rows), best, level):
                why[str(arm)] = f"surely leaves more onsets than {name}"
        return why

    def enter(self, events: pd.DataFrame, looks: Looks) -> None:
        """Let arms with all their rows (the baseline's among them) contend."""
        contenders = events if self.best is None else pd.concat([events, self.best], ignore_index=True)
        table = summarize_arms(contenders, self.margin, looks)
        held = find_best_tradeoff(table)
        first = seems_best(table, self.margin) if held is None else held
        if first is not None:
            self.best = contenders[contenders["arm"] == first["arm"]]
            self.is_held = held is not None

    def _is_beaten(self, arm: pd.DataFrame, best: pd.DataFrame, level: float) -> bool:
        """Whether an arm surely leaves more onsets than the best without keeping more accuracy."""
        more_accurate = compare(arm, best, OUTCOMES["accuracy"]).value > 0
        return surely_leaves_more(arm, best, self.judged_by, level) and (self.is_held or not more_accurate)


def surely_leaves_more(
    arm: pd.DataFrame, other: pd.DataFrame, judged_by: Sequence[FallingOutcome], level: float
) -> bool:
    """Whether what an arm leaves beyond another is above zero, its whole interval, at the baseline's mix.

    Paired by the problems that both have; the errors of the differences, which are over different steps, add
    up as squares.
    """
    gaps = [(way.weight, compare(arm, other, way.metric, level)) for way in judged_by]
    value = sum(weight * gap.value for weight, gap in gaps)
    return value - math.hypot(*(weight * (gap.value - gap.low) for weight, gap in gaps)) > 0
