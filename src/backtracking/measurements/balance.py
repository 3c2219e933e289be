"""How alike onsets and their controls are, one by one and over all of them."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from backtracking.measurements.controls import CONTROL_KINDS, ControlKind, Event
from backtracking.measurements.places import Place

QUANTILES = (0.1, 0.5, 0.9)


def matching_table(events: Iterable[Event]) -> pd.DataFrame:
    """One row per event and control kind, the unmatched ones included."""
    rows = []
    for event in events:
        for kind in CONTROL_KINDS:
            control = event.controls.get(kind)
            rows.append(
                {
                    "example_id": event.at.example_id,
                    "sample_id": event.at.sample_id,
                    "pred_pos": event.at.pos,
                    "onset_phrase": event.phrase,
                    "onset_token_id": event.onset_id,
                    "onset_token_text": event.token_text,
                    "control_kind": kind,
                    "matching": event.matching.get(kind, "unmatched"),
                    "control_example_id": control.example_id if control else None,
                    "control_sample_id": control.sample_id if control else None,
                    "control_pos": control.pos if control else None,
                    **_described("", event.place),
                    **_described("control_", event.control_places.get(kind)),
                }
            )
    table = pd.DataFrame(rows)
    whole = ("control_sample_id", "control_pos", "offset", "control_offset")
    return table.astype(dict.fromkeys(whole, "Int64"))


def _described(prefix: str, place: Place | None) -> dict[str, Any]:
    names = ("offset", "starts_sentence", "behind", "after_wrong_step")
    values = (
        (None,) * 4
        if place is None
        else (place.offset, place.kind.starts_sentence, place.kind.behind, place.after_wrong)
    )
    return {prefix + name: value for name, value in zip(names, values, strict=True)}


def balance_table(events: Sequence[Event]) -> pd.DataFrame:
    """Per kind of control the same measures of its controls and of the onsets that they belong to."""
    rows: list[dict[str, Any]] = []
    for kind in CONTROL_KINDS:
        pairs = [
            (event.place, event.control_places[kind])
            for event in events
            if event.place is not None and kind in event.control_places
        ]
        if pairs:
            rows += _compared(kind, [one for one, _ in pairs], [other for _, other in pairs])
    columns = ["control_kind", "measure", "onsets", "controls", "n"]
    return pd.DataFrame(rows, columns=columns)


def _compared(kind: ControlKind, onsets: Sequence[Place], controls: Sequence[Place]) -> list[dict[str, Any]]:
    sides = (onsets, controls)
    measures = {
        "starts a sentence": [np.mean([place.kind.starts_sentence for place in side]) for side in sides],
        "after a wrong step": [np.mean([place.after_wrong for place in side]) for side in sides],
    }
    for behind in sorted({place.kind.behind for side in sides for place in side}):
        measures[f"behind: {behind}"] = [
            np.mean([place.kind.behind == behind for place in side]) for side in sides
        ]
    for share in QUANTILES:
        measures[f"tokens in, quantile {share:g}"] = [
            np.quantile([place.offset for place in side], share) for side in sides
        ]
    return [
        {
            "control_kind": kind,
            "measure": measure,
            "onsets": float(one),
            "controls": float(other),
            "n": len(onsets),
        }
        for measure, (one, other) in measures.items()
    ]
