"""phase2-continuation-ablation: the intervention at the onset step alone, beside matched other positions."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from backtracking.artifacts import phase2 as files
from backtracking.artifacts.kinds import paths
from backtracking.artifacts.registry import with_figures
from backtracking.config.phase2 import Subset
from backtracking.run.inputs import Input
from backtracking.stages.base import SAMPLING_KEYS, Completions, Result, RunContext, Stage
from backtracking.stages.bounds import most_onsets_of_phase1
from backtracking.stages.phase1.generate import note_model
from backtracking.stages.phase1.onset_study import study_inputs
from backtracking.stages.phase2.from_phase1 import phase1_study, vectors
from backtracking.stages.phase2.subsets import buildable_subset, resources, selection_input

if TYPE_CHECKING:
    from backtracking.interventions import Arm
    from backtracking.measurements.controls import Event


@dataclass(frozen=True)
class Phase2ContinuationAblation(Stage):
    """Every scale at the onset step alone."""

    name: ClassVar[str] = "phase2-continuation-ablation"
    phase: ClassVar[Literal[1, 2]] = 2
    config_keys: ClassVar[tuple[str, ...]] = (
        "run.seed",
        "model",
        "detection",
        "analysis.onsets",
        "analysis.stability",
        "analysis.stable_share",
        "phase2.subset_sweep.subsets",
        "phase2.continuation_ablation",
        "phase2.decode_only",
        "ablation_generation.random_control_seed",
        *SAMPLING_KEYS,
    )

    def inputs(self, ctx: RunContext) -> Sequence[Input]:
        """Phase 1's study, and what the subset is made of."""
        asked, phase1 = ctx.phase2.continuation_ablation, ctx.phase1_paths
        variant = ctx.check_variant(asked.variant)
        inputs = study_inputs(ctx, variant, phase1)
        return [*inputs, *selection_input(ctx, [self._subset(ctx)])]

    def outputs(self, ctx: RunContext) -> Sequence[Path]:
        """The onset's chance under each scale, and resumed rows where they are asked for."""
        tables = [files.STEP, files.STEP_SUMMARY]
        if ctx.phase2.continuation_ablation.num_continuations:
            tables += [files.RESUMED, files.RESUMED_SUMMARY]
        return paths(ctx.paths, with_figures(tables))

    def completions(self, ctx: RunContext) -> Completions | None:
        """Rows resumed before an onset, under every scale and unchanged."""
        asked = ctx.phase2.continuation_ablation
        onsets = most_onsets_of_phase1(ctx, asked.variant)
        events = asked.max_events if onsets is None else min(asked.max_events, onsets)
        rows = asked.num_continuations * events * (1 + len(asked.scales))
        return Completions({}, asked.continuation_tokens, unkept=rows, at_most=True) if rows else None

    def run(self, ctx: RunContext) -> Result:
        """Reads the onset's chance at its deciding position under each scale."""
        from backtracking.figures import catalogue as figures
        from backtracking.mechanism.continuations import (
            run_continuation_ablation,
            summarize_continuation_results,
        )
        from backtracking.model.arms import scale_arms
        from backtracking.text.onsets import onset_words
        from backtracking.text.onsets.triggers import Triggers

        asked, model = ctx.phase2.continuation_ablation, ctx.model()
        subset = buildable_subset(ctx, asked.subset_name)
        note_model(ctx)
        arms = scale_arms(asked.subset_name, subset, asked.scales, resources(ctx, asked.variant, [subset]))
        events = phase1_study(ctx, asked.variant, asked.max_events)
        words = onset_words(ctx.config.detection, ctx.config.analysis.onsets)
        triggers = Triggers.of(model.tokenizer, words)
        positions = sum(1 + len(event.controls) for event in events)
        with ctx.reporter.bar("onset step", positions, unit="positions") as bar:
            table = run_continuation_ablation(
                model, events, arms, triggers,
                variant=asked.variant, budget=ctx.config.analysis.batch_tokens,
                vectors=vectors(ctx, asked.variant, arms), bar=bar, executor=ctx.executor,
            )  # fmt: skip
        summary = summarize_continuation_results(table, model.vocab_size)
        figures.publish(ctx.paths, files.STEP, table)
        figures.publish(ctx.paths, files.STEP_SUMMARY, summary)
        if asked.num_continuations:
            self._resume(ctx, events, arms)
        return Result(rows=len(table), notes={"events": len(events)})

    def _resume(self, ctx: RunContext, events: "Sequence[Event]", arms: "Sequence[Arm]") -> None:
        """Sample short continuations from the onset step and see whether an onset comes later."""
        from backtracking.engine.generate import SamplingParams
        from backtracking.figures import catalogue as figures
        from backtracking.mechanism.resumptions import (
            ResumptionPlan,
            sample_resumptions,
            summarize_resumptions,
        )
        from backtracking.text.onsets import Detector

        asked = ctx.phase2.continuation_ablation
        plan = ResumptionPlan(
            count=asked.num_continuations,
            tokens=asked.continuation_tokens,
            sampling=SamplingParams.from_config(ctx.config.generation),
            seed=ctx.config.run.seed,
            budget=ctx.config.analysis.batch_tokens,
            onsets=ctx.config.analysis.onsets,
        )
        samples = sample_resumptions(
            ctx.model(),
            events,
            arms,
            Detector(ctx.config.detection),
            plan,
            vectors(ctx, asked.variant, arms),
            ctx.executor,
        )
        figures.publish(ctx.paths, files.RESUMED, samples)
        figures.publish(ctx.paths, files.RESUMED_SUMMARY, summarize_resumptions(samples))

    def _subset(self, ctx: RunContext) -> Subset:
        return ctx.phase2.subset_sweep.subsets[ctx.phase2.continuation_ablation.subset_name]
