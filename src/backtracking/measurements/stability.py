"""How often an onset comes again when its prefix is sampled again, beside positions without one."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from backtracking.config.onsets import StudiedOnsets
from backtracking.measurements.controls import ControlKind, Event, OnsetKey, Reading
from backtracking.measurements.statistics import estimate_columns, rate, sums_by

ONSET = "onset"
CONTROL: ControlKind = "matched_row"


def continuation_tokens(window: int, kind: StudiedOnsets) -> int:
    """How long a continuation must be to hold all of an onset that begins in the window.

    A phrase ends soon; a rule may look at the whole of its sentence.
    """
    return window + (8 if kind in ("strict", "relaxed") else 24)


def sampled_positions(events: Sequence[Event]) -> list[tuple[str, Event, Reading]]:
    """Each onset, and its matched position without one where there is any, with the kind of position."""
    places: list[tuple[str, Event, Reading]] = []
    for event in events:
        places.append((ONSET, event, event.at))
        if CONTROL in event.controls:
            places.append((CONTROL, event, event.controls[CONTROL]))
    return places


Begins = Mapping[Reading, Sequence[int | None]]
"""Of each continuation of a position, how many tokens behind it the first onset begins."""


def stability_table(
    events: Sequence[Event], begins: Begins, greedy: Begins, window: int, variant: str
) -> pd.DataFrame:
    """One row per position: how many of its continuations have an onset within the window.

    `greedy` holds one continuation of each position, that of the likeliest tokens.
    """
    rows = []
    for kind, event, at in sampled_positions(events):
        again = [begin is not None and begin < window for begin in begins[at]]
        rows.append(
            {
                "example_id": at.example_id,
                "sample_id": at.sample_id,
                "variant": variant,
                "pred_pos": at.pos,
                "position_kind": kind,
                "onset_phrase": event.phrase,
                "continuations": len(again),
                "with_onset": sum(again),
                "at_once": sum(begin == 0 for begin in begins[at]),
                "share": float(np.mean(again)),
                "greedy_onset": any(begin is not None and begin < window for begin in greedy[at]),
            }
        )
    return pd.DataFrame(rows)


def stability_summary(table: pd.DataFrame, stable_share: float) -> pd.DataFrame:
    """Per kind of position the share of continuations with an onset, and of positions that are stable."""
    lines: list[dict[str, object]] = []
    for kind, part in table.groupby("position_kind", sort=False):
        problems = part["example_id"].to_numpy(dtype=str)
        line: dict[str, object] = {
            "position_kind": kind,
            "positions": len(part),
            "problems": part["example_id"].nunique(),
            "continuations": int(part["continuations"].sum()),
        }
        again = sums_by(problems, part[["with_onset", "continuations"]].to_numpy(dtype=float))
        line |= estimate_columns("share", rate(again[:, 0], again[:, 1]))
        stable = (part["share"] >= stable_share).to_numpy(dtype=float)
        counts = sums_by(problems, np.stack([stable, np.ones_like(stable)], axis=1))
        line |= estimate_columns("stable_share", rate(counts[:, 0], counts[:, 1]))
        lines.append(line)
    return pd.DataFrame(lines)


def stable_onsets(table: pd.DataFrame, variant: str, stable_share: float) -> frozenset[OnsetKey]:
    """The onsets of a variant that came again in at least so large a share of continuations."""
    rows = table[
        (table["variant"] == variant) & (table["position_kind"] == ONSET) & (table["share"] >= stable_share)
    ]
    return frozenset(
        zip(
            rows["example_id"].astype(str),
            rows["sample_id"].astype(int),
            rows["pred_pos"].astype(int),
            strict=True,
        )
    )
