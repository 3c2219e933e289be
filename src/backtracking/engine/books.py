"""The books of a batch's pages: rows' own, prompts' with their readers, and what a pass has to know."""

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from backtracking.engine.pages import NOBODY, PAGE, Numbers, PageTable, lengthened, pages_for
from backtracking.engine.readers import Readers

# A page that nobody holds costs a pass as much as another; this share of them may be idle, or this few.
_IDLE, _FEW_IDLE = 1 / 16, 8


@dataclass(frozen=True)
class PassSize:
    """How many pages a pass runs over, and how many readers each page of a prompt has."""

    prompt_pages: int
    own_pages: int
    places: int

    @property
    def pairs(self) -> int:
        """How many pairs of a page and a reader there are."""
        return self.prompt_pages * self.places + self.own_pages


@dataclass(frozen=True)
class PassLayout:
    """The pages of a pass as pairs of a page and a row that reads it.

    Prompts' pages come first, in as many pairs each as it has places; then rows' own, in one pair each.
    """

    rows: Numbers
    """The row of each pair; one past the last row is nobody."""
    ranks: Numbers
    """Which of its row's pairs each one is, in the order of positions."""
    starts: Numbers
    """The position of the page's first entry."""
    ends: Numbers
    """The position from which on nobody looks."""
    counts: Numbers
    """How many pairs each row has, and nobody."""


class PageBooks:
    """Who holds which page. A prompt's pages are held by each group of its readers once.

    Rows' own pages lie from the front of memory on. Prompts' lie from its end on, and have the numbers that
    Python counts from there: -1, -2, …
    """

    def __init__(self, slots: int, least_places: int = 1) -> None:
        self.least_places = least_places
        """With fewer places a prompt's pages would be multiplied otherwise."""
        self.own = PageTable(slots, kept=1)
        """Rows' pages, by slot; passes write to page 0 for slots without a row."""
        self.prompts = PageTable(slots)
        """Prompts' pages, by group of readers."""
        self.readers = Readers(slots)
        self.begins = np.zeros(slots, dtype=np.int64)
        """The position of each row's own first page: how long its prompt is."""

    @property
    def extent(self) -> int:
        """How many pages all of this takes."""
        return self.own.extent + self.prompts.extent

    def extent_with(self, own: int, prompts: int = 0) -> int:
        """The extent once so many more pages are given out."""
        return self.own.extent_with(own) + self.prompts.extent_with(prompts)

    def prompt_pages_for(self, joining: Sequence[tuple[Hashable, int]]) -> int:
        """How many more pages prompts take once rows of these readings and lengths have joined."""
        lengths = dict(joining)
        groups = self.readers.new_groups(Counter(reading for reading, _ in joining))
        return sum(count * pages_for(lengths[reading]) for reading, count in groups.items())

    def join(self, slot: int, reading: Hashable, length: int) -> Numbers:
        """A row reads a prompt; the pages to fill, none where it joins others that read it."""
        self.begins[slot] = length
        group = self.readers.join(slot, reading)
        return ~self.prompts.give([] if group is None else [group] * pages_for(length))

    def leave(self, slot: int) -> None:
        """A row is gone, and its prompt's pages where nobody else of its group is left."""
        self.own.free(slot)
        self.begins[slot] = 0
        group = self.readers.leave(slot)
        if group is not None:
            self.prompts.free(group)

    def rename(self, source: int, target: int) -> None:
        """A row goes to a free slot."""
        self.own.rename(source, target)
        self.readers.rename(source, target)
        self.begins[target], self.begins[source] = self.begins[source], 0

    def compact(self, wholly: bool = False) -> tuple[Numbers, Numbers]:
        """Give up idle pages, if they are not few or wholly is asked for: which to copy, and where to."""
        spared = 0 if wholly else max(_IDLE * self.extent, _FEW_IDLE)
        if self.own.idle + self.prompts.idle <= spared:
            return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
        moves = zip(self.own.compact(), self.prompts.compact(), strict=True)
        sources, targets = (np.append(own, ~prompts) for own, prompts in moves)
        return sources, targets

    def full(self, positions: Numbers) -> Sequence[int]:
        """The rows that need a page for their next position."""
        room = self.begins[: len(positions)] + self.own.held[: len(positions)] * PAGE
        return np.flatnonzero(positions >= room).tolist()

    def missing(self, slot: int, position: int) -> int:
        """How many more pages a row takes up to a position."""
        return pages_for(position - int(self.begins[slot])) - int(self.own.held[slot])

    def own_pages(self, slot: int) -> Numbers:
        """A row's own pages by position."""
        return self.own.in_order(slot)

    def prompt_pages(self, slot: int) -> Numbers:
        """The pages of its prompt that it reads, by position."""
        return ~self.prompts.in_order(self.readers.group_of(slot))

    @property
    def size(self) -> PassSize:
        """The size of a pass over all pages."""
        places = max(int(self.readers.sizes.max()), self.least_places)
        return PassSize(self.prompts.extent, self.own.extent, places)

    def layout(self, positions: Numbers, size: PassSize) -> PassLayout:
        """The pages as a pass sees them that feeds each row a token at its position."""
        rows = len(positions)
        # As they lie in memory, which is last to first.
        groups, sheets = (numbers[::-1] for numbers in _stretched(self.prompts, size.prompt_pages))
        members = self.readers.members[groups, : size.places]
        owners, ranks = _stretched(self.own, size.own_pages)
        in_prompt = -(-self.begins[:rows] // PAGE)
        of = np.append(members, owners)
        idle = of == NOBODY
        sheets = np.repeat(sheets, size.places)
        return PassLayout(
            rows=np.where(idle, rows, of),
            ranks=np.where(idle, np.cumsum(idle) - 1, np.append(sheets, in_prompt[owners] + ranks)),
            starts=np.append(sheets * PAGE, self.begins[owners] + ranks * PAGE),
            ends=np.where(idle, 0, np.append(self.begins[members], positions[owners] + 1)),
            counts=np.append(in_prompt + self.own.held[:rows], idle.sum()),
        )


def _stretched(table: PageTable, pages: int) -> tuple[Numbers, Numbers]:
    """Holders and ranks of so many pages, at least those of the table."""
    spare = pages - table.extent
    return lengthened(table.owners, spare, NOBODY), lengthened(table.ranks, spare)
