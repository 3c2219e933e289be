"""Arms of a sweep: named, checked conditions built from a config's subsets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from backtracking.conditions import Selected
from backtracking.config_phase2 import Subset
from backtracking.errors import UserError
from backtracking.interventions import BASELINE, Condition, Intervention, When

BASELINE_NAME = BASELINE.name


@dataclass(frozen=True)
class Arm:
    """One line of a sweep; several members are the draws of a random control, dealt over the rows."""

    name: str
    subset_name: str
    scale: float | None
    members: tuple[Condition, ...]

    @property
    def num_components(self) -> int:
        return len({(i.component, i.layer, i.head) for i in self.members[0].interventions})

    def for_row(self, problem_index: int, sample_id: int) -> Condition:
        """The member that a row runs under; every draw meets problems and samples alike."""
        return self.members[(problem_index + sample_id) % len(self.members)]


BASELINE_ARM = Arm(BASELINE_NAME, BASELINE_NAME, None, (BASELINE,))


@dataclass(frozen=True)
class Resources:
    """What the arms of a run are made of: the model's shape and what Phase 1 found."""

    n_layers: int
    n_heads: int
    when: When
    selected: Selected | None = None


def subset_arms(subsets: Mapping[str, Subset], scale: float, resources: Resources) -> list[Arm]:
    """One arm per subset; short forms are scaled, full records act as written."""
    arms = [_arm(name, subset, scale, resources) for name, subset in subsets.items()]
    _check(arms, resources)
    return arms


def scale_arms(name: str, subset: Subset, scales: Sequence[float], resources: Resources) -> list[Arm]:
    """One arm per scale: 1 leaves the model untouched, 0 is the subset at full strength."""
    full = _members(name, subset, 0.0, resources)
    arms = []
    for scale in scales:
        dosed = tuple(at_scale(intervention, scale) for intervention in full)
        label = arm_name(name, scale)
        arms.append(Arm(label, name, scale, (Condition(name=label, interventions=dosed),)))
    _check(arms, resources)
    return arms


def arm_name(subset_name: str, scale: float) -> str:
    """The name of a scaled subset; both sweeps share the rows of equal arms through it."""
    return f"{subset_name}_x{scale:g}"


def at_scale(intervention: Intervention, scale: float) -> Intervention:
    """The intervention weakened: 1 leaves the component untouched, 0 keeps the record's own strength."""
    if intervention.mode == "mean":
        raise UserError(
            f"a mean ablation of {intervention.component} {intervention.layer} has no scales in between",
            "it replaces the output or leaves it",
            "choose another phase2.scale_sweep.subset_name",
        )
    neutral = 1.0 if intervention.mode in ("scale", "zero") else 0.0
    own = 0.0 if intervention.mode == "zero" else intervention.strength
    mode = "scale" if intervention.mode == "zero" else intervention.mode
    strength = neutral + (own - neutral) * (1.0 - scale)
    return intervention.model_copy(update={"mode": mode, "strength": strength})


def _arm(name: str, subset: Subset, scale: float, resources: Resources) -> Arm:
    written_out = any(isinstance(member, Intervention) for member in subset.components)
    label = name if written_out else arm_name(name, scale)
    interventions = _members(name, subset, scale, resources)
    return Arm(
        label, name, None if written_out else scale, (Condition(name=label, interventions=interventions),)
    )


def _members(name: str, subset: Subset, scale: float, resources: Resources) -> tuple[Intervention, ...]:
    if not subset.from_selected_layers:
        return subset.interventions(scale, resources.when)
    if resources.selected is None or not any(resources.selected.values()):
        raise UserError(
            f"subset {name!r} takes the layers that Phase 1 selected, and there are none",
            "from_selected_layers: true reads the Phase 1 run's selected_layers.json",
            "give --phase1-run-id ID of a run whose ablation-scan is done",
        )
    return tuple(
        Intervention(component=kind, layer=layer, strength=scale, when=resources.when)
        for kind, layers in resources.selected.items()
        for layer in sorted(layers)
    )


def _check(arms: Sequence[Arm], resources: Resources) -> None:
    """Refuse arms that name what the model lacks, all at once and before anything is generated."""
    missing = sorted(
        {
            f"{arm.subset_name}: {_missing(intervention, resources)}"
            for arm in arms
            for member in arm.members
            for intervention in member.interventions
            if _missing(intervention, resources)
        }
    )
    if missing:
        shape = f"the model has layers 0 to {resources.n_layers - 1} and heads 0 to {resources.n_heads - 1}"
        raise UserError(
            "a subset names what the model does not have",
            "\n        ".join([*missing, shape]),
            "mend phase2.subset_sweep.subsets (nothing was generated)",
        )


def _missing(intervention: Intervention, resources: Resources) -> str:
    if intervention.layer >= resources.n_layers:
        return f"{intervention.component} {intervention.layer}"
    if intervention.head is not None and intervention.head not in range(resources.n_heads):
        return f"head {intervention.head} of {intervention.component} {intervention.layer}"
    return ""
