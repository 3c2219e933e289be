"""How much of an effect is left under an arm: ratios of two contrasts measured on the same problems."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import special

from backtracking.measurements.statistics import LEVEL, removed_share

_NAN = float("nan")


@dataclass(frozen=True)
class Contrast:
    """A difference of rates, or a rate, with what each problem adds to its error."""

    value: float
    influence: pd.Series
    """By problem; the sum of squares is the variance, but for the small-sample factor."""


@dataclass(frozen=True)
class Removed:
    """The share of a contrast that an arm takes away, with Fieller's 95% interval."""

    value: float
    low: float
    high: float
    problems: int


def rate_of(sums: pd.DataFrame, top: str, bottom: str) -> Contrast:
    """A rate from sums by problem."""
    total = sums[bottom].sum()
    if not total > 0:
        return Contrast(_NAN, sums[bottom] * _NAN)
    share = float(sums[top].sum() / total)
    return Contrast(share, (sums[top] - share * sums[bottom]) / total)


def minus(one: Contrast, other: Contrast) -> Contrast:
    """A difference of two rates of the same rows."""
    return Contrast(one.value - other.value, one.influence.sub(other.influence, fill_value=0.0))


def removed(before: Contrast, after: Contrast) -> Removed:
    """1 − after ÷ before, over the problems that both have; no interval where `before` is not clearly one."""
    problems = before.influence.index.intersection(after.influence.index)
    count = len(problems)
    kept, whole = (part.value + count * part.influence.loc[problems].to_numpy() for part in (after, before))
    share = removed_share(kept, whole, np.ones(count))
    return Removed(share.value, share.low, share.high, count)


@dataclass(frozen=True)
class Rank:
    """Where a target stands among random sets: the share of sets that do as much, and its p."""

    sets: int
    as_strong: int

    @property
    def p(self) -> float:
        """Of a target that is one more random set: the target itself counts."""
        return (1 + self.as_strong) / (1 + self.sets)

    @property
    def least_share(self) -> float:
        """The smallest share of all sets doing as much that these draws leave possible (97.5%, exact)."""
        if not self.as_strong:
            return 0.0
        return float(special.betaincinv(self.as_strong, self.sets - self.as_strong + 1, LEVEL / 2))


def rank_among_sets(target: float, sets: Sequence[float]) -> Rank:
    """Sets that leave as little as the target count as doing as much."""
    known = [value for value in sets if np.isfinite(value)]
    return Rank(len(known), sum(value <= target for value in known))
