"""A study: the onsets that are looked into, the tokens each is about, and the bench they are read on."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from backtracking.config.schema import AnalysisConfig
from backtracking.measurements.controls import CONTROL_KINDS, Event, Reading
from backtracking.mechanism.partial import Values
from backtracking.run.progress import Quiet, Reporter

if TYPE_CHECKING:
    from backtracking.engine.executor.work import Executor
    from backtracking.mechanism.grouped import Reads
    from backtracking.mechanism.phrases import Chances
    from backtracking.mechanism.readouts import Target
    from backtracking.model.loading import LoadedModel

Item = tuple[Reading, "Target"]


def _this_process() -> "Executor":
    from backtracking.engine.executor.work import HERE

    return HERE


@dataclass(frozen=True)
class Bench:
    """A loaded model and how it is read; what is read is handed out and kept nowhere."""

    loaded: "LoadedModel"
    config: AnalysisConfig
    triggers: Sequence[str]
    """The phrases that count as an onset of the kind under study."""
    seed: int
    reporter: Reporter = field(default_factory=Quiet)
    executor: "Executor" = field(default_factory=_this_process)

    def values(
        self, part: str, items: Sequence[Item], reads: "Reads[Item]", **_depends_on: Any
    ) -> list[Values]:
        """What is read at every item, in their order; `_depends_on` is what else decides it."""
        read: dict[int, Values] = {}
        with self.reporter.bar(part or "reading", len(items), "positions") as bar:
            for place, values in self._read(items, reads, self._groups(items)):
                read[place] = values
                bar.advance()
        return [read[place] for place in range(len(items))]

    def _groups(self, items: Sequence[Item]) -> list[list[int]]:
        """Places of items that are read together."""
        from backtracking.mechanism.passes import batches

        return list(batches([at.pos + 2 for at, _ in items], self.config.batch_tokens))

    def _read(
        self, items: Sequence[Item], reads: "Reads[Item]", groups: Sequence[Sequence[int]]
    ) -> Iterator[tuple[int, Values]]:
        from backtracking.mechanism.grouped import read_groups

        return read_groups(self.loaded, reads, items, groups, self.executor)


@dataclass(frozen=True)
class Study:
    """The onsets of one prompt variant with the tokens that each is about."""

    variant: str
    events: Sequence[Event]
    targets: "Sequence[Target]"
    chances: "Mapping[Reading, Chances]" = field(default_factory=dict)
    """How phrases of several pieces go on at each position; where that is not known, first pieces count."""

    @classmethod
    def of(cls, variant: str, events: Sequence[Event], bench: Bench) -> "Study":
        """The events with their targets; onsets that found no control are told."""
        from backtracking.mechanism.readouts import Targets

        targets = Targets(bench.loaded.tokenizer, bench.config, bench.triggers, bench.loaded.eos_token_ids)
        study = cls(variant, events, [targets(event) for event in events])
        for kind, missing in study.unmatched().items():
            if missing:
                bench.reporter.say(
                    f"  note: {missing} of {len(events)} onsets have no control of kind {kind}"
                )
        return study

    def weighed(self, bench: Bench) -> "Study":
        """The same study, knowing at each of its positions how phrases of several pieces go on there."""
        from backtracking.mechanism.phrases import in_pieces, read_chances

        phrases = in_pieces(sorted({ids for target in self.targets for ids in target.phrases}))
        if not phrases:
            return self
        items = [self.item(number, at) for number, event in enumerate(self.events) for at in event.positions]
        reads = partial(read_chances, phrases=phrases, budget=bench.config.batch_tokens)
        read = bench.values("phrases", items, reads, phrases=phrases)
        chances = {
            at: dict(zip(phrases, values["chances"], strict=True))
            for (at, _), values in zip(items, read, strict=True)
        }
        return replace(self, chances=chances)

    def item(self, number: int, at: Reading) -> Item:
        """A position with the target of an event, as phrases go on there."""
        return at, self.targets[number].where(self.chances.get(at, {}))

    @property
    def items(self) -> list[Item]:
        """Each onset's position with its target."""
        return [self.item(number, event.at) for number, event in enumerate(self.events)]

    @property
    def matched(self) -> Mapping[int, Reading]:
        """The `matched_row` control of each event that has one."""
        return {
            number: event.controls["matched_row"]
            for number, event in enumerate(self.events)
            if "matched_row" in event.controls
        }

    def unmatched(self) -> dict[str, int]:
        """How many onsets found no control, by kind."""
        return {kind: sum(kind not in event.controls for event in self.events) for kind in CONTROL_KINDS}

    def notes(self) -> dict[str, Any]:
        """How much was studied, for a run's record."""
        problems = {event.at.example_id for event in self.events}
        return {"events": len(self.events), "problems": len(problems), "unmatched": self.unmatched()}
