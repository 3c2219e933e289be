"""The index over the files of rows: a line of facts and a place on disk for every completion."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from backtracking.explore import facets
from backtracking.explore.facets import Facet, coded
from backtracking.explore.facts import Counterpart, Facts, counterpart, facts_of
from backtracking.explore.study import MeasuredRun, RowPlace, rows_with_places
from backtracking.run.io import count_lines
from backtracking.run.progress import Quiet, Reporter
from backtracking.run.records import GenerationRecord, RowId

NAMES = ("run", "variant", "arm", "example")
"""What a row is called beside its sample; a column of codes each."""
LISTS = {
    "phrase": "Onset phrase",
    "before": "Onset right after the step",
    "shape": "Onset after a step of the kind",
    "component": "Onset most moved by",
}
TITLES = {"run": "Run", "variant": "Prompt format", "arm": "Arm", "example": "Problem"}


@dataclass
class Index:
    """All rows, column by column, and where each stands on disk."""

    studies: Sequence[MeasuredRun]
    places: list[RowPlace] = field(default_factory=list)
    columns: dict[str, list[Any]] = field(default_factory=dict)
    values: dict[str, dict[str, int]] = field(default_factory=dict)
    """By column the values that its codes stand for, in their order."""
    _listed: dict[str, list[str]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.places)

    @property
    def facets(self) -> list[Facet]:
        """What rows can be filtered by; questions with one possible answer are not listed."""
        named = [self._named(key) for key in NAMES]
        listed = [
            coded(key, title, self._choices(key), way="any", shown=key == "phrase")
            for key, title in LISTS.items()
        ]
        return [*named, *facets.FIXED, *listed]

    def _named(self, key: str) -> Facet:
        choices = self._choices(key)
        return coded(key, TITLES[key], choices, shown=key != "example" and len(choices) > 1)

    def _choices(self, key: str) -> list[tuple[str, str]]:
        return [(value, value) for value in self.values.get(key, {})]

    def name(self, number: int) -> tuple[str, ...]:
        """What a row is called: run, prompt format, arm, problem, sample."""
        texts = [self._texts(key)[self.columns[key][number]] for key in NAMES]
        return (*texts, str(self.columns["sample"][number]))

    def _texts(self, key: str) -> list[str]:
        """The values of a column in the order of their codes."""
        known = self.values[key]
        if len(self._listed.get(key, ())) != len(known):
            self._listed[key] = list(known)
        return self._listed[key]

    def add(
        self, place: RowPlace, record: GenerationRecord, facts: Facts, components: Sequence[str] | None
    ) -> None:
        """Append a row."""
        names = (place.study.name, place.arm.variant, place.arm.name, record.example_id)
        for key, value in zip(NAMES, names, strict=True):
            self._column(key).append(self._code(key, value))
        lists = {**facts.lists, "component": sorted(set(components or ()))}
        for key in LISTS:
            self._column(key).append(tuple(self._code(key, value) for value in lists[key]))
        read = "no" if components is None else "scan" if components else "yes"
        studied = facets.code(facets.STUDIED, read)
        half = facets.code(facets.HALF, place.study.halves.get(record.example_id, "none"))
        more: dict[str, Any] = {"onsets": facts.bits, "said": facts.answer, "half": half, "studied": studied}
        for key, entry in ({**facts.codes, **facts.numbers, **more}).items():
            self._column(key).append(entry)
        self.places.append(place)

    def _column(self, key: str) -> list[Any]:
        return self.columns.setdefault(key, [])

    def _code(self, key: str, value: str) -> int:
        known = self.values.setdefault(key, {})
        return known.setdefault(value, len(known))


Components = Callable[[RowPlace, GenerationRecord], Sequence[str] | None]
"""The components that most move the onsets of a row; None where no analysis looked into it."""
Keep = Callable[[int, GenerationRecord], None]
"""Is shown every row as it is read."""


def build_index(
    studies: Sequence[MeasuredRun],
    components: Components = lambda _place, _record: None,
    keep: Keep = lambda _number, _record: None,
    reporter: Reporter | None = None,
) -> Index:
    """Read every row once."""
    index = Index(studies)
    arms = [(study, arm) for study in studies for arm in study.arms()]
    baselines: dict[tuple[str, str], dict[RowId, Counterpart]] = {}
    total = sum(count_lines(arm.path) for _, arm in arms)
    with (reporter or Quiet()).bar("reading the rows", total) as bar:
        for study, arm in arms:
            own = baselines.setdefault((study.name, arm.variant), {})
            for place, record in rows_with_places(study, arm):
                _add(index, place, record, own, components)
                keep(len(index) - 1, record)
                bar.advance()
    return index


def _add(
    index: Index,
    place: RowPlace,
    record: GenerationRecord,
    baselines: dict[RowId, Counterpart],
    components: Components,
) -> None:
    paired = None if place.arm.is_baseline else baselines.get(record.id)
    facts = facts_of(record, place.study.reader(record), paired)
    if place.arm.is_baseline:
        baselines[record.id] = counterpart(len(index), record, facts)
    index.add(place, record, facts, components(place, record))
