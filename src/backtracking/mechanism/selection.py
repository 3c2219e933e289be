"""From the scan's changes to a choice of components, and to whether the onset is localised at all."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from backtracking.config.schema import AnalysisConfig
from backtracking.measurements.floors import SMALLEST_LOSS
from backtracking.measurements.jackknife import Estimates, jackknife
from backtracking.measurements.statistics import LEVEL, Array, holm
from backtracking.mechanism.ablation_scan import ScanResult

SelectionRule = Literal["selectivity", "effect"]
RULES: tuple[SelectionRule, ...] = ("selectivity", "effect")
NORMAL_SPREAD = 1.4826
"""The standard deviation of normal values, in units of their median deviation from the median."""

WIDE = 3.0
"""How many robust standard deviations above the median of all components the ensemble reaches."""

FEWEST_COMPONENTS = 3
LOCALISED_SHARE = 0.5
LOCALISED_COMPONENTS = 0.25


@dataclass(frozen=True)
class Scores:
    """How much each removal takes from the onset under one rule, against the ensemble of all removals."""

    score: Estimates
    excess: Estimates
    """What it takes beyond `SMALLEST_LOSS` and the most that the ensemble would take at the same price."""
    p_holm: Array
    """One-sided, of an excess above `SMALLEST_LOSS`; none for components that cost too much to be tested."""


def score(result: ScanResult, rule: SelectionRule, config: AnalysisConfig) -> Scores:
    """Scores with intervals, and Holm-corrected tests against the ensemble of all components."""
    columns = _columns(result, rule)

    def of_sums(total: Array) -> Array:
        lost, price = _lost_and_price(total, rule, config)
        return lost / price

    def beyond(total: Array) -> Array:
        lost, price = _lost_and_price(total, rule, config)
        return lost - ensemble_reach(lost / price) * price - SMALLEST_LOSS

    with np.errstate(invalid="ignore", divide="ignore"):
        scores = jackknife(result.problems, columns, of_sums)
        excess = jackknife(result.problems, columns, beyond)
        _, price = _lost_and_price(columns.sum(0), rule, config)
    tested = price <= config.max_collateral + config.collateral_floor if rule == "selectivity" else True
    p = np.where(tested, excess.p_above(), np.nan)
    return Scores(scores, excess, holm(p))


def _columns(result: ScanResult, rule: SelectionRule) -> Array:
    """What is summed over events: the loss at every onset, and the damage wherever there is a control."""
    lost, damage = -result.onset["logit" if rule == "effect" else "trigger_log_odds"], result.control["kl"]
    known = np.isfinite(damage)
    return np.stack([lost, np.ones_like(lost), np.where(known, damage, 0.0), known.astype(float)], axis=1)


def _lost_and_price(total: Array, rule: SelectionRule, config: AnalysisConfig) -> tuple[Array, Array]:
    """A score is what is lost at the onset for each unit of its price; under `effect` all have one price."""
    lost: Array = total[0] / total[1]
    price: Array = np.ones_like(lost) if rule == "effect" else total[2] / total[3] + config.collateral_floor
    return lost, price


def ensemble_reach(scores: Array) -> float:
    """The highest score that still belongs to the ensemble, by median and median deviation of all scores.

    Neither moves while most components are alike, so strong ones cannot hide each other.
    """
    if len(scores) < FEWEST_COMPONENTS:
        return float("nan")
    centre = float(np.median(scores))
    return centre + WIDE * NORMAL_SPREAD * float(np.median(np.abs(scores - centre)))


def add_scores(table: pd.DataFrame, result: ScanResult, config: AnalysisConfig) -> pd.DataFrame:
    """The importance table with both rules' scores, tests, and which components each would select."""
    table = table.copy()
    for rule in RULES:
        scores = score(result, rule, config)
        for end in ("value", "low", "high"):
            suffix = "" if end == "value" else f"_{end}"
            table[f"{rule}{suffix}"] = getattr(scores.score, end)
            table[f"{rule}_excess{suffix}"] = getattr(scores.excess, end) + SMALLEST_LOSS
        table[f"{rule}_p_holm"] = scores.p_holm
        table[f"{rule}_rank"] = _ranks(table, rule, config)
    return table


def _ranks(table: pd.DataFrame, rule: SelectionRule, config: AnalysisConfig) -> pd.Series:
    """Place within its kind, 1 being the strongest; none for components that the rule cannot select."""
    eligible = table[rule] > 0
    if rule == "selectivity":
        eligible &= table["kl_control"].fillna(0.0) <= config.max_collateral
    ranks = table.loc[eligible].groupby("component")[rule].rank(ascending=False, method="first")
    return ranks.reindex(table.index).astype("Int64")


def selected(table: pd.DataFrame, rule: SelectionRule, count: int) -> dict[str, list[int]]:
    """The layers of each kind that stand out of the ensemble, strongest first, `count` at most."""
    return _by_kind(table[table[f"{rule}_p_holm"] < LEVEL], rule, count)


def strongest_layers(table: pd.DataFrame, rule: SelectionRule, count: int) -> dict[str, list[int]]:
    """The `count` strongest layers of each kind, whether or not they stand out."""
    return _by_kind(table, rule, count)


def _by_kind(table: pd.DataFrame, rule: SelectionRule, count: int) -> dict[str, list[int]]:
    chosen = table[table[f"{rule}_rank"] <= count].sort_values(f"{rule}_rank")
    return {
        kind: [int(layer) for layer in chosen.loc[chosen["component"] == kind, "layer"]]
        for kind in ("attn", "mlp")
    }


def localisation(table: pd.DataFrame, rule: SelectionRule) -> dict[str, Any]:
    """Whether a few components stand out and carry most of what ablation takes away.

    The share is of the summed positive scores. A push that is spread evenly has no component above its
    ensemble, or needs many of them to reach half. Without any test there is no verdict.
    """
    significant = table[table[f"{rule}_p_holm"] < LEVEL].sort_values(rule, ascending=False)
    tested = table[f"{rule}_p_holm"].notna().any()
    positive = table[rule].clip(lower=0.0)
    total = float(positive.sum())
    share = float(significant[rule].clip(lower=0.0).sum()) / total if total > 0 else 0.0
    few = 0 < len(significant) <= max(1, int(LOCALISED_COMPONENTS * len(table)))
    return {
        "localised": bool(few and share >= LOCALISED_SHARE) if tested else None,
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
