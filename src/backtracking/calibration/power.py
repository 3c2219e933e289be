"""What a study of so many problems and samples would see: the power of the paired comparisons by problem.

Problems differ: a problem's own rate is drawn with mean `rate` and variance `likeness` × rate × (1 − rate),
so `likeness` is the correlation of two completions of one problem. An arm that removes a share of the onsets
removes the same share in every problem. Given the problem, completions are taken as independent, also
between arms; arms share their noise in truth, so real studies see a little more.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from backtracking.measurements.statistics import LEVEL

ENOUGH = 0.8
"""The power that a plan aims for."""
MOST_PROBLEMS = 10_000_000


@dataclass(frozen=True)
class Plan:
    """A comparison of an arm with the baseline that is to be made."""

    problems: int
    samples: float
    """Cases per problem: completions, or what is counted in them, such as wrong steps."""
    rate: float
    """The baseline's rate."""
    likeness: float
    """Correlation of two cases of one problem; 0 when problems are all alike."""

    @property
    def spread(self) -> float:
        """Variance of the problems' own rates."""
        return self.likeness * self.rate * (1 - self.rate)


def standard_error(plan: Plan, effect: float) -> float:
    """Of the paired difference when the arm lies `effect` below the baseline (above it, if negative)."""
    # A fall scales the rate of every problem, a rise scales the rate of what is left.
    rate = plan.rate if effect >= 0 else 1 - plan.rate
    kept = 1 - abs(effect) / rate
    square = plan.spread + rate**2
    within = (rate - square) + (kept * rate - kept**2 * square)
    between = (1 - kept) ** 2 * plan.spread
    return math.sqrt((within / plan.samples + between) / plan.problems)


def power(plan: Plan, effect: float) -> float:
    """Chance that the 95% interval of the difference lies wholly on the true side of zero."""
    return _beyond(abs(effect) / standard_error(plan, effect), plan.problems - 1)


def power_to_hold(plan: Plan, margin: float) -> float:
    """Chance that a rate which does not change is called held: its whole interval lies above −margin."""
    return _beyond(margin / standard_error(plan, 0.0), plan.problems - 1)


def _beyond(shift: float, degrees: int) -> float:
    """Chance that Student's t, shifted, exceeds what a two-sided test asks for."""
    return float(stats.nct.sf(stats.t.ppf(1 - LEVEL / 2, degrees), degrees, shift))


def smallest_effect(plan: Plan) -> float:
    """The smallest fall of the rate that is seen with enough power; NaN when not even all of it is."""
    effects = map(float, np.linspace(0, plan.rate, 1001)[1:])
    return next((effect for effect in effects if power(plan, effect) >= ENOUGH), math.nan)


def problems_for_power(plan: Plan, effect: float) -> int | None:
    """About how many problems would see such a fall with enough power; None when no number would."""
    low, high = 2, 4
    while power(_with(plan, high), effect) < ENOUGH:
        low, high = high, high * 2
        if high > MOST_PROBLEMS:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if power(_with(plan, middle), effect) >= ENOUGH else (middle, high)
    return high


def _with(plan: Plan, problems: int) -> Plan:
    return Plan(problems, plan.samples, plan.rate, plan.likeness)


def likeness_of(hits: NDArray[np.float64], cases: NDArray[np.float64]) -> float:
    """The correlation of two cases of one problem, estimated from sums per problem (analysis of variance)."""
    used = cases > 0
    hits, cases = hits[used], cases[used]
    problems, total = len(cases), cases.sum()
    if problems < 2 or total <= problems:
        return 0.0
    mean = hits.sum() / total
    between = (cases * (hits / cases - mean) ** 2).sum() / (problems - 1)
    within = (hits * (1 - hits / cases)).sum() / (total - problems)
    size = (total - (cases**2).sum() / total) / (problems - 1)
    whole = between + (size - 1) * within
    return float(max(0.0, (between - within) / whole)) if whole > 0 else 0.0
