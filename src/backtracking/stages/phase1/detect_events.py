"""detect-events: onsets and answers of every completion that the run has."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from backtracking.errors import UserError
from backtracking.measurements.caps import CapCurve, caps_up_to
from backtracking.measurements.events import EventReader, Measured, write_events
from backtracking.model.arms import CONDITIONS
from backtracking.run import io
from backtracking.run.records import GenerationRecord
from backtracking.stages.base import FileInput, Input, Result, RunContext, Stage
from backtracking.stages.phase1.prepare_data import dataset_input, read_problems
from backtracking.text.tokenization import TokenFamilies, TokenMap

COUPLING, FAMILIES, BY_CAP = "error_coupling.csv", "token_families.json", "accuracy_by_cap.csv"
FIGURES = ("backtracking_rate_by_variant", "backtracking_vs_accuracy")


@dataclass(frozen=True)
class DetectEvents(Stage):
    name: ClassVar[str] = "detect-events"
    phase: ClassVar[Literal[1, 2]] = 1
    config_keys: ClassVar[tuple[str, ...]] = (
        "detection",
        "prompting.formatting_variants",
        "generation.max_new_tokens",
        "analysis.onsets",
    )

    def inputs(self, ctx: RunContext) -> Sequence[Input]:
        found = [FileInput(path, made_by="backtracking generate") for path in generation_files(ctx)]
        return [dataset_input(ctx), *found]

    def outputs(self, ctx: RunContext) -> Sequence[Path]:
        figures = [ctx.paths.figure(name) for name in FIGURES]
        tables = [ctx.paths.events, ctx.paths.onsets, ctx.paths.summary]
        return [*tables, *(ctx.paths.table(name) for name in (COUPLING, FAMILIES, BY_CAP)), *figures]

    def run(self, ctx: RunContext) -> Result:
        files = generation_files(ctx)
        if not files:
            raise UserError(
                f"there are no completions in {ctx.paths.generations}",
                next_step="run: backtracking generate --condition baseline",
            )
        curve = CapCurve()
        reader = self._reader(ctx)

        def measure(record: GenerationRecord) -> Measured:
            measured = reader(record)
            curve.add(measured)
            return measured

        with ctx.reporter.bar("detect-events", sum(map(io.count_lines, files))) as bar:

            def records() -> Iterator[GenerationRecord]:
                for path in files:
                    for record in io.read_jsonl(path, GenerationRecord, made_by="backtracking generate"):
                        bar.advance()
                        yield record

            counts = write_events(records(), measure, ctx.paths.events, ctx.paths.onsets)
        io.write_csv(ctx.paths.table(BY_CAP), curve.table())
        self._summarize(ctx)
        notes = {"onsets": counts.onsets, "turns": counts.turns, "failed_rows": counts.failed}
        return Result(rows=counts.completions, notes=notes)

    def _reader(self, ctx: RunContext) -> EventReader:
        """Measures rows against the run's gold answers; notes which tokens begin each trigger."""
        detection, tokenizer = ctx.config.detection, ctx.tokenizer()
        triggers = (*detection.triggers_strict, *detection.triggers_relaxed)
        io.write_json(ctx.paths.table(FAMILIES), TokenFamilies(tokenizer).of_all(triggers))
        gold = {problem.id: problem.answer_value for problem in read_problems(ctx)}
        caps = caps_up_to(ctx.config.generation.max_new_tokens)
        kind = ctx.config.analysis.onsets
        return EventReader(detection, ctx.config.prompting, TokenMap(tokenizer), gold, caps, coupled=kind)

    def _summarize(self, ctx: RunContext) -> None:
        """Rates, error coupling and figures, from the table that was just written."""
        from backtracking.figures import phase1 as plots
        from backtracking.figures import style as figures
        from backtracking.measurements import metrics_v2
        from backtracking.measurements.coupling import coupling_table
        from backtracking.measurements.tallies import groups, tally_file

        tallies = tally_file(ctx.paths.events)
        io.write_json(ctx.paths.summary, metrics_v2.summary_metrics(tallies))
        variants = ctx.config.prompting.variant_names
        io.write_csv(ctx.paths.table(COUPLING), coupling_table(groups(tallies, variants)))
        by_variant = metrics_v2.formatting_table(tallies, variants)
        figures.save(plots.plot_backtracking_rate_by_variant(by_variant), ctx.paths, FIGURES[0])
        by_onset = metrics_v2.accuracy_by_backtracking(tallies)
        figures.save(plots.plot_backtracking_vs_accuracy(by_onset), ctx.paths, FIGURES[1])


def generation_files(ctx: RunContext) -> list[Path]:
    """Completions of the config's variants under Phase 1's conditions, as far as they are there."""
    candidates = [
        ctx.paths.generation(variant, condition)
        for variant in ctx.config.prompting.variant_names
        for condition in CONDITIONS
    ]
    return [path for path in candidates if path.exists()]
