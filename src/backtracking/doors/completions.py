"""A run's completions as typed rows: the problem, what was said under which arm, and what was measured."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow.parquet import ParquetWriter

from backtracking.artifacts.columns import EVENT
from backtracking.artifacts.phase1 import ONSETS
from backtracking.config.onsets import TURN_KINDS
from backtracking.explore.study import ArmFile, MeasuredRun, rows_with_places
from backtracking.measurements.events import EVENT_COLUMNS, ONSET_COLUMNS, Measured
from backtracking.run.records import GenerationRecord

ROWS_AT_ONCE = 512
"""How many rows are held in memory."""

ExportRow = dict[str, Any]

_TEXTS = (
    *("example_id", "variant", "condition", "onset_phrase", "onset_token_text", "predicted_answer"),
    *("finish_reason", "answer_rule", "onset_kind", "onset_region", "phrase", "kind", "region", "token_text"),
)
_FLAGS = (
    *("is_correct", "truncated", "has_gold", "preceded_by_error", "clause_start"),
    *("has_backtracking_strict", "has_backtracking_relaxed"),
    *(f"{kind}_{place}" for kind in ("strict", "relaxed") for place in ("anywhere", "clause_start")),
    *(f"has_{kind}" for kind in TURN_KINDS),
)
IDENTITY = ("example_id", "sample_id", "variant", "condition", "draw")
GIVEN = {
    "run": (pa.string(), "id of the run"),
    "question": (pa.string(), "the problem"),
    "gold": (pa.string(), "its gold answer; empty where it has none"),
    "prompt": (pa.string(), "what the model read, as text"),
    "completion": (pa.string(), "what it wrote, as text"),
    "prompt_ids": (pa.list_(pa.int32()), "the prompt's token ids"),
    "completion_ids": (pa.list_(pa.int32()), "the completion's token ids; empty for texts from elsewhere"),
    "logprobs": (pa.list_(pa.float32()), "log-probability of each token, where the run stored them"),
    "entropies": (
        pa.list_(pa.float32()),
        "entropy of each token's choice in nats, where the run stored them",
    ),
    "seed_key": (pa.string(), "what the row's sampling noise is a function of"),
    "gen_params": (pa.string(), "how it was sampled, as JSON"),
}
"""Columns that are not measured."""


def _type(column: str) -> pa.DataType:
    if column in _TEXTS:
        return pa.string()
    return pa.bool_() if column in _FLAGS else pa.int64()


ONSET_FIELDS = tuple(name for name in ONSET_COLUMNS if name not in (*IDENTITY, "onset_index"))
ONSET_TYPE = pa.list_(pa.struct([pa.field(name, _type(name)) for name in ONSET_FIELDS]))
MEANINGS = {
    **{name: about for name, (_, about) in GIVEN.items()},
    **{name: EVENT[name] for name in EVENT_COLUMNS},
    "onsets": "every onset, in the order of the text: "
    + "; ".join(f"`{name}`: {ONSETS.columns[name]}" for name in ONSET_FIELDS),
}
"""What each column says."""
SCHEMA = pa.schema(
    [
        pa.field("run", pa.string()),
        *(pa.field(name, _type(name)) for name in IDENTITY),
        *(pa.field(name, kind) for name, (kind, _) in GIVEN.items() if name != "run"),
        *(pa.field(name, _type(name)) for name in EVENT_COLUMNS if name not in IDENTITY),
        pa.field("onsets", ONSET_TYPE),
    ]
)
"""The columns of a row, with their types."""


@dataclass(frozen=True)
class MeasuredCompletion:
    """One completion with what was measured of it."""

    study: MeasuredRun
    record: GenerationRecord
    measured: Measured

    @property
    def question(self) -> str:
        """The problem as it was put to the model."""
        return self.study.problems[self.record.example_id].question

    @property
    def gold(self) -> str:
        """The right answer."""
        return self.study.problems[self.record.example_id].answer_value

    @property
    def onsets(self) -> list[ExportRow]:
        """Onsets of all kinds, in the order of the text."""
        onsets = [*self.measured.onsets, *self.measured.turns]
        return sorted(onsets, key=lambda onset: (onset["char_start"], onset["char_end"]))

    def row(self) -> ExportRow:
        """The columns of `SCHEMA`."""
        record = self.record
        given = {
            "run": self.study.name,
            "question": self.question,
            "gold": self.gold,
            "gen_params": json.dumps(record.gen_params, sort_keys=True),
        }
        stored = {name: getattr(record, name) for name in GIVEN if name not in given}
        onsets = [{name: onset.get(name) for name in ONSET_FIELDS} for onset in self.onsets]
        return {**self.measured.event, **stored, **given, "onsets": onsets}


def completions(study: MeasuredRun, arm: ArmFile) -> Iterator[MeasuredCompletion]:
    """The completions of an arm; failed ones, and those of problems that are gone, are left out."""
    for _, record in rows_with_places(study, arm):
        if record.finish_reason != "error" and record.example_id in study.problems:
            yield MeasuredCompletion(study, record, study.reader(record))


def write_parquet(study: MeasuredRun, arm: ArmFile, path: Path) -> int:
    """The rows of an arm as one Parquet file; how many there are."""
    path.parent.mkdir(parents=True, exist_ok=True)
    written = 0
    with ParquetWriter(path, SCHEMA, compression="zstd") as writer:
        rows = (completion.row() for completion in completions(study, arm))
        for part in _parts(rows):
            writer.write_batch(pa.RecordBatch.from_pylist(part, schema=SCHEMA))
            written += len(part)
    return written


def _parts(rows: Iterable[ExportRow]) -> Iterator[list[ExportRow]]:
    ahead = iter(rows)
    while part := list(islice(ahead, ROWS_AT_ONCE)):
        yield part


OnCounted = Callable[[ArmFile, int], None]
"""Is told of each arm that was written, with the number of its rows."""


def write_arms(
    study: MeasuredRun, arms: Sequence[ArmFile], place: Callable[[ArmFile], Path], told: OnCounted
) -> int:
    """A Parquet file for every arm that has rows, where `place` says; how many rows there are."""
    total = 0
    for arm in arms:
        rows = write_parquet(study, arm, place(arm))
        told(arm, rows)
        total += rows
    return total
