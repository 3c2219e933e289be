"""phase2-confirm: pick an arm on one half of the problems, and measure it on the other."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import pandas as pd

from backtracking.errors import NotTestable
from backtracking.figures import leaks as plots_leaks
from backtracking.figures import style as figures
from backtracking.interventions import BASELINE_ARM, Arm
from backtracking.measurements.controls import FEWEST_PROBLEMS
from backtracking.measurements.tradeoff import (
    find_best_tradeoff,
    front_probability,
    summarize_arms,
)
from backtracking.model.arms import Resources, neighbours
from backtracking.model.random_control import random_arm
from backtracking.run import io
from backtracking.stages.base import Completions, FileInput, Input, Result, RunContext, Stage
from backtracking.stages.phase1.prepare_data import dataset_input
from backtracking.stages.phase2.common import (
    SWEEP_KEYS,
    current_arms,
    problem_halves,
    resources,
    sweep_job,
    variant_folder,
)

FIGURE = "phase2_choice"
SWEEPS = (
    ("subset_sweep_events.csv", "phase2-subset-sweep"),
    ("scale_sweep_events.csv", "phase2-scale-sweep"),
    ("search_events.csv", "phase2-search"),
)


@dataclass(frozen=True)
class Phase2Confirm(Stage):
    name: ClassVar[str] = "phase2-confirm"
    phase: ClassVar[Literal[1, 2]] = 2
    config_keys: ClassVar[tuple[str, ...]] = (*SWEEP_KEYS, "phase2.confirm", "phase2.scale_sweep.scales")

    def inputs(self, ctx: RunContext) -> Sequence[Input]:
        """Any of the sweeps will do; with none, the subset sweep is what is missing."""
        present = [(name, command) for name, command in SWEEPS if ctx.paths.table(name).exists()] or SWEEPS[
            :1
        ]
        tables = [
            FileInput(ctx.paths.table(name), made_by=f"backtracking {command}") for name, command in present
        ]
        return [dataset_input(ctx), *tables]

    def outputs(self, ctx: RunContext) -> Sequence[Path]:
        names = ("problem_split.json", "tradeoff_search.csv", "confirm_results.csv", "confirm_events.csv")
        return [*map(ctx.paths.table, names), ctx.paths.figure(FIGURE)]

    def completions(self, ctx: RunContext) -> Completions:
        """Two neighbours and a control at most; only a winner of the search lacks rows of its own."""
        asked = ctx.phase2
        arms = 4 if asked.search.enabled else 3
        rows = min(ctx.problem_count(), asked.max_examples) // 2 * asked.num_samples_per_prompt
        return Completions({}, ctx.config.generation.max_new_tokens, others=arms * rows, at_most=True)

    def run(self, ctx: RunContext) -> Result:
        halves = problem_halves(ctx)
        if (problems := len(halves["confirm"])) < FEWEST_PROBLEMS:
            raise NotTestable.too_few_problems(
                "in the half that confirms",
                problems,
                FEWEST_PROBLEMS,
                "the other half picks the arm, and an interval is taken over problems",
            )
        io.write_json(ctx.paths.table("problem_split.json"), halves)
        searched = _searched(ctx, halves["search"])
        search = summarize_arms(searched, ctx.phase2.accuracy_margin)
        search = search.merge(
            front_probability(searched, ctx.config.run.seed), left_on="arm", right_index=True
        )
        io.write_csv(ctx.paths.table("tradeoff_search.csv"), search)
        winner = find_best_tradeoff(search)
        events, confirm = self._confirm(
            ctx, halves["confirm"], None if winner is None else str(winner["arm"])
        )
        io.write_csv(ctx.paths.table("confirm_results.csv"), confirm)
        io.write_csv(ctx.paths.table("confirm_events.csv"), events)
        figures.save(plots_leaks.plot_choice(search, confirm, ctx.phase2.accuracy_margin), ctx.paths, FIGURE)
        return Result(rows=len(events), notes={"winner": None if winner is None else winner["arm"]})

    def _confirm(
        self, ctx: RunContext, problems: Sequence[str], winner: str | None
    ) -> tuple[pd.DataFrame, pd.DataFrame]:
        """The winner beside its scale neighbours and its random control, on the held-out half."""
        from backtracking.sweeps.sweep import load_arm, run_arms

        variant = ctx.phase2.subset_sweep.variant
        arms = [BASELINE_ARM]
        available = resources(ctx, [])
        if winner is None:
            ctx.reporter.say("  no arm lowers backtracking with accuracy held on the search half")
        else:
            chosen = load_arm(variant_folder(ctx, variant), winner)
            arms += [chosen, *neighbours(chosen, ctx.phase2.scale_sweep.scales)]
            arms += _control(chosen, ctx.phase2.confirm.random_draws, available)
        job = sweep_job(ctx, variant, available, arms)
        wanted = set(problems)
        job = replace(job, prompts=[prompt for prompt in job.prompts if str(prompt.example_id) in wanted])
        result = run_arms(job, arms)
        roles = [_role(row, winner) for row in result.table.to_dict("records")]
        return result.events, result.table.assign(role=roles)


def _searched(ctx: RunContext, problems: Sequence[str]) -> pd.DataFrame:
    """All arms' rows on the search half, each row once; arms made with other settings are left out."""
    tables = [io.read_csv(ctx.paths.table(name)) for name, _ in SWEEPS if ctx.paths.table(name).exists()]
    rows = pd.concat(tables, ignore_index=True)
    variant = ctx.phase2.subset_sweep.variant
    rows = rows[rows["example_id"].isin(set(problems)) & (rows["variant"] == variant)]
    _, current = current_arms(ctx, variant, rows["arm"].unique())
    rows = rows[rows["arm"].isin({arm.name for arm in current})]
    return rows.drop_duplicates(["arm", "example_id", "sample_id"], ignore_index=True)


def _control(chosen: Arm, draws: int, available: Resources) -> list[Arm]:
    members = chosen.members[0].interventions
    return (
        [random_arm(f"random_like_{chosen.name}", members, draws, available.shape, available.seed)]
        if members
        else []
    )


def _role(row: Mapping[Any, Any], winner: str | None) -> str:
    """What an arm of the confirmation is there for."""
    if row["arm"] == winner:
        return "winner"
    return "scale neighbour" if row["kind"] == "intervention" else str(row["kind"])
