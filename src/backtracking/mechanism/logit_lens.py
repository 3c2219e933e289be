"""The onset through the layers: what each layer's residual stream would say if it were the last."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from backtracking.measurements.controls import CONTROL_KINDS, Event, Reading
from backtracking.measurements.jackknife import means
from backtracking.measurements.statistics import Array, holm
from backtracking.mechanism.partial import Values
from backtracking.mechanism.passes import Padded, batches, read_padded, recording, residuals
from backtracking.mechanism.readouts import Target, lens_readout, opening_mass
from backtracking.mechanism.study import Study
from backtracking.model.loading import LoadedModel

WINDOW = tuple(range(-12, 2))
"""Positions around the one that decides (0): in the last two the onset is decided, and stands there."""
METRICS = ("logit", "logprob", "rank", "family", "continue", "end")
GROUPS = ("onset", *CONTROL_KINDS)
LOGITS_AT_ONCE = 1 << 26

Translate = Callable[[int, Tensor], Tensor]


def untranslated(_: int, hidden: Tensor) -> Tensor:
    """The plain logit lens reads the residual stream as it is."""
    return hidden


def read_lens(
    loaded: LoadedModel,
    items: Sequence[tuple[Reading, Target]],
    budget: int,
    translate: Translate = untranslated,
) -> Iterator[tuple[int, Values]]:
    """Per item every layer's readings at its position, and the family's log-mass in the window around it."""
    for group in batches([reading.pos + 2 for reading, _ in items], budget):
        states = window_states(loaded, [items[k][0] for k in group])
        for index, state in zip(group, states, strict=True):
            yield index, _read_item(loaded, items[index], state, translate)


@torch.no_grad()
def window_states(loaded: LoadedModel, readings: Sequence[Reading]) -> Tensor:
    """Residual stream after each layer in the window: [reading, layer, position, hidden].

    Positions before a row's first token hold padding; `in_row` tells them apart.
    """
    width = len(WINDOW)
    padding = [reading.ids[: reading.pos + 2] for reading in readings]
    batch = Padded.of(padding, loaded.device)
    with recording(residuals(loaded), lambda output: output[:, -width:]) as kept:
        read_padded(loaded, batch)
    states = torch.stack([kept[layer] for layer in range(loaded.n_layers)], dim=1)
    missing = width - states.shape[2]
    return torch.nn.functional.pad(states, (0, 0, missing, 0)) if missing else states


def in_row(reading: Reading) -> list[bool]:
    """Which positions of the window exist in the row."""
    return [reading.pos + offset >= 0 for offset in WINDOW]


@torch.no_grad()
def _read_item(
    loaded: LoadedModel, item: tuple[Reading, Target], state: Tensor, translate: Translate
) -> Values:
    reading, target = item
    here = WINDOW.index(0)
    known = torch.tensor(in_row(reading), device=state.device)
    readings: dict[str, list[float]] = {name: [] for name in METRICS}
    window: list[list[float | None]] = []
    layers_at_once = max(1, LOGITS_AT_ONCE // (len(WINDOW) * loaded.vocab_size))
    for start in range(0, loaded.n_layers, layers_at_once):
        layers = range(start, min(start + layers_at_once, loaded.n_layers))
        hidden = torch.stack([translate(layer, state[layer]) for layer in layers])
        logits = loaded.readout(hidden).float()
        for name, values in lens_readout(logits[:, here], target).items():
            readings[name] += values.tolist()
        masses = opening_mass(logits.log_softmax(-1), target.family).masked_fill(~known, torch.nan)
        window += [[None if math.isnan(value) else value for value in row] for row in masses.tolist()]
    return {**readings, "window": window}


class LensReadings:
    """Readings of a study as arrays: `at[group][metric]` is [event, layer], NaN where there is no control."""

    def __init__(self, events: Sequence[Event], values: Mapping[tuple[int, str], Values]) -> None:
        self.problems = [event.at.example_id for event in events]
        layers = len(next(iter(values.values()))["logit"])
        self.at = {
            group: {metric: _stack(values, group, metric, (len(events), layers)) for metric in METRICS}
            for group in GROUPS
        }
        shape = (len(events), layers, len(WINDOW))
        self.window = {group: _stack(values, group, "window", shape) for group in GROUPS}


def _stack(
    values: Mapping[tuple[int, str], Values], group: str, metric: str, shape: tuple[int, ...]
) -> Array:
    array = np.full(shape, np.nan)
    for (event, its_group), measured in values.items():
        if its_group == group:
            array[event] = np.array(measured[metric], dtype=float)
    return array


def items_of(study: Study) -> tuple[list[tuple[int, str]], list[tuple[Reading, Target]]]:
    """Everything that is read: each onset and its controls, all scored on the event's own target."""
    keys: list[tuple[int, str]] = []
    items: list[tuple[Reading, Target]] = []
    for number, event in enumerate(study.events):
        keys += [(number, kind) for kind in ("onset", *event.controls)]
        items += [study.item(number, at) for at in event.positions]
    return keys, items


