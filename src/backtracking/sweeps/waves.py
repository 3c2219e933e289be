"""A sweep in waves of problems: after each, arms that are settled get no more rows."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import pandas as pd

from backtracking.interventions import Arm
from backtracking.measurements.floors import MOST_CUT
from backtracking.measurements.halves import half_of
from backtracking.measurements.looks import Looks
from backtracking.measurements.outcome import BROKEN
from backtracking.measurements.tradeoff import DESTRUCTIVE, HELD, NO_EFFECT, summarize_arms
from backtracking.run.progress import Reporter
from backtracking.run.records import BASELINE_NAME

SETTLED = (DESTRUCTIVE, NO_EFFECT, HELD)
"""Verdicts that more rows are not asked for."""

Grow = Callable[[Sequence[Arm], int], pd.DataFrame]
"""Sees to the rows of some arms on the first so many problems of the order, and measures them."""

Leaving = Callable[[pd.DataFrame, Looks], Mapping[str, str]]
"""Of the arms with these measured rows, judged at these looks: those that get no more, and why."""


@dataclass(frozen=True)
class Course:
    """How many problems each arm came to, and why those that stopped did (what they are settled as)."""

    problems: Mapping[str, int]
    settled: Mapping[str, str]

    def table(self, looks: Looks, samples: int, arms: pd.DataFrame) -> pd.DataFrame:
        """One line per wave and arm; at its last wave an arm has the verdict of the table of arms."""
        verdicts = dict(zip(arms["arm"], arms["verdict"], strict=True))
        in_full = looks.ends[-1] * samples * len(self.problems)
        lines = []
        for wave, end in enumerate(looks.ends, start=1):
            spent = samples * sum(min(end, problems) for problems in self.problems.values())
            lines += [
                {
                    "wave": wave,
                    "arm": arm,
                    "problems": end,
                    "rows_spent": spent,
                    "rows_in_full": in_full,
                    "verdict": verdicts[arm] if end == last else "",
                    "stopped": end == last and arm in self.settled,
                }
                for arm, last in self.problems.items()
                if end <= last
            ]
        return pd.DataFrame(lines)


def wave_order(problems: int) -> list[int]:
    """Places in the dataset in the order that waves take them: first the half that arms are picked on.

    So an arm that is not settled on that half has all of its rows, and what an arm is picked by never
    depends on the half that confirms.
    """
    return sorted(range(problems), key=lambda place: half_of(place) != "search")


def _is_settled(row: Mapping[Any, Any]) -> bool:
    """Whether the verdict stands, and the arm does not seem to destroy the model without surely doing so.

    That some arm takes away half of the accuracy or of the text is a claim of its own.
    """
    if row["verdict"] not in SETTLED:
        return False
    base = row["accuracy"] - row["accuracy_diff"]
    if row["accuracy_diff"] < -base / 2 < row["accuracy_diff_high"]:
        return False
    return not any(row[f"{what}_diff"] > MOST_CUT > row[f"{what}_diff_low"] for what in BROKEN)


def settled_at(margin: float) -> Leaving:
    """Arms whose verdict in the table stands."""
    return partial(_settled, margin)


def _settled(margin: float, events: pd.DataFrame, looks: Looks) -> dict[str, str]:
    summary = summarize_arms(events, margin, looks)
    return {str(row["arm"]): str(row["verdict"]) for row in summary.to_dict("records") if _is_settled(row)}


def run_waves(looks: Looks, arms: Sequence[Arm], grow: Grow, leaving: Leaving, reporter: Reporter) -> Course:
    """Grow all arms wave by wave; the baseline goes on as long as any other does.

    After every wave the arms that are left are judged at a level that they share.
    """
    going, problems, settled = list(arms), dict.fromkeys((arm.name for arm in arms), 0), dict[str, str]()
    for end in looks.ends:
        events = grow(going, end)
        problems |= {arm.name: end for arm in going}
        tested = len(going) - 1
        if end == looks.ends[-1] or not tested:
            break
        now = leaving(events, looks.shared_by(tested))
        for arm, why in now.items():
            reporter.say(f"  {arm} stops after {end:,} of {looks.ends[-1]:,} problems: {why}")
        settled |= now
        going = [arm for arm in going if arm.name not in settled]
        if [arm.name for arm in going] == [BASELINE_NAME]:
            break
    return Course(problems, settled)
