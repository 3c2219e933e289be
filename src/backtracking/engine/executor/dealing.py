"""Which worker has which items: dealt out as workers ask, dealt again when one dies or is long overdue."""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

MOST_LOSSES = 5
"""So many workers may die with the same item in hand."""
LOOK_AHEAD = 64
"""Items per worker that are read from the source early, so that the end is seen before it is there."""


@dataclass
class Held:
    """What one worker has in hand: by the item's place, since when."""

    since: dict[int, float] = field(default_factory=dict)
    done: int = 0


class Dealing:
    """Deals the items of a source to workers. Only what is in hand is kept, however many items there are."""

    def __init__(self, items: Iterable[Any], workers: int = 1) -> None:
        self._workers = workers
        """How many there are to be; some may not have joined yet."""
        self._source: Iterator[tuple[int, Any]] = enumerate(items)
        self._waiting: deque[int] = deque()
        self._items: dict[int, Any] = {}
        """All items that are not done, of those that were read."""
        self._losses: dict[int, int] = {}
        self._is_read = False
        self._longest = 0.0
        self.hands: dict[str, Held] = {}

    @property
    def is_over(self) -> bool:
        """Whether every item is done."""
        self._look_ahead(1)
        return self._is_read and not self._items

    def join(self, worker: str) -> None:
        """A worker is there and may ask."""
        self.hands[worker] = Held()

    def deal(self, worker: str, wants: int, now: float) -> list[tuple[int, Any]]:
        """Items for a worker that asks; towards the end no more than its fair share."""
        self._look_ahead(len(self.hands) * LOOK_AHEAD)
        held = self.hands[worker].since
        most = wants
        if self._is_read:
            share = -(-len(self._items) // max(self._workers, len(self.hands)))
            most = min(wants, max(1, share - len(held)))
        places = [self._waiting.popleft() for _ in range(min(most, len(self._waiting)))]
        held |= dict.fromkeys(places, now)
        return [(place, self._items[place]) for place in places]

    def finish(self, worker: str, place: int, now: float) -> bool:
        """Note a result; whether it is the first of its item."""
        hand = self.hands[worker]
        began = hand.since.pop(place, now)
        if place not in self._items:
            return False
        del self._items[place]
        self._losses.pop(place, None)
        hand.done += 1
        self._longest = max(self._longest, now - began)
        return True

    def take_up_at(self, place: int, item: Any) -> bool:
        """How an item that is in the making would be begun again; whether it is still wanted."""
        if place not in self._items:
            return False
        self._items[place] = item
        return True

    def lose(self, worker: str) -> int:
        """The worker is gone: what it had in hand comes next; how often one of these was lost at most."""
        held = self.hands.pop(worker).since
        others = {place for hand in self.hands.values() for place in hand.since}
        lost = [place for place in held if place in self._items and place not in others]
        for place in lost:
            self._losses[place] = self._losses.get(place, 0) + 1
        self._waiting.extendleft(reversed(lost))
        return max((self._losses[place] for place in lost), default=0)

    def again(
        self, worker: str, wants: int, now: float, at_least: float, factor: float
    ) -> list[tuple[int, Any]]:
        """For an idle worker: items that others hold for much longer than any item has taken so far."""
        if self._waiting or not self._is_read or self.hands[worker].since:
            return []
        overdue = max(at_least, factor * self._longest)
        late: dict[int, None] = {}
        for other, hand in self.hands.items():
            if other != worker:
                late |= {
                    p: None for p, since in hand.since.items() if now - since > overdue and p in self._items
                }
        held_twice = [place for place in late if sum(place in hand.since for hand in self.hands.values()) > 1]
        places = [place for place in late if place not in held_twice][:wants]
        self.hands[worker].since |= dict.fromkeys(places, now)
        return [(place, self._items[place]) for place in places]

    def _look_ahead(self, count: int) -> None:
        while not self._is_read and len(self._waiting) < count:
            read = next(self._source, None)
            if read is None:
                self._is_read = True
            else:
                self._items[read[0]] = read[1]
                self._waiting.append(read[0])
