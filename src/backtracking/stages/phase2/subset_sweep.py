"""phase2-subset-sweep: baseline and every component subset, side by side in one run of the engine."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from backtracking.artifacts import phase2 as files
from backtracking.artifacts.kinds import paths
from backtracking.artifacts.registry import with_figures
from backtracking.errors import NotTestable, UserError
from backtracking.interventions import BASELINE_ARM
from backtracking.model.arms import subset_arm_name, subset_arms
from backtracking.model.source import known_shape
from backtracking.run.inputs import Input
from backtracking.run.meta import told_left_out
from backtracking.run.records import BASELINE_NAME
from backtracking.stages.base import Completions, Result, RunContext, Stage
from backtracking.stages.phase2.job import (
    SWEEP_KEYS,
    arms_made,
    hook_debug_file,
    in_waves,
    kept_rows,
    publish_waves,
    sweep_completions,
    sweep_inputs,
    sweep_job,
    waves,
)
from backtracking.stages.phase2.subsets import (
    buildable_subsets,
    resources,
    why_left_out,
)


@dataclass(frozen=True)
class Phase2SubsetSweep(Stage):
    """Every subset that the config names."""

    name: ClassVar[str] = "phase2-subset-sweep"
    phase: ClassVar[Literal[1, 2]] = 2
    config_keys: ClassVar[tuple[str, ...]] = (*SWEEP_KEYS, "phase2.subset_sweep")

    def inputs(self, ctx: RunContext) -> Sequence[Input]:
        """What the subsets are made of."""
        return sweep_inputs(ctx, ctx.phase2.subset_sweep.subsets.values())

    def outputs(self, ctx: RunContext) -> Sequence[Path]:
        """The table of subsets, the rows behind it and the counts of the hooks."""
        tables = [files.SUBSETS, files.SUBSET_EVENTS, *waves(ctx, files.SUBSET_WAVES)]
        return paths(ctx.paths, with_figures([*tables, *hook_debug_file(ctx)]))

    def completions(self, ctx: RunContext) -> Completions:
        """The rows of every subset and of the baseline."""
        left_out = self.left_out(ctx)
        names = [arm for name, arm in _arm_names(ctx).items() if name not in left_out]
        return sweep_completions(ctx, ctx.phase2.subset_sweep.variant, [BASELINE_NAME, *names])

    def left_out(self, ctx: RunContext) -> Mapping[str, str]:
        """Subsets that the Phase 1 run leaves nothing to build from."""
        if ctx.awaits_phase1 or known_shape(ctx.config.model) is None:
            return {}
        return why_left_out(ctx, ctx.phase2.subset_sweep.subsets)

    def resumes_from(self, ctx: RunContext) -> Sequence[Path]:
        """Its arms' files of completions."""
        return kept_rows(ctx, ctx.phase2.subset_sweep.variant, [BASELINE_NAME, *_arm_names(ctx).values()])

    def run(self, ctx: RunContext) -> Result:
        """Generates and measures every subset, in one batch with the baseline."""
        from backtracking.figures import catalogue as figures
        from backtracking.sweeps.sweep import run_arms

        sweep = ctx.phase2.subset_sweep
        if not sweep.subsets:
            raise UserError(
                "phase2.subset_sweep.subsets is empty",
                "there is nothing to compare with the baseline",
                "name at least one subset, e.g. `mlp_late: [[mlp, 20], [mlp, 21]]`",
            )
        left_out = why_left_out(ctx, sweep.subsets)
        subsets = buildable_subsets(ctx, sweep.subsets)
        if not subsets:
            reasons = "; ".join(dict.fromkeys(left_out.values()))
            raise NotTestable(f"no subset can be built: {reasons}", cause=reasons)
        for line in told_left_out(left_out):
            ctx.reporter.say(f"  note: {line}")
        available = resources(ctx, sweep.variant, subsets.values())
        scale = ctx.config.ablation_generation.effective_scale
        arms = [BASELINE_ARM, *subset_arms(subsets, scale, available)]
        job = in_waves(ctx, sweep_job(ctx, sweep.variant, available, arms, left_out))
        result = run_arms(job, arms)
        figures.publish(ctx.paths, files.SUBSETS, result.table)
        figures.publish(ctx.paths, files.SUBSET_EVENTS, result.events)
        publish_waves(ctx, files.SUBSET_WAVES, result)
        notes = {"rows_generated": result.generated, "left_out": left_out}
        return Result(len(result.events), notes, arms_made(job, [arm.name for arm in arms]))


def _arm_names(ctx: RunContext) -> dict[str, str]:
    """What the arm of each subset is called."""
    scale = ctx.config.ablation_generation.effective_scale
    subsets = ctx.phase2.subset_sweep.subsets
    return {name: subset_arm_name(name, subset, scale) for name, subset in subsets.items()}