def lens_table(readings: LensReadings) -> pd.DataFrame:
    """One row per control kind and layer: onsets, controls, and their paired difference with intervals."""
    tables = []
    onset = readings.at["onset"]
    for kind in CONTROL_KINDS:
        control = readings.at[kind]
        columns: dict[str, Any] = {
            "layer": np.arange(onset["logit"].shape[1]),
            "mean_target_logit_bt": _mean(onset["logit"]),
            "mean_target_logit_control": _mean(control["logit"]),
            "std_bt": _std(onset["logit"]),
            "std_control": _std(control["logit"]),
            "n_bt": np.isfinite(onset["logit"]).sum(0),
            "n_control": np.isfinite(control["logit"]).sum(0),
            "control_matching": kind,
        }
        for metric in METRICS:
            columns |= _paired_columns(readings.problems, metric, onset[metric], control[metric])
        tables.append(pd.DataFrame(columns))
    return pd.concat(tables, ignore_index=True)


def _paired_columns(problems: Sequence[str], metric: str, onset: Array, control: Array) -> dict[str, Array]:
    difference = means(problems, onset - control)
    return {
        f"{metric}_bt": _mean(onset),
        f"{metric}_control": _mean(control),
        f"{metric}_diff": difference.value,
        f"{metric}_diff_low": difference.low,
        f"{metric}_diff_high": difference.high,
        f"{metric}_diff_p_holm": holm(difference.p),
    }


def _mean(values: Array) -> Array:
    """Column means over the finite values; NaN where there are none."""
    known = np.isfinite(values)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean: Array = np.where(known, values, 0.0).sum(0) / known.sum(0)
    return mean


def _std(values: Array) -> Array:
    known = np.isfinite(values)
    centred = np.where(known, values - _mean(values), 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        std: Array = np.sqrt((centred**2).sum(0) / (known.sum(0) - 1))
    return std


def window_table(readings: LensReadings) -> pd.DataFrame:
    """Mean family log-mass by group, layer and position, with the interval of onset minus matched control."""
    tables = []
    for group in GROUPS:
        mean = means(readings.problems, readings.window[group])
        apart = means(readings.problems, readings.window["onset"] - readings.window[group])
        layers, offsets = np.meshgrid(np.arange(mean.value.shape[0]), WINDOW, indexing="ij")
        tables.append(
            pd.DataFrame(
                {
                    "group": group,
                    "layer": layers.ravel(),
                    "offset": offsets.ravel(),
                    "family_logmass": mean.value.ravel(),
                    "family_logmass_low": mean.low.ravel(),
                    "family_logmass_high": mean.high.ravel(),
                    "onset_minus_group": apart.value.ravel(),
                    "onset_minus_group_low": apart.low.ravel(),
                    "onset_minus_group_high": apart.high.ravel(),
                    "n": np.isfinite(readings.window[group]).sum(0).ravel(),
                }
            )
        )
    return pd.concat(tables, ignore_index=True)
