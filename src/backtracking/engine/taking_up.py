"""Rows that a stopped start had begun are taken up where they stood; long ones are kept on their way."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from backtracking.engine.executor.work import Underway
from backtracking.engine.rows import Begun, Row
from backtracking.model.ledger import Ledger
from backtracking.run.records import GenerationRecord
from backtracking.run.unfinished import Unfinished, UnfinishedRow


@dataclass(frozen=True)
class Completed:
    """A finished row, and what the hooks did for it."""

    record: GenerationRecord
    ledger: Ledger


def taken_up(rows: Iterable[Row], unfinished: Mapping[str, Unfinished]) -> Iterator[Row]:
    """The rows, each from where it was kept; by condition."""
    there = {name for name, kept in unfinished.items() if kept.folder.is_dir()}
    for row in rows:
        name = row.condition.name
        yield _from_where_it_was(row, unfinished[name]) if name in there else row


def finished(
    made: Iterable[tuple[int, Completed | Underway]], unfinished: Mapping[str, Unfinished]
) -> Iterator[Completed]:
    """The rows that are finished; those that are on their way are kept until they are written."""
    for _, result in made:
        if isinstance(result, Completed):
            yield result
            # Asked for the next one, so the caller has written this one.
            if (kept := unfinished.get(result.record.condition)) is not None:
                kept.drop(_of_record(result.record))
        else:
            row: Row = result.item
            unfinished[row.condition.name].keep(_of_row(row), _as_kept(row.begun))


def _from_where_it_was(row: Row, unfinished: Unfinished) -> Row:
    kept = unfinished.find(_of_row(row))
    if kept is None:
        return row
    none = [None] * len(kept.completion_ids)
    readings = zip(kept.logprobs or none, kept.entropies or none, strict=True)
    return replace(row, begun=Begun(tuple(kept.completion_ids), tuple(readings)))


def _as_kept(begun: Begun) -> UnfinishedRow:
    logprobs = [logprob for logprob, _ in begun.readings if logprob is not None]
    entropies = [entropy for _, entropy in begun.readings if entropy is not None]
    return UnfinishedRow(
        completion_ids=list(begun.tokens), logprobs=logprobs or None, entropies=entropies or None
    )


def _of_row(row: Row) -> tuple[object, ...]:
    """What tells rows of one stage apart."""
    condition = row.condition
    return (row.prompt.variant, *row.id, condition.name, condition.draw, *row.prompt.ids)


def _of_record(record: GenerationRecord) -> tuple[object, ...]:
    return (record.variant, *record.id, record.condition, record.draw, *record.prompt_ids)
