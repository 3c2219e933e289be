"""The problems in two halves: one is looked into, fitted and picked on; the other is held out to confirm."""

from collections.abc import Sequence
from typing import Literal

from backtracking.run.seed import derive_seed

Half = Literal["search", "confirm"]


def half_of(place: int) -> Half:
    """The half that a problem belongs to: of two neighbours in the dataset, a coin sends one into each.

    The place alone decides. So both phases agree without asking each other, whatever their seeds, and
    problems stay where they are when more are studied.
    """
    coin = derive_seed(0, "search and confirm", place // 2) % 2
    return "confirm" if place % 2 == coin else "search"


def split_problems(problems: Sequence[str]) -> dict[Half, list[str]]:
    """The problems of a dataset, in its order, by their half."""
    halves: dict[Half, list[str]] = {"search": [], "confirm": []}
    for place, problem in enumerate(problems):
        halves[half_of(place)].append(problem)
    return halves
