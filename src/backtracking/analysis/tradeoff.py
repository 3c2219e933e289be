"""From measured rows to the table of arms, and the choice among them."""

import pandas as pd
from statsmodels.stats.multitest import multipletests

from backtracking.analysis.arms import BASELINE_NAME
from backtracking.analysis.comparison import OUTCOMES, compare

LEVEL = 0.05


def summarize_arms(events: pd.DataFrame, margin: float) -> pd.DataFrame:
    """One line per arm: rates, paired differences to the baseline, signs of degeneration, and a verdict."""
    parts = {str(arm): part for arm, part in events.groupby("arm", sort=False)}
    baseline = parts[BASELINE_NAME]
    table = pd.DataFrame([_line(part) | _differences(part, baseline) for part in parts.values()])
    base = table.set_index("arm").loc[BASELINE_NAME]
    table["retention"] = table["accuracy"] / base["accuracy"] if base["accuracy"] else None
    table["distinct_3_ratio"] = table["distinct_3"] / base["distinct_3"] if base["distinct_3"] else None
    table["backtracking_diff_p_holm"] = _holm(table["backtracking_diff_p"])
    table["accuracy_diff_p_holm"] = _holm(table["accuracy_diff_p"])
    table["verdict"] = [_verdict(row, margin) for _, row in table.iterrows()]
    return table


def _differences(part: pd.DataFrame, baseline: pd.DataFrame) -> dict[str, float]:
    """Arm minus baseline, paired by problem; the baseline's own line stays empty."""
    if part is baseline:
        return {}
    found: dict[str, float] = {}
    for what in OUTCOMES:
        difference = compare(part, baseline, what)
        if difference is not None:
            found[f"{what}_diff"] = difference.value
            found[f"{what}_diff_low"] = difference.low
            found[f"{what}_diff_high"] = difference.high
            found[f"{what}_diff_p"] = difference.p
    return found


def _holm(p_values: pd.Series) -> pd.Series:
    """Corrected for the number of arms; the baseline has none."""
    known = p_values.dropna()
    corrected = p_values.copy()
    if not known.empty:
        corrected[known.index] = multipletests(known, method="holm")[1]
    return corrected


def _verdict(row: pd.Series, margin: float) -> str:
    """What an arm shows, by rules that can fail in every direction.

    Accuracy is held when the whole interval of its paired change lies above minus the margin, lost when it
    lies below zero and reaches past the margin, and undecided otherwise.
    """
    if row["arm"] == BASELINE_NAME:
        return ""
    if pd.isna(row.get("accuracy_diff")):
        return "inconclusive"
    held = row["accuracy_diff_low"] > -margin
    if not held and row["accuracy_diff_high"] < 0:
        return "destructive"
    if not (row["backtracking_diff_high"] < 0 and row["backtracking_diff_p_holm"] < LEVEL):
        return "no effect"
    return "non-destructive" if held else "inconclusive"


def _line(part: pd.DataFrame) -> dict[str, object]:
    total = len(part)
    correct = part["is_correct"].eq(True)
    backtracks = part["has_backtracking_strict"].astype(bool)
    finished = part["finish_reason"].eq("stop")
    tokens = int(part["completion_tokens"].sum())
    return {
        "subset_name": part["subset_name"].iloc[0],
        "scale": part["scale"].iloc[0],
        "num_components": int(part["num_components"].iloc[0]),
        "arm": part["arm"].iloc[0],
        "total": total,
        "problems": part["example_id"].nunique(),
        "backtracking_count": int(backtracks.sum()),
        "backtracking_rate": backtracks.mean(),
        "correct_count": int(correct.sum()),
        "accuracy": correct.mean(),
        "truncation_rate": 1.0 - finished.mean(),
        "finished_count": int(finished.sum()),
        "finished_accuracy": correct[finished].mean(),
        "mean_tokens": tokens / total,
        "onsets_per_1k_tokens": 1000.0 * part["n_onsets_strict"].sum() / tokens if tokens else None,
        "loop_rate": part["is_loop"].mean(),
        "empty_rate": part["is_empty"].mean(),
        "no_answer_rate": part["predicted_answer"].isna().mean(),
        "non_ascii_rate": part["non_ascii_burst"].mean(),
        "distinct_3": part["distinct_3"].mean(),
    }


def find_best_tradeoff(table: pd.DataFrame) -> pd.Series | None:
    """The arm that lowers backtracking most among those whose accuracy is held; none when there is none."""
    held = table[(table["subset_name"] != BASELINE_NAME) & (table["verdict"] == "non-destructive")]
    return None if held.empty else held.loc[held["backtracking_rate"].idxmin()]
