"""The same prefixes under every arm: right baseline rows up to a step, as it was and with a wrong result."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd

from backtracking.engine.executor.work import HERE, Executor
from backtracking.engine.generate import Prompt, Row, SamplingParams, generate_rows
from backtracking.interventions import Arm, Condition
from backtracking.measurements.events import EventReader
from backtracking.measurements.fixed_prefixes import INJECTED, KINDS, ROW_COLUMNS
from backtracking.measurements.injections import Pair, Rewriter
from backtracking.model.loading import LoadedModel
from backtracking.run.provenance import digest
from backtracking.run.records import GenerationRecord, RowId
from backtracking.sweeps.sweep import SweepJob
from backtracking.text.arithmetic.steps import read_steps
from backtracking.text.tokenization import TokenMap

if TYPE_CHECKING:
    from torch import Tensor

    from backtracking.text.onsets.triggers import Phrase

Read = Callable[[Collection[RowId]], Mapping[RowId, GenerationRecord]]


def draw_prefixes(rewriter: Rewriter, keys: Sequence[RowId], read: Read, count: int) -> list[Pair]:
    """One wrong rewrite of each of the first `count` rows that have one; rows are read as they are needed."""
    wrong: list[Pair] = []
    for start in range(0, len(keys), max(count, 1)):
        chosen = keys[start : start + count]
        records = read(chosen)
        for key in chosen:
            pairs, _ = rewriter.pairs(records[key])
            wrong += [pair for pair in pairs if pair.is_wrong][:1]
            if len(wrong) >= count:
                return wrong[:count]
    return wrong


@dataclass(frozen=True)
class Task:
    """One completion to make: a prefix, which of its two readings, and what is done to the model."""

    prefix: Pair
    kind: str
    arm: str
    condition: Condition

    @property
    def example_id(self) -> str:
        """Every prefix is a prompt of its own, and so an example of its own."""
        return f"{self.prefix.example_id}/{self.prefix.sample_id}/{self.kind}"

    @property
    def ids(self) -> tuple[int, ...]:
        """Prompt and completion up to the position whose output begins the next sentence."""
        text = self.prefix.corrupted if self.kind == INJECTED else self.prefix.clean
        return text[: self.prefix.decision + 1]

    @property
    def given(self) -> tuple[int, ...]:
        """The completion's part: the arm acts on it, as it does on what it writes itself."""
        return self.ids[self.prefix.prompt_tokens :]

    def row(self, variant: str) -> Row:
        """The completion to make."""
        prompt = Prompt(self.example_id, variant, "", self.ids[: self.prefix.prompt_tokens])
        return Row(prompt, self.prefix.sample_id, self.condition, self.given)

    @property
    def key(self) -> str:
        """What the completion depends on, beside the settings that all share."""
        made_with = digest([self.ids, self.condition.model_dump(mode="json")])
        return f"{self.example_id}/{self.arm}/{self.condition.draw}/{made_with[:16]}"

    def line(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The completion as a line of the table."""
        named = {"example_id": self.prefix.example_id, "sample_id": self.prefix.sample_id, "kind": self.kind}
        rewrite = {"rewrite": self.prefix.kind, "step": self.prefix.original, "changed": self.prefix.changed}
        return named | {"arm": self.arm, "draw": self.condition.draw} | rewrite | dict(values)


def tasks_of(
    prefixes: Sequence[Pair], arms: Sequence[Arm], kinds: Sequence[Literal["injected", "right"]] = KINDS
) -> list[Task]:
    """Every arm at every prefix; the draws of a random arm take turns over prefixes."""
    return [
        Task(prefix, kind, arm.name, arm.for_row(number, 0))
        for number, prefix in enumerate(prefixes)
        for kind in kinds
        for arm in arms
    ]


@dataclass(frozen=True)
class Writer:
    """What writes on from a prefix, and how the text is read."""

    model: LoadedModel
    reader: EventReader
    variant: str
    sampling: SamplingParams
    seed: int
    slots: int | Literal["auto"] = "auto"
    engine: Literal["batched", "reference"] = "batched"
    vectors: "Mapping[str, Tensor]" = field(default_factory=dict)
    onset_phrases: "Collection[Phrase]" = ()
    executor: Executor = HERE

    @classmethod
    def of(cls, job: SweepJob) -> "Writer":
        """What a sweep writes with."""
        return cls(
            model=job.model,
            reader=job.reader,
            variant=job.prompts[0].variant,
            sampling=job.sampling,
            seed=job.seed,
            slots=job.slots,
            engine=job.engine,
            vectors=job.vectors,
            onset_phrases=job.onset_phrases,
            executor=job.executor,
        )

    @cached_property
    def _token_map(self) -> TokenMap:
        return TokenMap(self.model.tokenizer)

    def write_on(self, tasks: Sequence[Task]) -> Iterator[tuple[int, dict[str, Any]]]:
        """The place of each task with what its completion shows, as they finish; failed ones show nothing."""
        places = {
            (task.example_id, task.condition.name, task.condition.draw): place
            for place, task in enumerate(tasks)
        }
        for record in generate_rows(
            self.model,
            [task.row(self.variant) for task in tasks],
            self.sampling,
            seed=self.seed,
            slots=self.slots,
            engine=self.engine,
            vectors=self.vectors,
            onset_phrases=self.onset_phrases,
            executor=self.executor,
        ):
            place = places[record.example_id, record.condition, record.draw]
            yield place, self._shown(record, tasks[place])

    def _shown(self, record: GenerationRecord, task: Task) -> dict[str, Any]:
        """What was written behind the prefix; an onset follows only if no further statement comes first."""
        if record.finish_reason == "error":
            return {"finish_reason": "error"}
        tokens = self._token_map(record.completion_ids, record.completion)
        behind = record.completion[tokens.char_span(0, len(task.given))[1] :]
        changes = {"example_id": task.prefix.example_id, "completion": behind, "completion_ids": []}
        event = self.reader(record.model_copy(update=changes)).event
        onset = int(event["onset_char"]) if event["has_backtracking_strict"] else -1
        next_step = next((step.start for step in read_steps(behind)), len(behind))
        return {
            "onset_follows": 0 <= onset < next_step,
            "is_correct": event["is_correct"] is True,
            "finish_reason": record.finish_reason,
            "completion_tokens": record.completion_tokens - len(task.given),
        }


def as_table(tasks: Sequence[Task], values: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """One line per completion; a prefix that failed under some arm is left out of all arms."""
    lines = [task.line(shown) for task, shown in zip(tasks, values, strict=True)]
    failed = {(line["example_id"], line["sample_id"]) for line in lines if line["finish_reason"] == "error"}
    kept = [line for line in lines if (line["example_id"], line["sample_id"]) not in failed]
    return pd.DataFrame(kept, columns=ROW_COLUMNS).astype({"draw": "Int64"})


def write_all(writer: Writer, tasks: Sequence[Task]) -> pd.DataFrame:
    """All tasks at once, kept nowhere."""
    shown = dict(writer.write_on(tasks))
    return as_table(tasks, [shown[place] for place in range(len(tasks))])
