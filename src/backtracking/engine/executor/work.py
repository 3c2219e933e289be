"""Work on a model: numbered items in, numbered results out; and the executor that does it in this process."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from backtracking.model.loading import LoadedModel
from backtracking.run.progress import Bar

Item = TypeVar("Item")
Result = TypeVar("Result")
Item_contra = TypeVar("Item_contra", contravariant=True)
Result_co = TypeVar("Result_co", covariant=True)


@dataclass(frozen=True)
class Underway:
    """Among the results: an item that is still in the making, as it would be taken up by another start."""

    item: Any


class Work(Protocol[Item_contra, Result_co]):
    """What is done to items. It is sent to other processes, so it holds data and no model.

    A result must not depend on which other items are done beside its own, nor on their order.
    """

    @property
    def ahead(self) -> int:
        """How many items a worker wants to have waiting, so that it never runs dry."""

    def __call__(
        self, model: LoadedModel, items: Iterable[tuple[int, Item_contra] | None], /
    ) -> Iterator[tuple[int, Result_co]]:
        """Results by the numbers of their items, in any order.

        None among the items says that there is nothing to begin just now; it comes only while something is
        in the making, so whoever has nothing to do may simply ask for the next item, and wait.
        """


class Executor(ABC):
    """Does work, here or elsewhere; the results are handed to the one process that writes."""

    def __init__(self) -> None:
        self.results = 0
        """How many results it has handed out since somebody last noted it."""

    @property
    @abstractmethod
    def name(self) -> str:
        """What the record of a run calls it."""

    @abstractmethod
    def _run(
        self, model: LoadedModel, work: Work[Item, Result], items: Iterable[Item], bar: Bar | None
    ) -> Iterator[tuple[int, Result]]: ...

    def run(
        self, model: LoadedModel, work: Work[Item, Result], items: Iterable[Item], bar: Bar | None = None
    ) -> Iterator[tuple[int, Result]]:
        """Every item's place with its result, as they are done; `items` is read only as they are needed.

        `model` is the one of this process; `bar` is told how each worker fares.
        """
        for place, result in self._run(model, work, items, bar):
            self.results += not isinstance(result, Underway)
            yield place, result

    def close(self) -> None:  # noqa: B027  (most have started nothing)
        """Let go of what was started."""


class InThisProcess(Executor):
    """Everything is done here, on the model that is loaded here."""

    @property
    def name(self) -> str:
        """One name: there is one process."""
        return "local"

    def _run(
        self, model: LoadedModel, work: Work[Item, Result], items: Iterable[Item], _: Bar | None
    ) -> Iterator[tuple[int, Result]]:
        return work(model, enumerate(items))


HERE = InThisProcess()
"""For callers that have no run."""
