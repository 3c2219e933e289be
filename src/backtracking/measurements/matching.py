"""Which row serves each event as a control, and where in it."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from backtracking.measurements.places import Candidates, Place, distance, nearest

_OTHER_PROBLEM = 10.0
_HAS_LATER_ONSET = 1.0
_JITTER = 1e-3
_FORBIDDEN = 1e6


def difficulty(rows: pd.DataFrame) -> pd.Series:
    """Per problem how hard the model finds it: its share of wrong answers, then its length."""
    by_problem = rows.groupby("example_id")
    correct = rows["is_correct"].map({"True": 1.0, "False": 0.0})
    wrong = 1.0 - correct.groupby(rows["example_id"]).mean()
    length = by_problem["completion_tokens"].mean()
    hard: pd.Series = wrong.fillna(0.5) + 0.1 * np.log(length.clip(lower=1.0))
    return hard


def match_rows(
    events: pd.DataFrame,
    places: Mapping[int, Place],
    rows: pd.DataFrame,
    candidates: Mapping[int, Candidates],
    *,
    limit: int,
    seed: int,
) -> dict[int, tuple[int, int]]:
    """Give each event (row label) a control: a row (label) and its token, no row twice, as many as possible.

    A control stands where a trigger could come: a place of the event's kind, in another row, that nothing
    rules out (`candidates`). One from the same problem is preferred, then one of near difficulty, then one
    as far into its completion, in a row that never backtracks.
    """
    from scipy.optimize import linear_sum_assignment

    if events.empty or limit == 0:
        return {}
    generator = np.random.default_rng(seed)
    hard = difficulty(rows)
    here, there = events["example_id"].to_numpy(), rows["example_id"].to_numpy()
    other = here[:, None] != there[None, :]
    gap = np.abs(hard[here].to_numpy()[:, None] - hard[there].to_numpy()[None, :])
    cost = np.where(other, _OTHER_PROBLEM + gap, 0.0)
    cost += _HAS_LATER_ONSET * np.isfinite(rows["first_onset"].to_numpy(float))[None, :]
    cost += _JITTER * generator.random(cost.shape)
    offsets = np.full(cost.shape, -1)
    for e, event in enumerate(events.index):
        for r, row in enumerate(rows.index):
            if event != row and (offset := nearest(candidates.get(row, {}), places[event])) is not None:
                offsets[e, r] = offset
                cost[e, r] += distance(offset, places[event].offset)
    allowed = offsets >= 0
    chosen_events, chosen_rows = linear_sum_assignment(np.where(allowed, cost, _FORBIDDEN))
    pairs = [(e, r) for e, r in zip(chosen_events, chosen_rows, strict=True) if allowed[e, r]]
    kept = [pairs[int(k)] for k in sorted(generator.permutation(len(pairs))[:limit])]
    return {int(events.index[int(e)]): (int(rows.index[int(r)]), int(offsets[e, r])) for e, r in kept}
