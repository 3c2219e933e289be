"""Sentence labels of any scheme: read, mapped to a kind of onset or none, and found again in their text."""

import re
from bisect import bisect, insort
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from backtracking.config.onsets import LABELS, TURN_KINDS, Label
from backtracking.errors import UserError
from backtracking.run.records import RowId

DEFAULT_MAP: Mapping[str, Label] = {
    **{kind: kind for kind in TURN_KINDS},
    "backtracking": "redo",
    "backtrack": "redo",
    "uncertainty": "doubt",
    "uncertainty-estimation": "doubt",
    "uncertainty-management": "doubt",
}
"""What common schemes mean; any other label is no onset unless it is mapped."""
_Span = tuple[int, int]
_TEXT_KEYS = ("text", "sentence", "segment", "content")
_LABEL_KEYS = ("label", "tag", "category", "type", "kind")
_TAGGED = re.compile(r'\["?([\w -]{1,60}?)"?\](.*?)\["?end-section"?\]', re.DOTALL)


@dataclass(frozen=True)
class LabelledSentence:
    """A sentence (or a longer stretch) and what somebody called it."""

    text: str
    label: str


@dataclass(frozen=True)
class Placed:
    """Where a labelled sentence stands in its trace, and what its label means here."""

    start: int
    end: int
    label: Label
    given: str


@dataclass
class LabelCounts:
    """How many labelled sentences there were, what those that were found mean here, and which were not."""

    total: int = 0
    placed: int = 0
    meanings: Counter[tuple[str, Label]] = field(default_factory=Counter)
    lost: list[tuple[str, str]] = field(default_factory=list)
    """The problem and the text of sentences that do not stand in their completion."""
    repeated: list[tuple[str, str]] = field(default_factory=list)
    """The same of sentences that are labelled more often than they stand there."""
    without_label: int = 0
    foreign: Counter[str] = field(default_factory=Counter)
    """How many sentences belong to completions that the run does not have, by the problem."""
    replaced: Counter[RowId] = field(default_factory=Counter)
    """How many labels of earlier imports gave way, by the completion."""
    kept: Counter[RowId] = field(default_factory=Counter)
    """How many labels of earlier imports stayed, by the completion."""

    def add(self, one: Placed) -> None:
        """Counts a sentence whose place was found."""
        self.placed += 1
        self.meanings[one.given, one.label] += 1


def read_sentences(value: Any) -> list[LabelledSentence]:
    """From a list of mappings or pairs, or from text tagged `["label"] … ["end-section"]`."""
    if isinstance(value, str):
        return [LabelledSentence(match[2], match[1].strip()) for match in _TAGGED.finditer(value)]
    if value is None or isinstance(value, float | int):
        return []
    return [sentence for item in value if (sentence := _sentence(item)) is not None]


def _sentence(item: Any) -> LabelledSentence | None:
    if isinstance(item, Mapping):
        text = next((item[key] for key in _TEXT_KEYS if isinstance(item.get(key), str)), None)
        label = next((item[key] for key in _LABEL_KEYS if item.get(key) is not None), None)
    elif isinstance(item, list | tuple) and len(item) == 2:
        text, label = map(str, item)
    else:
        return None
    if text is None or label is None or not str(label).strip():
        return None
    return LabelledSentence(text, str(label))


def label_map(pairs: Sequence[str]) -> dict[str, Label]:
    """The default meanings, changed by `THEIRS=OURS` pairs."""
    mapping = dict(DEFAULT_MAP)
    for pair in pairs:
        theirs, _, ours = pair.rpartition("=")
        known = next((label for label in LABELS if label == ours.strip()), None)
        if not theirs.strip() or known is None:
            raise UserError(
                f"--map {pair!r} is not of the form {' or '.join(f'LABEL={label}' for label in LABELS)}",
                next_step="e.g. --map backtracking=redo --map uncertainty-estimation=doubt",
            )
        mapping[theirs.strip().lower()] = known
    return mapping


def place_sentences(
    text: str, sentences: Sequence[LabelledSentence], mapping: Mapping[str, Label]
) -> tuple[list[Placed], list[LabelledSentence]]:
    """The sentences that stand in the text, in its order, and those that do not; white space may differ.

    Each is looked for behind the one before, then from the beginning on, where no other one was found: labels
    may come in any order, and a sentence that is labelled twice has two places.
    """
    spans: list[_Span] = []
    placed: list[Placed] = []
    lost: list[LabelledSentence] = []
    at = 0
    for sentence in sentences:
        wanted = sentence.text.strip()
        span = _find(text, wanted, at, spans) or _find(text, wanted, 0, spans)
        if span is None:
            lost.append(sentence)
            continue
        at = span[1]
        insort(spans, span)
        given = sentence.label.strip()
        placed.append(Placed(*span, mapping.get(given.lower(), "none"), given))
    return sorted(placed, key=lambda one: one.start), lost


def _find(text: str, wanted: str, at: int, taken: Sequence[_Span]) -> _Span | None:
    """The first place from a character on that overlaps none of those that are taken."""
    return next((span for span in _places(text, wanted, at) if _is_free(span, taken)), None)


def _places(text: str, wanted: str, at: int) -> Iterator[_Span]:
    """Where a sentence stands to the letter; after that, where white space differs."""
    if not wanted:
        return
    start = text.find(wanted, at)
    while start >= 0:
        yield start, start + len(wanted)
        start = text.find(wanted, start + 1)
    loose = re.compile(r"\s+".join(map(re.escape, wanted.split())))
    yield from (match.span() for match in loose.finditer(text, at))


def _is_free(span: _Span, taken: Sequence[_Span]) -> bool:
    place = bisect(taken, span)
    before, behind = taken[max(0, place - 1) : place], taken[place : place + 1]
    return all(one[1] <= span[0] for one in before) and all(span[1] <= one[0] for one in behind)
