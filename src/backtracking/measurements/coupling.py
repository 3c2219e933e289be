"""Do onsets follow mistakes? Checkable arithmetic steps, and whether an onset comes before the next one."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import zip_longest
from typing import Any

import numpy as np
import pandas as pd

from backtracking.measurements import statistics
from backtracking.text.arithmetic import Step
from backtracking.text.arithmetic.steps import expression
from backtracking.text.onsets import Onset

KINDS = ("right", "wrong")
FRESH = tuple(f"{of}fresh_{kind}" for of in ("", "onsets_after_") for kind in KINDS)
"""Counts of fresh steps in tables of completions; tables of earlier versions lack them."""


def preceded_by_error(steps: Sequence[Step], position: int) -> bool | None:
    """Whether the last checkable statement that ends before a position is wrong; none without one."""
    before = bisect_right(steps, position, key=lambda step: step.end)
    return not steps[before - 1].correct if before else None


def fresh_steps(text: str, steps: Sequence[Step], onsets: Sequence[Onset]) -> list[bool]:
    """Whether each step says something new: neither the first behind an onset, nor computed before.

    What comes behind an onset corrects or checks, and is hardly ever doubted again.
    """
    fresh: list[bool] = []
    seen: set[str] = set()
    starts = sorted(onset.start for onset in onsets)
    earlier = 0
    for step in steps:
        key, before = expression(text, step), bisect_left(starts, step.start)
        is_reply = before > earlier
        fresh.append(not is_reply and key not in seen)
        seen.add(key)
        earlier = before
    return fresh


def follow_steps(
    text: str,
    steps: Sequence[Step],
    onsets: Sequence[Onset],
    others: Sequence[Onset] = (),
    *,
    truncated: bool,
) -> dict[str, int]:
    """Count right and wrong steps, and those that an onset follows before the next step; fresh ones again.

    The last step of a cut completion counts only if an onset was seen: what the cut hid is not known.
    `others`: onsets of other kinds, which only make the step behind them no fresh one.
    """
    names = [f"steps_{kind}" for kind in KINDS] + [f"onsets_after_{kind}" for kind in KINDS]
    counts = dict.fromkeys((*names, *FRESH), 0)
    fresh = fresh_steps(text, steps, [*onsets, *others])
    starts = sorted(onset.start for onset in onsets)
    for step, following, is_fresh in zip_longest(steps, steps[1:], fresh):
        followed = is_followed(step, following, starts)
        if following is None and truncated and not followed:
            continue
        kind = "right" if step.correct else "wrong"
        counts[f"steps_{kind}"] += 1
        counts[f"onsets_after_{kind}"] += followed
        counts[f"fresh_{kind}"] += is_fresh
        counts[f"onsets_after_fresh_{kind}"] += is_fresh and followed
    return counts


def is_followed(step: Step, following: Step | None, onsets: Sequence[int]) -> bool:
    """Whether an onset begins behind a step and before the one that follows it; their starts are in order."""
    behind = bisect_left(onsets, step.result[1])
    return behind < len(onsets) and (following is None or onsets[behind] < following.start)


def coupling_table(groups: dict[tuple[str, str], pd.DataFrame]) -> pd.DataFrame:
    """`error_coupling.csv`: per group P(onset | wrong step), P(onset | right step), odds ratio.

    Difference and odds ratio compare wrong and right steps of the same problems; their intervals allow steps
    of one completion to depend on each other. The odds ratio has none where onsets and mistakes coincide.
    """
    return pd.DataFrame(
        [
            {"variant": variant, "condition": condition, **_coupling(sums)}
            for (variant, condition), sums in groups.items()
        ]
    )


def _coupling(sums: pd.DataFrame) -> dict[str, Any]:
    line: dict[str, Any] = {}
    for kind in ("wrong", "right"):
        steps, followed = sums[f"steps_{kind}"].to_numpy(), sums[f"onsets_after_{kind}"].to_numpy()
        estimate = statistics.rate(followed, steps)
        line |= {
            f"n_{kind}": int(steps.sum()),
            f"n_onset_after_{kind}": int(followed.sum()),
            f"p_onset_after_{kind}": estimate.value,
            f"p_onset_after_{kind}_low": estimate.low,
            f"p_onset_after_{kind}_high": estimate.high,
        }
    after = [(sums[f"onsets_after_{kind}"], sums[f"steps_{kind}"]) for kind in ("wrong", "right")]
    difference = statistics.of_shares(statistics.paired_difference(*after))
    odds = statistics.clustered_odds(_tables(sums))
    return line | {
        "difference": difference.value,
        "difference_low": difference.low,
        "difference_high": difference.high,
        "difference_p": difference.p,
        "odds_ratio": odds.odds_ratio,
        "odds_ratio_low": odds.low,
        "odds_ratio_high": odds.high,
        "odds_ratio_p": odds.p,
        "informative_problems": odds.informative,
    }


def _tables(sums: pd.DataFrame) -> statistics.Array:
    """[problem, wrong step?, onset after it?], yes first."""
    cells = []
    for kind in ("wrong", "right"):
        followed = sums[f"onsets_after_{kind}"].to_numpy(dtype=np.float64)
        cells += [followed, sums[f"steps_{kind}"].to_numpy(dtype=np.float64) - followed]
    return np.stack(cells, axis=1).reshape(-1, 2, 2)
