"""The vectors that arms name: saved directions, means of components, and random directions of equal norm."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, cast

import torch
from torch import Tensor

from backtracking.errors import UserError
from backtracking.interventions import Arm
from backtracking.measurements.controls import Reading
from backtracking.mechanism.passes import Site, component_outputs
from backtracking.model.loading import LoadedModel
from backtracking.run.seed import derive_seed

_MEAN = re.compile(r"mean_(attn|mlp)_(\d+)")
_RANDOM = re.compile(r"random_(\d+)_like_(.+)")


def named_vectors(arms: Iterable[Arm]) -> set[str]:
    """Every vector that some arm needs."""
    return {
        intervention.vector
        for arm in arms
        for member in arm.members
        for intervention in member.interventions
        if intervention.vector is not None
    }


def needs_readings(arms: Iterable[Arm]) -> bool:
    """Whether some arm asks for the mean output of a component."""
    return any(_MEAN.fullmatch(name) for name in named_vectors(arms))


def resolve_vectors(
    arms: Sequence[Arm],
    model: LoadedModel,
    saved: Mapping[str, Tensor],
    readings: Sequence[Reading] = (),
    *,
    seed: int = 0,
    budget: int = 16384,
) -> dict[str, Tensor]:
    """A tensor per name: `mean_mlp_3` over the readings, `random_0_like_X` drawn, the rest as saved."""
    names = sorted(named_vectors(arms))
    means = _means(names, model, readings, budget)
    vectors: dict[str, Tensor] = {}
    for name in names:
        drawn = _RANDOM.fullmatch(name)
        original = drawn.group(2) if drawn else name
        vector = means.get(original, saved.get(original))
        if vector is None:
            known = ", ".join(sorted(saved)) or "none"
            raise UserError(
                f"an arm names the vector {original!r}, which does not exist",
                f"saved directions: {known}; means are called mean_attn_LAYER and mean_mlp_LAYER",
                "run backtracking direction --run-id PHASE1_RUN_ID, or take the arm out of "
                "phase2.subset_sweep.subsets",
            )
        vectors[name] = _random_like(vector, derive_seed(seed, name)) if drawn else vector.float()
    return vectors


def _random_like(vector: Tensor, seed: int) -> Tensor:
    """A uniformly random direction with the vector's norm."""
    drawn = torch.randn(vector.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    scaled: Tensor = drawn / drawn.norm() * vector.double().norm().cpu()
    return scaled.float()


def _means(
    names: Sequence[str], model: LoadedModel, readings: Sequence[Reading], budget: int
) -> dict[str, Tensor]:
    """Mean outputs of components at the readings' positions."""
    wanted = {}
    for name in names:
        drawn = _RANDOM.fullmatch(name)
        match = _MEAN.fullmatch(drawn.group(2) if drawn else name)
        if match is not None:
            wanted[match.group(0)] = Site(cast(Literal["attn", "mlp"], match.group(1)), int(match.group(2)))
    if not wanted:
        return {}
    if not readings:
        raise UserError(
            "mean ablation needs positions to average over",
            "no Phase 1 baseline completion with a matched control was found",
            "give --phase1-run-id ID of a run whose detect-events is done",
        )
    outputs = component_outputs(model, [reading.seen for reading in readings], 1, budget)
    return {name: outputs[site][:, 0].float().mean(0).cpu() for name, site in wanted.items()}
