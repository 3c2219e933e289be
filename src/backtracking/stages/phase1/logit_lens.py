"""logit-lens: the onset token through the layers, against matched controls."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from backtracking.run import io
from backtracking.stages.base import Input, Result, RunContext, Stage
from backtracking.stages.phase1.mechanism import (
    STUDY_KEYS,
    Study,
    compute_items,
    controls_path,
    open_study,
    settings_digest,
    study_inputs,
    write_controls,
)

if TYPE_CHECKING:
    from backtracking.mechanism.logit_lens import Translate

FIGURE = "wait_logit_lens_bt_vs_control"
WINDOW_FIGURE = "logit_lens_window"
TRANSLATORS = "lens_translators.safetensors"
FITTING_ROWS = 120


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
        from backtracking.mechanism.logit_lens import LensReadings, items_of, lens_table, window_table

        study = open_study(ctx, self.variant)
        keys, items = items_of(study.events, study.targets)
        found = self._read(ctx, items)
        readings = LensReadings(study.events, dict(zip(keys, found, strict=True)))
        table, window = lens_table(readings), window_table(readings)
        io.write_csv(ctx.paths.table("logit_lens.csv"), table)
        io.write_csv(ctx.paths.table("logit_lens_window.csv"), window)
        summary = self._summary(ctx, study, table)
        io.write_json(ctx.paths.table("logit_lens.json"), summary)
        write_controls(ctx, study)
        figures.save(plots_mechanism.plot_logit_lens(table), ctx.paths, FIGURE)
        figures.save(plots_mechanism.plot_lens_window(window), ctx.paths, WINDOW_FIGURE)
        return Result(rows=len(study.events), notes=study.notes())

    def resumes_from(self, ctx: RunContext) -> Sequence[Path]:
        return [ctx.paths.work(self._work)]

    @property
    def _work(self) -> str:
        return f"{self.name}-{self.variant}"

    def _read(self, ctx: RunContext, items: Sequence[Any]) -> list[dict[str, Any]]:
        from backtracking.mechanism.logit_lens import read_lens

        loaded, budget = ctx.model(), ctx.config.analysis.batch_tokens
        translate, fitted_on = self._translators(ctx, items)
        settings = settings_digest(ctx, self.config_keys, variant=self.variant, fitted_on=fitted_on)
        return compute_items(
            ctx,
            self._work,
            items,
            lambda some: read_lens(loaded, some, budget, translate),
            settings,
        )

    def _translators(self, ctx: RunContext, items: Sequence[Any]) -> "tuple[Translate, list[list[int]]]":
        """How states are read: as they are, or through translators fitted on rows that are not studied."""
        from backtracking.mechanism.logit_lens import untranslated

        if ctx.config.analysis.lens == "logit":
            return untranslated, []
        from backtracking.mechanism.tuned_lens import fit_translators, sample_states
        from backtracking.run.seed import derive_seed

        loaded, seed = ctx.model(), derive_seed(ctx.config.run.seed, "tuned-lens", self.variant)
        rows = self._fitting_rows(ctx, {(at.example_id, at.sample_id) for at, _ in items})
        states = sample_states(loaded, rows, ctx.config.analysis.batch_tokens, seed)
        with ctx.reporter.bar(f"{self.name} translators", loaded.n_layers - 1, "layers") as bar:
            translators = fit_translators(loaded, states, seed, bar)
        with io.atomic_path(ctx.paths.table(TRANSLATORS)) as temporary:
            translators.save(temporary)
        return translators, rows

    def _fitting_rows(self, ctx: RunContext, studied: set[tuple[str, int]]) -> list[list[int]]:
        from backtracking.run.records import GenerationRecord

        path = ctx.paths.generation(self.variant, "baseline")
        kept: dict[bool, list[list[int]]] = {True: [], False: []}
        for record in io.read_jsonl(path, GenerationRecord, made_by="backtracking generate"):
            rows = kept[(record.example_id, record.sample_id) in studied]
            if len(rows) < FITTING_ROWS:
                rows.append([*record.prompt_ids, *record.completion_ids])
        if not kept[False]:
            ctx.reporter.say("  note: every row is studied, so the translators are fitted on studied rows")
        return kept[False] or kept[True]

    def _summary(self, ctx: RunContext, study: Study, table: Any) -> dict[str, Any]:
        from backtracking.measurements.controls import CONTROL_KINDS
        from backtracking.mechanism.logit_lens import first_separation

        tokenizer = ctx.model().tokenizer
        families = {target.onset: target.family for target in study.targets}
        return {
            "variant": self.variant,
            "lens": ctx.config.analysis.lens,
            **study.notes(),
            "first_separating_layer": {kind: first_separation(table, kind) for kind in CONTROL_KINDS},
            "families": {
                tokenizer.decode([onset]): {token: tokenizer.decode([token]) for token in family}
                for onset, family in sorted(families.items())
            },
        }
