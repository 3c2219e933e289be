"""Which component writes the onset: every block (or head) is removed alone, at the deciding position."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from backtracking.config.schema import AnalysisConfig
from backtracking.errors import UserError
from backtracking.interventions import scale_factor
from backtracking.measurements.controls import Event, Reading
from backtracking.measurements.jackknife import means
from backtracking.measurements.statistics import Array
from backtracking.mechanism.partial import Values
from backtracking.mechanism.passes import (
    UNCHANGED,
    Edit,
    Edits,
    Site,
    TailScan,
    batches,
    component_outputs,
)
from backtracking.mechanism.readouts import change_readout
from backtracking.mechanism.study import Item
from backtracking.model.loading import LoadedModel
from backtracking.run.seed import derive_seed

RemovalMode = Literal["zero", "scale", "mean", "resample"]
LOGITS_AT_ONCE = 1 << 25
CHANGES = (
    "logit",
    "logprob",
    "family",
    "log_odds",
    "triggers",
    "trigger_log_odds",
    "gap",
    "next_logprob",
    "kl",
)


def scanned_sites(loaded: LoadedModel, config: AnalysisConfig) -> list[Site]:
    """The blocks that the config asks for."""
    if config.ablation_layers == "all":
        layers = list(range(loaded.n_layers))
    else:
        layers = list(config.ablation_layers)
        beyond = [layer for layer in layers if loaded.shape.lacks("layer", layer)]
        if beyond:
            raise UserError(
                f"analysis.ablation_layers: there is no layer {beyond[0]}",
                f"{loaded.name} has {loaded.shape}",
            )
    return [Site(component, layer) for layer in layers for component in config.ablation_components]


def head_sites(loaded: LoadedModel, config: AnalysisConfig) -> list[Site]:
    """Every attention head of the layers that the config asks for."""
    layers = sorted({site.layer for site in scanned_sites(loaded, config)})
    return [Site("attn", layer, head) for layer in layers for head in range(loaded.n_heads)]


@dataclass(frozen=True)
class Removal:
    """One component, how it is removed, and how far before the deciding position (0: there)."""

    site: Site
    mode: RemovalMode = "zero"
    back: int = 0
    also: tuple[Site, ...] = ()
    """Removed together with it."""

    def arm(self, scale: float) -> Edits:
        """Its edits of one pass, at a scale."""
        factor = scale_factor(self.mode, scale)
        return tuple(Edit(site, factor, (self.back,)) for site in (self.site, *self.also))


class Scanner:
    """Removes components at or before the end of sequences and reads what changes."""

    def __init__(
        self,
        loaded: LoadedModel,
        removals: Sequence[Removal],
        config: AnalysisConfig,
        donors: "Donors | None" = None,
    ) -> None:
        self._loaded = loaded
        self._budget = config.batch_tokens
        self._donors = donors
        self.removals = tuple(removals)
        self._tail = 1 + max((removal.back for removal in removals), default=0)
        # Donor values differ by mode, so each such mode needs a pass of its own.
        self._passes = [
            (mode, [k for k, removal in enumerate(removals) if _pass_of(removal.mode) == mode])
            for mode in dict.fromkeys(_pass_of(removal.mode) for removal in removals)
        ]
        self._scans = [
            TailScan(
                loaded,
                [UNCHANGED, *(removals[k].arm(config.ablation_scale) for k in places)],
                tail=self._tail,
                budget=self._budget,
            )
            for _, places in self._passes
        ]

    def __call__(self, items: Sequence[Item]) -> Iterator[tuple[int, Values]]:
        """Per item the changes under every removal, in the removals' order."""
        for group in batches([reading.pos + 1 for reading, _ in items], self._budget):
            taken: dict[int, dict[str, list[float]]] = {
                k: {name: [0.0] * len(self.removals) for name in CHANGES} for k in group
            }
            readings = [items[k][0] for k in group]
            for (mode, places), scan in zip(self._passes, self._scans, strict=True):
                donors = self._donors.values(mode, readings) if self._donors and mode != "factor" else None
                states = scan([reading.seen for reading in readings], donors)
                for k, state in zip(group, states, strict=True):
                    changes = _changes(self._loaded, state, items[k])
                    for name, values in changes.items():
                        for place, value in zip(places, values, strict=True):
                            taken[k][name][place] = value
            yield from taken.items()


def read_removals(
    loaded: LoadedModel,
    items: Sequence[Item],
    removals: Sequence[Removal],
    config: AnalysisConfig,
    donors: "Donors | None" = None,
) -> Iterator[tuple[int, Values]]:
    """Per item the changes under every removal."""
    return Scanner(loaded, removals, config, donors)(items)


def _pass_of(mode: RemovalMode) -> str:
    return mode if scale_factor(mode, 1.0) is None else "factor"


