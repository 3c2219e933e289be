"""Rows to come."""

import itertools
from collections import deque
from collections.abc import Iterable

from backtracking.engine.rows import Row


class RowQueue:
    """Rows to come; rows that had to make room come back to its front.

    None in the source says that there is no row just now, while others are in the making. An error in the
    source ends the queue and is kept, so that the rows before it can finish.
    """

    def __init__(self, rows: Iterable[Row | None]) -> None:
        self._rows = iter(rows)
        self._waiting: deque[Row] = deque()
        self.error: Exception | None = None

    def peek(self) -> Row | None:
        """The first row, which stays; none where there is none just now."""
        if not self._waiting and self.error is None:
            try:
                self._waiting.extend(row for row in itertools.islice(self._rows, 1) if row is not None)
            except Exception as error:  # whatever it is, it is raised in the end
                self.error = error
        return self._waiting[0] if self._waiting else None

    def ahead(self, most: int) -> list[Row]:
        """The first rows, which stay in the queue."""
        taken = self.take(most)
        self.put_back(taken)
        return taken

    def take(self, most: int) -> list[Row]:
        """The first rows, as far as there are any just now."""
        taken: list[Row] = []
        while len(taken) < most and self.peek() is not None:
            taken.append(self._waiting.popleft())
        return taken

    def put_back(self, rows: Iterable[Row]) -> None:
        """Rows come next, in their order."""
        self._waiting.extendleft(reversed(list(rows)))
