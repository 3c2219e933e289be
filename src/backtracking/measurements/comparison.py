"""Rates of completions and their paired differences; the unit of resampling is the problem."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from backtracking.measurements import statistics
from backtracking.measurements.statistics import Array, Difference, Interval


@dataclass(frozen=True)
class Outcome:
    """A number per completion (NaN: does not count), pooled over what `per` counts; shares are in 0 to 1."""

    of: Callable[[pd.DataFrame], pd.Series]
    is_share: bool = True
    per: Callable[[pd.DataFrame], pd.Series] | None = None
    """What the numbers are divided by; none: the number of completions."""


def flag(column: str) -> Outcome:
    return Outcome(lambda rows: rows[column].astype(str).eq("True").astype(float))


def quantity(column: str) -> Outcome:
    return Outcome(lambda rows: rows[column].astype(float), is_share=False)


def _correct_if_finished(rows: pd.DataFrame) -> pd.Series:
    return OUTCOMES["accuracy"].of(rows).where(rows["finish_reason"].eq("stop"))


def _thousands_of_tokens(rows: pd.DataFrame) -> pd.Series:
    return rows["completion_tokens"] / 1000.0


OUTCOMES: dict[str, Outcome] = {
    "backtracking": flag("has_backtracking_strict"),
    "accuracy": flag("is_correct"),
    "finished_accuracy": Outcome(_correct_if_finished),
    "truncation": Outcome(lambda rows: rows["finish_reason"].ne("stop").astype(float)),
    "loop": flag("is_loop"),
    "tokens": quantity("completion_tokens"),
    "onsets_per_1k_tokens": Outcome(
        lambda rows: rows["n_onsets_strict"].astype(float), is_share=False, per=_thousands_of_tokens
    ),
}
"""What arms are compared on; an unanswered completion counts as wrong."""


def average(rows: pd.DataFrame, outcome: Outcome) -> Interval:
    """An outcome's mean, or its ratio to what it is counted per, with the interval."""
    sums = _sums(rows, outcome)
    estimate = statistics.rate if outcome.is_share else statistics.ratio
    return estimate(sums["top"].to_numpy(), sums["bottom"].to_numpy())


def compare(left: pd.DataFrame, right: pd.DataFrame, outcome: Outcome) -> Difference:
    """Left minus right, paired by the problems that both have."""
    one, other = _sums(left, outcome).align(_sums(right, outcome), join="inner", axis=0)
    return statistics.paired_difference(_pair(one), _pair(other))


def _sums(rows: pd.DataFrame, outcome: Outcome) -> pd.DataFrame:
    """Per problem: the outcome's sum, and how much counts."""
    values = outcome.of(rows).to_numpy(dtype=np.float64)
    known = np.isfinite(values)
    sizes = 1.0 if outcome.per is None else outcome.per(rows).to_numpy(dtype=np.float64)
    parts = pd.DataFrame({"top": np.where(known, values, 0.0), "bottom": np.where(known, sizes, 0.0)})
    return parts.groupby(rows["example_id"].astype(str).to_numpy()).sum()


def _pair(sums: pd.DataFrame) -> tuple[Array, Array]:
    return sums["top"].to_numpy(), sums["bottom"].to_numpy()


def spread(name: str, found: Interval | Difference) -> dict[str, float]:
    """An estimate as table columns: the value and its interval's ends."""
    return {name: found.value, f"{name}_low": found.low, f"{name}_high": found.high}
