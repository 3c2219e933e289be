"""How Phase 1 removes components while text is written: the way that selected them, and what it takes."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from backtracking.artifacts import readings
from backtracking.measurements.controls import Reading
from backtracking.model.arms import RemovalWay, way_of_removal
from backtracking.stages.base import RunContext
from backtracking.stages.phase1.onset_study import held_out, studied_onsets

if TYPE_CHECKING:
    from torch import Tensor

    from backtracking.interventions import Arm


def way_of_regeneration(ctx: RunContext) -> RemovalWay:
    """As the config says, or as the scan selected."""
    by = "zero"
    if readings.SELECTION.exists(ctx.paths):
        by = str(readings.SELECTION.read(ctx.paths).get("mode", by))
    return way_of_removal(ctx.config.ablation_generation, by, ctx.config.analysis.ablation_scale)


def mean_positions(ctx: RunContext, variant: str) -> list[Reading]:
    """The matched positions that the scan takes means over; none where nothing is replaced by its mean."""
    if not way_of_regeneration(ctx).takes_means:
        return []
    asked = ctx.config.analysis
    events = studied_onsets(ctx, variant, asked.max_events, asked.control_samples, without=held_out(ctx))
    return [event.controls["matched_row"] for event in events if "matched_row" in event.controls]


def mean_outputs(ctx: RunContext, arms: "Sequence[Arm]", positions: Sequence[Reading]) -> "dict[str, Tensor]":
    """The mean outputs that the arms replace outputs by."""
    from backtracking.mechanism.vectors import resolve_vectors

    return resolve_vectors(arms, ctx.model(), {}, positions, budget=ctx.config.analysis.batch_tokens)
