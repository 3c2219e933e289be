"""Bounds of a difference of shares that hold however few the problems and however rare the losses.

Student's interval knows only the losses that it saw. Near a ceiling, or where few problems carry all of a
loss, twenty problems may well show none, and the interval shrinks to nothing around zero. Here one more
problem is supposed beside those that were seen, with the worst value that a problem can have, and weights
are spread over all of them at random (Dirichlet, all ones): the mean is at least the 2.5% quantile of the
weighted sum (Gaffke's bound). For values of 0 and 1 that is the exact interval of Clopper and Pearson.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from backtracking.measurements.floors import allowed_loss
from backtracking.measurements.statistics import LEVEL, POWER, Array, Difference, paired_difference

_GRID = np.exp(np.linspace(np.log(1e-6), np.log(1e4), 1200))
"""Frequencies, in units of one over the sum's spread, over which its characteristic function is summed."""


@dataclass(frozen=True)
class ProblemValues:
    """What each problem adds to a difference (their mean is the difference), and the most one can add."""

    each: Array
    most: float

    def low(self, weight: float = 1.0, level: float = LEVEL) -> float:
        """The smallest mean that is left possible, were each value seen in so many problems."""
        from scipy.optimize import brentq

        if self.each.max() <= -self.most:
            return -self.most

        def excess(mean: float) -> float:
            return self.p_at_most(mean, weight) - level / 2

        return float(brentq(excess, -self.most, float(self.each.mean()), xtol=1e-6))

    def p_at_most(self, mean: float, weight: float = 1.0) -> float:
        """p of these values if the true mean is no more: P(weighted sum with one worst problem ≤ mean)."""
        kinds, counts = self._kinds
        places = np.append(kinds, -self.most) - mean
        if places.max() <= 0:
            return 1.0
        if places.min() >= 0:
            return 0.0
        return _negative(places, np.append(counts * weight, 1.0))

    @cached_property
    def _kinds(self) -> tuple[Array, NDArray[np.intp]]:
        """The values that differ, and how many problems have each."""
        return np.unique(self.each, return_counts=True)

    def negated(self) -> "ProblemValues":
        """The same for the difference the other way round."""
        return ProblemValues(-self.each, self.most)


def exact_difference(
    one: tuple[ArrayLike, ArrayLike], other: tuple[ArrayLike, ArrayLike], level: float | None = None
) -> Difference:
    """`paired_difference` of two shares, with bounds and p for few and for sparse losses."""
    student = paired_difference(one, other, level=level)
    if not student.error > 0:
        return student
    values = values_by_problem(one, other)
    p = 2 * min(side.p_at_most(0.0) for side in (values, values.negated()))
    low, high = values.low(level=level or LEVEL), -values.negated().low(level=level or LEVEL)
    return Difference(student.value, low, high, min(1.0, p), student.error, student.problems)


def no_worse_p(one: tuple[ArrayLike, ArrayLike], other: tuple[ArrayLike, ArrayLike], margin: float) -> float:
    """One-sided p of the claim that the first share is lower by less than the margin; 1 without data."""
    if not paired_difference(one, other).error > 0:
        return 1.0
    return values_by_problem(one, other).p_at_most(-margin)


def values_by_problem(one: tuple[ArrayLike, ArrayLike], other: tuple[ArrayLike, ArrayLike]) -> ProblemValues:
    """The difference of two shares split over the problems that both sides have."""
    top, bottom, other_top, other_bottom = (np.asarray(part, dtype=float) for part in (*one, *other))
    used = (bottom > 0) & (other_bottom > 0)
    top, bottom, other_top, other_bottom = (part[used] for part in (top, bottom, other_top, other_bottom))
    problems = len(top)
    share, other_share = top.sum() / bottom.sum(), other_top.sum() / other_bottom.sum()
    ours = share + problems * (top - share * bottom) / bottom.sum()
    theirs = other_share + problems * (other_top - other_share * other_bottom) / other_bottom.sum()
    most = problems * max((bottom / bottom.sum()).max(), (other_bottom / other_bottom.sum()).max())
    return ProblemValues(np.clip(ours - theirs, -most, most), float(most))


def deciding_problems(
    one: tuple[ArrayLike, ArrayLike], other: tuple[ArrayLike, ArrayLike], margin: float
) -> float:
    """About how many problems would tell whether the first share is held, were the truth what was seen."""
    if not paired_difference(one, other).error > 0:
        return math.nan
    top, bottom = (np.asarray(part, dtype=float) for part in other)
    allowed = allowed_loss(margin, float(top.sum() / bottom.sum()))
    return problems_to_exclude(values_by_problem(one, other), -allowed)


def problems_to_exclude(values: ProblemValues, threshold: float) -> float:
    """About how many problems with such values would leave the threshold outside of the bounds.

    Each value is taken to stand for so many problems, and the mean is allowed to fall short by what chance
    makes of it in a study of that size, but for `POWER`.
    """
    mean, count = float(values.each.mean()), len(values.each)
    if mean == threshold:
        return math.inf
    side, gap = (values, threshold) if mean > threshold else (values.negated(), -threshold)
    shortfall = float(special.ndtri(POWER)) * float(values.each.std(ddof=1)) / math.sqrt(count)
    return count * _first(lambda weight: side.low(weight) - shortfall / math.sqrt(weight) > gap)


def _first(holds: Callable[[float], bool]) -> float:
    """The smallest factor from which on something holds, to a hundredth; infinite beyond a million."""
    high = 1.0
    while not holds(high):
        high *= 2
        if high > 1e6:
            return math.inf
    while holds(high / 2):
        high /= 2
    low = high / 2
    while high / low > 1.01:
        middle = math.sqrt(low * high)
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high


def _negative(places: Array, sizes: Array) -> float:
    """P(Σ placeᵢ · Gamma(sizeᵢ) ≤ 0), by integrating the characteristic function (Gil-Pelaez)."""
    spread = float(np.sqrt((sizes * places**2).sum()))
    frequencies = _GRID / spread
    waves = np.outer(frequencies, places)  # Π (1 − i·wave)^−size, its length and its angle
    length, angle = np.exp(np.log1p(waves**2) @ sizes / -2), np.arctan(waves) @ sizes
    below_grid = frequencies[0] * float((sizes * places).sum())
    integral = below_grid + np.trapezoid(length * np.sin(angle), np.log(frequencies))
    return float(np.clip(0.5 - integral / np.pi, 0.0, 1.0))
