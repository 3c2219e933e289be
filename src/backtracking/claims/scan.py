"""What the ablation scan says to the claims: which components stand out, by mode, and what it could see."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
from scipy import special

from backtracking.artifacts import readings
from backtracking.claims.evidence import Evidence
from backtracking.claims.wording import records
from backtracking.measurements.floors import SMALLEST_LOSS
from backtracking.measurements.statistics import LEVEL, POWER

Standouts = Mapping[str, Sequence[str]]
"""The components that stand out in the scan, by mode of removal."""
_LOST = {"selectivity": "delta_log_odds", "effect": "delta_logit"}
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


def listed(by_mode: Standouts) -> str:
    """The components once where all modes agree, else mode by mode."""
    each = {mode: ", ".join(names) or "none" for mode, names in by_mode.items()}
    if agree(by_mode):
        return next(iter(each.values()))
    return "; ".join(f"{names} (mode {mode})" for mode, names in each.items())


@dataclass(frozen=True)
class Sight:
    """The smallest loss, in nats, that the scan would have seen in whatever component it tests."""

    nats: float
    reach: float
    """The part of it that more problems would not take away."""
    problems: int

    def problems_for(self, nats: float) -> float:
        """About how many problems would have shown a loss of this size: the rest shrinks with their root."""
        if nats <= self.reach:
            return math.nan
        return self.problems * ((self.nats - self.reach) / (nats - self.reach)) ** 2


def sight(evidence: Evidence) -> Sight | str:
    """How small a loss the scan could see in its blindest component and mode, or what is missing to say so.

    A component stands out when its loss exceeds the ensemble's reach at its price by `SMALLEST_LOSS`, in a
    one-sided test corrected for the number of components. With a probability of `POWER` that is so for a loss
    of reach + `SMALLEST_LOSS` + (t(1 − level ÷ components) + t(power)) standard errors.
    """
    parts = _parts(evidence)
    if isinstance(parts, str):
        return parts
    sights = [_sight(part, evidence.scan_rule) for part in parts.values()]
    if any(one is None for one in sights):
        return f"the losses and their standard errors in {readings.IMPORTANCE.file}"
    return max((one for one in sights if one is not None), key=lambda one: one.nats)


def _sight(part: pd.DataFrame, rule: str) -> Sight | None:
    lost = _LOST[rule]
    if not {lost, f"{lost}_low", f"{lost}_high", f"{rule}_excess", "n_events"} <= set(part):
        return None
    tested = part[part[f"{rule}_p_holm"].notna()]
    problems = int(tested["n_events"].max())
    degrees = max(problems - 1, 1)
    error = (tested[f"{lost}_high"] - tested[f"{lost}_low"]) / 2 / special.stdtrit(degrees, 1 - LEVEL / 2)
    reach = (-tested[lost] - tested[f"{rule}_excess"]).clip(lower=0.0) + SMALLEST_LOSS
    quantiles = float(special.stdtrit(degrees, [1 - LEVEL / len(tested), POWER]).sum())
    visible = reach + quantiles * error
    blindest = int(visible.to_numpy().argmax())
    return Sight(float(visible.iloc[blindest]), float(reach.iloc[blindest]), problems)


def _parts(evidence: Evidence) -> dict[str, pd.DataFrame] | str:
    """The scan's table for every mode, tests included."""
    table, rule = evidence.table(readings.IMPORTANCE), evidence.scan_rule
    if table is None:
        return evidence.lack(readings.IMPORTANCE)
    parts = _by_whole_removal(evidence.table(readings.IMPORTANCE_BY_MODE)) or {"": table}
    if any(f"{rule}_p_holm" not in part or part[f"{rule}_p_holm"].isna().all() for part in parts.values()):
        return f"tests of {rule} against the ensemble in {readings.IMPORTANCE.file}"
    return parts


def _by_whole_removal(modes: pd.DataFrame | None) -> dict[str, pd.DataFrame]:
    """The scan's table for every mode that removes a component whole; `scale` only weakens it."""
    if modes is None or "mode" not in modes:
        return {}
    return {str(mode): part for mode, part in modes.groupby("mode", sort=False) if mode != "scale"}


def _above(part: pd.DataFrame, rule: str) -> list[str]:
    significant = part[part[f"{rule}_p_holm"] < LEVEL].sort_values(rule, ascending=False)
    return [f"{row['component']} {row['layer']}" for row in records(significant)]
