"""Places in a completion at which a trigger could come: what ends there, and whether it was right."""

from bisect import bisect_right
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backtracking.run.records import GenerationRecord
from backtracking.text.arithmetic import find_steps
from backtracking.text.tokenization import TokenMap, TokenText

_SENTENCE_ENDS = (".", "!", "?", "\n", "。", "！", "？")
_CLOSERS = "\"'”’)]}*_$ \t"
_STOPS = {".": "full stop", "。": "full stop", "\n": "line break"}
_STOPS |= dict.fromkeys("!?！？", "exclamation or question mark") | dict.fromkeys(",;:，；：、", "pause")

Offsets = NDArray[np.int64]


@dataclass(frozen=True, order=True)
class PlaceKind:
    """What a place is like; only places of one kind are compared."""

    starts_sentence: bool
    behind: str
    """What stands before it: a kind of mark, a `number`, a `word`, or `start`."""


@dataclass(frozen=True)
class Place:
    """Where a completion token stands, or could."""

    offset: int
    """The token, counted in the completion."""
    kind: PlaceKind
    after_wrong: bool
    """Whether the last checkable step before it is wrong."""


class Layout:
    """The places of one completion."""

    def __init__(self, record: GenerationRecord, token_map: TokenMap) -> None:
        self._tokens: TokenText = token_map(record.completion_ids, record.completion)
        self.starts = sentence_starts(self._tokens.pieces())
        self._starts = frozenset(self.starts)
        steps = sorted((step.end, step.correct) for step in find_steps(self._tokens.text))
        self._ends = [end for end, _ in steps]
        self._right = [right for _, right in steps]

    def at(self, offset: int) -> Place:
        """The place of a completion token."""
        char = self._tokens.starts[offset]
        last = bisect_right(self._ends, char) - 1
        return Place(offset, self._kind(offset), last >= 0 and not self._right[last])

    def of_kinds(self, kinds: Collection[PlaceKind], before: int) -> dict[PlaceKind, Offsets]:
        """Where a trigger could come ahead of a token: places of these kinds, not behind a wrong step."""
        inside = any(not kind.starts_sentence for kind in kinds)
        offsets_of: dict[PlaceKind, list[int]] = {}
        for offset in range(1, before) if inside else (start for start in self.starts if start < before):
            kind = self._kind(offset)
            if kind in kinds and not self.at(offset).after_wrong:
                offsets_of.setdefault(kind, []).append(offset)
        return {kind: np.array(offsets, dtype=np.int64) for kind, offsets in offsets_of.items()}

    def _kind(self, offset: int) -> PlaceKind:
        said = self._tokens.text[: self._tokens.starts[offset]]
        return PlaceKind(offset in self._starts, _behind(said[-16:]))


def _behind(said: str) -> str:
    """What a text ends in, looking through what closes a sentence."""
    bare = said.rstrip(" \t")
    last = bare[-1:] if bare.endswith("\n") else bare.rstrip(_CLOSERS)[-1:] or bare[-1:]
    if not last:
        return "start"
    if last in _STOPS:
        return _STOPS[last]
    return "number" if last.isdigit() else "word" if last.isalpha() else "mark"


def sentence_starts(pieces: Sequence[str]) -> list[int]:
    """Tokens that a sentence or a line begins with: where the model could have begun another one.

    Where the space is a token of its own, the sentence begins with it, since that is what stands in the
    place of ` Wait`. A digit right behind a full stop goes on with a number ("16.5"); behind a space it
    does not ("16. 5").
    """
    starts: list[int] = []
    for k in range(1, len(pieces)):
        before = "".join(pieces[max(0, k - 4) : k])
        if not before.rstrip(_CLOSERS).endswith(_SENTENCE_ENDS) or _is_line_break(pieces[k]):
            continue
        goes_on = before.endswith(".") and pieces[k][:1].isdigit()
        closes = bool(pieces[k]) and not pieces[k].strip(_CLOSERS) and not pieces[k].isspace()
        behind_its_space = starts[-1:] == [k - 1] and pieces[k - 1].isspace()
        if pieces[k] and not (goes_on or closes or behind_its_space):
            starts.append(k)
    return starts


def _is_line_break(piece: str) -> bool:
    """Blank with a line break in it: it still belongs to the end of the sentence before."""
    return piece.isspace() and "\n" in piece


Candidates = Mapping[PlaceKind, Offsets]
"""The places of a row that may serve as controls, by kind, in order."""


def nearest(candidates: Candidates, place: Place) -> int | None:
    """The candidate of a place's kind that lies nearest to it, by how far each is into its completion."""
    offsets = candidates.get(place.kind)
    if offsets is None or not len(offsets):
        return None
    k = int(np.searchsorted(offsets, place.offset))
    return min(map(int, offsets[max(0, k - 1) : k + 1]), key=lambda offset: distance(offset, place.offset))


def distance(one: int, other: int) -> float:
    """How far apart two offsets lie: the size of the log of their ratio."""
    return float(abs(np.log((one + 1) / (other + 1))))
