"""Intervals and tests with the problem, not the sample, as the unit: a leave-one-problem-out jackknife."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from backtracking.measurements.statistics import LEVEL, Array


@dataclass(frozen=True)
class Estimates:
    """Values with 95% intervals and two-sided p-values of being zero; NaN where they are not defined."""

    value: Array
    low: Array
    high: Array
    p: Array

    def p_above(self) -> Array:
        """One-sided p-values of being above zero."""
        one_sided = np.where(self.value > 0, self.p / 2, 1 - self.p / 2)
        return np.where(np.isfinite(self.value), one_sided, np.nan)


def jackknife(
    problems: Sequence[str] | NDArray[np.str_], columns: Array, statistic: Callable[[Array], Array]
) -> Estimates:
    """Estimate `statistic(column sums)` with events grouped by problem.

    `columns` is [event, ...]; the statistic must be a smooth function of sums (means and ratios are).
    Intervals and tests are Student's t on the pseudo-values of the problems.
    """
    labels, codes = np.unique(np.asarray(problems, dtype=str), return_inverse=True)
    sums = np.zeros((len(labels), *columns.shape[1:]))
    np.add.at(sums, codes, columns)
    total = sums.sum(0)
    value = np.asarray(statistic(total), dtype=float)
    count = len(labels)
    if count < 2:
        missing = np.full(value.shape, np.nan)
        return Estimates(value, missing, missing, missing)
    without = np.stack([statistic(total - part) for part in sums])
    pseudo = count * value - (count - 1) * without
    centre = pseudo.mean(0)
    error = pseudo.std(0, ddof=1) / np.sqrt(count)
    reach = special.stdtrit(count - 1, 1 - LEVEL / 2) * error
    # Values that never vary have no error: certain if they differ from zero, and no evidence if they do not.
    # Those that some problem cannot be left out of have neither interval nor test.
    constant = np.where(centre == 0, 0.0, np.copysign(np.inf, centre))
    t = np.divide(centre, error, out=np.where(np.isfinite(error), constant, np.nan), where=error > 0)
    return Estimates(value, centre - reach, centre + reach, 2 * special.stdtr(count - 1, -np.abs(t)))


def means(problems: Sequence[str], values: Array) -> Estimates:
    """Means over events, `values` being [event, ...]; an event whose value is NaN does not count there."""
    known = np.isfinite(values)
    used = known.reshape(len(values), -1).any(1)
    if not used.any():
        missing = np.full(values.shape[1:], np.nan)
        return Estimates(missing, missing, missing, missing)
    columns = np.stack([np.where(known, values, 0.0), known.astype(float)], axis=1)[used]
    with np.errstate(invalid="ignore", divide="ignore"):
        return jackknife(np.asarray(problems, dtype=str)[used], columns, lambda total: total[0] / total[1])
