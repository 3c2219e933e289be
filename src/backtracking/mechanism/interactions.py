"""Pairs of components removed together: do their contributions overlap, add up, or back each other up?"""

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pandas as pd

from backtracking.measurements.floors import SMALLEST_LOSS
from backtracking.measurements.jackknife import means
from backtracking.measurements.statistics import LEVEL, holm
from backtracking.mechanism.ablation_scan import Removal, RemovalMode, ScanResult
from backtracking.mechanism.passes import Site


def pair_removals(sites: Sequence[Site], mode: RemovalMode) -> list[Removal]:
    """Every component alone, then every pair."""
    alone = [Removal(site, mode) for site in sites]
    return alone + [Removal(one, mode, also=(other,)) for one, other in combinations(sites, 2)]


def interaction_table(result: ScanResult) -> pd.DataFrame:
    """One row per pair: the triggers' log-odds lost; interaction = together − (one + other).

    Below zero the two overlap (they carry the same thing, or one works through the other); above zero each
    makes up for the other's loss. They add up where the whole interval lies within `SMALLEST_LOSS` of zero; a
    difference that is neither that nor significant is undecided.
    """
    lost = -result.onset["trigger_log_odds"]
    alone = {removal.site: k for k, removal in enumerate(result.removals) if not removal.also}
    pairs = [(k, removal) for k, removal in enumerate(result.removals) if removal.also]
    together = lost[:, [k for k, _ in pairs]]
    one = lost[:, [alone[removal.site] for _, removal in pairs]]
    other = lost[:, [alone[removal.also[0]] for _, removal in pairs]]
    estimate = means(result.problems, together - one - other)
    corrected = holm(estimate.p)
    differs = corrected < LEVEL
    adds_up = np.maximum(-estimate.low, estimate.high) < SMALLEST_LOSS
    return pd.DataFrame(
        {
            "component_a": [removal.site.component for _, removal in pairs],
            "layer_a": [removal.site.layer for _, removal in pairs],
            "component_b": [removal.also[0].component for _, removal in pairs],
            "layer_b": [removal.also[0].layer for _, removal in pairs],
            "lost_a": one.mean(0),
            "lost_b": other.mean(0),
            "lost_together": together.mean(0),
            "interaction": estimate.value,
            "interaction_low": estimate.low,
            "interaction_high": estimate.high,
            "p_holm": corrected,
            "kind": np.select(
                [differs & (estimate.value < 0), differs, adds_up],
                ["sub-additive", "super-additive", "additive"],
                "undecided",
            ),
        }
    )
