"""A file of rows that grows by whole rows, and from which a stopped run goes on."""

from array import array
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

from backtracking.run import io
from backtracking.run.progress import Reporter
from backtracking.run.records import DIGEST_LENGTH, GenerationRecord, RowId, SealedRecord
from backtracking.run.rowindex import write_indexes
from backtracking.run.shards import shards_of
from backtracking.run.unfinished import Unfinished

S = TypeVar("S", bound=SealedRecord)


@dataclass(frozen=True)
class RowFile(Generic[S]):
    """Rows of one kind in one file, all made with the same settings."""

    path: Path
    row: type[S]
    made_with: str
    """Digest of the settings that decide what a row says; rows made with others are not kept."""
    made_by: str
    """The command that writes the file."""
    shard_rows: int | None = None
    """How many rows a file takes before they go on in another one; none: any number."""

    def rows(self, *, intact: bool = True) -> Iterator[S]:
        """The rows on disk; one that was changed after it was written is an error, unless any will do."""
        return io.read_jsonl(self.path, self.row, made_by=self.made_by, intact=intact)

    def is_own(self, row: S) -> bool:
        """Whether the row was written with the file's settings; rows without digests are taken as such."""
        return row.made_with in (None, self._seal)

    @contextmanager
    def appending(self) -> Iterator[Callable[[S], None]]:
        """Append rows, each with its digest, and flush each."""
        with io.JsonlAppender(self.path, self.shard_rows) as file:
            yield lambda row: file.append(row.sealed(self._seal))

    def keep(self, numbers: Collection[int]) -> None:
        """Leave only these lines (counted from 0) in the file."""
        io.keep_lines(self.path, sorted(numbers), self.shard_rows)

    @property
    def unfinished(self) -> Unfinished:
        """The rows that were begun."""
        return Unfinished(self.path, self.made_with)

    @property
    def _seal(self) -> str:
        return self.made_with[:DIGEST_LENGTH]


@dataclass
class Found:
    """What a file of completions holds: the rows to keep, by line, and how many are not."""

    asked: dict[RowId, int] = field(default_factory=dict)
    """Rows that would be written again to the letter."""
    others: dict[RowId, int] = field(default_factory=dict)
    """Good rows of problems or samples that are not asked for now."""
    edited: int = 0
    made_otherwise: int = 0

    @classmethod
    def in_file(
        cls, file: RowFile[GenerationRecord], asked: Callable[[GenerationRecord], bool | None]
    ) -> "Found":
        """Sort the rows on disk; `asked` says whether the plan would write a row so (None: not at all).

        Of equal rows the first stays; failed ones are made again.
        """
        sorted_rows = cls()
        if not shards_of(file.path):
            return sorted_rows
        io.heal_jsonl(file.path)
        for number, row in enumerate(file.rows(intact=False)):
            wanted = asked(row)
            if not row.is_intact:
                sorted_rows.edited += 1
            elif wanted is False or not file.is_own(row):
                sorted_rows.made_otherwise += 1
            elif row.finish_reason != "error":
                (sorted_rows.others if wanted is None else sorted_rows.asked).setdefault(row.id, number)
        return sorted_rows

    def __len__(self) -> int:
        return len(self.asked) + len(self.others)


def resume(
    file: RowFile[GenerationRecord],
    asked: Callable[[GenerationRecord], bool | None],
    reporter: Reporter,
    *,
    keep_others: bool,
) -> Found:
    """Clear the file of rows that can't be built on; what leaves it is told, and kept in a copy."""
    kept = Found.in_file(file, asked)
    losses = {
        "changed after they were written": kept.edited,
        "made with other prompts or settings": kept.made_otherwise,
        "not part of this plan": 0 if keep_others else len(kept.others),
    }
    if told := [f"{count:,} {what}" for what, count in losses.items() if count]:
        reporter.say(f"  {file.path.stem}: finished rows that are not kept: {', '.join(told)}")
        set_aside_and_say(file.path, reporter, copy=True)
    if shards_of(file.path):
        file.keep([*kept.asked.values(), *(kept.others.values() if keep_others else ())])
    return kept


def set_aside_and_say(path: Path, reporter: Reporter, *, copy: bool = False) -> None:
    """Keep a file that can't be built on under another name, and say so; what was begun of it goes."""
    if not copy:
        Unfinished(path, made_with="").clear()
    kept = io.set_aside(path, copy=copy)
    if kept is not None:
        what = "earlier rows are" if path.suffix == ".jsonl" else f"the earlier {path.name} is"
        reporter.say(f"  {what} kept in {kept.name}")


def sort_rows(
    file: RowFile[GenerationRecord], place: Callable[[RowId], int | None], *, first: int = 0
) -> None:
    """Put finished rows in the order of the plan, so that equal runs have equal files, however often stopped.

    The `first` ones stay, and so do rows that have no place in the plan, before those that have one.
    """
    unplaced = -1
    rows = (place(row.id) if number >= first else None for number, row in enumerate(file.rows()))
    places = array("q", (unplaced if where is None else where for where in rows))
    io.keep_lines(file.path, sorted(range(len(places)), key=places.__getitem__), file.shard_rows)
    write_indexes(file.path)


def say_failed(why: Sequence[str], total: int, reporter: Reporter) -> None:
    """Say how many rows failed, where any did, and why the first one did."""
    if why:
        reporter.say(
            f"  note: {len(why):,} of {total:,} rows failed ({why[0]}); --force makes all of them anew"
        )
