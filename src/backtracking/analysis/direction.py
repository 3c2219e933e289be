"""A direction in the residual stream that stands for backtracking, and how well it tells onsets apart."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from backtracking.analysis.controls import CONTROL_KINDS, Event, Reading
from backtracking.analysis.jackknife import Array
from backtracking.analysis.logit_lens import WINDOW, in_row, window_states
from backtracking.analysis.passes import batches
from backtracking.analysis.probes import Labels, ProbeSpace, auroc, auroc_interval
from backtracking.modeling import LoadedModel
from backtracking.seed import derive_seed

Place = Literal["deciding", "window"]
PLACES: tuple[Place, ...] = ("deciding", "window")
DECIDING = WINDOW.index(0)
SHUFFLES = 20
SHUFFLED = "probe, shuffled labels"


@dataclass(frozen=True)
class Sample:
    """One position with its class: an onset, or a control of some kind."""

    at: Reading
    problem: str
    kind: str

    @property
    def is_onset(self) -> bool:
        return self.kind == "onset"


def samples_of(events: Sequence[Event]) -> list[Sample]:
    """Onsets that have a control, and all their controls; a control counts to its event's problem."""
    samples = []
    for event in events:
        if event.controls:
            problem = event.at.example_id
            samples.append(Sample(event.at, problem, "onset"))
            samples += [Sample(control, problem, kind) for kind, control in event.controls.items()]
    return samples


def split_problems(problems: Sequence[str], seed: int) -> set[str]:
    """Half of the problems, for fitting; the rest is for testing."""
    names = sorted(set(problems))
    order = np.random.default_rng(derive_seed(seed, "direction-split")).permutation(len(names))
    return {names[k] for k in order[: (len(names) + 1) // 2]}


@torch.no_grad()
def read_states(
    loaded: LoadedModel, readings: Sequence[Reading], budget: int
) -> Iterator[tuple[int, Tensor]]:
    """Per position the residual stream after each layer: [layer, place, hidden].

    Places are the deciding position and the mean over the window before it.
    """
    for group in batches([reading.pos + 2 for reading in readings], budget):
        states = window_states(loaded, [readings[k] for k in group]).float()
        for index, state in zip(group, states, strict=True):
            before = torch.tensor(in_row(readings[index]), device=state.device)
            before[DECIDING:] = False
            window = state[:, before].mean(1) if before.any() else state[:, DECIDING]
            yield index, torch.stack([state[:, DECIDING], window], dim=1).cpu()


@dataclass(frozen=True)
class Directions:
    """States of all samples [sample, layer, place, hidden], split by problem into fit and test."""

    samples: list[Sample]
    states: NDArray[np.float32]
    fit_problems: set[str]
    seed: int

    @property
    def _fit(self) -> Labels:
        return np.array([sample.problem in self.fit_problems for sample in self.samples])

    @property
    def _onset(self) -> Labels:
        return np.array([sample.is_onset for sample in self.samples])

    def vectors(self) -> dict[str, Tensor]:
        """Mean onset state minus mean control state per layer and place, from the fit problems alone."""
        fit, onset = self._fit, self._onset
        gap = self.states[fit & onset].mean(0) - self.states[fit & ~onset].mean(0)
        return {
            name_of(place, layer): torch.from_numpy(gap[layer, k].copy())
            for k, place in enumerate(PLACES)
            for layer in range(gap.shape[0])
        }

    def table(self) -> pd.DataFrame:
        """AUROC on the test problems by layer, place, method and kind of control, with the baselines."""
        rows: list[dict[str, Any]] = []
        vectors = self.vectors()
        shuffles = self._shuffles()
        for place_index, place in enumerate(PLACES):
            for layer in range(self.states.shape[1]):
                here = self.states[:, layer, place_index].astype(np.float64)
                vector = vectors[name_of(place, layer)].double().numpy()
                space = ProbeSpace(here[self._fit])
                tested = {
                    "difference of means": self._tested(here @ vector, f"{place}/{layer}/means"),
                    "probe": self._tested(space.fit(self._onset[self._fit])(here), f"{place}/{layer}/probe"),
                    SHUFFLED: self._null([space.fit(labels)(here) for labels in shuffles]),
                }
                where = {"layer": layer, "place": place, "norm": float(np.linalg.norm(vector))}
                rows += [
                    where | {"method": method} | row for method, found in tested.items() for row in found
                ]
        features = self._position_features()
        position = ProbeSpace(features[self._fit]).fit(self._onset[self._fit])(features)
        rows += [
            {"layer": -1, "place": "deciding", "method": "position only"} | row
            for row in self._tested(position, "position")
        ]
        return pd.DataFrame(rows)

    def _shuffles(self) -> list[Labels]:
        """The fit labels in random orders: what a probe finds where there is nothing to find."""
        generator = np.random.default_rng(derive_seed(self.seed, "shuffled-labels"))
        return [generator.permutation(self._onset[self._fit]) for _ in range(SHUFFLES)]

    def _position_features(self) -> Array:
        """What a probe could know from where it stands."""
        places = [
            (
                sample.at.pos,
                sample.at.pos - sample.at.prompt_tokens,
                np.log1p(sample.at.pos - sample.at.prompt_tokens + 1),
            )
            for sample in self.samples
        ]
        return np.array(places, dtype=np.float64)

    def _tested(self, scores: Array, purpose: str) -> Iterator[dict[str, Any]]:
        """AUROC of onsets against each kind of control, with intervals over problems."""
        problems = np.array([sample.problem for sample in self.samples])
        for kind, used in self._test_rows():
            seed = derive_seed(self.seed, "auroc", purpose)
            found = auroc_interval(scores[used], self._onset[used], list(problems[used]), seed)
            yield self._row(kind, used) | {
                "auroc": found.value,
                "auroc_low": found.low,
                "auroc_high": found.high,
            }

    def _null(self, scores: Sequence[Array]) -> Iterator[dict[str, Any]]:
        """Mean AUROC of the shuffled probes, and the range that holds 95% of them."""
        for kind, used in self._test_rows():
            found = [auroc(one[used], self._onset[used]) for one in scores]
            low, high = np.percentile(found, [2.5, 97.5])
            yield self._row(kind, used) | {
                "auroc": float(np.mean(found)),
                "auroc_low": float(low),
                "auroc_high": float(high),
            }

    def _test_rows(self) -> Iterator[tuple[str, Labels]]:
        """Per kind of control the test rows: its onsets and that kind, where there are both."""
        kinds = np.array([sample.kind for sample in self.samples])
        for kind in CONTROL_KINDS:
            used = ~self._fit & (self._onset | (kinds == kind))
            if (used & self._onset).any() and (used & ~self._onset).any():
                yield kind, used

    def _row(self, kind: str, used: Labels) -> dict[str, Any]:
        return {"control_kind": kind, "n_fit": int(self._fit.sum()), "n_test": int(used.sum())}


def name_of(place: Place, layer: int) -> str:
    """How interventions call a saved direction."""
    return f"onset_{place}_{layer}"
