"""One condition of a rule, held against what was measured: it holds, fails, stays open, or lacks its data."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from scipy import special

from backtracking.claims.wording import Estimate, number
from backtracking.measurements.statistics import LEVEL, POWER

PartState = Literal["holds", "fails", "open", "missing"]
WORST_FIRST: tuple[PartState, ...] = ("fails", "missing", "open", "holds")
STATE_NAMES: dict[PartState, str] = {
    "fails": "Not met",
    "missing": "Lacking",
    "open": "Undecided",
    "holds": "Met",
}


@dataclass(frozen=True)
class Part:
    """One condition of a rule as it came out."""

    state: PartState
    says: str = ""
    numbers: Mapping[str, float | str] = field(default_factory=dict)
    deciding: float = math.nan
    """Open: about how many problems would decide; NaN where problems would not."""
    lacks: str = ""


@dataclass(frozen=True)
class TableEstimate:
    """An estimate that a table holds."""

    value: float
    low: float
    high: float
    problems: int


def measured(row: Mapping[Any, Any], column: str, problems: float | None) -> TableEstimate | None:
    """A cell with its interval; none where the table does not give it."""
    value, low, high = (number(row, f"{column}{end}") for end in ("", "_low", "_high"))
    if value is None or low is None or high is None:
        return None
    return TableEstimate(value, low, high, int(problems or 0))


def missing(what: str) -> Part:
    """A condition whose data are not there."""
    return Part("missing", lacks=what)


def fact(holds: bool, says: str, **numbers: float | str) -> Part:
    """A condition that is read off, with nothing to estimate."""
    return Part("holds" if holds else "fails", says, numbers)


def undecided(says: str, **numbers: float | str) -> Part:
    """A condition that more problems would not settle."""
    return Part("open", says, numbers)


def above(name: str, estimate: Estimate, threshold: float, says: str, deciding: float | None = None) -> Part:
    """Holds when the whole interval lies above the threshold, fails when it lies below."""
    state: PartState = (
        "holds" if estimate.low > threshold else "fails" if estimate.high < threshold else "open"
    )
    needed = problems_to_decide(estimate, threshold) if deciding is None else deciding
    return Part(state, says, _numbers(name, estimate, threshold), needed)


def below(name: str, estimate: Estimate, threshold: float, says: str) -> Part:
    """Holds when the whole interval lies below the threshold, fails when it lies above."""
    state: PartState = (
        "holds" if estimate.high < threshold else "fails" if estimate.low > threshold else "open"
    )
    return Part(state, says, _numbers(name, estimate, threshold), problems_to_decide(estimate, threshold))


def within(name: str, estimate: Estimate, margin: float, says: str) -> Part:
    """Holds when the whole interval lies inside ± the margin, fails when it lies outside on one side."""
    inside = estimate.low > -margin and estimate.high < margin
    outside = estimate.low > margin or estimate.high < -margin
    state: PartState = "holds" if inside else "fails" if outside else "open"
    nearest = math.copysign(margin, estimate.value)
    return Part(state, says, _numbers(name, estimate, margin), problems_to_decide(estimate, nearest))


def problems_to_decide(estimate: Estimate, threshold: float) -> float:
    """About how many problems would leave a threshold outside the interval, were the truth what was seen.

    The standard error shrinks with the root of the number of problems, and for an interval that misses the
    threshold with a probability of `POWER` it has to be 1 / (1.96 + 0.84) of the distance. So the number is
    n × ((1.96 + 0.84) × standard error ÷ distance)².
    """
    distance = abs(estimate.value - threshold)
    reach = estimate.value - estimate.low if threshold < estimate.value else estimate.high - estimate.value
    if estimate.problems < 2 or not reach > 0:
        return math.nan
    if distance == 0:
        return math.inf
    error = reach / special.stdtrit(estimate.problems - 1, 1 - LEVEL / 2)
    needed = special.ndtri(1 - LEVEL / 2) + special.ndtri(POWER)
    return float(estimate.problems * (needed * error / distance) ** 2)


def _numbers(name: str, estimate: Estimate, threshold: float) -> dict[str, float | str]:
    return {
        name: float(estimate.value),
        f"{name}_low": float(estimate.low),
        f"{name}_high": float(estimate.high),
        f"{name}_threshold": threshold,
        f"{name}_problems": estimate.problems,
    }
