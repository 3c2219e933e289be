"""What arms take from Phase 1's onsets: directions, means, and the study that means are taken over."""

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from backtracking.artifacts import readings
from backtracking.interventions import Arm
from backtracking.measurements.halves import split_problems
from backtracking.stages.base import RunContext
from backtracking.stages.phase1.prepare_data import read_problems

_STUDIED = {readings.CONTROLS: ("example_id", "control_example_id"), readings.INJECTION: ("example_id",)}
"""Phase 1's tables that name the problems they looked into."""

if TYPE_CHECKING:
    from torch import Tensor

    from backtracking.measurements.controls import Event


def vectors(ctx: RunContext, variant: str, arms: Sequence[Arm]) -> "dict[str, Tensor]":
    """The directions and means that the arms name."""
    from backtracking.mechanism.vectors import named_vectors, needs_readings, resolve_vectors

    if not named_vectors(arms):
        return {}
    positions = []
    if needs_readings(arms):
        held_out = split_problems([problem.id for problem in read_problems(ctx)])["confirm"]
        study = phase1_study(ctx, variant, ctx.config.analysis.max_events, without=held_out)
        positions = [event.controls["matched_row"] for event in study if "matched_row" in event.controls]
    return resolve_vectors(
        arms,
        ctx.model(),
        saved_directions(ctx),
        positions,
        seed=ctx.config.ablation_generation.random_control_seed,
        budget=ctx.config.analysis.batch_tokens,
    )


def saved_directions(ctx: RunContext) -> "dict[str, Tensor]":
    """The directions that Phase 1 saved; none when it saved none."""
    run = ctx.phase1_paths
    return readings.DIRECTIONS.read(run) if readings.DIRECTIONS.exists(run) else {}


def problems_looked_into(ctx: RunContext) -> set[str]:
    """Problems that Phase 1 fitted or selected on, as its own tables name them."""
    run = ctx.phase1
    if run is None:
        return set()
    looked_at: set[str] = set()
    for table, columns in _STUDIED.items():
        if table.exists(run):
            rows = table.read(run)
            looked_at |= {str(problem) for name in columns for problem in rows[name].dropna()}
    if readings.DIRECTIONS_CARD.exists(run):
        card = readings.DIRECTIONS_CARD.read(run)
        looked_at |= {*card["fit_problems"], *card["test_problems"]}
    return looked_at


def phase1_study(
    ctx: RunContext, variant: str, max_events: int, without: Collection[str] = ()
) -> "list[Event]":
    """Phase 1's baseline onsets of a variant with their matched controls, some problems left out."""
    from backtracking.stages.phase1.onset_study import studied_onsets

    return studied_onsets(ctx, variant, max_events, max_events, ctx.phase1_paths, without)
