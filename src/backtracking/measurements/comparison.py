"""Rates of completions and their paired differences; the unit of resampling is the problem."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from backtracking.measurements import statistics
from backtracking.measurements.metrics import Metric
from backtracking.measurements.statistics import LEVEL, Array, Difference, Interval
from backtracking.measurements.tallies import contributions, metric_difference


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
    return estimate(sums.top, sums.bottom, level)


def pooled(rows: pd.DataFrame, metric: Metric) -> float:
    """A metric of all completions together, as a number alone."""
    rows = _counted(rows)
    counted_in = rows[metric.bottom].sum()
    return float(metric.factor * rows[metric.top].sum() / counted_in) if counted_in else float("nan")


def compare(
    left: pd.DataFrame, right: pd.DataFrame, what: CompletionNumber | Metric, level: float | None = None
) -> Difference:
    """Left minus right, paired by the problems that both have; `level`: that of one of several looks."""
    one, other = paired_sums(left, right, what)
    if isinstance(what, Metric):
        return metric_difference(what, one, other, level)
    found = statistics.paired_difference(one, other, level=level)
    return statistics.of_shares(found) if what.is_share else found


def paired_sums(
    left: pd.DataFrame, right: pd.DataFrame, what: CompletionNumber | Metric
) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    """What is counted and how much counts, by problem: of the left and of the right."""
    one, other = _sums(left, what), _sums(right, what)
    _, ours, theirs = np.intersect1d(one.problems, other.problems, assume_unique=True, return_indices=True)
    return (one.top[ours], one.bottom[ours]), (other.top[theirs], other.bottom[theirs])


def count(rows: pd.DataFrame, metric: Metric) -> int:
    """How many completions a share counts."""
    return int(_counted(rows)[metric.top].sum())


@dataclass(frozen=True)
class _Sums:
    """Per problem, in the order of their ids: the sum of what is counted, and how much counts."""

    problems: NDArray[np.object_]
    top: Array
    bottom: Array


def _sums(rows: pd.DataFrame, what: CompletionNumber | Metric) -> _Sums:
    """Added up by plain numpy: thousands of small sums cost pandas more than the work itself."""
    if isinstance(what, Metric):
        rows = _counted(rows)
        top, bottom = rows[what.top].to_numpy(), rows[what.bottom].to_numpy() / what.factor
    else:
        numbers = what.of(rows).to_numpy(dtype=np.float64)
        known = np.isfinite(numbers)
        top, bottom = np.where(known, numbers, 0.0), known.astype(np.float64)
    ids = rows["example_id"].astype(str).to_numpy(dtype=object)
    places, problems = pd.factorize(ids, sort=True)
    added = [np.asarray(np.bincount(places, part), dtype=np.float64) for part in (top, bottom)]
    return _Sums(problems, *added)


def _counted(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows as what they add to the sums, unless they are that already."""
    return rows if "total" in rows else contributions(rows)
