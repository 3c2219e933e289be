"""What arms take from Phase 1's onsets: directions, means, and the study that means are taken over."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from backtracking.artifacts import phase1 as earlier
from backtracking.interventions import Arm
from backtracking.stages.base import RunContext

if TYPE_CHECKING:
    from torch import Tensor

    from backtracking.measurements.controls import Event


def vectors(ctx: RunContext, variant: str, arms: Sequence[Arm]) -> "dict[str, Tensor]":
    """The directions and means that the arms name."""
    from backtracking.mechanism.vectors import named_vectors, needs_readings, resolve_vectors

    if not named_vectors(arms):
        return {}
    readings = []
    if needs_readings(arms):
        study = phase1_study(ctx, variant, ctx.config.analysis.max_events)
        readings = [event.controls["matched_row"] for event in study if "matched_row" in event.controls]
    return resolve_vectors(
        arms,
        ctx.model(),
        saved_directions(ctx),
        readings,
        seed=ctx.config.ablation_generation.random_control_seed,
        budget=ctx.config.analysis.batch_tokens,
    )


def saved_directions(ctx: RunContext) -> "dict[str, Tensor]":
    """The directions that Phase 1 saved; none when it saved none."""
    run = ctx.phase1_paths
    return earlier.DIRECTIONS.read(run) if earlier.DIRECTIONS.exists(run) else {}


def phase1_study(ctx: RunContext, variant: str, max_events: int) -> "list[Event]":
    """Phase 1's baseline onsets of a variant with their matched controls."""
    from backtracking.stages.phase1.onset_study import studied_onsets

    return studied_onsets(ctx, variant, max_events, max_events, ctx.phase1_paths)
