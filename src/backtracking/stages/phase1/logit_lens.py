"""logit-lens: the onset token through the layers, against matched controls."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from backtracking.run import io
from backtracking.run.records import GenerationRecord
from backtracking.stages.base import Input, Result, RunContext, Stage
from backtracking.stages.phase1.mechanism import (
    STUDY_KEYS,
    controls_path,
    open_bench,
    open_study,
    study_inputs,
    write_controls,
)

if TYPE_CHECKING:
    from backtracking.mechanism.analyses import LensTables
    from backtracking.mechanism.study import Study

FIGURE = "wait_logit_lens_bt_vs_control"
WINDOW_FIGURE = "logit_lens_window"
TRANSLATORS = "lens_translators.safetensors"


@dataclass(frozen=True)
class LogitLens(Stage):
    variant: str

    name: ClassVar[str] = "logit-lens"
    phase: ClassVar[Literal[1, 2]] = 1
    config_keys: ClassVar[tuple[str, ...]] = (*STUDY_KEYS, "analysis.lens")

    def inputs(self, ctx: RunContext) -> Sequence[Input]:
        return study_inputs(ctx, self.variant)

    def outputs(self, ctx: RunContext) -> Sequence[Path]:
        tables = ["logit_lens.csv", "logit_lens_window.csv", "logit_lens.json"]
        if ctx.config.analysis.lens == "tuned":
            tables.append(TRANSLATORS)
        figures = [ctx.paths.figure(name) for name in (FIGURE, WINDOW_FIGURE)]
        return [*(ctx.paths.table(name) for name in tables), controls_path(ctx), *figures]

    def run(self, ctx: RunContext) -> Result:
        from backtracking.figures import mechanism as plots_mechanism
        from backtracking.figures import style as figures
        from backtracking.mechanism.analyses import through_the_lens

        bench = open_bench(ctx, self._work, self.config_keys)
        study = open_study(ctx, self.variant, bench)
        generations = ctx.paths.generation(self.variant, "baseline")
        rows = io.read_jsonl(generations, GenerationRecord, made_by="backtracking generate")
        found = through_the_lens(bench, study, rows)
        if found.translators is not None:
            with io.atomic_path(ctx.paths.table(TRANSLATORS)) as temporary:
                found.translators.save(temporary)
        io.write_csv(ctx.paths.table("logit_lens.csv"), found.table)
        io.write_csv(ctx.paths.table("logit_lens_window.csv"), found.window)
        io.write_json(ctx.paths.table("logit_lens.json"), self._summary(ctx, study, found))
        write_controls(ctx, study)
        figures.save(plots_mechanism.plot_logit_lens(found.table), ctx.paths, FIGURE)
        figures.save(plots_mechanism.plot_lens_window(found.window), ctx.paths, WINDOW_FIGURE)
        return Result(rows=len(study.events), notes=study.notes())

    def resumes_from(self, ctx: RunContext) -> Sequence[Path]:
        return [ctx.paths.work(self._work)]

    @property
    def _work(self) -> str:
        return f"{self.name}-{self.variant}"

    def _summary(self, ctx: RunContext, study: "Study", found: "LensTables") -> dict[str, Any]:
        tokenizer = ctx.model().tokenizer
        families = {target.onset: target.family for target in study.targets}
        return {
            "variant": self.variant,
            "lens": ctx.config.analysis.lens,
            **study.notes(),
            "first_separating_layer": found.first_separations(),
            "families": {
                tokenizer.decode([onset]): {token: tokenizer.decode([token]) for token in family}
                for onset, family in sorted(families.items())
            },
        }
