"""The arms of a study: Phase 1's named conditions, and those that Phase 2's subsets and scales make."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from backtracking.config.phase2 import ComponentRef, Subset
from backtracking.config.schema import AblationGenerationConfig
from backtracking.errors import UserError
from backtracking.interventions import (
    BASELINE_ARM,
    MODES,
    Arm,
    ComponentPlace,
    Condition,
    Intervention,
    Shape,
    When,
    mean_vector,
    scale_factor,
)
from backtracking.model.random_control import matched_arm, random_arm
from backtracking.run.records import ALONE, BASELINE_NAME

SINGLE = "single_ablation"
CONDITIONS = (BASELINE_NAME, "targeted_ablation", SINGLE, "random_ablation")
"""The arms of Phase 1; of `single_ablation` each member is a condition with a name of its own."""

Selected = dict[Literal["attn", "mlp"], list[int]]
"""The layers that Phase 1's scan selected."""


@dataclass(frozen=True)
class Resources:
    """What the arms of a run are made of: the model's shape, its tokens, and what Phase 1 selected."""

    n_layers: int
    n_heads: int
    when: When
    selected: Selected | None = None
    triggers: frozenset[str] = frozenset()
    """The strict trigger phrases."""
    sentence_ends: frozenset[int] = frozenset()
    seed: int = 0

    @property
    def shape(self) -> Shape:
        """Layers and heads, by which arms are checked."""
        return Shape(self.n_layers, self.n_heads)


@dataclass(frozen=True)
class RemovalWay:
    """How regeneration removes a component: by a factor on its output, or by its mean output."""

    mode: Literal["scale", "mean"]
    factor: float = 0.0

    def __str__(self) -> str:
        if self.scale is None:
            return self.mode
        return f"scale {self.scale:g}" if self.scale else "zero"

    @property
    def takes_means(self) -> bool:
        """Whether it puts something of the component's own in the place of its output."""
        return MODES[self.mode].own_vector

    @property
    def scale(self) -> float | None:
        """What outputs are multiplied by; none where they are replaced."""
        return scale_factor(self.mode, self.factor)

    def of(self, component: Literal["attn", "mlp"], layer: int, when: When) -> Intervention:
        """This done to a component."""
        if self.takes_means:
            vector = mean_vector(component, layer)
            return Intervention(component=component, layer=layer, mode=self.mode, vector=vector, when=when)
        return Intervention(component=component, layer=layer, strength=self.factor, when=when)


def way_of_removal(config: AblationGenerationConfig, selected_by: str, scan_factor: float) -> RemovalWay:
    """The way that the config asks for, or the one that the scan selected by, as far as generation has it."""
    mode: str = config.mode
    factor = config.scale
    if mode == "as_selected":
        mode, factor = (selected_by, scan_factor) if factor == 0 else ("scale", factor)
    if mode in MODES and MODES[mode].own_vector:
        return RemovalWay("mean")
    return RemovalWay("scale", scale_factor(mode, factor) or 0.0)


def check_condition(name: str) -> str:
    """Refuse a name that is none of Phase 1's conditions."""
    if name not in CONDITIONS:
        raise UserError(f"unknown condition {name!r}", next_step=f"choose one of: {', '.join(CONDITIONS)}")
    return name


def condition_arm(
    name: str,
    config: AblationGenerationConfig,
    selected: Selected | None,
    shape: Shape,
    collateral: Mapping[ComponentPlace, float],
    way: RemovalWay,
) -> Arm:
    """The arm behind a condition of Phase 1; the ablations need the layers that the scan selected."""
    if check_condition(name) == BASELINE_NAME:
        return BASELINE_ARM
    targeted = targeted_members(name, selected, shape, way)
    if name == "random_ablation":
        seed = config.random_control_seed
        return matched_arm(name, targeted, config.random_draws, shape, seed, collateral)
    if name == SINGLE:
        return Arm(name, name, way.scale, tuple(map(_alone, targeted)))
    return Arm(name, name, way.scale, (Condition(name=name, interventions=targeted),))


def _alone(member: Intervention) -> Condition:
    return Condition(name=f"{ALONE}{member.component}_{member.layer}", interventions=(member,))


def targeted_members(
    name: str, selected: Selected | None, shape: Shape, way: RemovalWay
) -> tuple[Intervention, ...]:
    """What the targeted ablation does, and what its random control has the shape of."""
    if selected is None or not any(selected.values()):
        raise UserError(
            f"{name} needs selected layers",
            "the ablation scan selected none",
            "run: backtracking ablation-scan, and look at analysis/ablation_importance.csv",
        )
    members = _removed(selected, way, When())
    if beyond := [lacking for member in members if (lacking := shape.lacks(*member.place))]:
        raise UserError(
            f"selected_layers.json names {', '.join(beyond)}",
            f"the model has {shape}",
            "it was made with another model: run backtracking ablation-scan again",
        )
    return members


def subset_arms(subsets: Mapping[str, Subset], scale: float, resources: Resources) -> list[Arm]:
    """One arm per subset; short forms are scaled, full records act as written."""
    arms = []
    for name, subset in subsets.items():
        if subset.suppress_triggers:
            condition = Condition(name=name, suppress_phrases=resources.triggers)
            arms.append(Arm(name, name, None, (condition,)))
        elif subset.random_like is not None:
            original = subset_members(subset.random_like, subsets[subset.random_like], scale, resources)
            arms.append(random_arm(name, original, subset.draws, resources.shape, resources.seed))
        else:
            arms.append(_component_arm(name, subset, scale, resources))
    check_arms(arms, resources)
    return arms


