"""Items that one pass of the model reads together, in this process or shared out among workers."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from backtracking.engine.executor.work import Executor
from backtracking.mechanism.partial import Values
from backtracking.model.loading import LoadedModel

Item = TypeVar("Item")
Reads = Callable[[LoadedModel, Sequence[Item]], Iterator[tuple[int, Values]]]
"""Yields the place of an item and what was read there, in any order. It is sent to where a model is, so it is
a function of a module, or a `partial` of one, and holds no model."""


@dataclass(frozen=True)
class _Groups(Generic[Item]):
    """Work whose items are whole groups, so that no number depends on who else is read where."""

    reads: Reads[Item]
    ahead: int = 2

    def __call__(
        self, model: LoadedModel, groups: Iterable[tuple[int, list[Item]] | None]
    ) -> Iterator[tuple[int, list[tuple[int, Values]]]]:
        for numbered in groups:
            if numbered is not None:
                number, items = numbered
                yield number, list(self.reads(model, items))


def read_groups(
    model: LoadedModel,
    reads: Reads[Item],
    items: Sequence[Item],
    groups: Sequence[Sequence[int]],
    executor: Executor,
) -> Iterator[tuple[int, Values]]:
    """What is read at the items of each group, by their places, as groups are done."""
    together = [[items[place] for place in group] for group in groups]
    for number, found in executor.run(model, _Groups(reads), together):
        for place, values in found:
            yield groups[number][place], values
