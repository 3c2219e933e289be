"""An arm of a run, found by its name: as its rows were made, or as the run's config and scan say."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from backtracking.artifacts.phase2 import ARM_PREFIX
from backtracking.errors import UserError
from backtracking.interventions import Arm
from backtracking.model.arms import CONDITIONS, SINGLE, condition_arm
from backtracking.run.records import BASELINE_NAME
from backtracking.stages.base import RunContext
from backtracking.stages.phase1.generate import check_selected_in, read_collateral, read_selected_layers
from backtracking.stages.phase1.regeneration import mean_outputs, mean_positions, way_of_regeneration
from backtracking.stages.phase2.from_phase1 import vectors
from backtracking.stages.phase2.job import arm_files, onset_phrases, variant_folder

if TYPE_CHECKING:
    from torch import Tensor

    from backtracking.text.onsets.triggers import Phrase


@dataclass(frozen=True)
class FoundArm:
    """An arm with all that it acts with."""

    arm: Arm
    vectors: "Mapping[str, Tensor]"
    onset_phrases: "tuple[Phrase, ...]" = ()


def find_arm(ctx: RunContext, variant: str, name: str) -> FoundArm:
    """An arm of a sweep by the card beside its rows; else a condition of Phase 1."""
    from backtracking.sweeps.sweep import card_path, load_arm

    folder = variant_folder(ctx, variant)
    is_swept = ctx.config.phase2 is not None
    if is_swept and not card_path(folder, name).exists():
        known = ", ".join(path.stem.removeprefix(ARM_PREFIX) for path in arm_files(ctx, variant))
        raise UserError(f"run {ctx.paths.run_id} has no arm {name!r}", f"there are: {known or 'none'}")
    if is_swept or card_path(folder, name).exists():
        arm = load_arm(folder, name)
        return FoundArm(arm, vectors(ctx, variant, [arm]), onset_phrases(ctx, [arm]))
    if name != BASELINE_NAME:
        check_selected_in(ctx.paths, variant)
    arm = _condition(ctx, name)
    return FoundArm(arm, mean_outputs(ctx, [arm], mean_positions(ctx, variant)))


def _condition(ctx: RunContext, name: str) -> Arm:
    """A condition of Phase 1, or one of the components that are removed singly."""
    asked, selected, shape = (
        ctx.config.ablation_generation,
        read_selected_layers(ctx.paths),
        ctx.model().shape,
    )
    collateral, way = read_collateral(ctx.paths), way_of_regeneration(ctx)
    single = condition_arm(SINGLE, asked, selected, shape, collateral, way)
    if name not in CONDITIONS and (members := [one for one in single.members if one.name == name]):
        return replace(single, name=name, members=tuple(members))
    return condition_arm(name, asked, selected, shape, collateral, way)
