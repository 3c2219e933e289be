"""phase2-search: look further than the named subsets, on the half of the problems that arms are picked on."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Literal

import pandas as pd

from backtracking.artifacts import phase2 as files
from backtracking.artifacts import readings
from backtracking.artifacts.kinds import paths
from backtracking.artifacts.registry import with_figures
from backtracking.measurements.tradeoff import summarize_arms
from backtracking.run.inputs import Input
from backtracking.run.seed import derive_seed
from backtracking.stages.base import Completions, Result, RunContext, Stage
from backtracking.stages.phase1.prepare_data import dataset_input
from backtracking.stages.phase2.job import (
    SWEEP_KEYS,
    arms_made,
    hook_debug_file,
    in_waves_of,
    problem_halves,
    sweep_job,
)
from backtracking.stages.phase2.subsets import resources

TABLES = (files.TRIALS, files.SEARCH, files.SEARCH_EVENTS)


@dataclass(frozen=True)
class Phase2Search(Stage):
    """Subsets and scales beyond those that the config names."""

    name: ClassVar[str] = "phase2-search"
    phase: ClassVar[Literal[1, 2]] = 2
    config_keys: ClassVar[tuple[str, ...]] = (*SWEEP_KEYS, "phase2.search", "phase2.subset_sweep.variant")

    def inputs(self, ctx: RunContext) -> Sequence[Input]:
        """The problems."""
        return [dataset_input(ctx)]

    def outputs(self, ctx: RunContext) -> Sequence[Path]:
        """The arms tried, round by round, and the counts of the hooks."""
        return paths(ctx.paths, with_figures([*TABLES, *hook_debug_file(ctx)]))

    def completions(self, ctx: RunContext) -> Completions:
        """No more rows than the budget."""
        generation = ctx.config.generation
        return Completions({}, generation.max_new_tokens, others=ctx.phase2.search.budget_rows, at_most=True)

    def run(self, ctx: RunContext) -> Result:
        """Tries subsets and scales within the budget; with `stop_early`, hopeless ones on fewer problems."""
        from backtracking.figures import catalogue as figures
        from backtracking.sweeps.search import ranked_components, search_arms

        config = ctx.phase2.search
        variant = ctx.phase2.subset_sweep.variant
        available = resources(ctx, variant, [])
        job = sweep_job(ctx, variant, available, [])
        chosen = set(problem_halves(ctx)["search"][: config.max_examples])
        job = replace(
            job,
            prompts=[prompt for prompt in job.prompts if str(prompt.example_id) in chosen],
            samples=config.num_samples_per_prompt,
        )
        job = in_waves_of(ctx, job, range(len(job.prompts)))
        importance = _importance(ctx)
        candidates = ranked_components(importance, available.n_layers, config.candidates)
        if importance is None:
            ctx.reporter.say(
                "  note: no ablation scan to start from; components are taken from the last layers on"
            )
        outcome = search_arms(job, candidates, config, derive_seed(ctx.config.run.seed, "phase2 search"))
        results = summarize_arms(outcome.events, ctx.phase2.accuracy_margin, job.looks)
        for artifact, table in zip(TABLES, (outcome.trials, results, outcome.events), strict=True):
            figures.publish(ctx.paths, artifact, table)
        notes = {"trials": len(outcome.trials), "rows_generated": outcome.generated}
        return Result(
            rows=len(outcome.events), notes=notes, made=arms_made(job, outcome.events["arm"].unique())
        )


def _importance(ctx: RunContext) -> pd.DataFrame | None:
    if ctx.phase1 is None or not readings.IMPORTANCE.exists(ctx.phase1):
        return None
    table = readings.IMPORTANCE.read(ctx.phase1)
    return None if table.empty else table
