"""Sentence labels of any scheme: read, mapped to a kind of onset or none, and found again in their text."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from backtracking.config.onsets import LABELS, TURN_KINDS, Label
from backtracking.errors import UserError

DEFAULT_MAP: Mapping[str, Label] = {
    **{kind: kind for kind in TURN_KINDS},
    "backtracking": "redo",
    "backtrack": "redo",
    "uncertainty": "doubt",
    "uncertainty-estimation": "doubt",
    "uncertainty-management": "doubt",
}
"""What common schemes mean; any other label is no onset unless it is mapped."""
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
    """How many labelled sentences there were, and what those that were found mean here."""

    total: int = 0
    placed: int = 0
    meanings: Counter[tuple[str, Label]] = field(default_factory=Counter)

    def add(self, one: Placed) -> None:
        """Counts a sentence whose place was found."""
        self.placed += 1
        self.meanings[one.given, one.label] += 1

    def lines(self) -> list[str]:
        """In words, for the person who asked."""
        lost = self.total - self.placed
        warning = f"WARNING: {lost:,} of {self.total:,} labelled sentences were not found in their completion"
        return [warning] * bool(lost) + [
            f"label {given!r} is taken for {label}: {count:,} sentences"
            for (given, label), count in self.meanings.most_common(20)
        ]


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
        return None if text is None or label is None else LabelledSentence(text, str(label))
    if isinstance(item, list | tuple) and len(item) == 2:
        return LabelledSentence(str(item[0]), str(item[1]))
    return None


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
) -> Iterator[Placed]:
    """The sentences that are found in the text, each behind the one before; white space may differ."""
    at = 0
    for sentence in sentences:
        span = _find(text, sentence.text.strip(), at)
        if span is not None:
            at = span[1]
            given = sentence.label.strip()
            yield Placed(*span, mapping.get(given.lower(), "none"), given)


def _find(text: str, wanted: str, at: int) -> tuple[int, int] | None:
    if not wanted:
        return None
    start = text.find(wanted, at)
    if start >= 0:
        return start, start + len(wanted)
    loose = re.compile(r"\s+".join(map(re.escape, wanted.split())))
    match = loose.search(text, at)
    return match.span() if match else None