@torch.no_grad()
def _changes(loaded: LoadedModel, states: Tensor, item: Item) -> dict[str, list[float]]:
    """Changes of arms 1… against arm 0, read in pieces that bound the memory of the logits."""
    reading, target = item
    size = max(1, LOGITS_AT_ONCE // loaded.vocab_size)
    changes: dict[str, list[float]] = {name: [] for name in CHANGES}
    for start in range(1, len(states), size):
        logits = loaded.readout(torch.cat([states[:1], states[start : start + size]]))
        for name, values in change_readout(logits, target, reading.next_id).items():
            changes[name] += values.tolist()
    return changes


def needs_donors(mode: RemovalMode) -> bool:
    """Whether outputs are replaced by others, and not only multiplied."""
    return scale_factor(mode, 0.0) is None


class Donors:
    """What replaces a removed component's output: its mean over the control positions, or one of them."""

    def __init__(
        self, loaded: LoadedModel, controls: Sequence[Reading], *, tail: int = 1, budget: int, seed: int
    ) -> None:
        if not controls:
            raise UserError(
                "analysis.ablation_modes: mean and resample need control positions",
                "no event could be matched with a control, or analysis.control_samples is 0",
                "raise analysis.control_samples, or use the modes zero and scale",
            )
        self._controls = controls
        self._seed = seed
        self._outputs = component_outputs(loaded, [control.seen for control in controls], tail, budget)
        self._means = {site: outputs.float().mean(0, keepdim=True) for site, outputs in self._outputs.items()}

    def values(self, mode: str, readings: Sequence[Reading]) -> Mapping[Site, Tensor]:
        """[reading, tail, hidden] per component."""
        if mode == "mean":
            return {site: mean.expand(len(readings), -1, -1) for site, mean in self._means.items()}
        chosen = [self._donor(reading) for reading in readings]
        return {site: outputs[chosen] for site, outputs in self._outputs.items()}

    def _donor(self, reading: Reading) -> int:
        """A control from another row, the same one in every run."""
        others = [
            k
            for k, control in enumerate(self._controls)
            if (control.example_id, control.sample_id) != (reading.example_id, reading.sample_id)
        ] or list(range(len(self._controls)))
        generator = np.random.default_rng(
            derive_seed(self._seed, "resample", reading.example_id, reading.sample_id, reading.pos)
        )
        return int(generator.choice(others))


@dataclass(frozen=True)
class ScanResult:
    """Changes as arrays [event, removal]: at the onsets, and at their matched controls (NaN without one)."""

    removals: tuple[Removal, ...]
    problems: list[str]
    onset: dict[str, Array]
    control: dict[str, Array]

    @classmethod
    def of(
        cls,
        removals: Sequence[Removal],
        events: Sequence[Event],
        at_onset: Sequence[Values],
        at_control: Mapping[int, Values],
    ) -> "ScanResult":
        """Lays the passes' values out as arrays."""
        shape = (len(events), len(removals))
        control = {name: np.full(shape, np.nan) for name in CHANGES}
        for event, values in at_control.items():
            for name in CHANGES:
                control[name][event] = values[name]
        return cls(
            tuple(removals),
            [event.at.example_id for event in events],
            {name: np.array([values[name] for values in at_onset], dtype=float) for name in CHANGES},
            control,
        )

    def where(self, keep: Callable[[Removal], bool]) -> "ScanResult":
        """The part of the scan whose removals pass a test."""
        places = [k for k, removal in enumerate(self.removals) if keep(removal)]
        return ScanResult(
            tuple(self.removals[k] for k in places),
            self.problems,
            {name: values[:, places] for name, values in self.onset.items()},
            {name: values[:, places] for name, values in self.control.items()},
        )

    def __add__(self, other: "ScanResult") -> "ScanResult":
        """Both scans of the same onsets as one."""
        return ScanResult(
            (*self.removals, *other.removals),
            self.problems,
            {name: np.hstack([values, other.onset[name]]) for name, values in self.onset.items()},
            {name: np.hstack([values, other.control[name]]) for name, values in self.control.items()},
        )

    def of_mode(self, mode: RemovalMode) -> "ScanResult":
        """The part of the scan that removes in one way."""
        return self.where(lambda removal: removal.mode == mode)


def importance_table(result: ScanResult) -> pd.DataFrame:
    """One row per removal: changes at the onset and damage at the controls, with intervals."""
    columns: dict[str, Any] = {
        "layer": [removal.site.layer for removal in result.removals],
        "component": [removal.site.component for removal in result.removals],
        "delta_wait_logit_mean": result.onset["logit"].mean(0),
        "delta_wait_logit_std": _spread(result.onset["logit"]),
        "n_events": len(result.problems),
        "n_problems": len(set(result.problems)),
    }
    if any(removal.site.head is not None for removal in result.removals):
        columns["head"] = [removal.site.head for removal in result.removals]
    if any(removal.back for removal in result.removals):
        columns["position"] = [-removal.back for removal in result.removals]
    columns["mode"] = [removal.mode for removal in result.removals]
    names = ("logit", "logprob", "family", "log_odds", "triggers", "trigger_log_odds")
    measured = {f"delta_{name}": result.onset[name] for name in names}
    # The rest of the family's change: how its share among all triggers moves.
    measured["delta_word"] = result.onset["family"] - result.onset["triggers"]
    measured["kl_onset"] = result.onset["kl"]
    measured |= {
        "kl_control": result.control["kl"],
        "delta_next_logprob_control": result.control["next_logprob"],
        "delta_family_control": result.control["family"],
        "delta_triggers_control": result.control["triggers"],
    }
    for name, values in measured.items():
        estimate = means(result.problems, values)
        columns[name] = estimate.value
        # A divergence is never negative, though a symmetric interval may be.
        columns[f"{name}_low"] = estimate.low.clip(min=0.0) if name.startswith("kl") else estimate.low
        columns[f"{name}_high"] = estimate.high
    columns["n_controls"] = int(np.isfinite(result.control["kl"][:, 0]).sum()) if result.removals else 0
    return pd.DataFrame(columns)


def _spread(values: Array) -> Array:
    spread: Array = values.std(0, ddof=1) if len(values) > 1 else np.full(values.shape[1], np.nan)
    return spread
