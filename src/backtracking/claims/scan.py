"""What the ablation scan says to the claims: which components stand out, by mode, and what it could see."""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
from scipy import special

from backtracking.artifacts import readings
from backtracking.claims.evidence import Evidence
from backtracking.claims.wording import lines_of
from backtracking.measurements.floors import SMALLEST_LOSS, too_few
from backtracking.measurements.statistics import LEVEL, POWER

Standouts = Mapping[str, Sequence[str]]
"""The components that stand out in the scan, by mode of removal."""
_LOST = {"selectivity": "delta_trigger_log_odds", "effect": "delta_logit"}
"""What a component's removal takes away, by the rule that the scan ranks by (changes: a loss is negative)."""


def standouts(evidence: Evidence) -> Standouts | str:
    """Components that the scan finds above the ensemble in each mode, or what is missing to say so."""
    parts = _parts(evidence)
    if isinstance(parts, str):
        return parts
    rule = evidence.scan_rule
    return {mode: _above(part, rule) for mode, part in parts.items()}


def agree(by_mode: Standouts) -> bool:
    """Whether every mode finds the same components."""
    return len({frozenset(names) for names in by_mode.values()}) == 1


def in_every_mode(by_mode: Standouts) -> list[str]:
    """The components that stand out however they are removed, in the first mode's order."""
    first, *others = by_mode.values()
    return [name for name in first if all(name in names for names in others)]


def what_stands_out(by_mode: Standouts) -> str:
    """The components once where all modes agree, else mode by mode, in words."""
    each = {mode: ", ".join(names) or "none" for mode, names in by_mode.items()}
    if agree(by_mode):
        return f"standing out in the scan: {next(iter(each.values()))}"
    listed = "; ".join(f"by `{mode}`: {names}" for mode, names in each.items())
    return f"components that stand out in the scan when removed {listed}"


@dataclass(frozen=True)
class Sight:
    """What the scan could see in the blindest of the components that it tests."""

    reach: float
    """Nats that more problems would not take away from the smallest loss that is seen."""
    error: float
    """The standard error, in nats, of what a loss exceeds the ensemble by."""
    problems: int
    components: int

    @property
    def nats(self) -> float:
        """The smallest loss that it would have seen with a probability of `POWER`."""
        return self._with(self.problems)

    def problems_for(self, nats: float) -> float:
        """About how many problems would have shown a loss of this size; NaN where none would."""
        if nats <= self.reach:
            return math.nan
        normal = special.ndtri([1 - LEVEL / self.components, POWER]).sum()
        fewest = self.problems * (normal * self.error / (nats - self.reach)) ** 2
        counts = itertools.count(max(2, math.ceil(fewest)))
        return float(next(count for count in counts if self._with(count) <= nats))

    def _with(self, problems: int) -> float:
        """The same had there been so many problems: the error shrinks with their root."""
        quantiles = special.stdtrit(max(problems - 1, 1), [1 - LEVEL / self.components, POWER]).sum()
        return self.reach + float(quantiles) * self.error * math.sqrt(self.problems / problems)


def sight(evidence: Evidence) -> Sight | str:
    """How small a loss the scan could see in its blindest component and mode, or what is missing to say so.

    A component stands out when its loss exceeds the ensemble's reach at its price by `SMALLEST_LOSS`, in a
    one-sided test corrected for the number of components. With a probability of `POWER` that is so for a loss
    of reach + `SMALLEST_LOSS` + (t(1 − level ÷ components) + t(power)) standard errors. The
    errors are those of the test, in which the ensemble's reach is uncertain too; they and the degrees of
    freedom are those of problems, however many onsets each of them has.
    """
    parts = _parts(evidence)
    if isinstance(parts, str):
        return parts
    sights = [_sight(part, evidence.scan_rule) for part in parts.values()]
    if any(one is None for one in sights):
        return f"the losses, their standard errors and the number of problems in {readings.IMPORTANCE.file}"
    return max((one for one in sights if one is not None), key=lambda one: one.nats)


def _sight(part: pd.DataFrame, rule: str) -> Sight | None:
    lost = _LOST[rule]
    excess = f"{rule}_excess"
    if not {lost, excess, f"{excess}_low", f"{excess}_high", "n_problems"} <= set(part):
        return None
    tested = part[part[f"{rule}_p_holm"].notna()]
    problems = int(tested["n_problems"].max())
    halves = (tested[f"{excess}_high"] - tested[f"{excess}_low"]) / 2
    errors = halves / special.stdtrit(max(problems - 1, 1), 1 - LEVEL / 2)
    reaches = (-tested[lost] - tested[excess]).clip(lower=0.0) + SMALLEST_LOSS
    sights = (
        Sight(float(reach), float(error), problems, len(tested))
        for reach, error in zip(reaches, errors, strict=True)
    )
    return max(sights, key=lambda one: one.nats)


def _parts(evidence: Evidence) -> dict[str, pd.DataFrame] | str:
    """The scan's table for every mode, tests included."""
    table, rule = evidence.table(readings.IMPORTANCE), evidence.scan_rule
    if table is None:
        return evidence.lack(readings.IMPORTANCE)
    parts = _by_whole_removal(evidence.table(readings.IMPORTANCE_BY_MODE)) or {"": table}
    if any(f"{rule}_p_holm" not in part or part[f"{rule}_p_holm"].isna().all() for part in parts.values()):
        return f"tests of {rule} against the ensemble in {readings.IMPORTANCE.file}"
    counts = [int(part["n_problems"].max()) for part in parts.values() if "n_problems" in part]
    return too_few(min(counts)) or parts if counts else parts


def _by_whole_removal(modes: pd.DataFrame | None) -> dict[str, pd.DataFrame]:
    """The scan's table for every mode that removes a component whole; `scale` only weakens it."""
    if modes is None or "mode" not in modes:
        return {}
    return {str(mode): part for mode, part in modes.groupby("mode", sort=False) if mode != "scale"}


def _above(part: pd.DataFrame, rule: str) -> list[str]:
    significant = part[part[f"{rule}_p_holm"] < LEVEL].sort_values(rule, ascending=False)
    return [f"{row['component']} {row['layer']}" for row in lines_of(significant)]
