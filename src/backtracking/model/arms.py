"""Arms of a sweep: named, checked conditions built from a config's subsets."""

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from backtracking.config.phase2 import ComponentRef, Subset
from backtracking.errors import UserError
from backtracking.interventions import BASELINE, Condition, Intervention, When
from backtracking.model.conditions import Selected
from backtracking.run.records import BASELINE_NAME
from backtracking.run.seed import derive_seed

RANDOM_VECTOR = "random"

Site = tuple[str, int, int | None]
"""Component, layer and head."""
Kind = Literal["baseline", "intervention", "suppression", "random control"]


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

    @property
    def kind(self) -> Kind:
        """What the arm is; only interventions can win, the others are what they are measured against."""
        first = self.members[0]
        if first.draw is not None:
            return "random control"
        if first.suppress_tokens:
            return "suppression"
        return "intervention" if first.interventions else "baseline"

    def for_row(self, problem_index: int, sample_id: int) -> Condition:
        """The member that a row runs under; every draw meets problems and samples alike."""
        return self.members[(problem_index + sample_id) % len(self.members)]


BASELINE_ARM = Arm(BASELINE_NAME, BASELINE_NAME, None, (BASELINE,))


@dataclass(frozen=True)
class Resources:
    """What the arms of a run are made of: the model's shape, its tokens, and what Phase 1 found."""

    n_layers: int
    n_heads: int
    when: When
    selected: Selected | None = None
    trigger_tokens: frozenset[int] = frozenset()
    sentence_ends: frozenset[int] = frozenset()
    seed: int = 0


def subset_arms(subsets: Mapping[str, Subset], scale: float, resources: Resources) -> list[Arm]:
    """One arm per subset; short forms are scaled, full records act as written."""
    arms = []
    for name, subset in subsets.items():
        if subset.suppress_triggers:
            condition = Condition(name=name, suppress_tokens=resources.trigger_tokens)
            arms.append(Arm(name, name, None, (condition,)))
        elif subset.random_like is not None:
            original = subset_members(subset.random_like, subsets[subset.random_like], scale, resources)
            arms.append(random_arm(name, original, subset.draws, resources))
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


def at_scale(intervention: Intervention, scale: float, before: float = 0.0) -> Intervention:
    """The intervention weakened: 1 leaves the component untouched, 0 is its full strength.

    `before` is the scale that the record is at; one that was written out is at full strength.
    """
    if intervention.mode == "mean":
        raise UserError(
            f"a mean ablation of {intervention.component} {intervention.layer} has no scales in between",
            "it replaces the output or leaves it",
            "choose another phase2.scale_sweep.subset_name",
        )
    neutral = 1.0 if intervention.mode in ("scale", "zero") else 0.0
    own = 0.0 if intervention.mode == "zero" else intervention.strength
    mode = "scale" if intervention.mode == "zero" else intervention.mode
    strength = neutral + (own - neutral) * (1.0 - scale) / (1.0 - before)
    return intervention.model_copy(update={"mode": mode, "strength": strength})


def neighbours(winner: Arm, scales: Sequence[float]) -> list[Arm]:
    """The winner at the next weaker and the next stronger scale; records act at full strength, scale 0."""
    members, at = winner.members[0].interventions, winner.scale or 0.0
    if at == 1.0 or any(member.mode == "mean" for member in members):
        return []
    stronger = [scale for scale in scales if scale < at]
    weaker = [scale for scale in scales if at < scale < 1.0]
    arms = []
    for scale in [*([max(stronger)] if stronger else []), *([min(weaker)] if weaker else [])]:
        label = arm_name(winner.subset_name, scale)
        changed = tuple(at_scale(member, scale, before=at) for member in members)
        arms.append(Arm(label, winner.subset_name, scale, (Condition(name=label, interventions=changed),)))
    return arms


def random_arm(name: str, original: Sequence[Intervention], draws: int, resources: Resources) -> Arm:
    """A control of the same shape: other components of each kind, or other directions of equal norm.

    A set of components comes again only when all have been drawn.
    """
    generator = random.Random(derive_seed(resources.seed, "random control", name))
    possible = _count_random_sets(original, resources)
    members: list[Condition] = []
    seen: set[frozenset[Site]] = set()
    while len(members) < draws:
        drawn = _random_members(original, len(members), generator, resources)
        sites = frozenset(_site(member) for member in drawn if member.vector is None)
        if sites in seen:
            continue
        seen.add(sites)
        if len(seen) == possible:
            seen.clear()
        members.append(Condition(name=name, interventions=drawn, draw=len(members)))
    return Arm(name, name, None, tuple(members))


def random_vector_name(original: str, draw: int) -> str:
    return f"{RANDOM_VECTOR}_{draw}_like_{original}"


def _random_members(
    original: Sequence[Intervention], draw: int, generator: random.Random, resources: Resources
) -> tuple[Intervention, ...]:
    """Other sites without replacement, the original's own only when they run out; directions keep theirs."""
    taken = {_site(intervention) for intervention in original}
    free: dict[tuple[str, bool], list[tuple[int, int | None]]] = {}
    drawn = []
    for intervention in original:
        if intervention.vector is not None:
            changed: dict[str, object] = {"vector": random_vector_name(intervention.vector, draw)}
        else:
            kind = _kind(intervention)
            if kind not in free:
                free[kind] = _shuffled_sites(kind, taken, generator, resources)
            layer, head = free[kind].pop(0)
            changed = {"layer": layer, "head": head}
        drawn.append(intervention.model_copy(update=changed))
    return tuple(drawn)


def _count_random_sets(original: Sequence[Intervention], resources: Resources) -> int:
    """How many different sets of components the draws choose among."""
    drawn = [member for member in original if member.vector is None]
    taken = {_site(member) for member in original}
    count = 1
    for kind in {_kind(member) for member in drawn}:
        wanted = sum(_kind(member) == kind for member in drawn)
        sites = {(kind[0], *site) for site in _sites(kind, resources)}
        own, free = len(sites & taken), len(sites - taken)
        count *= math.comb(free, wanted) if wanted <= free else math.comb(own, wanted - free)
    return count


def _sites(kind: tuple[str, bool], resources: Resources) -> list[tuple[int, int | None]]:
    """Where a kind of component occurs: every layer, or every head of every layer."""
    heads: list[int | None] = [*range(resources.n_heads)] if kind[1] else [None]
    return [(layer, head) for layer in range(resources.n_layers) for head in heads]


def _shuffled_sites(
    kind: tuple[str, bool],
    taken: set[Site],
    generator: random.Random,
    resources: Resources,
) -> list[tuple[int, int | None]]:
    sites = _sites(kind, resources)
    generator.shuffle(sites)
    return sorted(sites, key=lambda site: (kind[0], *site) in taken)


def _kind(intervention: Intervention) -> tuple[str, bool]:
    """Blocks and single heads of the same component are drawn apart."""
    return (intervention.component, intervention.head is not None)


def _site(intervention: Intervention) -> Site:
    return (intervention.component, intervention.layer, intervention.head)


def _component_arm(name: str, subset: Subset, scale: float, resources: Resources) -> Arm:
    written_out = any(isinstance(member, Intervention) for member in subset.components)
    label = name if written_out else arm_name(name, scale)
    interventions = subset_members(name, subset, scale, resources)
    return Arm(
        label, name, None if written_out else scale, (Condition(name=label, interventions=interventions),)
    )


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
    return tuple(
        Intervention(component=kind, layer=layer, strength=scale, when=when)
        for kind, layers in resources.selected.items()
        for layer in sorted(layers)
    )


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
