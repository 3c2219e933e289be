"""What an arm is judged on: onsets after wrong and right steps where steps can be checked, or rows with any.

Fewer rows with an onset may only mean fewer errors to notice, and more rows with one more errors made. So
what an arm takes away is counted at the baseline's mix of wrong and right steps.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from backtracking.measurements.floors import allowed_loss
from backtracking.measurements.metrics import OUTCOMES, Metric
from backtracking.measurements.statistics import LEVEL, MISSING, Interval, estimate_columns
from backtracking.measurements.tallies import holds

FEWEST_WRONG_STEPS = 20
"""So many fresh wrong steps a baseline needs, lest a handful of them decide about every arm."""
LEAST_REMOVED = 0.10
"""The share of the baseline's onsets that an arm has to take away, lest any fall at all should count."""
NOTICING, NEEDLESS, ANY = "noticing of errors", "needless checks", "completions with an onset"
AFTER_WRONG, AFTER_RIGHT = OUTCOMES["onset_after_wrong"], OUTCOMES["onset_after_right"]
ANYWHERE = OUTCOMES["backtracking"]
BROKEN = ("truncation", "loop", "empty")


@dataclass(frozen=True)
class FallingOutcome:
    """One way in which backtracking can fall."""

    name: str
    metric: Metric
    weight: float
    """What its rate weighs in the rate of onsets at the baseline's mix."""

    def falls(self, row: "pd.Series[Any]", level: float) -> bool:
        """Whether an arm lowers it significantly."""
        return self._differs(row, level) and row[f"{self.metric.outcome}_diff"] < 0

    def rises(self, row: "pd.Series[Any]", level: float) -> bool:
        """Whether an arm raises it significantly."""
        return self._differs(row, level) and row[f"{self.metric.outcome}_diff"] > 0

    def _differs(self, row: "pd.Series[Any]", level: float) -> bool:
        return bool(row[f"{self.metric.outcome}_diff_p_holm"] < level)


def ways(baseline: pd.DataFrame) -> list[FallingOutcome]:
    """What the baseline's backtracking consists of: errors noticed, right steps checked; or rows at all."""
    if primary_outcome(baseline) == ANYWHERE:
        return [FallingOutcome(ANY, ANYWHERE, 1.0)]
    kinds = [(NOTICING, AFTER_WRONG), (NEEDLESS, AFTER_RIGHT)]
    steps = {name: float(baseline[metric.bottom].sum()) for name, metric in kinds if holds(baseline, metric)}
    total = sum(steps.values())
    return [
        FallingOutcome(name, metric, steps[name] / total)
        for name, metric in kinds
        if steps.get(name, 0.0) > 0
    ]


def primary_outcome(baseline: pd.DataFrame) -> Metric:
    """P(onset | fresh wrong step) where the baseline's counts have such steps, and onsets after some."""
    if not holds(baseline, AFTER_WRONG):
        return ANYWHERE
    steps, followed = (float(baseline[name].sum()) for name in (AFTER_WRONG.bottom, AFTER_WRONG.top))
    return AFTER_WRONG if steps >= FEWEST_WRONG_STEPS and followed > 0 else ANYWHERE


def fall(
    row: "pd.Series[Any]", base: "pd.Series[Any]", judged_by: Sequence[FallingOutcome], margin: float
) -> dict[str, float | str]:
    """How much of the baseline's onsets an arm takes away, and what of them, as columns."""
    removed = onsets_removed(row, base, judged_by)
    fell = what_fell(row, base, judged_by, margin) if removed.value >= LEAST_REMOVED else []
    return estimate_columns("onsets_removed", removed) | {"what_fell": "; ".join(fell)}


def onsets_removed(
    row: "pd.Series[Any]", base: "pd.Series[Any]", judged_by: Sequence[FallingOutcome]
) -> Interval:
    """The share of the baseline's onsets that an arm takes away, at the baseline's mix of steps.

    The baseline's rates and mix are taken as they are; the errors of the two differences, which are over
    different steps, add up as squares. No more than all of them can be taken away.
    """
    whole = sum(way.weight * base[way.metric.name] for way in judged_by)
    if not whole > 0:
        return MISSING
    ends = ("", "_high", "_low")
    parts = [
        [-way.weight / whole * row.get(f"{way.metric.outcome}_diff{end}", math.nan) for end in ends]
        for way in judged_by
    ]
    value = sum(part[0] for part in parts)
    below, above = (math.hypot(*(part[0] - part[end] for part in parts)) for end in (1, 2))
    return Interval(min(value, 1.0), value - below, min(value + above, 1.0))


def what_fell(
    row: "pd.Series[Any]", base: "pd.Series[Any]", judged_by: Sequence[FallingOutcome], margin: float
) -> list[str]:
    """The ways in which backtracking surely fell, the one that takes most away first.

    Every way has its share of the level. Fewer needless checks count only where errors are noticed as before,
    or noticed less as well.
    """
    fell = [way for way in judged_by if way.falls(row, LEVEL / len(judged_by))]
    fell.sort(key=lambda way: way.weight * float(row[f"{way.metric.outcome}_diff"]))
    names = [way.name for way in fell]
    return [] if names == [NEEDLESS] and not is_noticing_held(row, base, margin) else names


def is_noticing_held(row: "pd.Series[Any]", base: "pd.Series[Any]", margin: float) -> bool:
    """Whether P(onset | wrong step) surely falls by no more than may be lost."""
    lowest = row[f"{AFTER_WRONG.outcome}_diff_low"]
    return bool(lowest > -allowed_loss(margin, base[AFTER_WRONG.name]))


def judged_on(table: pd.DataFrame) -> Metric:
    """What the arms of a table were judged on; those of earlier versions on rows with an onset."""
    names = list(table["judged_on"].dropna()) if "judged_on" in table else []
    return OUTCOMES[str(names[0])] if names else ANYWHERE


def outcomes_shown(table: pd.DataFrame) -> list[Metric]:
    """What arms are judged on, and needless checks beside it where errors noticed alone would hide them."""
    shown = [judged_on(table)]
    if shown == [AFTER_WRONG] and AFTER_RIGHT.name in table and table[AFTER_RIGHT.name].notna().any():
        shown.append(AFTER_RIGHT)
    return shown


def breaks_text(row: "pd.Series[float]", margin: float) -> bool:
    """Whether an arm surely adds more cut, looping or empty completions than the margin allows."""
    return any(row.get(f"{what}_diff_low", float("nan")) > margin for what in BROKEN)
