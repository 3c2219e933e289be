"""onset-stability: how often onsets come again when their prefixes are sampled again."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from backtracking.artifacts import readings
from backtracking.artifacts.kinds import paths
from backtracking.artifacts.registry import with_figures
from backtracking.measurements.stability import continuation_tokens
from backtracking.run.inputs import Input
from backtracking.stages.base import SAMPLING_KEYS, Completions, Result, RunContext, Stage
from backtracking.stages.bounds import most_onsets
from backtracking.stages.phase1.bench import MODEL_KEYS, settings_digest
from backtracking.stages.phase1.onset_study import all_onsets, onset_inputs

if TYPE_CHECKING:
    from backtracking.measurements.controls import Event, Reading
    from backtracking.mechanism.stability import Again

NONE = -1
SAMPLED = (
    *MODEL_KEYS,
    "detection",
    "-detection.answer_regex",
    "analysis.onsets",
    "analysis.stability_events",
    "analysis.stability_samples",
    "analysis.stability_window",
    *SAMPLING_KEYS,
)


@dataclass(frozen=True)
class OnsetStability(Stage):
    """Onsets of one variant, sampled again."""

    variant: str

    name: ClassVar[str] = "onset-stability"
    phase: ClassVar[Literal[1, 2]] = 1
    unit: ClassVar[str] = "completion"
    config_keys: ClassVar[tuple[str, ...]] = (*SAMPLED, "analysis.stable_share")

    def inputs(self, ctx: RunContext) -> Sequence[Input]:
        """The onsets and the completions that hold them."""
        return onset_inputs(ctx, self.variant)

    def outputs(self, ctx: RunContext) -> Sequence[Path]:
        """How often each onset comes again, and the summary."""
        return paths(ctx.paths, with_figures([readings.STABILITY, readings.STABILITY_SUMMARY]))

    def completions(self, ctx: RunContext) -> Completions:
        """Several samples and a greedy one, from each onset and from each control."""
        asked = ctx.config.analysis
        events = min(asked.stability_events, most_onsets(ctx, self.variant))
        rows = 2 * events * (asked.stability_samples + 1)
        tokens = continuation_tokens(asked.stability_window, asked.onsets)
        return Completions({}, tokens, unkept=rows, at_most=True)

    def work_files(self, ctx: RunContext) -> Sequence[Path]:
        """The continuations so far, sampled and greedy."""
        return [ctx.paths.work(name) for name in (self._work, f"{self._work}-greedy")]

    def run(self, ctx: RunContext) -> Result:
        """Samples on from before each onset and counts how often it comes again."""
        from backtracking.figures import catalogue as figures
        from backtracking.measurements.stability import stability_summary, stability_table

        asked = ctx.config.analysis
        events = all_onsets(ctx, self.variant, asked.stability_events, asked.stability_events)
        again = self._how(ctx)
        greedy = replace(again, samples=1, sampling=replace(again.sampling, do_sample=False))
        begins = self._begins(ctx, events, again, self._work)
        likeliest = self._begins(ctx, events, greedy, f"{self._work}-greedy")
        table = stability_table(events, begins, likeliest, asked.stability_window, self.variant)
        summary = stability_summary(table, asked.stable_share)
        figures.publish(ctx.paths, readings.STABILITY, table)
        figures.publish(ctx.paths, readings.STABILITY_SUMMARY, summary)
        written = sum(len(drawn) for drawn in (*begins.values(), *likeliest.values()))
        return Result(rows=written, notes={"events": len(events)})

    @property
    def _work(self) -> str:
        return f"{self.name}-{self.variant}"

    def _how(self, ctx: RunContext) -> "Again":
        from backtracking.engine.generate import SamplingParams
        from backtracking.mechanism.stability import Again
        from backtracking.run.seed import derive_seed

        asked = ctx.config.analysis
        return Again(
            samples=asked.stability_samples,
            window=asked.stability_window,
            sampling=SamplingParams.from_config(ctx.config.generation),
            seed=derive_seed(ctx.config.run.seed, self.name, self.variant),
            onsets=asked.onsets,
        )

    def _begins(
        self, ctx: RunContext, events: "Sequence[Event]", how: "Again", work: str
    ) -> "dict[Reading, list[int | None]]":
        """Of every position the onsets of its continuations, kept as they come."""
        from backtracking.measurements.stability import sampled_positions
        from backtracking.mechanism.partial import compute_resumably
        from backtracking.mechanism.stability import sample_again
        from backtracking.text.onsets import Detector

        positions = [at for _, _, at in sampled_positions(events)]
        wanted = [(at, sample) for at in dict.fromkeys(positions) for sample in range(how.samples)]

        def sampled(groups: Sequence[Sequence[int]]) -> Iterator[tuple[int, dict[str, Any]]]:
            pending = list(chain.from_iterable(groups))
            some = [wanted[k] for k in pending]
            drawn = sample_again(ctx.model(), some, Detector(ctx.config.detection), how, ctx.executor)
            for place, begin in drawn:
                yield pending[place], {"begins": NONE if begin is None else begin}

        values = compute_resumably(
            ctx.paths.work(work),
            [f"{at.example_id}/{at.sample_id}/{at.pos}/{sample}" for at, sample in wanted],
            sampled,
            settings=settings_digest(ctx, SAMPLED, prefixes=[at.seen for at, _ in wanted[:: how.samples]]),
            reporter=ctx.reporter,
            label=self.key,
            unit="completions",
        )
        begins: dict[Reading, list[int | None]] = {}
        for (at, _), drawn in zip(wanted, values, strict=True):
            begins.setdefault(at, []).append(None if drawn["begins"] == NONE else drawn["begins"])
        return begins
