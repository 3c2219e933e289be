"""error-injection: whether wrong results bring the onset on, and which components carry that signal."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from backtracking.artifacts import phase1 as files
from backtracking.artifacts import readings
from backtracking.artifacts.kinds import paths
from backtracking.artifacts.registry import with_figures
from backtracking.run.inputs import Input
from backtracking.run.records import BASELINE_NAME
from backtracking.stages.base import Result, RunContext, Stage
from backtracking.stages.phase1.bench import MODEL_KEYS, settings_digest
from backtracking.stages.phase1.onset_study import held_out, split_inputs
from backtracking.stages.prefixes import check_problems

if TYPE_CHECKING:
    from backtracking.measurements.injections import Pair
    from backtracking.run.records import GenerationRecord
    from backtracking.text.onsets.triggers import Phrase


@dataclass(frozen=True)
class ErrorInjection(Stage):
    """Right steps of one variant made wrong."""

    variant: str

    name: ClassVar[str] = "error-injection"
    phase: ClassVar[Literal[1, 2]] = 1
    unit: ClassVar[str] = "pair"
    config_keys: ClassVar[tuple[str, ...]] = (
        *MODEL_KEYS,
        "analysis.problems",
        "analysis.max_injections",
        "analysis.onsets",
        "detection",
        "-detection.answer_regex",
    )

    def inputs(self, ctx: RunContext) -> Sequence[Input]:
        """The baseline's events and completions of the variant."""
        ctx.check_variant(self.variant)
        return [
            *split_inputs(ctx),
            files.EVENTS.rows(ctx.paths, self.variant, BASELINE_NAME),
            files.GENERATIONS.of(ctx.paths, variant=self.variant, condition=BASELINE_NAME),
        ]

    def outputs(self, ctx: RunContext) -> Sequence[Path]:
        """Every pair, its summaries, and where patching undoes the error."""
        tables = [readings.INJECTION, readings.INJECTION_SUMMARY, readings.INJECTION_CURVE, readings.PATCHING]
        return paths(ctx.paths, with_figures(tables))

    def run(self, ctx: RunContext) -> Result:
        """Makes right steps wrong and reads how the model's wish for an onset changes."""
        from backtracking.figures import catalogue as figures
        from backtracking.mechanism.error_injection import (
            curve_table,
            injection_table,
            read_pairs,
            summary_table,
        )

        pairs, notes = self._pairs(ctx)
        phrases = self._phrases(ctx)
        values = self._resumed(ctx, "read", pairs, phrases, read_pairs)
        table = injection_table(pairs, values)
        summary, curve = summary_table(table), curve_table(table)
        figures.publish(ctx.paths, readings.INJECTION, table)
        figures.publish(ctx.paths, readings.INJECTION_SUMMARY, summary)
        figures.publish(ctx.paths, readings.INJECTION_CURVE, curve)
        self._patch(ctx, pairs, phrases)
        return Result(rows=len(pairs), notes={"pairs": len(pairs), **notes})

    def work_files(self, ctx: RunContext) -> Sequence[Path]:
        """The pairs read and patched so far."""
        return [ctx.paths.work(self._work(part)) for part in ("read", "patch")]

    def _work(self, part: str) -> str:
        return f"{self.name}-{self.variant}-{part}"

    def _pairs(self, ctx: RunContext) -> "tuple[list[Pair], dict[str, Any]]":
        """Rewrites of right steps in right baseline rows, spread over problems, and what gave none."""
        from backtracking.claims.wording import counted
        from backtracking.measurements.injections import Rewriter
        from backtracking.text.onsets import Detector
        from backtracking.text.tokenization import TokenMap

        tokenizer, chosen = ctx.model().tokenizer, self._right_rows(ctx)
        rewriter = Rewriter(tokenizer, TokenMap(tokenizer), Detector(ctx.config.detection))
        pairs: list[Pair] = []
        missing: Counter[str] = Counter()
        without_step = 0
        for record in chosen:
            made, lacking = rewriter.pairs(record)
            pairs += made
            without_step += not made and not lacking
            missing.update(lacking)
        check_problems(pairs, chosen)
        if without_step:
            ctx.reporter.say(
                f"  note: {without_step} of {len(chosen)} completions have no right step before a sentence"
            )
        for kind, count in missing.items():
            completions = counted(count, "completion")
            ctx.reporter.say(f"  note: {kind} was not possible in {completions}")
        return pairs, {
            "rows": len(chosen),
            "rows_without_a_step": without_step,
            "kinds_without_a_rewrite": dict(missing),
        }

    def _right_rows(self, ctx: RunContext) -> "list[GenerationRecord]":
        """Right baseline rows, spread over problems."""
        from backtracking.measurements.controls import read_baseline, read_records, spread_over_problems
        from backtracking.run.seed import derive_seed

        rows = read_baseline(files.EVENTS.path(ctx.paths), self.variant)
        rows = rows[(rows["is_correct"] == "True") & ~rows["example_id"].isin(held_out(ctx))]
        keys = list(zip(rows["example_id"], rows["sample_id"].astype(int), strict=True))
        order = spread_over_problems(
            list(rows["example_id"]),
            ctx.config.analysis.max_injections,
            derive_seed(ctx.config.run.seed, "injections"),
        )
        chosen = [keys[k] for k in order]
        path = files.GENERATIONS.path(ctx.paths, variant=self.variant, condition=BASELINE_NAME)
        records = read_records(path, set(chosen))
        return [records[key] for key in chosen]

    def _phrases(self, ctx: RunContext) -> "tuple[Phrase, ...]":
        """Every spelling of a trigger of the kind under study."""
        from backtracking.text.onsets import onset_words
        from backtracking.text.onsets.triggers import Triggers

        words = onset_words(ctx.config.detection, ctx.config.analysis.onsets)
        return Triggers.of(ctx.model().tokenizer, words).phrases

    def _resumed(
        self, ctx: RunContext, part: str, pairs: "Sequence[Pair]", phrases: "Sequence[Phrase]", reads: Any
    ) -> list[dict[str, Any]]:
        from backtracking.mechanism.grouped import read_groups
        from backtracking.mechanism.partial import compute_resumably
        from backtracking.mechanism.passes import batches
        from backtracking.run.provenance import digest

        budget = ctx.config.analysis.batch_tokens
        reads = partial(reads, phrases=phrases, budget=budget)
        return compute_resumably(
            ctx.paths.work(self._work(part)),
            [f"{p.example_id}/{p.sample_id}/{p.kind}/{digest([p.clean, p.corrupted])[:16]}" for p in pairs],
            lambda groups: read_groups(ctx.model(), reads, pairs, groups, ctx.executor),
            settings=settings_digest(ctx, MODEL_KEYS, phrases=phrases),
            reporter=ctx.reporter,
            label=f"{self.key} {part}",
            unit="pairs",
            together=list(batches([2 * len(p.clean) for p in pairs], budget)),
        )

    def _patch(self, ctx: RunContext, pairs: "list[Pair]", phrases: "Sequence[Phrase]") -> None:
        """Patch one wrong pair per row, the first kind it has."""
        from backtracking.figures import catalogue as figures
        from backtracking.mechanism.passes import components
        from backtracking.mechanism.patching import patch_pairs, patching_table

        first: dict[tuple[str, int], Pair] = {}
        for pair in pairs:
            if pair.is_wrong:
                first.setdefault((pair.example_id, pair.sample_id), pair)
        chosen = list(first.values())
        values = self._resumed(ctx, "patch", chosen, phrases, patch_pairs)
        table = patching_table(chosen, values, list(components(ctx.model())))
        figures.publish(ctx.paths, readings.PATCHING, table)
