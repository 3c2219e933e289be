"""phase2-specificity: what every arm of the sweeps leaks, and what its first change to a completion hits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

import pandas as pd

from backtracking.artifacts import phase2 as files
from backtracking.artifacts.kinds import Table, paths
from backtracking.artifacts.registry import with_figures
from backtracking.interventions import BASELINE_ARM, Condition
from backtracking.measurements import divergence, specificity
from backtracking.run.inputs import Input
from backtracking.run.records import BASELINE_NAME, GenerationRecord, RowId
from backtracking.run.seed import derive_seed
from backtracking.stages.base import Completions, Result, RunContext, Stage
from backtracking.stages.phase2.job import SWEEP_KEYS, current_arms, rows_of_an_arm
from backtracking.stages.prefixes import choose_prefixes, right_rows
from backtracking.text.arithmetic.steps import read_steps
from backtracking.text.prompts import find_variant

if TYPE_CHECKING:
    from backtracking.interventions import Arm
    from backtracking.sweeps.sweep import SweepJob

TABLES = (files.SPECIFICITY, files.DIVERGENCES, files.REPLACED, files.FLOW, files.FORCED_ERROR_ROWS)
DAMAGE_ROWS = 40
FORCED_ERRORS = 40


@dataclass(frozen=True)
class Phase2Specificity(Stage):
    """What every arm leaks."""

    name: ClassVar[str] = "phase2-specificity"
    phase: ClassVar[Literal[1, 2]] = 2
    unit: ClassVar[str] = "arm"
    config_keys: ClassVar[tuple[str, ...]] = (
        *SWEEP_KEYS,
        "phase2.subset_sweep",
        "phase2.scale_sweep",
        "phase2.parting_probabilities",
    )

    def inputs(self, ctx: RunContext) -> Sequence[Input]:
        """The rows behind the sweeps that were run."""
        return [table.of(ctx.paths) for table in _sweeps(ctx)]

    def outputs(self, ctx: RunContext) -> Sequence[Path]:
        """What else each arm changes, and where its texts part from the baseline's."""
        return paths(ctx.paths, with_figures(TABLES))

    def completions(self, ctx: RunContext) -> Completions:
        """Forced errors are written on under every arm of both sweeps."""
        asked = ctx.phase2
        arms = 1 + len(asked.subset_sweep.subsets) + len(asked.scale_sweep.scales)
        cap = ctx.config.generation.max_new_tokens
        return Completions({}, cap, unkept=min(FORCED_ERRORS, rows_of_an_arm(ctx)) * arms, at_most=True)

    def run(self, ctx: RunContext) -> Result:
        """Measures onsets by cause, errors, and the tokens at which texts part."""
        from backtracking.sweeps.sweep import asked_rows, evaluate_generations
        from backtracking.text.onsets.triggers import Triggers

        variant = ctx.phase2.subset_sweep.variant
        job, arms = current_arms(ctx, variant, self._arms_run(ctx))
        baseline = {(r.example_id, r.sample_id): r for r in asked_rows(job, BASELINE_ARM)}
        events = evaluate_generations(baseline.values(), job.reader)
        family = specificity.main_family(events.assign(condition=BASELINE_NAME))
        triggers = Triggers.of(ctx.model().tokenizer, family)
        known = divergence.BaselineRows(baseline, _first_onsets(events))
        close = find_variant(ctx.config.prompting, variant).think_close
        rows, parted, conditions = [], [], list[Condition]()
        for arm in arms:
            records = [r for r in asked_rows(job, arm) if (r.example_id, r.sample_id) in baseline]
            measured = specificity.measure_rows(records, job.reader, family, read_steps)
            rows.append(measured.assign(arm=arm.name))
            if arm.name != BASELINE_NAME:
                parted.append(
                    divergence.first_divergences(known, records, triggers, ctx.model().tokenizer, close)
                )
                members = {member.draw: member for member in arm.members}
                conditions += [members[record.draw] for record in records]
        damage = self._damage(ctx, job, arms, list(baseline.values()))
        forced = self._forced_errors(ctx, job, arms, baseline, right_rows(events))
        left = self._with_probabilities(ctx, job, baseline, pd.concat(parted, ignore_index=True), conditions)
        self._write(ctx, pd.concat(rows), left, damage, forced)
        return Result(rows=len(arms) - 1, notes={"family": list(family)})

    def _with_probabilities(
        self,
        ctx: RunContext,
        job: "SweepJob",
        baseline: "Mapping[RowId, GenerationRecord]",
        parted: pd.DataFrame,
        conditions: "Sequence[Condition]",
    ) -> pd.DataFrame:
        """First divergences with how likely both tokens were under both arms, where that is asked for."""
        if not ctx.phase2.parting_probabilities:
            return parted
        from backtracking.mechanism.partings import COLUMNS, parting_probabilities, partings_of, texts_read

        partings = partings_of(parted, conditions)
        with ctx.reporter.bar("tokens where texts part", texts_read(partings)) as bar:
            read = parting_probabilities(
                ctx.model(),
                baseline,
                partings,
                vectors=job.vectors,
                onset_phrases=job.onset_phrases,
                bar=bar,
            )
        there = parted.index[parted["step"].notna()]
        return parted.join(pd.DataFrame(read, index=there, columns=COLUMNS, dtype=float))

    def _arms_run(self, ctx: RunContext) -> list[str]:
        """Names of the arms that the sweeps hold, the baseline first."""
        names: dict[str, None] = {BASELINE_NAME: None}
        for table in _sweeps(ctx):
            names |= dict.fromkeys(table.read(ctx.paths)["arm"].astype(str))
        return list(names)

    def _write(
        self,
        ctx: RunContext,
        rows: pd.DataFrame,
        parted: pd.DataFrame,
        damage: pd.DataFrame,
        forced: pd.DataFrame,
    ) -> None:
        from backtracking.figures import catalogue as figures
        from backtracking.measurements.fixed_prefixes import caught_by_arm

        summary = divergence.divergence_summary(parted)
        replaced = divergence.replaced_tokens(parted)
        flow = specificity.correction_flow(rows)
        table = pd.DataFrame({"arm": rows["arm"].unique()})
        for part in (
            specificity.specificity_table(rows),
            damage,
            summary.drop(columns="total"),
            caught_by_arm(forced),
        ):
            table = table.merge(part, on="arm", how="left")
        for artifact, data in zip(TABLES, (table, parted, replaced, flow, forced), strict=True):
            figures.publish(ctx.paths, artifact, data)

    def _damage(
        self, ctx: RunContext, job: "SweepJob", arms: "Sequence[Arm]", records: "Sequence[GenerationRecord]"
    ) -> pd.DataFrame:
        """KL per token on baseline text per arm, with its interval."""
        from backtracking.measurements.controls import spread_over_problems
        from backtracking.mechanism.text_damage import damage_by_arm, text_damage

        seed = derive_seed(ctx.config.run.seed, "text damage")
        drawn = spread_over_problems([record.example_id for record in records], DAMAGE_ROWS, seed)
        changed = [arm for arm in arms if arm.name != BASELINE_NAME]
        with ctx.reporter.bar("KL on baseline text", len(drawn)) as bar:
            lines = text_damage(
                ctx.model(),
                [records[k] for k in drawn],
                changed,
                vectors=job.vectors,
                onset_phrases=job.onset_phrases,
                bar=bar,
            )
        return damage_by_arm(lines)

    def _forced_errors(
        self,
        ctx: RunContext,
        job: "SweepJob",
        arms: "Sequence[Arm]",
        baseline: "Mapping[RowId, GenerationRecord]",
        right: "Sequence[RowId]",
    ) -> pd.DataFrame:
        """What every arm writes behind errors that are put into right baseline rows."""
        from backtracking.measurements.fixed_prefixes import INJECTED
        from backtracking.sweeps.fixed_prefixes import Writer, tasks_of, write_all

        writer = Writer.of(job)
        prefixes = choose_prefixes(ctx, writer, right, lambda _: baseline, FORCED_ERRORS)
        return write_all(writer, tasks_of(prefixes, arms, [INJECTED]))


def _sweeps(ctx: RunContext) -> list[Table]:
    """The scale sweep's arms count where there are any of the same prompts."""
    same_prompts = ctx.phase2.scale_sweep.variant == ctx.phase2.subset_sweep.variant
    scales = [files.SCALES] if same_prompts and files.SCALES.exists(ctx.paths) else []
    return [files.SUBSETS, *scales]


def _first_onsets(events: pd.DataFrame) -> dict[tuple[str, int], int]:
    rows = events[events["onset_token_in_completion"] >= 0]
    keys = zip(rows["example_id"].astype(str), rows["sample_id"].astype(int), strict=True)
    return dict(zip(keys, rows["onset_token_in_completion"].astype(int), strict=True))
