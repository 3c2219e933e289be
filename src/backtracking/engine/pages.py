"""Which page of the cache belongs to whom: numbers only, no keys or values."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

PAGE = 64
"""Positions per page. A product over a page has one shape, whatever its row's length and neighbours."""
NOBODY = -1

Numbers = NDArray[np.int64]


def pages_for(positions: int) -> int:
    """How many pages hold so many positions."""
    return -(-positions // PAGE)


def lengthened(numbers: Numbers, more: int, by: int = 0) -> Numbers:
    """The numbers with one repeated behind them; `np.pad` does the same twenty times slower."""
    return np.append(numbers, np.full(more, by)) if more else numbers


class PageTable:
    """The pages of every holder. The first `kept` are nobody's, and stay so."""

    def __init__(self, holders: int, kept: int = 0) -> None:
        self._kept = kept
        self.owners = np.full(kept, NOBODY, dtype=np.int64)
        """The holder of each page."""
        self.ranks = np.zeros(kept, dtype=np.int64)
        """Which of its holder's pages each one is."""
        self.held = np.zeros(holders, dtype=np.int64)
        """How many pages each holder has."""
        self.newest = np.zeros(holders, dtype=np.int64)
        """The last page of each holder."""

    @property
    def extent(self) -> int:
        """How many pages a pass runs over."""
        return len(self.owners)

    @property
    def used(self) -> int:
        """How many pages have a holder."""
        return int(self.held.sum())

    @property
    def idle(self) -> int:
        """How many pages can be given out before there are more."""
        return self.extent - self._kept - self.used

    def extent_with(self, more: int) -> int:
        """The extent once so many more pages are given out."""
        return self.extent + max(more - self.idle, 0)

    def give(self, holders: Sequence[int]) -> Numbers:
        """One more page for each holder named, the first that are free."""
        short = self.extent_with(len(holders)) - self.extent
        self.owners = lengthened(self.owners, short, NOBODY)
        self.ranks = lengthened(self.ranks, short)
        pages = self._kept + np.flatnonzero(self.owners[self._kept :] == NOBODY)[: len(holders)]
        for page, holder in zip(pages.tolist(), holders, strict=True):
            self.owners[page], self.ranks[page] = holder, self.held[holder]
            self.held[holder] += 1
            self.newest[holder] = page
        return pages

    def pages_of(self, holder: int) -> Numbers:
        """The holder's pages, as they lie."""
        return np.flatnonzero(self.owners == holder)

    def in_order(self, holder: int) -> Numbers:
        """The holder's pages by rank."""
        pages = self.pages_of(holder)
        return pages[np.argsort(self.ranks[pages])]

    def free(self, holder: int) -> None:
        """Take all its pages from a holder."""
        self.owners[self.owners == holder] = NOBODY
        self.held[holder] = self.newest[holder] = 0

    def rename(self, source: int, target: int) -> None:
        """What one holder has goes to another that has nothing; the pages stay where they are."""
        self.owners[self.owners == source] = target
        self.held[target], self.newest[target] = self.held[source], self.newest[source]
        self.held[source] = self.newest[source] = 0

    def compact(self) -> tuple[Numbers, Numbers]:
        """Give up pages at the end where others are free: which to copy, and where to."""
        end = self._kept + self.used
        sources = end + np.flatnonzero(self.owners[end:] != NOBODY)
        targets = self._kept + np.flatnonzero(self.owners[self._kept : end] == NOBODY)
        self.owners[targets], self.ranks[targets] = self.owners[sources], self.ranks[sources]
        places = np.arange(self.extent)
        places[sources] = targets
        self.newest = places[self.newest]
        self.owners, self.ranks = self.owners[:end], self.ranks[:end]
        return sources, targets
