"""A direction in the residual stream that stands for backtracking, and how well it tells onsets apart."""

import base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from backtracking.interventions import DIRECTION_PLACES, direction_vector
from backtracking.measurements.controls import CONTROL_KINDS, ControlKind, Event, Reading
from backtracking.measurements.statistics import Array
from backtracking.mechanism.logit_lens import WINDOW, in_row, window_states
from backtracking.mechanism.passes import batches
from backtracking.mechanism.probes import Labels, ProbeSpace, auroc, auroc_interval
from backtracking.mechanism.readouts import Target
from backtracking.mechanism.study import Item
from backtracking.model.loading import LoadedModel
from backtracking.run.seed import derive_seed

MATCHED: ControlKind = "matched_row"
"""The kind of control that a direction leads away from."""

DECIDING = WINDOW.index(0)
SHUFFLES = 20
SHUFFLED = "probe, shuffled labels"


@dataclass(frozen=True)
class Sample:
    """One position with its class: an onset, or a control of some kind."""

    at: Reading
    target: Target
    problem: str
    """That of the onset; its control may come from another."""
    kind: str

    @property
    def is_onset(self) -> bool:
        """Whether an onset follows the position."""
        return self.kind == "onset"


@dataclass(frozen=True)
class Split:
    """Samples whose problems are apart: those that fit, and those that test."""

    samples: list[Sample]
    fit_problems: set[str]
    test_problems: set[str]
    dropped: int
    """Onsets whose matched control comes from a problem of the other side."""

    @property
    def fewest_problems(self) -> int:
        """How many problems have onsets on the side that has fewer."""
        onsets = {sample.problem for sample in self.samples}
        return min(len(onsets & self.fit_problems), len(onsets & self.test_problems))


def split_samples(events: Sequence[Event], targets: Sequence[Target], seed: int) -> Split:
    """Onsets that have a matched control, with all their controls, half of the problems on each side."""
    matched = [
        (event, target) for event, target in zip(events, targets, strict=True) if MATCHED in event.controls
    ]
    readings = [at for event, _ in matched for at in (event.at, event.controls[MATCHED])]
    names = sorted({at.example_id for at in readings})
    order = np.random.default_rng(derive_seed(seed, "direction-split")).permutation(len(names))
    fit = {names[k] for k in order[: (len(names) + 1) // 2]}
    samples: list[Sample] = []
    dropped = 0
    for event, target in matched:
        problem = event.at.example_id
        if (problem in fit) != (event.controls[MATCHED].example_id in fit):
            dropped += 1
            continue
        samples.append(Sample(event.at, target, problem, "onset"))
        samples += [Sample(at, target, problem, kind) for kind, at in event.controls.items()]
    return Split(samples, fit, set(names) - fit, dropped)


Packed = dict[str, Any]


@torch.no_grad()
def read_states(loaded: LoadedModel, items: Sequence[Item], budget: int) -> Iterator[tuple[int, Packed]]:
    """Per position the residual stream after each layer, [layer, place, hidden], packed for a file.

    Places are the deciding position and the mean over the window before it.
    """
    readings = [reading for reading, _ in items]
    for group in batches([reading.pos + 2 for reading in readings], budget):
        states = window_states(loaded, [readings[k] for k in group]).float()
        for index, state in zip(group, states, strict=True):
            before = torch.tensor(in_row(readings[index]), device=state.device)
            before[DECIDING:] = False
            window = state[:, before].mean(1) if before.any() else state[:, DECIDING]
            yield index, _pack(torch.stack([state[:, DECIDING], window], dim=1).cpu().numpy())


def _pack(values: NDArray[np.float32]) -> Packed:
    return {"shape": values.shape, "float32": base64.b64encode(values.tobytes()).decode()}


def unpack(packed: Sequence[Packed]) -> NDArray[np.float32]:
    """The states of all positions as one array."""
    return np.stack(
        [
            np.frombuffer(base64.b64decode(each["float32"]), dtype=np.float32).reshape(each["shape"])
            for each in packed
        ]
    )


@dataclass(frozen=True)
class SampledStates:
    """States of all samples [sample, layer, place, hidden], split by problem into fit and test."""

    split: Split
    states: NDArray[np.float32]
    seed: int

    @property
    def samples(self) -> list[Sample]:
        """The positions in the order of the states."""
        return self.split.samples

    @property
    def _fit(self) -> Labels:
        return np.array([sample.problem in self.split.fit_problems for sample in self.samples])

    @property
    def _onset(self) -> Labels:
        return np.array([sample.is_onset for sample in self.samples])

    def vectors(self) -> dict[str, Tensor]:
        """Mean onset state minus mean matched control's, per layer and place, from the fit problems alone."""
        matched = np.array([sample.kind == MATCHED for sample in self.samples])
        gap = self.states[self._fit & self._onset].mean(0) - self.states[self._fit & matched].mean(0)
        return {
            direction_vector(place, layer): torch.from_numpy(gap[layer, k].copy())
            for k, place in enumerate(DIRECTION_PLACES)
            for layer in range(gap.shape[0])
        }

    def table(self) -> pd.DataFrame:
        """AUROC on the test problems by layer, place, method and kind of control, with the baselines."""
        rows: list[dict[str, Any]] = []
        vectors = self.vectors()
        shuffles = self._shuffles()
        for place_index, place in enumerate(DIRECTION_PLACES):
            for layer in range(self.states.shape[1]):
                here = self.states[:, layer, place_index].astype(np.float64)
                vector = vectors[direction_vector(place, layer)].double().numpy()
                space = ProbeSpace(here[self._fit])
                tested = {
                    "difference of means": self._tested(here @ vector, f"{place}/{layer}/means"),
                    "probe": self._tested(space.fit(self._onset[self._fit])(here), f"{place}/{layer}/probe"),
                    SHUFFLED: self._null([space.fit(labels)(here) for labels in shuffles]),
                }
                where = {"layer": layer, "place": place, "norm": float(np.linalg.norm(vector))}
                rows += [
                    where | {"method": method} | row for method, aurocs in tested.items() for row in aurocs
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
            interval = auroc_interval(scores[used], self._onset[used], list(problems[used]), seed)
            yield self._row(kind, used) | {
                "auroc": interval.value,
                "auroc_low": interval.low,
                "auroc_high": interval.high,
            }

    def _null(self, scores: Sequence[Array]) -> Iterator[dict[str, Any]]:
        """Mean AUROC of the shuffled probes, and the range that holds 95% of them."""
        for kind, used in self._test_rows():
            aurocs = [auroc(one[used], self._onset[used]) for one in scores]
            low, high = np.percentile(aurocs, [2.5, 97.5])
            yield self._row(kind, used) | {
                "auroc": float(np.mean(aurocs)),
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
