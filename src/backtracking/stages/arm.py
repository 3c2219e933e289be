"""An arm of a run, found by its name: as its rows were made, or as the run's config and scan say."""

from backtracking.interventions import Arm
from backtracking.model.arms import condition_arm
from backtracking.stages.base import RunContext
from backtracking.stages.phase1.generate import read_collateral, read_standouts
from backtracking.stages.phase2.job import variant_folder


def find_arm(ctx: RunContext, variant: str, name: str) -> Arm:
    """An arm of a sweep by the card beside its rows; else a condition of Phase 1."""
    from backtracking.sweeps.sweep import card_path, load_arm

    folder = variant_folder(ctx, variant)
    if ctx.config.phase2 is not None or card_path(folder, name).exists():
        return load_arm(folder, name)
    selected, collateral = read_standouts(ctx.paths), read_collateral(ctx.paths)
    return condition_arm(name, ctx.config.ablation_generation, selected, ctx.model().shape, collateral)
