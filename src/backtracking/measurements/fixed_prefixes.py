"""What arms do behind the same prefixes: onsets after injected errors, and after the right step instead.

Free text conditions on the errors that an arm itself makes; here every arm meets the same ones.
"""

from typing import Any, Final, Literal

import numpy as np
import pandas as pd

from backtracking.measurements import statistics
from backtracking.measurements.comparison import average, compare, flag
from backtracking.measurements.statistics import Difference, estimate_columns
from backtracking.run.records import BASELINE_NAME

INJECTED: Final = "injected"
RIGHT: Final = "right"
KINDS: tuple[Literal["injected", "right"], ...] = (INJECTED, RIGHT)
KEY = ["example_id", "sample_id"]
ROW_COLUMNS = [
    *KEY,
    "kind",
    "arm",
    "draw",
    "rewrite",
    "step",
    "changed",
    "onset_follows",
    "is_correct",
    "finish_reason",
    "completion_tokens",
]
"""A completion behind a prefix."""

_SHOWN = {
    "onset_after_injected": (INJECTED, "onset_follows"),
    "onset_after_right": (RIGHT, "onset_follows"),
    "caught_rate": (INJECTED, "is_correct"),
    "accuracy_right": (RIGHT, "is_correct"),
}
"""Shares of completions, each over one kind of prefix."""
_TESTED = (*_SHOWN, "gap")


def prefix_table(rows: pd.DataFrame) -> pd.DataFrame:
    """One line per arm, and one per draw of a random arm where each draw met every prefix."""
    if rows.empty:
        return pd.DataFrame(columns=["arm", "draw"])
    lines = []
    baseline = rows[rows["arm"] == BASELINE_NAME]
    for arm, part in rows.groupby("arm", sort=False):
        pooled = _line(str(arm), part, baseline)
        draws = [_line(str(arm), one, baseline) | {"draw": draw} for draw, one in part.groupby("draw")]
        is_whole = all(line["prefixes"] == pooled["prefixes"] for line in draws)
        lines += [pooled, *(draws if is_whole else [])]
    table = pd.DataFrame(lines).astype({"draw": "Int64"})
    is_arm = table["draw"].isna()
    for what in _TESTED:
        table[f"{what}_diff_p_holm"] = np.nan
        table.loc[is_arm, f"{what}_diff_p_holm"] = statistics.holm(table.loc[is_arm, f"{what}_diff_p"])
    return table


def _line(arm: str, part: pd.DataFrame, baseline: pd.DataFrame) -> dict[str, Any]:
    prefixes = part.drop_duplicates(KEY)
    line: dict[str, Any] = {
        "arm": arm,
        "draw": pd.NA,
        "prefixes": len(prefixes),
        "problems": prefixes["example_id"].nunique(),
        "total": int(part["kind"].eq(INJECTED).sum()),
    }
    shared = baseline.merge(prefixes[KEY], on=KEY)
    for name, (kind, column) in _SHOWN.items():
        ours, theirs = (rows[rows["kind"] == kind] for rows in (part, shared))
        line |= estimate_columns(name, average(ours, flag(column)))
        line |= _change(name, arm, compare(ours, theirs, flag(column)))
    line |= estimate_columns(
        "truncation_rate", average(part.assign(cut=part["finish_reason"].ne("stop")), flag("cut"))
    )
    gaps = _gaps(part).join(_gaps(shared).add_suffix("_base"))
    gap, base, sizes = (gaps[name].to_numpy() for name in ("gap", "gap_base", "prefixes"))
    own = statistics.paired_difference((gap, sizes), (np.zeros(len(sizes)), sizes))
    line |= estimate_columns("gap", statistics.of_shares(own))
    change = statistics.paired_difference((gap, sizes), (base, sizes))
    line |= _change("gap", arm, statistics.at_most(change, -2.0, 2.0))  # each gap lies in -1 to 1
    removed = statistics.removed_share(gap, base, sizes) if arm != BASELINE_NAME else statistics.MISSING
    return line | estimate_columns("share_removed", removed)


def _gaps(rows: pd.DataFrame) -> pd.DataFrame:
    """Per problem its prefixes, and how many more of them an onset follows with the error than without.

    Of a random arm, whose draws meet every prefix, the mean over its draws.
    """
    follows = rows["onset_follows"].astype(str).eq("True").astype(float)
    signed = rows[[*KEY, "kind"]].assign(gap=follows.where(rows["kind"] == INJECTED, -follows))
    means = signed.groupby([*KEY, "kind"], as_index=False)["gap"].mean()
    of_prefix = means.groupby(KEY, as_index=False)["gap"].sum()
    by_problem = of_prefix.groupby("example_id")["gap"]
    return pd.DataFrame({"gap": by_problem.sum(), "prefixes": by_problem.size()})


def _change(name: str, arm: str, difference_to_baseline: Difference) -> dict[str, float]:
    """The change from the baseline; its own line stays empty."""
    difference = statistics.NO_DIFFERENCE if arm == BASELINE_NAME else difference_to_baseline
    return estimate_columns(f"{name}_diff", difference) | {f"{name}_diff_p": difference.p}


def caught_by_arm(rows: pd.DataFrame) -> pd.DataFrame:
    """Per arm the share of injected errors that an onset follows, and of rows that still end right."""
    lines = []
    for arm, part in rows[rows["kind"] == INJECTED].groupby("arm", sort=False):
        line: dict[str, object] = {"arm": arm, "forced_errors": len(part)}
        line |= estimate_columns("marked_rate", average(part, flag("onset_follows")))
        lines.append(line | estimate_columns("caught_rate", average(part, flag("is_correct"))))
    return pd.DataFrame(lines) if lines else pd.DataFrame(columns=["arm"])
