"""From the scan's changes to a choice of components, and to whether the onset is localised at all."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from backtracking.analysis.ablation_scan import ScanResult
from backtracking.analysis.jackknife import LEVEL, Array, Estimates, jackknife
from backtracking.analysis.statistics import holm
from backtracking.config import AnalysisConfig

Rule = Literal["selectivity", "effect"]
RULES: tuple[Rule, ...] = ("selectivity", "effect")
LOCALISED_SHARE = 0.5
LOCALISED_COMPONENTS = 0.25


@dataclass(frozen=True)
class Scores:
    """How much each removal takes from the onset under one rule, against the other removals of its kind."""

    score: Estimates
    excess: Estimates
    """Score minus the mean score of the other components of the same kind."""
    p_holm: Array
    """One-sided, over all components."""


def score(result: ScanResult, rule: Rule, floor: float) -> Scores:
    """Scores with intervals and Holm-corrected tests against the ensemble of components of the same kind."""
    kinds = np.array([removal.site.component for removal in result.removals])
    columns = _effect_columns(result) if rule == "effect" else _selectivity_columns(result)

    def of_sums(total: Array) -> Array:
        if rule == "effect":
            effect: Array = -total[0] / total[1]
            return effect
        ratio: Array = (-total[0] / total[1]) / (total[2] / total[3] + floor)
        return ratio

    with np.errstate(invalid="ignore", divide="ignore"):
        scores = jackknife(result.problems, columns, of_sums)
        excess = jackknife(result.problems, columns, lambda total: _above_others(of_sums(total), kinds))
    return Scores(scores, excess, holm(excess.p_above()))


def _effect_columns(result: ScanResult) -> Array:
    lost = result.onset["logit"]
    return np.stack([lost, np.ones_like(lost)], axis=1)


def _selectivity_columns(result: ScanResult) -> Array:
    """Log-odds at every onset; damage wherever there is a control."""
    lost, damage = result.onset["log_odds"], result.control["kl"]
    known = np.isfinite(damage)
    return np.stack([lost, np.ones_like(lost), np.where(known, damage, 0.0), known.astype(float)], axis=1)


def _above_others(scores: Array, kinds: np.ndarray[Any, Any]) -> Array:
    excess = np.full(scores.shape, np.nan)
    for kind in np.unique(kinds):
        of_kind = kinds == kind
        count = of_kind.sum()
        if count > 1:
            excess[of_kind] = (scores[of_kind] - scores[of_kind].mean()) * count / (count - 1)
    return excess


def add_scores(table: pd.DataFrame, result: ScanResult, config: AnalysisConfig) -> pd.DataFrame:
    """The importance table with both rules' scores, tests, and which components each would select."""
    table = table.copy()
    for rule in RULES:
        scores = score(result, rule, config.collateral_floor)
        table[f"{rule}"] = scores.score.value
        table[f"{rule}_low"] = scores.score.low
        table[f"{rule}_high"] = scores.score.high
        table[f"{rule}_excess"] = scores.excess.value
        table[f"{rule}_p_holm"] = scores.p_holm
        table[f"{rule}_rank"] = _ranks(table, rule, config)
    return table


def _ranks(table: pd.DataFrame, rule: Rule, config: AnalysisConfig) -> pd.Series:
    """Place within its kind, 1 being the strongest; none for components that the rule cannot select."""
    eligible = table[rule] > 0
    if rule == "selectivity":
        eligible &= table["kl_control"].fillna(0.0) <= config.max_collateral
    ranks = table.loc[eligible].groupby("component")[rule].rank(ascending=False, method="first")
    return ranks.reindex(table.index).astype("Int64")


def selected(table: pd.DataFrame, rule: Rule, count: int) -> dict[str, list[int]]:
    """The `count` strongest layers of each kind, strongest first; fewer where fewer can be selected."""
    chosen = table[table[f"{rule}_rank"] <= count].sort_values(f"{rule}_rank")
    return {
        kind: [int(layer) for layer in chosen.loc[chosen["component"] == kind, "layer"]]
        for kind in ("attn", "mlp")
    }


def localisation(table: pd.DataFrame, rule: Rule) -> dict[str, Any]:
    """Whether a few components stand out and carry most of what ablation takes away.

    The share is of the summed positive scores. A push that is spread evenly has no component above its
    ensemble, or needs many of them to reach half.
    """
    significant = table[table[f"{rule}_p_holm"] < LEVEL].sort_values(rule, ascending=False)
    positive = table[rule].clip(lower=0.0)
    total = float(positive.sum())
    share = float(significant[rule].clip(lower=0.0).sum()) / total if total > 0 else 0.0
    few = 0 < len(significant) <= max(1, int(LOCALISED_COMPONENTS * len(table)))
    return {
        "localised": bool(few and share >= LOCALISED_SHARE),
        "components": [_name(row) for row in significant.to_dict("records")],
        "share": share,
        "effective_components": _participation(positive.to_numpy(float)),
        "of": len(table),
    }


def _name(row: dict[Any, Any]) -> str:
    name = f"{row['component']} {row['layer']}"
    return f"{name} head {int(row['head'])}" if pd.notna(row.get("head")) else name


def _participation(scores: Array) -> float:
    """How many equal components would spread the scores as these do."""
    squares = float((scores**2).sum())
    return float(scores.sum()) ** 2 / squares if squares > 0 else 0.0


def overlap(one: Sequence[int], other: Sequence[int]) -> int:
    """How many layers two selections share."""
    return len(set(one) & set(other))
