"""A study's readings onset by onset, for whoever looks into one of them."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from backtracking.measurements.statistics import Array
from backtracking.mechanism.ablation_scan import ScanResult
from backtracking.mechanism.logit_lens import GROUPS, LensReadings
from backtracking.mechanism.study import Study

LENS_METRICS = ("logit", "logprob", "rank", "family")
CHANGES = ("logit", "logprob", "family", "log_odds")


def lens_by_onset(readings: LensReadings, study: Study) -> pd.DataFrame:
    """One line per onset, or control of it, and layer."""
    tables = []
    for group in GROUPS:
        values = {metric: readings.at[group][metric] for metric in LENS_METRICS}
        layers = values["logit"].shape[1]
        lines = _lines(study, {"layer": list(range(layers))}, values)
        tables.append(lines.assign(position_kind=group).dropna(subset="logit"))
    return pd.concat(tables, ignore_index=True)


def scan_by_onset(result: ScanResult, study: Study) -> pd.DataFrame:
    """One line per onset and removal: what the removal changes there."""
    what: dict[str, list[Any]] = {
        "layer": [removal.site.layer for removal in result.removals],
        "component": [removal.site.component for removal in result.removals],
        "mode": [removal.mode for removal in result.removals],
    }
    values = {f"delta_{name}": result.onset[name] for name in CHANGES}
    return _lines(study, what, values | {"kl_onset": result.onset["kl"]})


def _lines(study: Study, what: Mapping[str, list[Any]], values: Mapping[str, Array]) -> pd.DataFrame:
    """Values [event, thing] as lines that name the event's position and the thing."""
    events, things = len(study.events), len(next(iter(what.values())))
    at = [event.at for event in study.events]
    named: dict[str, list[Any]] = {
        "example_id": [reading.example_id for reading in at],
        "sample_id": [reading.sample_id for reading in at],
        "pred_pos": [reading.pos for reading in at],
    }
    columns: dict[str, Any] = {name: np.repeat(column, things) for name, column in named.items()}
    columns["variant"] = study.variant
    columns |= {name: column * events for name, column in what.items()}
    return pd.DataFrame(columns | {name: array.ravel() for name, array in values.items()})
