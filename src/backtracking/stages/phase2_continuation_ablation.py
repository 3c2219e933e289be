"""phase2-continuation-ablation: the intervention at the onset step alone, beside matched other positions."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from backtracking import io
from backtracking.analysis import figures, plots_phase2
from backtracking.stages.base import EventRows, FileInput, Input, Result, RunContext, Stage
from backtracking.stages.generate import note_model
from backtracking.stages.phase2_common import resources, selection_input

FIGURE = "phase2_continuation_effect"


@dataclass(frozen=True)
class Phase2ContinuationAblation(Stage):
    name: ClassVar[str] = "phase2-continuation-ablation"
    phase: ClassVar[Literal[1, 2]] = 2
    config_keys: ClassVar[tuple[str, ...]] = (
        "run.seed",
        "model",
        "detection",
        "phase2.subset_sweep.subsets",
        "phase2.continuation_ablation",
    )

    def inputs(self, ctx: RunContext) -> Sequence[Input]:
        asked, phase1 = ctx.phase2.continuation_ablation, ctx.phase1_paths
        variant = ctx.check_variant(asked.variant)
        inputs: list[Input] = [
            EventRows(phase1.events, variant, "baseline"),
            FileInput(phase1.onsets, made_by="backtracking detect-events"),
            FileInput(
                phase1.generation(variant, "baseline"),
                made_by=f"backtracking generate --variant {variant} --condition baseline",
            ),
        ]
        return [*inputs, *selection_input(ctx, self._from_selection(ctx))]

    def outputs(self, ctx: RunContext) -> Sequence[Path]:
        names = ["continuation_ablation_results.csv", "continuation_ablation_summary.csv"]
        return [*map(ctx.paths.table, names), ctx.paths.figure(FIGURE)]

    def run(self, ctx: RunContext) -> Result:
        from backtracking.analysis.arms import scale_arms
        from backtracking.analysis.continuations import (
            run_continuation_ablation,
            summarize_continuation_results,
        )
        from backtracking.analysis.controls import StudyFiles, draw_study
        from backtracking.tokenization import TokenFamilies, TokenMap

        asked, model, phase1 = ctx.phase2.continuation_ablation, ctx.model(), ctx.phase1_paths
        note_model(ctx)
        subset = ctx.phase2.subset_sweep.subsets[asked.subset_name]
        arms = scale_arms(
            asked.subset_name, subset, asked.scales, resources(ctx, from_selection=self._from_selection(ctx))
        )
        events = draw_study(
            StudyFiles(phase1.events, phase1.onsets, phase1.generation(asked.variant, "baseline")),
            asked.variant,
            max_events=asked.max_events,
            controls=asked.max_events,
            seed=ctx.config.run.seed,
            token_map=TokenMap(model.tokenizer),
        )
        detection = ctx.config.detection
        families = TokenFamilies(model.tokenizer).of_all(
            (*detection.triggers_strict, *detection.triggers_relaxed)
        )
        with ctx.reporter.bar("onset step", None, unit="positions") as bar:
            table = run_continuation_ablation(
                model, events, arms, families,
                variant=asked.variant, budget=ctx.config.analysis.batch_tokens, bar=bar,
            )  # fmt: skip
        summary = summarize_continuation_results(table)
        io.write_csv(ctx.paths.table("continuation_ablation_results.csv"), table)
        io.write_csv(ctx.paths.table("continuation_ablation_summary.csv"), summary)
        figures.save(plots_phase2.plot_continuation_ablation_effect(summary), ctx.paths, FIGURE)
        return Result(rows=len(table), notes={"events": len(events)})

    def _from_selection(self, ctx: RunContext) -> bool:
        return ctx.phase2.subset_sweep.subsets[
            ctx.phase2.continuation_ablation.subset_name
        ].from_selected_layers
