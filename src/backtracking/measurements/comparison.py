"""Rates of completions and their paired differences; the unit of resampling is the problem."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from backtracking.measurements import statistics
from backtracking.measurements.metrics import Metric
from backtracking.measurements.statistics import LEVEL, Array, Difference, Interval
from backtracking.measurements.tallies import counted, difference


@dataclass(frozen=True)
class CompletionNumber:
    """A number per completion that is no metric of the tables (NaN: does not count); shares are in 0 to 1."""

    of: Callable[[pd.DataFrame], pd.Series]
    is_share: bool = True


def flag(column: str) -> CompletionNumber:
    """A true-or-false column as an outcome."""
    return CompletionNumber(lambda rows: rows[column].astype(str).eq("True").astype(float))


def quantity(column: str) -> CompletionNumber:
    """A column of numbers as an outcome."""
    return CompletionNumber(lambda rows: rows[column].astype(float), is_share=False)


def average(rows: pd.DataFrame, what: CompletionNumber | Metric, level: float = LEVEL) -> Interval:
    """A mean, or a ratio to what it is counted per, with the interval."""
    sums = _sums(rows, what)
    estimate = statistics.rate if what.is_share else statistics.ratio
    return estimate(sums["top"].to_numpy(), sums["bottom"].to_numpy(), level)


def compare(
    left: pd.DataFrame, right: pd.DataFrame, what: CompletionNumber | Metric, level: float | None = None
) -> Difference:
    """Left minus right, paired by the problems that both have; `level`: that of one of several looks."""
    one, other = paired_sums(left, right, what)
    if isinstance(what, Metric):
        return difference(what, one, other, level)
    found = statistics.paired_difference(one, other, level=level)
    return statistics.of_shares(found) if what.is_share else found


def paired_sums(
    left: pd.DataFrame, right: pd.DataFrame, what: CompletionNumber | Metric
) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    """What is counted and how much counts, by problem: of the left and of the right."""
    one, other = _sums(left, what).align(_sums(right, what), join="inner", axis=0)
    return _pair(one), _pair(other)


def count(rows: pd.DataFrame, metric: Metric) -> int:
    """How many completions a share counts."""
    return int(_counted(rows)[metric.top].sum())


def _sums(rows: pd.DataFrame, what: CompletionNumber | Metric) -> pd.DataFrame:
    """Per problem: the sum of what is counted, and how much counts."""
    if isinstance(what, Metric):
        values = _counted(rows)
        parts = pd.DataFrame({"top": values[what.top], "bottom": values[what.bottom] / what.factor})
        return parts.groupby(values["example_id"].to_numpy()).sum()
    counts = what.of(rows).to_numpy(dtype=np.float64)
    known = np.isfinite(counts)
    parts = pd.DataFrame({"top": np.where(known, counts, 0.0), "bottom": known.astype(np.float64)})
    return parts.groupby(rows["example_id"].astype(str).to_numpy()).sum()


def _counted(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows as what they add to the sums, unless they are that already."""
    return rows if "total" in rows else counted(rows)


def _pair(sums: pd.DataFrame) -> tuple[Array, Array]:
    return sums["top"].to_numpy(), sums["bottom"].to_numpy()
