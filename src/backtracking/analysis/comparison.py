"""Rates of completions and their paired differences; the unit of resampling is the problem."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from backtracking.analysis.jackknife import Estimates, jackknife, means

Values = Callable[[pd.DataFrame], pd.Series]


def _flag(column: str) -> Values:
    return lambda rows: rows[column].astype(str).eq("True").astype(float)


def _correct_if_finished(rows: pd.DataFrame) -> pd.Series:
    return _flag("is_correct")(rows).where(rows["finish_reason"].eq("stop"))


OUTCOMES: dict[str, Values] = {
    "backtracking": _flag("has_backtracking_strict"),
    "accuracy": _flag("is_correct"),
    "finished_accuracy": _correct_if_finished,
    "truncation": lambda rows: rows["finish_reason"].ne("stop").astype(float),
    "loop": _flag("is_loop"),
    "tokens": lambda rows: rows["completion_tokens"].astype(float),
    "onsets_per_1k_tokens": lambda rows: (
        1000.0 * rows["n_onsets_strict"] / rows["completion_tokens"].clip(lower=1)
    ),
}
"""What is compared, as a number per completion (NaN: does not count); unanswered counts as wrong."""


@dataclass(frozen=True)
class Difference:
    """A difference of means with its 95% interval and two-sided p-value."""

    value: float
    low: float
    high: float
    p: float

    @property
    def points(self) -> str:
        """As percentage points."""
        return f"{100 * self.value:+.1f} [{100 * self.low:+.1f}, {100 * self.high:+.1f}]"


def average(rows: pd.DataFrame, what: str | Values) -> Difference:
    """The mean of an outcome with its interval."""
    outcome = OUTCOMES[what] if isinstance(what, str) else what
    values = outcome(rows).to_numpy(dtype=np.float64)
    return _first(means(rows["example_id"].astype(str).to_numpy(), values[:, None]))


def compare(left: pd.DataFrame, right: pd.DataFrame, what: str | Values) -> Difference | None:
    """Left minus right, paired by the problems that both have; none with fewer than two of them."""
    outcome = OUTCOMES[what] if isinstance(what, str) else what
    shared = set(left["example_id"]) & set(right["example_id"])
    sides = [rows[rows["example_id"].isin(shared)] for rows in (left, right)]
    values = [outcome(rows).to_numpy(dtype=np.float64) for rows in sides]
    if len(shared) < 2 or any(not np.isfinite(part).any() for part in values):
        return None
    problems = np.concatenate([rows["example_id"].astype(str).to_numpy() for rows in sides])
    return _first(jackknife(problems, _columns(*values), _difference_of_means))


def _columns(left: NDArray[np.float64], right: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sum and count of either side as columns of a row; [rows, 4, 1]."""
    columns = np.zeros((len(left) + len(right), 4, 1))
    for start, part, at in ((0, left, 0), (len(left), right, 2)):
        known = np.isfinite(part)
        columns[start : start + len(part), at, 0] = np.where(known, part, 0.0)
        columns[start : start + len(part), at + 1, 0] = known
    return columns


def _difference_of_means(total: NDArray[np.float64]) -> NDArray[np.float64]:
    with np.errstate(invalid="ignore", divide="ignore"):
        difference: NDArray[np.float64] = total[0] / total[1] - total[2] / total[3]
    return difference


def _first(found: Estimates) -> Difference:
    return Difference(*(float(part[0]) for part in (found.value, found.low, found.high, found.p)))
