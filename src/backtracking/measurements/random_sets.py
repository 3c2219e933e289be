"""Where the targeted set stands among the random ones: each is compared with it on the very same rows."""

from typing import Any

import pandas as pd

from backtracking.measurements.metrics import OUTCOMES
from backtracking.measurements.removal import Rank, rank_among_sets
from backtracking.measurements.tallies import contributions

RANKED = ("backtracking", "onset_after_wrong")
"""What sets are ranked on, where the table can say."""
_ROW = ["example_id", "sample_id"]


def beside_the_target(events: pd.DataFrame) -> pd.DataFrame:
    """Per random set what it does on its rows, and what the targeted ablation does there."""
    is_random = events["condition"] == "random_ablation"
    drawn = events[is_random].dropna(subset="draw") if "draw" in events else events[:0].assign(draw=0)
    table = pd.DataFrame({"draw": sorted(drawn["draw"].astype(int).unique())}, dtype=int)
    for outcome in RANKED:
        rates = _rates(events, drawn, outcome)
        if rates is not None:
            base = rates["baseline"]
            table[f"{outcome}_set"] = table["draw"].map(rates["random_ablation"] - base)
            table[f"{outcome}_target"] = table["draw"].map(rates["targeted_ablation"] - base)
    return table


def _rates(events: pd.DataFrame, drawn: pd.DataFrame, outcome: str) -> dict[str, "pd.Series[Any]"] | None:
    """Each condition's rate on the rows of each set; none where the table lacks the sums or a condition."""
    metric, rates = OUTCOMES[outcome], {}
    dealt = drawn.set_index(_ROW)["draw"].astype(int)
    for condition in ("baseline", "targeted_ablation", "random_ablation"):
        rows = events[events["condition"] == condition]
        values = contributions(rows)
        if rows.empty or metric.top not in values or metric.bottom not in values:
            return None
        sums = values[[metric.top, metric.bottom]].set_axis(pd.MultiIndex.from_frame(rows[_ROW]))
        by_set = sums.join(dealt, how="inner").groupby("draw").sum()
        rates[condition] = by_set[metric.top] / by_set[metric.bottom]
    return rates


def target_rank(sets: pd.DataFrame, outcome: str) -> Rank:
    """How many sets do at least as much as the target; sets without a rate do not count."""
    if f"{outcome}_set" not in sets:
        return Rank(0, 0)
    return rank_among_sets(0.0, list(sets[f"{outcome}_set"] - sets[f"{outcome}_target"]))


def with_ranks(comparison: pd.DataFrame, sets: pd.DataFrame) -> pd.DataFrame:
    """The table of conditions with the target's rank in its line."""
    is_target = comparison["condition"] == "targeted_ablation"
    for outcome, prefix in zip(RANKED, ("", "onset_after_wrong_"), strict=True):
        ranked = target_rank(sets, outcome)
        line = {"random_sets": ranked.sets, "target_rank": 1 + ranked.as_strong, "rank_p": ranked.p}
        for name, value in line.items():
            comparison[prefix + name] = pd.Series(value, comparison.index).where(
                is_target & (ranked.sets > 0)
            )
    return comparison
