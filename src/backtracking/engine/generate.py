"""Generate completions: rows in any order, under any mix of conditions, out as they finish.

A row's text is a function of the model, its prompt, its condition and its noise key alone; batch size, order,
neighbours, restarts and sharding have no part in it.
"""

import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Literal

from torch import Tensor

from backtracking.engine.batched import run_batched
from backtracking.engine.reference import run_reference
from backtracking.engine.rows import Prompt, Row, checked_rows
from backtracking.engine.sampling import SamplingParams
from backtracking.errors import UserError
from backtracking.model.gates import GateTable
from backtracking.model.ledger import Ledger, label
from backtracking.model.loading import LoadedModel
from backtracking.run.progress import Bar
from backtracking.run.records import GenerationRecord
from backtracking.text.triggers import Phrase

__all__ = ["Prompt", "Row", "SamplingParams", "generate_rows"]


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
) -> Iterator[GenerationRecord]:
    """Complete every row and yield it when it finishes; `rows` is read only as slots become free.

    A list of rows is checked as a whole before the first one starts. Where rows come one by one, an error in
    one of them is raised when the rows before it have finished.
    """
    if slots != "auto" and slots < 1:
        raise UserError(f"slots: {slots} rows side by side is not a batch", next_step="give 1 or more")
    table = GateTable(model, vectors, onset_phrases)
    ledger = Ledger() if ledger is None else ledger
    checked = checked_rows(rows, table)
    if isinstance(rows, Sequence):
        checked = iter(list(checked))
    run = run_reference if engine == "reference" else partial(run_batched, slots=slots)
    records = run(model, checked, sampling, seed=seed, table=table, ledger=ledger)
    return _watched(records, table, ledger, progress)


def _watched(
    records: Iterator[GenerationRecord], table: GateTable, ledger: Ledger, bar: Bar | None
) -> Iterator[GenerationRecord]:
    """Tell the ledger what each finished row must have cost, and the bar how the run goes."""
    start = time.monotonic()
    tokens = cut = 0
    for record in records:
        condition = label(record.condition, record.draw)
        ledger.expect(record, table.by_label[condition], table.phrases)
        tokens += record.completion_tokens
        cut += record.finish_reason == "length"
        if bar is not None:
            rate = tokens / max(time.monotonic() - start, 1e-9)
            bar.advance(1, f"{rate:,.0f} tokens/s, {cut:,} cut")
        yield record
