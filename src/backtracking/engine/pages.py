"""Which page of the cache belongs to which row: numbers only, no keys or values."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

PAGE = 64
"""Positions per page. A product over a page has one shape, whatever its row's length and neighbours."""
_NOBODY = -1
_OUT_OF_SIGHT = 1 << 40
# A page that no row holds costs a pass as much as another; up to this share of them stay where they are.
_HOLES = 1 / 16

Numbers = NDArray[np.int64]


def pages_for(positions: int) -> int:
    """How many pages hold so many positions."""
    return -(-positions // PAGE)


@dataclass(frozen=True)
class PageLayout:
    """What a decoding pass needs to know of the pages, which it takes in the order in which they lie."""

    owners: Numbers
    """The row of each page; the last row stands in for nobody."""
    starts: Numbers
    """The position of each page's first entry; beyond every row's sight where nobody holds the page."""
    order: Numbers
    """The pages row by row, each row's by position, those of nobody at the end."""
    counts: Numbers
    """How many pages each row holds, and nobody, [rows + 1]."""


class PageTable:
    """The pages of every slot. Page 0 is nobody's: passes write there for slots without a row."""

    def __init__(self, slots: int) -> None:
        self._owners = np.full(1, _NOBODY, dtype=np.int64)
        self._ranks = np.zeros(1, dtype=np.int64)
        self.held = np.zeros(slots, dtype=np.int64)
        """How many pages each slot has."""
        self.newest = np.zeros(slots, dtype=np.int64)
        """The last page of each slot, which its row writes."""

    @property
    def extent(self) -> int:
        """How many pages a pass runs over."""
        return len(self._owners)

    @property
    def used(self) -> int:
        """How many pages rows hold."""
        return int(self.held.sum())

    def extent_with(self, more: int) -> int:
        """The extent once so many more pages are given out."""
        return max(self.extent, 1 + self.used + more)

    def give(self, slots: Sequence[int]) -> Numbers:
        """One more page for each slot named, the first that are free."""
        short = self.extent_with(len(slots)) - self.extent
        self._owners = np.pad(self._owners, (0, short), constant_values=_NOBODY)
        self._ranks = np.pad(self._ranks, (0, short))
        pages = 1 + np.flatnonzero(self._owners[1:] == _NOBODY)[: len(slots)]
        for page, slot in zip(pages.tolist(), slots, strict=True):
            self._owners[page], self._ranks[page] = slot, self.held[slot]
            self.held[slot] += 1
            self.newest[slot] = page
        return pages

    def pages_of(self, slot: int) -> Numbers:
        """The slot's pages, as they lie."""
        return np.flatnonzero(self._owners == slot)

    def free(self, slot: int) -> None:
        """Take all its pages from a slot."""
        self._owners[self._owners == slot] = _NOBODY
        self.held[slot] = self.newest[slot] = 0

    def rename(self, source: int, target: int) -> None:
        """A row goes to a free slot; its pages stay where they are."""
        self._owners[self._owners == source] = target
        self.held[target], self.newest[target] = self.held[source], self.newest[source]
        self.held[source] = self.newest[source] = 0

    def compact(self, holes: float = _HOLES) -> tuple[Numbers, Numbers]:
        """Give up pages at the end where free ones are more than a share: which to copy, and where to."""
        end = 1 + self.used
        if self.extent - end <= holes * self.extent:
            return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
        sources = end + np.flatnonzero(self._owners[end:] != _NOBODY)
        targets = 1 + np.flatnonzero(self._owners[1:end] == _NOBODY)
        self._owners[targets], self._ranks[targets] = self._owners[sources], self._ranks[sources]
        places = np.arange(self.extent)
        places[sources] = targets
        self.newest = places[self.newest]
        self._owners, self._ranks = self._owners[:end], self._ranks[:end]
        return sources, targets

    def layout(self, rows: int, extent: int) -> PageLayout:
        """The pages as a pass over `rows` rows and `extent` pages sees them."""
        spare = extent - self.extent
        owners = np.pad(self._owners, (0, spare), constant_values=_NOBODY)
        ranks = np.pad(self._ranks, (0, spare))
        free = owners == _NOBODY
        return PageLayout(
            owners=np.where(free, rows - 1, owners),
            starts=np.where(free, _OUT_OF_SIGHT, ranks * PAGE),
            order=np.lexsort((ranks, np.where(free, rows, owners))),
            counts=np.append(self.held[:rows], free.sum()),
        )
