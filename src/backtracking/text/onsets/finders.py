"""What finds onsets in a text: the config's trigger phrases, or any function of your own."""

import re
from collections.abc import Callable, Iterable
from typing import Protocol

from backtracking.errors import UserError
from backtracking.text.onsets.detect import Onset, reasoning_end, stands_at_clause_start

FoundSpans = Iterable[tuple[int, int] | re.Match[str]]
"""Where onsets stand: character spans, or matches of a regular expression."""


class Finder(Protocol):
    """Finds all candidates in a text, and says which of them count as onsets."""

    def all_matches(self, text: str, think_close: str = "") -> list[Onset]:
        """Every candidate, counted or not, in the order of the text."""

    def counted(self, matches: Iterable[Onset]) -> list[Onset]:
        """Those that count as onsets."""

    def find(self, text: str, think_close: str = "") -> list[Onset]:
        """The onsets: candidates that count."""


class OwnFinder:
    """A function from a text to spans; each span is a strict onset, named by its own words."""

    def __init__(self, find: Callable[[str], FoundSpans]) -> None:
        self._find = find

    def all_matches(self, text: str, think_close: str = "") -> list[Onset]:
        """Every span that the function gives, in order."""
        end = reasoning_end(text, think_close)
        given = self._find(text)
        if not isinstance(given, Iterable):
            raise UserError(
                f"the detector gave {given!r}, which is not a list of spans",
                next_step="give a list of (start, end), empty where there is no onset",
            )
        spans = sorted(self._span(one, text) for one in given)
        return [
            Onset(
                phrase=" ".join(text[start:stop].lower().split()),
                kind="strict",
                start=start,
                end=stop,
                region="think" if end is None or start < end else "answer",
                clause_start=stands_at_clause_start(text, start),
            )
            for start, stop in spans
        ]

    def counted(self, matches: Iterable[Onset]) -> list[Onset]:
        """All of them."""
        return list(matches)

    def find(self, text: str, think_close: str = "") -> list[Onset]:
        """The onsets that count."""
        return self.all_matches(text, think_close)

    @staticmethod
    def _span(place: tuple[int, int] | re.Match[str], text: str) -> tuple[int, int]:
        span = place.span() if isinstance(place, re.Match) else place
        if not (isinstance(span, tuple) and len(span) == 2 and 0 <= span[0] < span[1] <= len(text)):
            raise UserError(
                f"the detector gave {place!r}, which is not a part of the text",
                f"the text has {len(text)} characters",
                "give (start, end) with 0 <= start < end, or matches of a regular expression",
            )
        return span
