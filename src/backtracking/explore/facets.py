"""What rows are filtered by: each facet with its options, and how a row belongs to them."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product
from typing import Any, Literal

from backtracking.config.onsets import TURN_KINDS
from backtracking.measurements.specificity import FATES

KINDS = ("strict", "relaxed", *TURN_KINDS)
REGIONS = ("think", "answer")
AFTER = ("wrong", "right", "none")
_CELLS = {cell: 1 << place for place, cell in enumerate(product(KINDS, REGIONS, AFTER))}
_NO_ONSET, _NO_STRICT = 1 << len(_CELLS), 2 << len(_CELLS)

FilterWay = Literal["one", "bits", "any"]
"""How a row belongs to options: by its one code, by bits (facets of a column ask together), by any code."""


@dataclass(frozen=True)
class Option:
    """One value that a facet can be set to; `mask` is its code, or the bits that belong to it."""

    value: str
    label: str
    mask: int


@dataclass(frozen=True)
class Facet:
    """A question about a row that has a few answers."""

    key: str
    title: str
    column: str
    way: FilterWay
    options: tuple[Option, ...]
    shown: bool = True
    """Whether its options are listed; the others are reached from a row: `others like this`."""

    def as_json(self) -> dict[str, Any]:
        """The facet as pages read it."""
        options = [[option.value, option.label, option.mask] for option in self.options]
        return {
            "key": self.key,
            "title": self.title,
            "column": self.column,
            "way": self.way,
            "shown": self.shown,
            "options": options,
        }


def coded(key: str, title: str, choices: Iterable[tuple[str, str]], **more: Any) -> Facet:
    """A facet of which a row has one option, or with `way="any"` some."""
    options = tuple(Option(value, label, place) for place, (value, label) in enumerate(choices))
    return Facet(key, title, key, more.pop("way", "one"), options, **more)


OUTCOME = coded(
    "answer",
    "Answer",
    [
        ("right", "right"),
        ("wrong", "wrong"),
        ("unanswered", "none that can be graded"),
        ("ungraded", "no gold answer"),
    ],
)
ENDING = coded(
    "ending",
    "Ending",
    [
        ("stop", "ended by itself"),
        ("length", "cut"),
        ("loop", "ended in a loop"),
        ("error", "failed"),
        ("unknown", "not known"),
    ],
)
STEPS = coded(
    "steps",
    "Checked arithmetic",
    [("wrong", "erred: a step is wrong"), ("right", "every step is right"), ("none", "no step to check")],
)
_COURSES = [*((fate.name, fate.text) for fate in FATES), ("ungraded", "not graded: no gold answer")]
FATE = coded("fate", "Course", _COURSES)
WAS = coded(
    "was", "Course under the baseline", [*_COURSES, ("unpaired", "baseline itself, or no baseline row")]
)
TURNED = coded(
    "turned",
    "After a wrong step",
    [
        ("followed", "a strict onset comes after one"),
        ("alone", "no strict onset comes after any"),
        ("none", "no step is wrong"),
    ],
)
PARTS = coded(
    "parts",
    "Parts from the baseline",
    [
        ("before", "before the baseline's first onset"),
        ("at", "at the baseline's first onset"),
        ("after", "after the baseline's first onset"),
        ("no_onset", "where the baseline has no onset"),
        ("never", "never"),
        ("unpaired", "baseline itself, or no baseline row"),
    ],
)
HALF = coded(
    "half",
    "Half of the problems",
    [
        ("search", "arms are picked on it"),
        ("confirm", "held out to confirm"),
        ("left_out", "held out, but looked into"),
        ("none", "not split"),
    ],
)
STUDIED = coded(
    "studied",
    "Looked into",
    [
        ("scan", "an onset was read by the scan of components"),
        ("yes", "an onset was read by another analysis alone"),
        ("no", "no"),
    ],
)


def _bits(key: str, title: str, place: int, labels: dict[str, str], *others: Option) -> Facet:
    own = [
        Option(value, label, sum(bit for cell, bit in _CELLS.items() if cell[place] == value))
        for value, label in labels.items()
    ]
    return Facet(key, title, "onsets", "bits", (*own, *others))


ONSETS = (
    _bits(
        "kind",
        "Onset",
        0,
        {kind: kind for kind in KINDS},
        Option("no_strict", "no strict onset", _NO_STRICT),
        Option("no_onset", "no onset of any kind", _NO_ONSET),
    ),
    _bits("region", "Onset stands in", 1, {"think": "the reasoning", "answer": "the answer"}),
    _bits(
        "after",
        "Onset comes after",
        2,
        {"wrong": "a wrong step", "right": "a right step: a false alarm", "none": "no step to check"},
    ),
)
FIXED = (OUTCOME, FATE, WAS, STEPS, TURNED, ENDING, PARTS, *ONSETS, HALF, STUDIED)


def code(facet: Facet, value: str) -> int:
    """The code of an option."""
    return next(option.mask for option in facet.options if option.value == value)


def onset_bits(onsets: Iterable[dict[str, Any]]) -> int:
    """What a row's onsets are, as bits: kind, region and the step before, of each onset together."""
    kinds, bits = set(), 0
    for onset in onsets:
        erred = onset["preceded_by_error"]
        after = "none" if erred is None else "wrong" if erred else "right"
        bits |= _CELLS[onset["kind"], onset["region"], after]
        kinds.add(onset["kind"])
    return bits | (0 if kinds else _NO_ONSET) | (0 if "strict" in kinds else _NO_STRICT)
