"""From measured rows to the table of arms, and the choice among them."""

import pandas as pd

from backtracking.analysis.arms import BASELINE_NAME


def summarize_arms(events: pd.DataFrame, margin: float) -> pd.DataFrame:
    """One line per arm: counts, rates, lengths and signs of degeneration, the baseline first."""
    lines = [_line(part) for _, part in events.groupby("arm", sort=False)]
    return pd.DataFrame(lines)


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
