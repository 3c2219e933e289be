"""The batched engine (for now the reference path under its name)."""

from collections.abc import Iterable, Iterator
from typing import Literal

from backtracking.gates import GateTable
from backtracking.ledger import Ledger
from backtracking.modeling import LoadedModel
from backtracking.records import GenerationRecord
from backtracking.reference import run_reference
from backtracking.rows import Row
from backtracking.sampling import SamplingParams


def run_batched(
    model: LoadedModel,
    rows: Iterable[Row],
    params: SamplingParams,
    *,
    seed: int,
    slots: int | Literal["auto"],
    table: GateTable,
    ledger: Ledger,
) -> Iterator[GenerationRecord]:
    return run_reference(model, rows, params, seed=seed, table=table, ledger=ledger)
