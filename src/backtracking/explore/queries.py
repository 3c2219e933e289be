"""Which rows a filter means, and how many each option would leave: the same as the pages compute."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import reduce
from operator import and_, or_
from typing import Any, Protocol

from backtracking.errors import UserError
from backtracking.explore.facets import Facet
from backtracking.explore.links import read_link

NOT_FILTERS = ("sort", "row", "vs", "onset")
"""Parts of a link that say how rows are shown, not which."""


class Filtered(Protocol):
    """What filters choose from: rows of a run, or completions behind prefixes."""

    @property
    def columns(self) -> Mapping[str, list[Any]]:
        """The codes of every row, column by column."""

    @property
    def facets(self) -> list[Facet]:
        """What can be asked of them."""

    def __len__(self) -> int:
        """How many there are."""


@dataclass(frozen=True)
class Query:
    """Chosen options by facet, and a text that must occur."""

    chosen: Mapping[str, frozenset[str]] = field(default_factory=dict)
    text: str = ""

    @classmethod
    def parse(cls, link: str, index: "Filtered") -> "Query":
        """The filter of a link, or of the part behind its `?`; what no facet knows is an error."""
        given = {key: values for key, values in read_link(link).items() if key not in NOT_FILTERS}
        text = " ".join(given.pop("q", []))
        known = {facet.key: facet for facet in index.facets}
        for key, values in given.items():
            if key not in known:
                raise UserError(f"no filter is called {key!r}", f"there are: {', '.join(known)}, q")
            options = [option.value for option in known[key].options]
            if unknown := [value for value in values if value not in options]:
                raise UserError(f"{key}: no row has {unknown[0]!r}", f"there are: {', '.join(options[:20])}")
        return cls({key: frozenset(values) for key, values in given.items()}, text)


def matching_rows(index: "Filtered", query: Query, with_text: Collection[int] | None = None) -> list[int]:
    """The numbers of the rows that pass every facet; `with_text` are those in which the text occurs."""
    passing = _Passing(index, query.chosen)
    return [number for number in range(len(index)) if _said(number, with_text) and passing(number)]


def counts(
    index: "Filtered", query: Query, with_text: Collection[int] | None = None
) -> dict[str, dict[str, int]]:
    """Per facet and option: how many rows there would be with this option, were it the facet's only one."""
    by_facet: dict[str, dict[str, int]] = {}
    for facet in index.facets:
        by_facet[facet.key] = {}
        for option in facet.options:
            asked = {**query.chosen, facet.key: frozenset([option.value])}
            by_facet[facet.key][option.value] = len(matching_rows(index, Query(asked), with_text))
    return by_facet


def _said(number: int, with_text: Collection[int] | None) -> bool:
    return with_text is None or number in with_text


class _Passing:
    """Whether a row passes the chosen options of every facet."""

    def __init__(self, index: "Filtered", chosen: Mapping[str, frozenset[str]]) -> None:
        asked = [(facet, chosen[facet.key]) for facet in index.facets if chosen.get(facet.key)]
        self._tests = list(_tests(index, asked))

    def __call__(self, number: int) -> bool:
        return all(test(number) for test in self._tests)


def _tests(index: "Filtered", asked: list[tuple[Facet, frozenset[str]]]) -> "Iterator[_Test]":
    joint: dict[str, list[int]] = {}
    for facet, values in asked:
        masks = [option.mask for option in facet.options if option.value in values]
        if facet.way == "bits":
            joint.setdefault(facet.column, []).append(reduce(or_, masks, 0))
        else:
            yield _Test(index.columns[facet.column], frozenset(masks))
    for column, masks in joint.items():
        yield _Test(index.columns[column], reduce(and_, masks))


@dataclass(frozen=True)
class _Test:
    column: list[int | tuple[int, ...]]
    wanted: frozenset[int] | int

    def __call__(self, number: int) -> bool:
        entry = self.column[number]
        if isinstance(self.wanted, int):
            return isinstance(entry, int) and bool(entry & self.wanted)
        return entry in self.wanted if isinstance(entry, int) else not self.wanted.isdisjoint(entry)
