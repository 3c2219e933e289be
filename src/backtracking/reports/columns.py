"""Columns of a report's tables: one precision in each, and the rows behind its numbers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pandas as pd

from backtracking.claims.wording import (
    TableLine,
    fixed,
    lines_of,
    number,
    p_value,
    percent,
    plainly,
    points,
    quoted,
    rate_text,
    whole,
)

NOTHING = "—"
_BROKEN_AT = {"names": 20, "text": 16}
"""Letters after which cells of a kind are broken between lines."""

Link = Callable[[TableLine], str]
"""Where the rows behind a line's number are to be read; empty where there are none."""


@dataclass(frozen=True)
class Cell:
    """What a cell says, and where the rows behind it are."""

    text: str
    link: str = ""


@dataclass(frozen=True)
class Column:
    """A head and its cells."""

    head: str
    cells: Sequence[Cell]
    holds: str = "numbers"
    """`names`, `numbers` or `text`: how it is set."""

    @property
    def letters(self) -> int:
        """About how many letters wide it is; names and words may go on in the next line."""
        longest = max((len(cell.text) for cell in self.cells), default=0)
        return max(min(longest, _BROKEN_AT.get(self.holds, longest)), *map(len, self.head.split()))

    @property
    def tells(self) -> bool:
        """Whether some cell says something."""
        return not self.cells or any(cell.text not in ("", NOTHING) for cell in self.cells)


@dataclass(frozen=True)
class Lines:
    """The lines of a table, from which its columns are made."""

    rows: Sequence[TableLine]

    def column(
        self, head: str, write: Callable[[TableLine], str], link: Link | None = None, holds: str = "numbers"
    ) -> Column:
        """What `write` makes of each line."""
        texts = [write(row) for row in self.rows]
        links = ["" if link is None else link(row) for row in self.rows]
        cells = [Cell(text, to if text != NOTHING else "") for text, to in zip(texts, links, strict=True)]
        return Column(head, cells, holds)

    def names(self, head: str, column: str, link: Link | None = None) -> Column:
        """A column of names, quoted as code."""
        return self.column(head, lambda row: quoted(row[column]), link, "names")

    def text(self, head: str, write: Callable[[TableLine], str]) -> Column:
        """A column of words, written line by line."""
        return self.column(head, write, holds="text")

    def counts(self, head: str, column: str, link: Link | None = None) -> Column:
        """A column of whole numbers."""
        return self.column(head, lambda row: whole(row, column), link)

    def rates(self, head: str, column: str, n: str | None = None, link: Link | None = None) -> Column:
        """A column of rates with their intervals, and the number of problems where it is asked for."""
        return self.column(head, lambda row: rate_text(row, column, n=n), link)

    def shares(self, head: str, column: str, digits: int = 0, link: Link | None = None) -> Column:
        """Shares without interval."""
        return self.column(head, lambda row: percent(number(row, column), digits), link)

    def points(self, head: str, column: str, link: Link | None = None) -> Column:
        """A column of differences in percentage points, with their intervals."""
        return self.column(head, lambda row: points(row, column), link)

    def p_values(self, head: str, column: str) -> Column:
        """A column of p-values."""
        return self.column(head, lambda row: p_value(number(row, column)))

    def plain(
        self, head: str, column: str, sign: str = "", spec: str = "", link: Link | None = None
    ) -> Column:
        """Plain numbers, all to the place that suits the largest; `sign` is `+` for changes."""
        place = spec or fixed(*(number(row, column) for row in self.rows))
        return self.column(head, lambda row: plainly(row, column, sign + place), link)


def highest(table: pd.DataFrame, column: str) -> TableLine:
    """The line with the highest value of a column."""
    return lines_of(table.loc[[table[column].idxmax()]])[0]


def lowest(table: pd.DataFrame, column: str) -> TableLine:
    """The line with the lowest value of a column."""
    return lines_of(table.loc[[table[column].idxmin()]])[0]
