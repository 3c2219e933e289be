"""Which interventions each named condition of Phase 1 stands for."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from backtracking.config.schema import AblationGenerationConfig
from backtracking.errors import UserError
from backtracking.interventions import BASELINE, Condition, Intervention, When
from backtracking.run.records import BASELINE_NAME

CONDITIONS = ("baseline", "targeted_ablation", "random_ablation")

Selected = dict[Literal["attn", "mlp"], list[int]]


@dataclass(frozen=True)
class Ensemble:
    """A condition, or several draws of it that rows are dealt to in rotation."""

    name: str
    members: tuple[Condition, ...]
    note: str = ""

    def for_row(self, problem_index: int, sample_id: int) -> Condition:
        """Dealing by problem and sample spreads every draw over problems and samples alike."""
        return self.members[(problem_index + sample_id) % len(self.members)]


def check_condition(name: str) -> str:
    if name not in CONDITIONS:
        raise UserError(f"unknown condition {name!r}", next_step=f"choose one of: {', '.join(CONDITIONS)}")
    return name


def ensemble(
    name: str, config: AblationGenerationConfig, selected: Selected | None, n_layers: int
) -> Ensemble:
    """The conditions behind a name; the ablations need the layers that the scan selected."""
    if check_condition(name) == BASELINE_NAME:
        return Ensemble("baseline", (BASELINE,))
    if selected is None or not any(selected.values()):
        raise UserError(
            f"{name} needs selected layers",
            "the ablation scan selected none",
            "run: backtracking ablation-scan, and look at analysis/ablation_importance.csv",
        )
    _check_layers(selected, n_layers)
    if name == "targeted_ablation":
        members = _ablations(selected, config.effective_scale)
        return Ensemble(name, (Condition(name=name, interventions=members),))
    return _random_ensemble(config, selected, n_layers)


def _check_layers(selected: Selected, n_layers: int) -> None:
    beyond = [f"{kind} {layer}" for kind, layers in selected.items() for layer in layers if layer >= n_layers]
    if beyond:
        raise UserError(
            f"selected_layers.json names {', '.join(beyond)}",
            f"the model has layers 0 to {n_layers - 1}",
            "it was made with another model: run backtracking ablation-scan again",
        )


def _ablations(components: Selected, scale: float) -> tuple[Intervention, ...]:
    return tuple(
        Intervention(component=kind, layer=layer, strength=scale, when=When())
        for kind, layers in components.items()
        for layer in sorted(layers)
    )


def _random_ensemble(config: AblationGenerationConfig, selected: Selected, n_layers: int) -> Ensemble:
    """Draws with the shape of the targeted set; layers drawn for each kind alone, disjoint where possible."""
    generator = random.Random(config.random_control_seed)
    short = [kind for kind, layers in selected.items() if n_layers - len(layers) < len(layers)]
    members = []
    for draw in range(config.random_draws):
        drawn: Selected = {
            kind: _draw_layers(generator, layers, n_layers) for kind, layers in selected.items() if layers
        }
        members.append(
            Condition(
                name="random_ablation", interventions=_ablations(drawn, config.effective_scale), draw=draw
            )
        )
    note = (
        f"{' and '.join(short)}: fewer free layers than the targeted set has, so draws overlap with it"
        if short
        else ""
    )
    return Ensemble("random_ablation", tuple(members), note)


def _draw_layers(generator: random.Random, targeted: Sequence[int], n_layers: int) -> list[int]:
    free = [layer for layer in range(n_layers) if layer not in targeted]
    taken = generator.sample(free, min(len(free), len(targeted)))
    overlap = generator.sample(sorted(targeted), len(targeted) - len(taken))
    return sorted(taken + overlap)
