"""detect-events: onsets and answers of every completion that the run has."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from backtracking.artifacts import phase1 as files
from backtracking.artifacts.kinds import paths
from backtracking.artifacts.registry import with_figures
from backtracking.config.schema import NO_MODEL
from backtracking.errors import UserError
from backtracking.measurements.caps import CapCurve, caps_up_to
from backtracking.measurements.events import EventReader, Measured, write_events
from backtracking.measurements.halves import split_problems
from backtracking.model.arms import CONDITIONS
from backtracking.run import io
from backtracking.run.inputs import Input, Whole
from backtracking.run.progress import Bar
from backtracking.run.records import BASELINE_NAME, GenerationRecord
from backtracking.stages.base import Result, RunContext, Stage
from backtracking.stages.digests import relative
from backtracking.stages.phase1.prepare_data import dataset_input, read_problems
from backtracking.text.tokenization import TokenMap, families_of


@dataclass(frozen=True)
class DetectEvents(Stage):
    """Onsets and answers of all completions."""

    name: ClassVar[str] = "detect-events"
    phase: ClassVar[Literal[1, 2]] = 1
    config_keys: ClassVar[tuple[str, ...]] = (
        "detection",
        "model.hf_id",
        "model.revision",
        "prompting.formatting_variants",
        "generation.max_new_tokens",
        "analysis.onsets",
    )

    def inputs(self, ctx: RunContext) -> Sequence[Input]:
        """The problems and all files of completions."""
        return [dataset_input(ctx), *(Whole(path) for path in generation_files(ctx))]

    def outputs(self, ctx: RunContext) -> Sequence[Path]:
        """A line per completion and per onset, and the first summaries of them."""
        tables = [files.EVENTS, files.ONSETS, files.SUMMARY, files.COUPLING, files.FAMILIES, files.BY_CAP]
        return paths(
            ctx.paths, with_figures([*tables, files.SPLIT, files.RATE_BY_VARIANT, files.RATE_VS_ACCURACY])
        )

    def run(self, ctx: RunContext) -> Result:
        """Reads every completion: onsets with their positions, answer and grade, steps."""
        from backtracking.figures import catalogue as figures

        generations = generation_files(ctx)
        if not generations:
            raise UserError(
                f"there are no completions in {ctx.paths.generations}",
                next_step="run: backtracking generate --condition baseline",
            )
        curve = CapCurve()
        gold = {problem.id: problem.answer_value for problem in read_problems(ctx)}
        files.SPLIT.write(ctx.paths, split_problems(list(gold)))
        reader = self._reader(ctx, gold)

        def measure(record: GenerationRecord) -> Measured:
            measured = reader(record)
            curve.add(measured)
            return measured

        with ctx.reporter.bar("detect-events", sum(map(io.count_lines, generations))) as bar:
            rows = self._rows(ctx, generations, gold, bar)
            counts = write_events(rows, measure, files.EVENTS.path(ctx.paths), files.ONSETS.path(ctx.paths))
        figures.publish(ctx.paths, files.BY_CAP, curve.table())
        self._summarize(ctx)
        notes = {"onsets": counts.onsets, "turns": counts.turns, "failed_rows": counts.failed}
        return Result(rows=counts.completions, notes=notes)

    def _rows(
        self, ctx: RunContext, generations: Iterable[Path], gold: Collection[str], bar: Bar
    ) -> Iterator[GenerationRecord]:
        """All completions of the run's problems; those of problems taken out of the dataset are left out."""
        kept, left_out = 0, Counter[str]()
        for path in generations:
            for record in io.read_jsonl(path, GenerationRecord, made_by=files.GENERATIONS.made_by):
                bar.advance()
                if record.example_id in gold:
                    kept += 1
                    yield record
                else:
                    left_out[record.example_id] += 1
        if not left_out:
            return
        if not kept:
            raise UserError(
                f"no completion in {ctx.paths.generations} belongs to a problem in {ctx.dataset_path}",
                f"they belong to problems such as {next(iter(left_out))!r}; answers are graded by problem id",
                "run prepare-data and generate with the same dataset settings",
            )
        ctx.reporter.say(
            f"  note: completions of problems that are no longer in the dataset are left out: "
            f"{left_out.total():,}, of {len(left_out):,} problem{'s' if len(left_out) > 1 else ''}"
        )

    def _reader(self, ctx: RunContext, gold: Mapping[str, str]) -> EventReader:
        """Measures rows against gold answers; writes the problems' halves and each trigger's tokens."""
        detection = ctx.config.detection
        tokenizer = None if ctx.config.model.hf_id == NO_MODEL else ctx.tokenizer()
        triggers = (*detection.triggers_strict, *detection.triggers_relaxed)
        families = families_of(tokenizer).of_all(triggers) if tokenizer is not None else {}
        files.FAMILIES.write(ctx.paths, families)
        caps = caps_up_to(ctx.config.generation.max_new_tokens) if tokenizer is not None else ()
        kind = ctx.config.analysis.onsets
        token_map = None if tokenizer is None else TokenMap(tokenizer)
        return EventReader(detection, ctx.config.prompting, token_map, gold, caps, coupled=kind)

    def _summarize(self, ctx: RunContext) -> None:
        """Rates, error coupling and figures, from the table that was just written."""
        from backtracking.figures import catalogue as figures
        from backtracking.measurements import metrics_v2
        from backtracking.measurements.coupling import coupling_table
        from backtracking.measurements.tallies import groups, tally_file

        tallies = tally_file(files.EVENTS.path(ctx.paths))
        files.SUMMARY.write(ctx.paths, metrics_v2.summary_metrics(tallies))
        variants = ctx.config.prompting.variant_names
        figures.publish(ctx.paths, files.COUPLING, coupling_table(groups(tallies, variants)))
        for figure in (files.RATE_BY_VARIANT, files.RATE_VS_ACCURACY):
            figures.write(ctx.paths, figure)


def generation_files(ctx: RunContext) -> list[Path]:
    """Completions of the config's variants under Phase 1's conditions, as far as they are there.

    A baseline that was made and is gone is named as well, so that it is asked for rather than left out; what
    is generated behind the scan may come later.
    """
    finished = [record.outputs for record in ctx.meta.stages.values() if record.outcome == "done"]

    def was_made(path: Path) -> bool:
        return any(relative(path, ctx) in outputs for outputs in finished)

    candidates = [
        (condition, files.GENERATIONS.path(ctx.paths, variant=variant, condition=condition))
        for variant in ctx.config.prompting.variant_names
        for condition in CONDITIONS
    ]
    return [
        path
        for condition, path in candidates
        if io.exists(path) or (condition == BASELINE_NAME and was_made(path))
    ]
