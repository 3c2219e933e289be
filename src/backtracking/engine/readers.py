"""Which rows read which prompt, in groups: a page of the prompt is multiplied with a whole group at once."""

from collections import Counter
from collections.abc import Hashable, Mapping

import numpy as np

from backtracking.engine.pages import NOBODY

READERS = 16
"""The most rows of a group."""


class Readers:
    """Groups of rows that have a prompt's reading in common; all groups of a reading are full but the last.

    So a row that leaves has its place taken by the last one: which group a row is in, and where, changes no
    number of it.
    """

    def __init__(self, slots: int) -> None:
        self.members = np.full((slots + 1, READERS), NOBODY, dtype=np.int64)
        """The slots of each group; the last line is that of no group, and `NOBODY` leads to it."""
        self.sizes = np.zeros(slots, dtype=np.int64)
        """How many readers each group has; none where there is no such group."""
        self._places = np.zeros((slots, 2), dtype=np.int64)
        """The group of each slot, and its place in the group."""
        self._groups: dict[Hashable, list[int]] = {}
        self._readings: dict[int, Hashable] = {}

    def new_groups(self, joining: Mapping[Hashable, int]) -> Counter[Hashable]:
        """How many more groups each reading will have with so many more readers."""
        return Counter({reading: self._missing(reading, more) for reading, more in joining.items()})

    def _missing(self, reading: Hashable, more: int) -> int:
        groups = self._groups.get(reading, [])
        readers = int(self.sizes[groups].sum()) + more
        return -(-readers // READERS) - len(groups)

    def join(self, slot: int, reading: Hashable) -> int | None:
        """A row begins to read; the group that begins with it, if one does."""
        groups = self._groups.setdefault(reading, [])
        is_first = not groups or int(self.sizes[groups[-1]]) == READERS
        if is_first:
            groups.append(int(self.sizes.argmin()))
            self._readings[groups[-1]] = reading
        self._put(slot, groups[-1], int(self.sizes[groups[-1]]))
        self.sizes[groups[-1]] += 1
        return groups[-1] if is_first else None

    def leave(self, slot: int) -> int | None:
        """A row is gone; the group that ends with it, if one does."""
        group, place = self._places[slot].tolist()
        groups = self._groups[self._readings[group]]
        last = groups[-1]
        self.sizes[last] -= 1
        freed = int(self.sizes[last])
        self._put(int(self.members[last, freed]), group, place)
        self.members[last, freed] = NOBODY
        if freed:
            return None
        groups.pop()
        reading = self._readings.pop(last)
        if not groups:
            del self._groups[reading]
        return last

    def group_of(self, slot: int) -> int:
        """The group that a row is in."""
        return int(self._places[slot, 0])

    def rename(self, source: int, target: int) -> None:
        """A row goes to another slot."""
        self._put(target, *self._places[source].tolist())

    def _put(self, slot: int, group: int, place: int) -> None:
        self.members[group, place] = slot
        self._places[slot] = group, place
