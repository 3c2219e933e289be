"""Two sets of completions compared problem by problem."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

Values = Callable[[pd.DataFrame], pd.Series]


def _flag(column: str) -> Values:
    return lambda rows: rows[column].astype(str).eq("True").astype(float)


OUTCOMES: dict[str, Values] = {
    "backtracking": _flag("has_backtracking_strict"),
    "accuracy": _flag("is_correct"),
    "truncation": lambda rows: rows["finish_reason"].ne("stop").astype(float),
    "loop": _flag("is_loop"),
    "tokens": lambda rows: rows["completion_tokens"].astype(float),
    "onsets_per_1k_tokens": lambda rows: (
        1000.0 * rows["n_onsets_strict"] / rows["completion_tokens"].clip(lower=1)
    ),
}
"""What is compared, as a number per completion; unanswered counts as wrong."""


@dataclass(frozen=True)
class Difference:
    """A mean difference over problems with its 95% interval and two-sided p-value."""

    value: float
    low: float
    high: float
    p: float
    problems: int

    @property
    def points(self) -> str:
        """As percentage points."""
        return f"{100 * self.value:+.1f} [{100 * self.low:+.1f}, {100 * self.high:+.1f}]"


def compare(left: pd.DataFrame, right: pd.DataFrame, what: str) -> Difference | None:
    """Left minus right over the problems that both have; none with fewer than two of them."""
    values = OUTCOMES[what]
    means = [values(rows).groupby(rows["example_id"]).mean() for rows in (left, right)]
    difference = (means[0] - means[1]).dropna().to_numpy(dtype=np.float64)
    return mean_difference(difference)


def mean_difference(differences: NDArray[np.float64]) -> Difference | None:
    """Mean of per-problem differences with its interval; none for fewer than two problems."""
    if len(differences) < 2:
        return None
    value = float(differences.mean())
    if np.ptp(differences) == 0.0:
        return Difference(value, value, value, 0.0 if value else 1.0, len(differences))
    tested = stats.ttest_1samp(differences, 0.0)
    low, high = tested.confidence_interval(0.95)
    return Difference(value, float(low), float(high), float(tested.pvalue), len(differences))
