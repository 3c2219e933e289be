"""Looking again and again at data that grow: levels at which intervals and p-values stay what they say.

A 95% interval that is taken after every wave misses the truth at one of them far more often than in one case
of twenty. Here the 5% are spent over the waves, in proportion to the problems seen (Lan and DeMets' alpha
spending, the first of Kim and DeMets' family), and the level of each look is what the joint normal
distribution of all looks so far leaves for it (Armitage, McPherson and Rowe's recursion). Intervals at these
levels are Jennison and Turnbull's repeated confidence intervals: they hold at all looks together, so also at
the one that a sweep stops at, whatever made it stop.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike

from backtracking.measurements.statistics import LEVEL, Array

SMALLEST_WAVE, MOST_WAVES = 8, 15
"""Problems in a wave, at least; looks, about at most."""
_LEVELS = np.exp(np.linspace(np.log(1e-9), np.log(0.5), 48))
_FARTHEST, _STEP = 8.5, 0.04


@dataclass(frozen=True)
class Looks:
    """After how many problems the arms of a sweep are looked at; the last look sees all of them."""

    ends: tuple[int, ...]
    sharing: int = 1
    """Arms that share the level, so that none of them is judged wrongly more often than it says."""

    def level(self, problems: int) -> float:
        """The nominal level of an interval after so many problems that is a 95% interval over all looks."""
        return 2 * self._nominal(LEVEL / 2 / self.sharing)[self._look(problems)]

    def overall(self, p: ArrayLike, problems: int) -> Array:
        """Two-sided p after so many problems as they are for one who looked at every wave before."""
        logarithm = np.log(np.maximum(np.asarray(p) / 2, 1e-300))
        p_values: Array = 2 * np.exp(np.interp(logarithm, *self._curve(problems)))  # at most 2 × 0.5
        return p_values

    def shared_by(self, arms: int) -> "Looks":
        """The same looks where so many arms share the error rate."""
        return Looks(self.ends, arms)

    def within(self, problems: int) -> "Looks":
        """The looks of a study that ends with so many of the problems."""
        return Looks((*(end for end in self.ends if end < problems), problems), self.sharing)

    def _nominal(self, level: float) -> tuple[float, ...]:
        shares = tuple(end / self.ends[-1] for end in self.ends)
        return nominal_levels(shares, tuple(level * share for share in shares))

    def _look(self, problems: int) -> int:
        """The look that sees so many problems: rows that failed may lack some of a wave."""
        return min(int(np.searchsorted(self.ends, problems)), len(self.ends) - 1)

    def _curve(self, problems: int) -> tuple[Array, Array]:
        """Nominal levels of this look over overall ones, as logarithms."""
        nominal = [self._nominal(float(level))[self._look(problems)] for level in _LEVELS]
        return np.log(nominal), np.log(_LEVELS)


def planned(problems: int) -> Looks:
    """Waves of equal size; only one where there are too few problems to look twice."""
    size = max(SMALLEST_WAVE, -(-problems // MOST_WAVES))
    return Looks((*range(size, problems - size // 2, size), problems))


@lru_cache(maxsize=1024)
def nominal_levels(shares: tuple[float, ...], spent: tuple[float, ...]) -> tuple[float, ...]:
    """One-sided nominal level of each look, by the share of the data seen and what is spent by then."""
    from scipy.special import ndtr

    levels = []
    places = weights = np.empty(0)
    for share, before, by_now, by_then in zip(shares, (0.0, *shares), spent, (0.0, *spent), strict=False):
        bound = _bound(places, weights, before / share, by_now - by_then)
        places, weights = _going_on(places, weights, before / share, bound)
        levels.append(float(ndtr(-bound)))
    return tuple(levels)


def _bound(places: Array, weights: Array, share: float, budget: float) -> float:
    """What a standardised mean passes with this probability, having passed no bound before."""
    from scipy.optimize import brentq
    from scipy.special import ndtr, ndtri

    if not places.size:
        return float(-ndtri(budget))
    mean, spread = np.sqrt(share) * places, np.sqrt(1 - share)
    return float(brentq(lambda bound: weights @ ndtr((mean - bound) / spread) - budget, -9, 39, xtol=1e-11))


def _going_on(places: Array, weights: Array, share: float, bound: float) -> tuple[Array, Array]:
    """Where standardised means below the bound lie, and how probable that is (Simpson's rule)."""
    count = 2 * int(np.ceil((bound + _FARTHEST) / _STEP / 2)) + 1
    now = np.linspace(-_FARTHEST, bound, count)
    rule = np.ones(count)
    rule[1:-1:2], rule[2:-1:2] = 4, 2
    rule *= (now[1] - now[0]) / 3
    if not places.size:
        return now, rule * _density(now, 1.0)
    from_before = _density(now[:, None] - np.sqrt(share) * places, np.sqrt(1 - share)) @ weights
    return now, rule * from_before


def _density(distance: Array, spread: float) -> Array:
    density: Array = np.exp(-0.5 * (distance / spread) ** 2) / (spread * np.sqrt(2 * np.pi))
    return density
