"""The onsets that a run's analyses look into: what they are drawn from, and the controls they were given."""

from collections.abc import Sequence

from backtracking.artifacts import phase1 as files
from backtracking.measurements.balance import balance_table, matching_table
from backtracking.measurements.controls import StudyFiles, draw_study
from backtracking.mechanism.study import Bench, Study
from backtracking.run.inputs import Input
from backtracking.run.records import BASELINE_NAME
from backtracking.stages.base import RunContext
from backtracking.stages.phase1.bench import MODEL_KEYS, open_bench
from backtracking.text.tokenization import TokenMap

STUDY_KEYS = (
    *MODEL_KEYS,
    "analysis.onsets",
    "analysis.max_events",
    "analysis.control_samples",
    "analysis.logit_lens_token",
    "analysis.contrast_words",
    "detection",
    "-detection.answer_regex",
)


def study_inputs(ctx: RunContext, variant: str) -> Sequence[Input]:
    """Baseline rows only, so that rows of other conditions leave the results fresh."""
    ctx.check_variant(variant)
    return [
        files.EVENTS.rows(ctx.paths, variant, BASELINE_NAME),
        files.ONSETS.rows(ctx.paths, variant, BASELINE_NAME),
        files.GENERATIONS.of(ctx.paths, variant=variant, condition=BASELINE_NAME),
    ]


def open_study(ctx: RunContext, variant: str, bench: Bench | None = None) -> Study:
    """Draw the events of a variant and their controls; the same in every stage of a run."""
    bench = bench or open_bench(ctx, variant, STUDY_KEYS)
    events = draw_study(
        StudyFiles(
            files.EVENTS.path(ctx.paths),
            files.ONSETS.path(ctx.paths),
            files.GENERATIONS.path(ctx.paths, variant=variant, condition=BASELINE_NAME),
        ),
        variant,
        max_events=bench.config.max_events,
        controls=bench.config.control_samples,
        seed=bench.seed,
        token_map=TokenMap(bench.loaded.tokenizer),
        kind=bench.config.onsets,
    )
    return Study.of(variant, events, bench)


def write_controls(ctx: RunContext, study: Study) -> None:
    """Keep which controls the onsets were compared with, and how alike they are."""
    files.CONTROLS.write(ctx.paths, matching_table(study.events))
    files.BALANCE.write(ctx.paths, balance_table(study.events))
