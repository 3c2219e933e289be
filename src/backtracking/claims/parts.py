"""One condition of a rule, held against what was measured: it holds, fails, stays open, or lacks its data."""

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from scipy import special

from backtracking.claims.wording import Estimate, number
from backtracking.measurements.floors import too_few
from backtracking.measurements.statistics import LEVEL, POWER

_NORMAL = float(special.ndtri(1 - LEVEL / 2) + special.ndtri(POWER))
_LARGE = 10_000
"""From so many problems on Student's quantiles are the normal ones."""
_PROBLEMS = "problems"
"""How the names of numbers end that count the problems behind a part."""
PartState = Literal["holds", "fails", "open", "missing"]
WORST_FIRST: tuple[PartState, ...] = ("fails", "missing", "open", "holds")
STATE_NAMES: dict[PartState, str] = {
    "fails": "Not met",
    "missing": "Lacking",
    "open": "Open",
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

    @property
    def problems(self) -> int:
        """The fewest problems that one of its numbers rests on; 0 where it does not say."""
        counts = [int(value) for name, value in self.numbers.items() if name.endswith(_PROBLEMS)]
        return min((count for count in counts if count > 0), default=0)


@dataclass(frozen=True)
class TableEstimate:
    """An estimate that a table holds."""

    value: float
    low: float
    high: float
    problems: int


def measured_cell(row: Mapping[Any, Any], column: str, problems: float | None) -> TableEstimate | None:
    """A cell with its interval; none where the table does not give it."""
    value, low, high = (number(row, f"{column}{end}") for end in ("", "_low", "_high"))
    if value is None or low is None or high is None:
        return None
    return TableEstimate(value, low, high, int(problems or 0))


def missing(what: str) -> Part:
    """A condition whose data are not there."""
    return Part("missing", lacks=what)


def with_floor(part: Part) -> Part:
    """The part, unless it rests on so few problems that it decides nothing whatever they show."""
    few = "" if part.state == "missing" else too_few(part.problems)
    return Part("missing", part.says, part.numbers, lacks=few) if few else part


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

    The standard error shrinks with the root of the number of problems. For an interval that misses the
    threshold with a probability of `POWER` the distance has to be t(97.5%) + t(80%) standard errors, with as
    many degrees of freedom as that number gives: the smallest such number is meant, and it is always larger
    than that of a study whose interval holds the threshold.
    """
    distance = abs(estimate.value - threshold)
    reach = estimate.value - estimate.low if threshold < estimate.value else estimate.high - estimate.value
    if estimate.problems < 2 or not reach > 0:
        return math.nan
    if distance == 0:
        return math.inf
    error = reach / special.stdtrit(estimate.problems - 1, 1 - LEVEL / 2)
    wanted = estimate.problems * (error / distance) ** 2
    at_least = max(2, math.ceil(wanted * _NORMAL**2))  # Student's quantiles are larger than the normal ones
    if at_least > _LARGE:
        return float(at_least)
    return float(
        next(count for count in itertools.count(at_least) if count / _students(count) ** 2 >= wanted)
    )


def _students(problems: int) -> float:
    """The distance, in standard errors, that so many problems show with a probability of `POWER`."""
    return float(special.stdtrit(problems - 1, [1 - LEVEL / 2, POWER]).sum())


def _numbers(name: str, estimate: Estimate, threshold: float) -> dict[str, float | str]:
    return {
        name: float(estimate.value),
        f"{name}_low": float(estimate.low),
        f"{name}_high": float(estimate.high),
        f"{name}_threshold": threshold,
        f"{name}_problems": estimate.problems,
    }
