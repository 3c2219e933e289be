"""What a run's analyses look into: the search half's onsets, and the controls they were given."""

from collections.abc import Collection, Sequence

from backtracking.artifacts import phase1 as files
from backtracking.artifacts import readings
from backtracking.measurements.balance import balance_table, matching_table
from backtracking.measurements.controls import Event, OnsetKey, StudyFiles, draw_study
from backtracking.measurements.halves import split_problems
from backtracking.measurements.stability import stable_onsets
from backtracking.mechanism.study import Bench, Study
from backtracking.run.inputs import Input
from backtracking.run.paths import RunPaths
from backtracking.run.records import BASELINE_NAME
from backtracking.stages.base import RunContext
from backtracking.stages.phase1.bench import MODEL_KEYS, open_bench
from backtracking.stages.phase1.prepare_data import dataset_input, read_problems
from backtracking.text.tokenization import TokenMap

STUDY_KEYS = (
    *MODEL_KEYS,
    "analysis.problems",
    "analysis.onsets",
    "analysis.stability",
    "analysis.stable_share",
    "analysis.max_events",
    "analysis.control_samples",
    "analysis.logit_lens_token",
    "analysis.contrast_words",
    "detection",
    "-detection.answer_regex",
)


def onset_inputs(ctx: RunContext, variant: str, run: RunPaths | None = None) -> list[Input]:
    """Baseline rows only, so that rows of other conditions leave the results fresh."""
    ctx.check_variant(variant)
    run = run or ctx.paths
    return [
        files.EVENTS.rows(run, variant, BASELINE_NAME),
        files.ONSETS.rows(run, variant, BASELINE_NAME),
        files.GENERATIONS.of(run, variant=variant, condition=BASELINE_NAME),
    ]


def study_inputs(ctx: RunContext, variant: str, run: RunPaths | None = None) -> list[Input]:
    """What onsets are drawn from, and what says which of them are stable where only those are asked for."""
    asked = ctx.config.analysis.stability == "stable"
    return [
        *split_inputs(ctx),
        *onset_inputs(ctx, variant, run),
        *([readings.STABILITY.of(run or ctx.paths)] if asked else []),
    ]


def all_onsets(
    ctx: RunContext,
    variant: str,
    max_events: int,
    controls: int,
    *,
    run: RunPaths | None = None,
    stable: Collection[OnsetKey] | None = None,
    without: Collection[str] = (),
) -> list[Event]:
    """Onsets of a run's baseline with their controls, stable or not unless some are named."""
    run = run or ctx.paths
    return draw_study(
        StudyFiles(
            files.EVENTS.path(run),
            files.ONSETS.path(run),
            files.GENERATIONS.path(run, variant=variant, condition=BASELINE_NAME),
        ),
        variant,
        max_events=max_events,
        controls=controls,
        seed=ctx.config.run.seed,
        token_map=TokenMap(ctx.model().tokenizer),
        kind=ctx.config.analysis.onsets,
        stable=stable,
        without=without,
    )


def studied_onsets(
    ctx: RunContext,
    variant: str,
    max_events: int,
    controls: int,
    run: RunPaths | None = None,
    without: Collection[str] = (),
) -> list[Event]:
    """Onsets of a run's baseline with their controls, as far as the config asks for them."""
    asked, stable = ctx.config.analysis, None
    if asked.stability == "stable":
        stable = stable_onsets(readings.STABILITY.read(run or ctx.paths), variant, asked.stable_share)
    return all_onsets(ctx, variant, max_events, controls, run=run, stable=stable, without=without)


def split_inputs(ctx: RunContext) -> Sequence[Input]:
    """What decides which problems may be looked into."""
    return [dataset_input(ctx)] if ctx.config.analysis.problems == "search_half" else []


def held_out(ctx: RunContext) -> frozenset[str]:
    """The problems that no analysis may look into."""
    if ctx.config.analysis.problems == "all":
        return frozenset()
    return frozenset(split_problems([problem.id for problem in read_problems(ctx)])["confirm"])


def open_study(ctx: RunContext, variant: str, bench: Bench | None = None) -> Study:
    """Draw the events of a variant and their controls; the same in every stage of a run."""
    bench = bench or open_bench(ctx, variant, variant, STUDY_KEYS)
    events = studied_onsets(
        ctx, variant, bench.config.max_events, bench.config.control_samples, without=held_out(ctx)
    )
    return Study.of(variant, events, bench)


def write_controls(ctx: RunContext, study: Study) -> None:
    """Keep which controls the onsets were compared with, and how alike they are."""
    from backtracking.figures import catalogue as figures

    figures.publish(ctx.paths, readings.CONTROLS, matching_table(study.events))
    figures.publish(ctx.paths, readings.BALANCE, balance_table(study.events))
