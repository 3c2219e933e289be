"""What an arm is judged on: onsets after its wrong steps where steps can be checked, else rows with an onset.

Fewer rows with an onset may only mean fewer errors to notice, and more rows with one more errors made.
"""

import pandas as pd

from backtracking.measurements.metrics import OUTCOMES, Metric
from backtracking.measurements.tallies import holds

FEWEST_WRONG_STEPS = 20
"""So many fresh wrong steps a baseline needs, lest a handful of them decide about every arm."""
AFTER_WRONG = OUTCOMES["onset_after_wrong"]
ANYWHERE = OUTCOMES["backtracking"]
_BROKEN = ("truncation", "loop", "empty")


def primary_outcome(baseline: pd.DataFrame) -> Metric:
    """P(onset | fresh wrong step) where the baseline's counts have such steps, and onsets after some."""
    if not holds(baseline, AFTER_WRONG):
        return ANYWHERE
    steps, followed = (float(baseline[name].sum()) for name in (AFTER_WRONG.bottom, AFTER_WRONG.top))
    return AFTER_WRONG if steps >= FEWEST_WRONG_STEPS and followed > 0 else ANYWHERE


def judged_on(table: pd.DataFrame) -> Metric:
    """What the arms of a table were judged on; those of earlier versions on rows with an onset."""
    names = list(table["judged_on"].dropna()) if "judged_on" in table else []
    return OUTCOMES[str(names[0])] if names else ANYWHERE


def breaks_text(row: "pd.Series[float]", margin: float) -> bool:
    """Whether an arm surely adds more cut, looping or empty completions than the margin allows."""
    return any(row.get(f"{what}_diff_low", float("nan")) > margin for what in _BROKEN)
