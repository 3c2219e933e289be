"""phase2-confirm: pick an arm on one half of the problems, and measure it on the other."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import pandas as pd

from backtracking.artifacts import phase1 as earlier
from backtracking.artifacts import phase2 as files
from backtracking.artifacts.kinds import paths, present
from backtracking.artifacts.registry import with_figures
from backtracking.errors import NotTestable
from backtracking.interventions import BASELINE_ARM, Arm
from backtracking.measurements.controls import FEWEST_PROBLEMS
from backtracking.measurements.tradeoff import (
    find_best_tradeoff,
    front_probability,
    summarize_arms,
    why_untested,
)
from backtracking.model.arms import Resources, neighbours
from backtracking.model.random_control import random_arm
from backtracking.run.inputs import Input
from backtracking.run.records import BASELINE_NAME
from backtracking.stages.base import Completions, Result, RunContext, Stage
from backtracking.stages.phase1.prepare_data import dataset_input
from backtracking.stages.phase2.from_phase1 import problems_looked_into
from backtracking.stages.phase2.job import (
    SWEEP_KEYS,
    arms_made,
    current_arms,
    hook_debug_file,
    problem_halves,
    search_looks,
    sweep_job,
    variant_folder,
)
from backtracking.stages.phase2.subsets import resources
from backtracking.stages.prefixes import choose_prefixes, right_rows, write_kept

if TYPE_CHECKING:
    from backtracking.sweeps.sweep import SweepJob

SWEEPS = (files.SUBSET_EVENTS, files.SCALE_EVENTS, files.SEARCH_EVENTS)


@dataclass(frozen=True)
class Phase2Confirm(Stage):
    """The chosen arm on problems that it was not chosen on."""

    name: ClassVar[str] = "phase2-confirm"
    phase: ClassVar[Literal[1, 2]] = 2
    config_keys: ClassVar[tuple[str, ...]] = (
        *SWEEP_KEYS,
        "phase2.confirm",
        "phase2.scale_sweep.scales",
        "phase2.subset_sweep.variant",
    )

    def inputs(self, ctx: RunContext) -> Sequence[Input]:
        """Any of the sweeps will do; with none, the subset sweep is what is missing."""
        tables = present(ctx.paths, SWEEPS) or [SWEEPS[0].of(ctx.paths)]
        return [dataset_input(ctx), *tables]

    def outputs(self, ctx: RunContext) -> Sequence[Path]:
        """The split, the choice, and what it did on the problems held out."""
        tables = [earlier.SPLIT, files.CHOICE, files.CONFIRMED, files.CONFIRM_EVENTS]
        tables += [files.CONFIRM_PREFIXES, files.CONFIRM_PREFIX_ROWS]
        return paths(ctx.paths, with_figures([*tables, *hook_debug_file(ctx)]))

    def work_files(self, ctx: RunContext) -> Sequence[Path]:
        """The continuations of forced prefixes so far."""
        return [ctx.paths.work(self.name)]

    def completions(self, ctx: RunContext) -> Completions:
        """Two neighbours and a control at most; only a winner of the search lacks rows of its own.

        All five, the baseline among them, write on from the fixed prefixes, with and without the error.
        """
        asked = ctx.phase2
        arms = 4 if asked.search.enabled else 3
        rows = (min(ctx.problem_count(), asked.max_examples) + 1) // 2 * asked.num_samples_per_prompt
        behind_prefixes = 2 * 5 * min(asked.confirm.fixed_prefixes, rows)
        cap = ctx.config.generation.max_new_tokens
        return Completions({}, cap, others=arms * rows, unkept=behind_prefixes, at_most=True)

    def run(self, ctx: RunContext) -> Result:
        """Chooses an arm on one half of the problems and tests it on the other."""
        from backtracking.figures import catalogue as figures

        halves = self._halves(ctx)
        earlier.SPLIT.write(ctx.paths, halves)
        searched = _searched(ctx, halves["search"])
        looks = search_looks(ctx, len(halves["search"]))
        search = summarize_arms(searched, ctx.phase2.accuracy_margin, looks)
        search = search.merge(
            front_probability(searched, ctx.config.run.seed), left_on="arm", right_index=True
        )
        figures.publish(ctx.paths, files.CHOICE, search)
        winner = find_best_tradeoff(search)
        name = None if winner is None else str(winner["arm"])
        if name is None:
            ctx.reporter.say(f"  {_none_won(search)}")
        job, arms, events, confirm = self._confirm(ctx, halves["confirm"], name)
        figures.publish(ctx.paths, files.CONFIRMED, confirm)
        figures.publish(ctx.paths, files.CONFIRM_EVENTS, events)
        self._fixed_prefixes(ctx, job, arms, events)
        notes = {"winner": name, "left_out": len(halves["left_out"])}
        return Result(len(events), notes, arms_made(job, confirm["arm"]))

    def _halves(self, ctx: RunContext) -> dict[str, list[str]]:
        """The two halves, without the problems of the second that Phase 1 fitted or selected on."""
        halves, seen = problem_halves(ctx), problems_looked_into(ctx)
        fresh = [problem for problem in halves["confirm"] if problem not in seen]
        left_out = [problem for problem in halves["confirm"] if problem in seen]
        of_them = f" that Phase 1 has not looked at ({len(left_out):,} it has)" if left_out else ""
        if len(fresh) < FEWEST_PROBLEMS:
            raise NotTestable.too_few_problems(
                f"in the half that confirms{of_them}",
                len(fresh),
                FEWEST_PROBLEMS,
                "the other half picks the arm, and an interval is taken over problems",
            )
        if left_out:
            ctx.reporter.say(
                f"  note: problems left out of the confirmation: {len(left_out):,}, as Phase 1 has looked "
                f"at them (problem_split.json names them); {len(fresh):,} remain"
            )
        return {"search": halves["search"], "confirm": fresh, "left_out": left_out}

    def _confirm(
        self, ctx: RunContext, problems: Sequence[str], winner: str | None
    ) -> "tuple[SweepJob, list[Arm], pd.DataFrame, pd.DataFrame]":
        """The winner beside its scale neighbours and its random control, on the held-out half."""
        from backtracking.sweeps.sweep import load_arm, run_arms

        variant = ctx.phase2.subset_sweep.variant
        arms = [BASELINE_ARM]
        available = resources(ctx, variant, [])
        if winner is not None:
            chosen = load_arm(variant_folder(ctx, variant), winner)
            arms += [chosen, *neighbours(chosen, ctx.phase2.scale_sweep.scales)]
            arms += _control(chosen, ctx.phase2.confirm.random_draws, available)
        job = sweep_job(ctx, variant, available, arms)
        wanted = set(problems)
        job = replace(job, prompts=[prompt for prompt in job.prompts if str(prompt.example_id) in wanted])
        result = run_arms(job, arms)
        roles = [_role(row, winner) for row in result.table.to_dict("records")]
        return job, arms, result.events, result.table.assign(role=roles)

    def _fixed_prefixes(
        self, ctx: RunContext, job: "SweepJob", arms: Sequence[Arm], events: pd.DataFrame
    ) -> None:
        """The same arms behind the same prefixes, with and without an error, of the held-out problems."""
        from backtracking.figures import catalogue as figures
        from backtracking.measurements.fixed_prefixes import prefix_table
        from backtracking.sweeps.fixed_prefixes import Writer
        from backtracking.sweeps.sweep import asked_rows

        baseline = {record.id: record for record in asked_rows(job, BASELINE_ARM)}
        right = right_rows(events[events["arm"] == BASELINE_NAME])
        writer, count = Writer.of(job), ctx.phase2.confirm.fixed_prefixes
        prefixes = choose_prefixes(ctx, writer, right, lambda _: baseline, count)
        rows = write_kept(ctx, self.name, self.key, writer, prefixes, arms)
        figures.publish(ctx.paths, files.CONFIRM_PREFIX_ROWS, rows)
        figures.publish(ctx.paths, files.CONFIRM_PREFIXES, prefix_table(rows))


def _searched(ctx: RunContext, problems: Sequence[str]) -> pd.DataFrame:
    """All arms' rows on the search half, each row once; arms made with other settings are left out."""
    tables = [table.read(ctx.paths) for table in SWEEPS if table.exists(ctx.paths)]
    rows = pd.concat(tables, ignore_index=True)
    variant = ctx.phase2.subset_sweep.variant
    rows = rows[rows["example_id"].isin(set(problems)) & (rows["variant"] == variant)]
    _, current = current_arms(ctx, variant, rows["arm"].unique())
    rows = rows[rows["arm"].isin({arm.name for arm in current})]
    return rows.drop_duplicates(["arm", "example_id", "sample_id"], ignore_index=True)


def _none_won(search: pd.DataFrame) -> str:
    """Why nothing is confirmed: no arm could be judged, or none qualified."""
    if untested := why_untested(search[search["kind"] == "intervention"]):
        return f"no arm could be judged on the search half: {untested}"
    return "no arm lowers backtracking with accuracy held on the search half"


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
