"""What the stages that look inside the model share: their inputs and the onsets they study."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backtracking.measurements.controls import (
    CONTROL_KINDS,
    Event,
    Reading,
    StudyFiles,
    draw_study,
    matching_table,
)
from backtracking.run.provenance import digest
from backtracking.stages.base import EventRows, FileInput, Input, RunContext, select_keys

if TYPE_CHECKING:
    from backtracking.measurements.controls import Event, Reading
    from backtracking.mechanism.readouts import Target

MODEL_KEYS = ("run.seed", "model")
STUDY_KEYS = (
    *MODEL_KEYS,
    "analysis.max_events",
    "analysis.control_samples",
    "analysis.logit_lens_token",
    "analysis.contrast_words",
)


def study_inputs(ctx: RunContext, variant: str) -> Sequence[Input]:
    """Baseline rows only, so that rows of other conditions leave the results fresh."""
    ctx.check_variant(variant)
    return [
        EventRows(ctx.paths.events, variant, "baseline"),
        EventRows(ctx.paths.onsets, variant, "baseline"),
        FileInput(ctx.paths.generation(variant, "baseline"), made_by="backtracking generate"),
    ]


@dataclass(frozen=True)
class Study:
    """The onsets under study with the tokens that each is about."""

    events: "list[Event]"
    targets: "list[Target]"

    def unmatched(self) -> dict[str, int]:
        """How many onsets found no control, by kind."""

        return {kind: sum(kind not in event.controls for event in self.events) for kind in CONTROL_KINDS}

    def notes(self) -> dict[str, Any]:
        problems = {event.at.example_id for event in self.events}
        return {"events": len(self.events), "problems": len(problems), "unmatched": self.unmatched()}


def open_study(ctx: RunContext, variant: str) -> Study:
    """Draw the events of a variant and their controls; the same in every stage of a run."""
    from backtracking.mechanism.readouts import Targets
    from backtracking.text.tokenization import TokenMap

    loaded, config = ctx.model(), ctx.config
    events = draw_study(
        StudyFiles(ctx.paths.events, ctx.paths.onsets, ctx.paths.generation(variant, "baseline")),
        variant,
        max_events=config.analysis.max_events,
        controls=config.analysis.control_samples,
        seed=config.run.seed,
        token_map=TokenMap(loaded.tokenizer),
    )
    targets = Targets(loaded.tokenizer, config.analysis, loaded.eos_token_ids)
    study = Study(events, [targets(event) for event in events])
    for kind, missing in study.unmatched().items():
        if missing:
            ctx.reporter.say(f"  note: {missing} of {len(events)} onsets have no control of kind {kind}")
    return study


def row_key(reading: "Reading", target: "Target", *more: str) -> str:
    """Names what was computed: the position and all that the readings depend on."""
    seen = digest([reading.ids[: reading.pos + 2], target.onset, target.family, dict(target.contrasts)])
    return "/".join([reading.example_id, str(reading.sample_id), str(reading.pos), seen[:16], *more])


def settings_digest(ctx: RunContext, keys: Sequence[str], **more: Any) -> str:
    """All that values depend on beside their position: the config, the weights as they are now, and more."""
    return digest([select_keys(ctx.config.model_dump(mode="json"), keys), ctx.model().fingerprint(), more])


def compute_items(
    ctx: RunContext,
    name: str,
    items: "Sequence[tuple[Reading, Target]]",
    compute: "Callable[[Sequence[tuple[Reading, Target]]], Iterator[tuple[int, dict[str, Any]]]]",
    settings: str,
) -> list[dict[str, Any]]:
    """Compute the values of items, keeping each as it comes."""
    from backtracking.mechanism.partial import compute_resumably

    def of_pending(pending: list[int]) -> Iterator[tuple[int, dict[str, Any]]]:
        for place, values in compute([items[k] for k in pending]):
            yield pending[place], values

    return compute_resumably(
        ctx.paths.work(name),
        [row_key(reading, target) for reading, target in items],
        of_pending,
        settings=settings,
        reporter=ctx.reporter,
        label=name,
    )


def controls_path(ctx: RunContext) -> Path:
    return ctx.paths.table("controls.csv")


def write_controls(ctx: RunContext, study: Study) -> None:
    from backtracking.run import io

    io.write_csv(controls_path(ctx), matching_table(study.events))
