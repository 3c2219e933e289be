"""The inside of a worker: items come in while others are in the making, results wait to be fetched."""

import threading
import time
import traceback
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from backtracking.engine.executor.work import Underway, Work
from backtracking.errors import UserError
from backtracking.model.loading import LoadedModel

Numbered = tuple[int, Any]
GATHERING_SECONDS = 0.05
"""Results that come this close together travel together."""


@dataclass(frozen=True)
class Failure:
    """What went wrong in a worker, in a form that travels: a mistake of the user's, or a bug."""

    what: str
    why: str = ""
    next_step: str = ""
    traceback: str = ""

    @classmethod
    def of(cls, error: BaseException) -> "Failure":
        """What is told of an error."""
        if isinstance(error, UserError):
            return cls(error.what, error.why, error.next_step)
        return cls(f"{type(error).__name__}: {error}", traceback="".join(traceback.format_exception(error)))

    def error(self) -> Exception:
        """The same where the work was asked for."""
        if self.traceback:
            return RuntimeError(f"a worker failed: {self.what}\n\n{self.traceback}")
        return UserError(self.what, self.why, self.next_step)


@dataclass(frozen=True)
class Report:
    """What a worker has to say when it is asked."""

    results: list[Numbered] = field(default_factory=list)
    wants: int = 0
    """How many more items it would like to have waiting."""
    failure: Failure | None = None


class Session:
    """One piece of work, done in a thread of its own as its items come in."""

    def __init__(self, work: Work[Any, Any], model: LoadedModel) -> None:
        self._work, self._model = work, model
        self._items: deque[Numbered] = deque()
        self._results: list[Numbered] = []
        self._failure: Failure | None = None
        self._in_the_making = 0
        self._is_ended = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._do, daemon=True)
        self._thread.start()

    def exchange(self, items: Sequence[Numbered], *, may_ask: bool, patience: float) -> Report:
        """Take items in and hand results out, waiting a little until there is something to say.

        A worker that `may_ask` says at once when it would like more items.
        """
        with self._changed:
            self._items.extend(items)
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._has_news(may_ask), timeout=patience)
        if self._results and not self._wants:
            time.sleep(GATHERING_SECONDS)
        with self._changed:
            results, self._results = self._results, []
            return Report(results, self._wants, self._failure)

    def end(self, patience: float) -> bool:
        """Say that no more items come; whether the work is over."""
        with self._changed:
            self._is_ended = True
            self._items.clear()
            self._changed.notify_all()
        self._thread.join(patience)
        return not self._thread.is_alive()

    @property
    def _wants(self) -> int:
        return max(0, self._work.ahead - len(self._items))

    def _has_news(self, may_ask: bool) -> bool:
        return bool(self._results or self._failure or (may_ask and self._wants))

    def _feed(self) -> Iterator[Numbered | None]:
        """The items; None where there is none at present and others are in the making."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._items or self._in_the_making or self._is_ended)
                if self._is_ended:
                    return
                item = self._items.popleft() if self._items else None
                self._in_the_making += item is not None
                self._changed.notify_all()
            yield item

    def _do(self) -> None:
        try:
            for numbered in self._work(self._model, self._feed()):
                with self._changed:
                    self._results.append(numbered)
                    self._in_the_making -= not isinstance(numbered[1], Underway)
                    self._changed.notify_all()
        except BaseException as error:  # whatever it is, it is told where the work was asked for
            with self._changed:
                self._failure = Failure.of(error)
                self._changed.notify_all()