def scale_arms(name: str, subset: Subset, scales: Sequence[float], resources: Resources) -> list[Arm]:
    """One arm per scale: 1 leaves the model untouched, 0 is the subset at full strength."""
    if subset.suppress_triggers or subset.random_like is not None:
        raise UserError(
            f"subset {name!r} has no scales",
            "only subsets made of components can be turned down step by step",
            "choose another subset_name",
        )
    full = subset_members(name, subset, 0.0, resources)
    arms = []
    for scale in scales:
        label = arm_name(name, scale)
        dosed = tuple(at_scale(intervention, scale) for intervention in full)
        arms.append(Arm(label, name, scale, (Condition(name=label, interventions=dosed),)))
    check_arms(arms, resources)
    return arms


def arm_name(subset_name: str, scale: float) -> str:
    """The name of a scaled subset; both sweeps share the rows of equal arms through it."""
    return f"{subset_name}_x{scale:g}"


def subset_arm_name(name: str, subset: Subset, scale: float) -> str:
    """Short forms are scaled and named after their scale; everything else has the subset's name."""
    is_written_out = any(isinstance(member, Intervention) for member in subset.components)
    has_no_scale = is_written_out or subset.suppress_triggers or subset.random_like is not None
    return name if has_no_scale else arm_name(name, scale)


def at_scale(intervention: Intervention, scale: float, before: float = 0.0) -> Intervention:
    """The intervention weakened: 1 leaves the component untouched, 0 is its full strength.

    `before` is the scale that the record is at; one that was written out is at full strength.
    """
    rule = MODES[intervention.mode]
    if not rule.has_doses:
        raise UserError(
            f"a {intervention.mode} ablation of {intervention.component} {intervention.layer} "
            "has no scales in between",
            "it replaces the output or leaves it",
            "choose another phase2.scale_sweep.subset_name",
        )
    full = intervention.applied_strength - rule.neutral
    strength = rule.neutral + full * (1.0 - scale) / (1.0 - before)
    return intervention.model_copy(update={"mode": intervention.operation, "strength": strength})


def neighbours(winner: Arm, scales: Sequence[float]) -> list[Arm]:
    """The winner at the next weaker and the next stronger scale; records act at full strength, scale 0."""
    members, at = winner.members[0].interventions, winner.scale or 0.0
    if at == 1.0 or not all(MODES[member.mode].has_doses for member in members):
        return []
    stronger = [scale for scale in scales if scale < at]
    weaker = [scale for scale in scales if at < scale < 1.0]
    arms = []
    for scale in [*([max(stronger)] if stronger else []), *([min(weaker)] if weaker else [])]:
        label = arm_name(winner.subset_name, scale)
        changed = tuple(at_scale(member, scale, before=at) for member in members)
        arms.append(Arm(label, winner.subset_name, scale, (Condition(name=label, interventions=changed),)))
    return arms


def _component_arm(name: str, subset: Subset, scale: float, resources: Resources) -> Arm:
    label = subset_arm_name(name, subset, scale)
    interventions = subset_members(name, subset, scale, resources)
    at = None if label == name else scale
    return Arm(label, name, at, (Condition(name=label, interventions=interventions),))


def subset_members(name: str, subset: Subset, scale: float, resources: Resources) -> tuple[Intervention, ...]:
    """The subset as intervention records, its gate resolved to token ids."""
    when = _gate(name, subset, resources)
    if subset.from_selected_layers:
        return _selected_members(name, scale, when, resources)
    return tuple(
        Intervention(component=member.component, layer=member.layer, strength=scale, when=when)
        if isinstance(member, ComponentRef)
        else (member if subset.only == "always" else member.model_copy(update={"when": when}))
        for member in subset.components
    )


def _gate(name: str, subset: Subset, resources: Resources) -> When:
    if subset.only == "always":
        return resources.when
    if subset.only == "sentence_starts":
        if not resources.sentence_ends:
            raise UserError(f"subset {name!r}: the tokenizer has no token that ends a sentence")
        return resources.when.model_copy(update={"after_tokens": resources.sentence_ends})
    onset = "from_first" if subset.only == "from_first_onset" else "until_first"
    return resources.when.model_copy(update={"onset": onset})


def _selected_members(name: str, scale: float, when: When, resources: Resources) -> tuple[Intervention, ...]:
    if resources.selected is None or not any(resources.selected.values()):
        raise UserError(
            f"subset {name!r} takes the layers that Phase 1 selected, and there are none",
            "from_selected_layers: true reads the Phase 1 run's selected_layers.json",
            "give --phase1-run-id ID of a run whose ablation-scan is done",
        )
    return _removed(resources.selected, RemovalWay("scale", scale), when)


def _removed(selected: Selected, way: RemovalWay, when: When) -> tuple[Intervention, ...]:
    return tuple(way.of(kind, layer, when) for kind, layers in selected.items() for layer in sorted(layers))


def check_arms(arms: Sequence[Arm], resources: Resources) -> None:
    """Refuse arms that name what the model lacks or share a name, all at once and before any generation."""
    names = [BASELINE_NAME, *(arm.name for arm in arms)]
    shared = sorted({name for name in names if names.count(name) > 1})
    if shared:
        raise UserError(
            f"several arms would be called {', '.join(map(repr, shared))}",
            "an arm's rows are kept under its name",
            "rename a subset, or give scales that differ in their first six digits (nothing was changed)",
        )
    missing = {
        f"{arm.subset_name}: {lacking}"
        for arm in arms
        for member in arm.members
        for i in member.interventions
        if (lacking := resources.shape.lacks(*i.place))
    }
    if missing:
        raise UserError(
            "a subset names what the model does not have",
            "\n        ".join([*sorted(missing), f"the model has {resources.shape}"]),
            "correct phase2.subset_sweep.subsets (nothing was generated)",
        )
