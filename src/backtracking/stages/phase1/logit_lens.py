"""logit-lens: the onset token through the layers, against matched controls."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from backtracking.artifacts import phase1 as files
from backtracking.artifacts import readings
from backtracking.artifacts.kinds import paths
from backtracking.artifacts.registry import with_figures
from backtracking.run import io
from backtracking.run.inputs import Input
from backtracking.run.records import BASELINE_NAME, GenerationRecord
from backtracking.stages.base import Result, RunContext, Stage
from backtracking.stages.phase1.bench import open_bench, work_name
from backtracking.stages.phase1.onset_study import (
    STUDY_KEYS,
    held_out,
    open_study,
    study_inputs,
    write_controls,
)

if TYPE_CHECKING:
    from backtracking.mechanism.analyses import LensTables
    from backtracking.mechanism.study import Study


@dataclass(frozen=True)
class LogitLens(Stage):
    """The onset of one variant through the layers."""

    variant: str

    name: ClassVar[str] = "logit-lens"
    phase: ClassVar[Literal[1, 2]] = 1
    unit: ClassVar[str] = "onset"
    config_keys: ClassVar[tuple[str, ...]] = (*STUDY_KEYS, "analysis.lens")

    def inputs(self, ctx: RunContext) -> Sequence[Input]:
        """The events and completions that the study is drawn from."""
        return study_inputs(ctx, self.variant)

    def outputs(self, ctx: RunContext) -> Sequence[Path]:
        """The lens by layer, by position and by onset; the translators of a tuned lens."""
        tuned = [readings.TRANSLATORS] if ctx.config.analysis.lens == "tuned" else []
        tables = [
            readings.LENS,
            readings.LENS_WINDOW,
            readings.LENS_ONSETS,
            readings.LENS_SUMMARY,
            *tuned,
            readings.CONTROLS,
            readings.BALANCE,
        ]
        return paths(ctx.paths, with_figures(tables))

    def run(self, ctx: RunContext) -> Result:
        """Reads the onset's chance off every layer, at onsets and at controls."""
        from backtracking.figures import catalogue as figures
        from backtracking.mechanism.analyses import through_the_lens

        bench = open_bench(ctx, self._work, self.key, self.config_keys)
        study = open_study(ctx, self.variant, bench).weighed(bench)
        generations = files.GENERATIONS.path(ctx.paths, variant=self.variant, condition=BASELINE_NAME)
        rows = io.read_jsonl(generations, GenerationRecord, made_by=files.GENERATIONS.made_by)
        unseen = held_out(ctx)
        lens = through_the_lens(bench, study, (row for row in rows if row.example_id not in unseen))
        if lens.translators is not None:
            with io.atomic_path(readings.TRANSLATORS.path(ctx.paths)) as temporary:
                lens.translators.save(temporary)
        figures.publish(ctx.paths, readings.LENS, lens.table)
        figures.publish(ctx.paths, readings.LENS_WINDOW, lens.window)
        figures.publish(ctx.paths, readings.LENS_ONSETS, lens.by_onset)
        readings.LENS_SUMMARY.write(ctx.paths, self._summary(ctx, study, lens))
        write_controls(ctx, study)
        return Result(rows=len(study.events), notes=study.notes())

    def work_files(self, ctx: RunContext) -> Sequence[Path]:
        """What was read so far."""
        return [ctx.paths.work(work_name(self._work, part)) for part in ("phrases", "")]

    @property
    def _work(self) -> str:
        return f"{self.name}-{self.variant}"

    def _summary(self, ctx: RunContext, study: "Study", lens: "LensTables") -> dict[str, Any]:
        tokenizer = ctx.model().tokenizer
        families = {target.onset: target.family.tokens for target in study.targets}
        return {
            "variant": self.variant,
            "lens": ctx.config.analysis.lens,
            **study.notes(),
            "first_separating_layer": lens.first_separations(),
            "families": {
                tokenizer.decode([onset]): {token: tokenizer.decode([token]) for token in family}
                for onset, family in sorted(families.items())
            },
        }
