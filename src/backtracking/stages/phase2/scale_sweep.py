"""phase2-scale-sweep: one subset turned down step by step."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Literal

from backtracking.artifacts import phase2 as files
from backtracking.artifacts.kinds import paths
from backtracking.artifacts.registry import with_figures
from backtracking.config.phase2 import BEST_SUBSET, Subset
from backtracking.errors import UserError
from backtracking.interventions import BASELINE_ARM
from backtracking.measurements.tradeoff import (
    SCALE_COLUMNS,
    find_best_tradeoff,
    first_columns,
    summarize_arms,
)
from backtracking.model.arms import arm_name, scale_arms
from backtracking.run.inputs import Input
from backtracking.run.records import BASELINE_NAME
from backtracking.stages.base import Completions, Result, RunContext, Stage
from backtracking.stages.phase2.job import (
    SWEEP_KEYS,
    arms_made,
    hook_debug_file,
    in_waves,
    kept_rows,
    problem_halves,
    publish_waves,
    search_looks,
    sweep_completions,
    sweep_inputs,
    sweep_job,
    waves,
)
from backtracking.stages.phase2.subsets import buildable_subset, resources


@dataclass(frozen=True)
class Phase2ScaleSweep(Stage):
    """One subset at every scale."""

    name: ClassVar[str] = "phase2-scale-sweep"
    phase: ClassVar[Literal[1, 2]] = 2
    config_keys: ClassVar[tuple[str, ...]] = (
        *SWEEP_KEYS,
        "phase2.subset_sweep.subsets",
        "phase2.scale_sweep",
    )

    def inputs(self, ctx: RunContext) -> Sequence[Input]:
        """What the subset is made of; where the best is wanted, the subset sweep's events."""
        inputs = list(sweep_inputs(ctx, _candidates(ctx).values()))
        if ctx.phase2.scale_sweep.subset_name == BEST_SUBSET:
            inputs.append(files.SUBSET_EVENTS.of(ctx.paths))
        return inputs

    def outputs(self, ctx: RunContext) -> Sequence[Path]:
        """The table of scales, the rows behind it and the counts of the hooks."""
        tables = [files.SCALES, files.SCALE_EVENTS, *waves(ctx, files.SCALE_WAVES)]
        return paths(ctx.paths, with_figures([*tables, *hook_debug_file(ctx)]))

    def completions(self, ctx: RunContext) -> Completions:
        """The winner of the subset sweep may be any subset, so its arms are counted as new ones."""
        sweep = ctx.phase2.scale_sweep
        names = [arm_name(sweep.subset_name, scale) for scale in sweep.scales]
        asked = sweep_completions(ctx, sweep.variant, [BASELINE_NAME, *names])
        return replace(asked, at_most=asked.at_most or sweep.subset_name == BEST_SUBSET)

    def resumes_from(self, ctx: RunContext) -> Sequence[Path]:
        """The files of completions of every arm that may be its own."""
        sweep = ctx.phase2.scale_sweep
        names = [arm_name(name, scale) for name in _candidates(ctx) for scale in sweep.scales]
        return kept_rows(ctx, sweep.variant, [BASELINE_NAME, *names])

    def run(self, ctx: RunContext) -> Result:
        """Generates and measures the subset at each scale, beside the baseline."""
        from backtracking.figures import catalogue as figures
        from backtracking.sweeps.sweep import run_arms

        sweep = ctx.phase2.scale_sweep
        name = best_subset(ctx) if sweep.subset_name == BEST_SUBSET else sweep.subset_name
        subset = buildable_subset(ctx, name)
        available = resources(ctx, sweep.variant, [subset])
        arms = [BASELINE_ARM, *scale_arms(name, subset, sweep.scales, available)]
        job = in_waves(ctx, sweep_job(ctx, sweep.variant, available, arms))
        result = run_arms(job, arms)
        figures.publish(ctx.paths, files.SCALES, first_columns(result.table, SCALE_COLUMNS))
        figures.publish(ctx.paths, files.SCALE_EVENTS, result.events)
        publish_waves(ctx, files.SCALE_WAVES, result)
        notes = {"subset": name, "rows_generated": result.generated}
        return Result(len(result.events), notes, arms_made(job, [arm.name for arm in arms]))


def best_subset(ctx: RunContext) -> str:
    """The winner of the subset sweep on the search half, or the strongest reduction where there is none."""
    events = files.SUBSET_EVENTS.read(ctx.paths)
    half = problem_halves(ctx)["search"]
    searched = events[events["example_id"].isin(half)]
    table = summarize_arms(searched, ctx.phase2.accuracy_margin, search_looks(ctx, len(half)))
    scalable = table[table["scale"].notna() & (table["subset_name"] != BASELINE_NAME)]
    if scalable.empty:
        raise UserError(
            "subset_name: best finds no subset that can be scaled",
            "the subset sweep holds only arms written as full records",
            "name a subset in phase2.scale_sweep.subset_name",
        )
    best = find_best_tradeoff(scalable)
    if best is not None:
        return str(best["subset_name"])
    strongest = scalable.sort_values("backtracking_rate").iloc[0]
    ctx.reporter.say(
        "  note: no subset lowers backtracking with accuracy held on the search half; scaling "
        f"{strongest['subset_name']}, which backtracks least there ({strongest['verdict']})"
    )
    return str(strongest["subset_name"])


def _candidates(ctx: RunContext) -> dict[str, Subset]:
    """The subsets that may be the one that is scaled."""
    name, subsets = ctx.phase2.scale_sweep.subset_name, ctx.phase2.subset_sweep.subsets
    return dict(subsets) if name == BEST_SUBSET else {name: subsets[name]}
