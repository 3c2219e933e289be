"""Generate completions: rows in any order, under any mix of conditions, out as they finish.

A row's text is a function of the model, its prompt, its condition and its noise key alone; batch size, order,
neighbours, restarts and sharding have no part in it. In float32 that holds to the last bit of its
log-probabilities, in mixtures of experts to a rounding of them: an expert's products are as large as the
batch makes them.
"""

import time
from collections import defaultdict, deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sized
from dataclasses import dataclass, field
from functools import partial
from typing import ClassVar, Literal

from torch import Tensor

from backtracking.engine.batched import run_batched
from backtracking.engine.executor.work import HERE, Executor, Underway
from backtracking.engine.reference import run_reference
from backtracking.engine.rows import Prompt, Row, checked_rows
from backtracking.engine.sampling import SamplingParams, is_whole
from backtracking.engine.taking_up import Completed, finished, taken_up
from backtracking.errors import UserError
from backtracking.model.gates import GateTable
from backtracking.model.ledger import Ledger, label
from backtracking.model.loading import LoadedModel
from backtracking.run.progress import Bar
from backtracking.run.records import GenerationRecord
from backtracking.run.unfinished import KEPT_EVERY, Unfinished
from backtracking.text.onsets.triggers import Phrase

__all__ = ["Prompt", "Row", "SamplingParams", "generate_rows"]


@dataclass(frozen=True)
class Completing:
    """Completes rows, on whichever process has the model."""

    sampling: SamplingParams
    seed: int
    slots: int | Literal["auto"] = "auto"
    engine: Literal["batched", "reference"] = "batched"
    vectors: Mapping[str, Tensor] = field(default_factory=dict)
    onset_phrases: Collection[Phrase] = ()
    counts: bool = True
    """Whether what hooks do is counted."""
    keep_every: int | None = None
    """After how many tokens a row is handed out as it stands; none: never."""

    ahead: ClassVar[int] = 16

    def __call__(
        self, model: LoadedModel, rows: Iterable[tuple[int, Row] | None]
    ) -> "Iterator[tuple[int, Completed | Underway]]":
        places: defaultdict[RowKey, deque[int]] = defaultdict(deque)

        def noted() -> Iterator[Row | None]:
            for numbered in rows:
                if numbered is not None:
                    places[_key_of_row(numbered[1])].append(numbered[0])
                yield None if numbered is None else numbered[1]

        table, ledger = GateTable(model, self.vectors, self.onset_phrases), Ledger(self.counts)
        batched = partial(run_batched, slots=self.slots, keep_every=self.keep_every)
        run = run_reference if self.engine == "reference" else batched
        for record in run(model, noted(), self.sampling, seed=self.seed, table=table, ledger=ledger):
            if isinstance(record, Row):
                yield places[_key_of_row(record)][0], Underway(record)
                continue
            waiting = places[key := _key_of_record(record)]
            place = waiting.popleft()
            if not waiting:
                del places[key]
            yield place, Completed(record, ledger.take())


RowKey = tuple[str, str, int, str, int | None]
"""What a row's text is a function of, within one run of the engine."""


def _key_of_row(row: Row) -> RowKey:
    return (row.prompt.variant, *row.id, row.condition.name, row.condition.draw)


def _key_of_record(record: GenerationRecord) -> RowKey:
    return (record.variant, *record.id, record.condition, record.draw)


def generate_rows(
    model: LoadedModel,
    rows: Iterable[Row],
    sampling: SamplingParams,
    *,
    seed: int,
    slots: int | Literal["auto"] = "auto",
    engine: Literal["batched", "reference"] = "batched",
    ledger: Ledger | None = None,
    progress: Bar | None = None,
    vectors: Mapping[str, Tensor] | None = None,
    onset_phrases: Collection[Phrase] = (),
    executor: Executor = HERE,
    unfinished: Mapping[str, Unfinished] | None = None,
) -> Iterator[GenerationRecord]:
    """Complete every row and yield it when it finishes; `rows` is read only as slots become free.

    Rows of a known number are checked as a whole before the first one starts. Where they come one by one, an
    error in one of them is raised when the rows before it have finished. Rows that `unfinished` holds, by
    condition, are taken up where they stand, and long ones are kept there on their way.
    """
    if slots != "auto" and not is_whole(slots, least=1):
        raise UserError(f"slots: {slots!r} rows side by side is not a batch", next_step="give 1 or more")
    if engine not in ("batched", "reference"):
        raise UserError(f"there is no engine {engine!r}", next_step="give batched or reference")
    table = GateTable(model, vectors, onset_phrases)
    ledger = Ledger() if ledger is None else ledger
    checked: Iterable[Row] = checked_rows(rows, table)
    if isinstance(rows, Sized):
        deque(checked, maxlen=0)
        checked = rows  # made once more, where they are made when they are looked at
    unfinished = unfinished or {}
    keep_every = KEPT_EVERY if unfinished else None
    work = Completing(
        sampling, seed, slots, engine, vectors or {}, tuple(onset_phrases), ledger.enabled, keep_every
    )
    made = executor.run(model, work, taken_up(checked, unfinished), progress)
    return _watched(finished(made, unfinished), table, ledger, progress)


def _watched(
    made: Iterator[Completed], table: GateTable, ledger: Ledger, bar: Bar | None
) -> Iterator[GenerationRecord]:
    """Tell the ledger what each row did and what it must have cost, and the bar how the run goes."""
    start = time.monotonic()
    tokens = cut = 0
    for completed in made:
        record = completed.record
        condition = label(record.condition, record.draw)
        ledger.add(completed.ledger)
        ledger.expect(record, table.by_label[condition], table.phrases)
        tokens += record.completion_tokens
        cut += record.finish_reason == "length"
        yield record
        if bar is not None:  # told once the caller has kept the row
            rate = tokens / max(time.monotonic() - start, 1e-9)
            bar.advance(1, f"{rate:,.0f} tokens/s, {cut:,} cut")


def none_failed(records: Iterable[GenerationRecord]) -> Iterator[GenerationRecord]:
    """The records, where an analysis cannot go on without one of them."""
    for record in records:
        if record.finish_reason == "error":
            raise UserError(
                f"a row failed: {record.error}",
                "the weights hold NaN or infinity, or the numbers overflow in this dtype",
                "load the weights again, or set model.torch_dtype: float32",
            )
        yield record
