"""What the arms of a sweep are made of: subsets that can be built, and what Phase 1 left to build them."""

from collections.abc import Iterable, Mapping, Sequence

from backtracking.artifacts import readings
from backtracking.artifacts.kinds import Artifact
from backtracking.config.phase2 import Subset
from backtracking.errors import NotTestable
from backtracking.interventions import Intervention, direction_vectors
from backtracking.model.arms import Resources, Selected
from backtracking.model.source import known_shape
from backtracking.run.inputs import Input
from backtracking.run.paths import RunPaths
from backtracking.stages.base import RunContext
from backtracking.stages.origin import why_not_made
from backtracking.stages.phase1.generate import check_selected_in, nothing_stands_out, read_selected_layers


def why_left_out(ctx: RunContext, subsets: Mapping[str, Subset]) -> dict[str, str]:
    """Subsets made of something that Phase 1 could not make, each with the reason."""
    reasons = {name: _why_not_built(ctx, subset) for name, subset in subsets.items()}
    for name, subset in subsets.items():
        reasons[name] = reasons[name] or reasons.get(subset.random_like or "", "")
    return {name: reason for name, reason in reasons.items() if reason}


def _why_not_built(ctx: RunContext, subset: Subset) -> str:
    if ctx.phase1 is None:
        return ""
    named = [member.vector for member in subset.components if isinstance(member, Intervention)]
    vectors = {vector for vector in named if vector is not None}
    needed: set[Artifact] = {readings.SELECTED} if subset.from_selected_layers else set()
    needed |= {readings.CONTROLS if vector.startswith("mean_") else readings.DIRECTIONS for vector in vectors}
    paths = [artifact.path(ctx.phase1) for artifact in needed]
    if reason := next((reason for path in paths if (reason := why_not_made(path, ctx))), ""):
        return reason
    if readings.DIRECTIONS in needed and _awaits_direction(ctx, ctx.phase1, vectors):
        command = f"backtracking direction --run-id {ctx.phase1.run_id}"
        return f"no direction was made in Phase 1; to make it, run: {command}"
    is_made_of_nothing = (
        subset.from_selected_layers
        and readings.SELECTED.exists(ctx.phase1)
        and not any(read_selected_layers(ctx.phase1).values())
    )
    return nothing_stands_out(ctx.phase1) if is_made_of_nothing else ""


def _awaits_direction(ctx: RunContext, phase1: RunPaths, vectors: set[str]) -> bool:
    """Whether Phase 1 could still make a vector of these; a name that it never makes is a mistake."""
    if readings.DIRECTIONS.exists(phase1):
        return False
    shape = known_shape(ctx.config.model) or ctx.model().shape
    return not vectors.isdisjoint(direction_vectors(shape.n_layers))


def buildable_subsets(ctx: RunContext, subsets: Mapping[str, Subset]) -> dict[str, Subset]:
    """The subsets without those that Phase 1 left nothing to build from."""
    left_out = why_left_out(ctx, subsets)
    return {name: subset for name, subset in subsets.items() if name not in left_out}


def buildable_subset(ctx: RunContext, name: str) -> Subset:
    """One subset by name; what is asked about it is not testable where it cannot be built."""
    subsets = ctx.phase2.subset_sweep.subsets
    if reason := why_left_out(ctx, subsets).get(name):
        raise NotTestable(f"subset {name} cannot be built: {reason}", cause=reason)
    return subsets[name]


def selection_input(ctx: RunContext, subsets: Iterable[Subset]) -> Sequence[Input]:
    """Phase 1's choice of layers, where a subset is made of it and there is one."""
    if not any(subset.from_selected_layers for subset in subsets):
        return []
    chosen = readings.SELECTED.of(ctx.phase1_paths)
    return [] if why_not_made(chosen.path, ctx) else [chosen]


def resources(ctx: RunContext, variant: str, subsets: Iterable[Subset]) -> Resources:
    """The model's shape and tokens, and what Phase 1 selected there, as far as these subsets ask for it."""
    from backtracking.text.onsets.triggers import sentence_end_tokens

    model, asked = ctx.model(), list(subsets)
    selected: Selected | None = None
    if any(subset.from_selected_layers for subset in asked):
        check_selected_in(ctx.phase1_paths, variant)
        selected = read_selected_layers(ctx.phase1_paths)
    ends: frozenset[int] = frozenset()
    if any(subset.only == "sentence_starts" for subset in asked):
        ends = sentence_end_tokens(model.tokenizer)
    return Resources(
        n_layers=model.n_layers,
        n_heads=model.n_heads,
        when=ctx.phase2.when,
        selected=selected,
        triggers=frozenset(ctx.config.detection.triggers_strict),
        sentence_ends=ends,
        seed=ctx.config.ablation_generation.random_control_seed,
    )
