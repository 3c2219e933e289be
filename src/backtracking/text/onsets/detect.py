"""Onsets of backtracking in text: which phrase, where it stands, and in which part of the answer."""

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Literal, NamedTuple

from backtracking.config.onsets import MEMBERS, TURN_KINDS, OnsetKind, OnsetRule, StudiedOnsets, TurnKind
from backtracking.config.schema import DetectionConfig
from backtracking.text.onsets.rules import TurnRules, bundled_rules, lone_words

Region = Literal["think", "answer"]
DEFAULT_CLOSE = "</think>"

_WINDOW = 160
_MARKS = " \t\"'“”‘’«»*_`#"
_CLAUSE_ENDS = ".?!:;,…。！？：；，、—–\n\r([{（【>|•"
_PLAIN_ENDS = frozenset(".?!,\n")
_OPENERS = "but|oh|ah|hm+|um+|uh|oops"
_LEAD_INS = "and|so|or|no|nope|yes|yeah|yep|ok|okay|well|now|then|right|sorry|though|however"
_OPENER = re.compile(rf"(?:{_OPENERS})(?![\w'’-])", re.IGNORECASE)
_LEAD_IN = re.compile(rf"(?<![\w'’-])(?:({_OPENERS})|{_LEAD_INS})\Z", re.IGNORECASE)
_SPACED_DASH = re.compile(r"(?:^|[\s-])-\Z")
_LIST_MARK = re.compile(r"(?:^|\n)\s*(?:[-+]|\d+[.)])\Z")
_TAG = re.compile(r"</?[\w|:-]{1,40}>\Z")
_UNSPACED = r"\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff"
"""Thai, kana and Han, which are written without spaces: no letter there continues a word."""
_FOREIGN_LETTER = re.compile(r"[^\W\x00-\x7f]")
_FORMULA_ENDS = "0123456789$)]}%"


class Onset(NamedTuple):
    """One trigger phrase in a text."""

    phrase: str
    kind: OnsetKind
    start: int
    end: int
    region: Region
    clause_start: bool


class Detector:
    """Finds trigger phrases under one detection config."""

    def __init__(self, config: DetectionConfig) -> None:
        self.config = config
        kinds: dict[str, OnsetKind] = {_canonical(phrase): "relaxed" for phrase in config.triggers_relaxed}
        kinds |= {_canonical(phrase): "strict" for phrase in config.triggers_strict}
        self._phrases = _ranked(kinds, [_canonical(phrase) for phrase in config.onset_priority])
        self._kinds = [kinds[phrase] for phrase in self._phrases]
        self._pattern = _compile(self._phrases)
        self._openings = _compile_openings(self._phrases)
        self._turns = _compiled(tuple(turn_rules(config).items()))

    def all_matches(self, text: str, think_close: str = "") -> list[Onset]:
        """Every phrase on word boundaries, wherever it stands, in order and without overlaps."""
        boundary = reasoning_end(text, think_close)
        return list(self._onsets(text, len(text) if boundary is None else boundary))

    def turns(self, text: str, think_close: str = "") -> list[Onset]:
        """The onsets that rules find, one of each kind in a sentence at most."""
        boundary = reasoning_end(text, think_close)
        end = len(text) if boundary is None else boundary
        return [
            Onset(
                phrase=_canonical(text[start:stop]),
                kind=kind,
                start=start,
                end=stop,
                region="think" if start < end else "answer",
                clause_start=stands_at_clause_start(text, start),
            )
            for kind, start, stop in self._turns.find(_lowered(text))
        ]

    def of_kind(self, text: str, kind: StudiedOnsets, think_close: str = "") -> list[Onset]:
        """The onsets that count and that an analysis of this kind is about."""
        members = MEMBERS[kind]
        find = self.find if "strict" in members else self.turns
        return [onset for onset in find(text, think_close) if onset.kind in members]

    def _onsets(self, text: str, boundary: int) -> Iterator[Onset]:
        for match in self._matches(text):
            which = (match.lastindex or 1) - 1
            yield Onset(
                phrase=self._phrases[which],
                kind=self._kinds[which],
                start=match.start(),
                end=match.end(),
                region="think" if match.start() < boundary else "answer",
                clause_start=stands_at_clause_start(text, match.start()),
            )

    def _matches(self, text: str) -> Iterator[re.Match[str]]:
        """All matches; where no letter outside ASCII asks for more, places are found in lower-cased text."""
        if not text.isascii() and _FOREIGN_LETTER.search(text):
            yield from self._pattern.finditer(text)
            return
        lowered, done = text.lower(), 0
        for opening in self._openings.finditer(lowered):
            match = self._pattern.match(text, opening.start()) if opening.start() >= done else None
            if match:
                done = match.end()
                yield match

    def counted(self, matches: Iterable[Onset]) -> list[Onset]:
        """Those that the position policy lets count."""
        anywhere = self.config.position_policy == "anywhere"
        return [onset for onset in matches if anywhere or onset.clause_start]

    def find(self, text: str, think_close: str = "") -> list[Onset]:
        """The onsets that count."""
        return self.counted(self.all_matches(text, think_close))


def first_onset(onsets: Sequence[Onset]) -> Onset | None:
    """The onset that stands for its completion: the first strict one, else the first relaxed one."""
    strict = (onset for onset in onsets if onset.kind == "strict")
    return next(strict, onsets[0] if onsets else None)


def reasoning_end(text: str, think_close: str = "") -> int | None:
    """Where the closing mark of the reasoning begins; none when it never came."""
    at = text.find(think_close or DEFAULT_CLOSE)
    return at if at >= 0 else None


@lru_cache(maxsize=8)
def _compiled(rules: tuple[tuple[TurnKind, tuple[OnsetRule, ...]], ...]) -> TurnRules:
    """Detectors with the same rules share them: compiling takes longer than reading many rows."""
    return TurnRules(dict(rules))


def turn_rules(config: DetectionConfig) -> dict[TurnKind, tuple[OnsetRule, ...]]:
    """The rules of each kind, in the order in which they are tried at one place: the last kind first."""
    given: dict[TurnKind, tuple[OnsetRule, ...] | None] = {
        kind: getattr(config, kind) for kind in reversed(TURN_KINDS)
    }
    return {kind: bundled_rules(kind) if rules is None else rules for kind, rules in given.items()}


def onset_words(config: DetectionConfig, kind: StudiedOnsets) -> tuple[str, ...]:
    """Phrases, or single words, whose first tokens stand for onsets of a kind."""
    if kind == "strict":
        return config.triggers_strict
    if kind == "relaxed":
        return (*config.triggers_strict, *config.triggers_relaxed)
    members = [rules for member, rules in turn_rules(config).items() if member in MEMBERS[kind]]
    return tuple(lone_words(rule for rules in members for rule in rules))


def _lowered(text: str) -> str:
    """Lower-cased character by character, so that places stay what they are."""
    lowered = text.lower().replace("’", "'")
    return lowered if len(lowered) == len(text) else "".join(char.lower()[0] for char in text)


def _canonical(phrase: str) -> str:
    return " ".join(phrase.replace("’", "'").lower().split())


def _ranked(phrases: Iterable[str], priority: Sequence[str]) -> list[str]:
    """Phrases as they are tried at one place: the listed ones in their order, then longer before shorter."""
    ranks = {phrase: rank for rank, phrase in enumerate(priority)}
    return sorted(phrases, key=lambda phrase: (ranks.get(phrase, len(ranks)), -len(phrase), phrase))


def _compile(phrases: Sequence[str]) -> re.Pattern[str]:
    """One alternation, one group per phrase: the leftmost match wins, then the first phrase listed."""
    choices = "|".join(f"({_phrase_pattern(phrase)})" for phrase in phrases)
    letter = rf"[^\W_{_UNSPACED}]"
    return re.compile(
        rf"(?<!{letter})(?<!{letter}[-'’_])(?:{choices})(?!{letter}|[-'’_]{letter})", re.IGNORECASE
    )


def _compile_openings(phrases: Sequence[str]) -> re.Pattern[str]:
    """Where a phrase may begin in lower-cased text: only first letters are tried, and quickly skipped."""
    rests: dict[str, list[str]] = {}
    for phrase in phrases:
        rests.setdefault(_phrase_pattern(phrase[:1]), []).append(_phrase_pattern(phrase[1:]))
    return re.compile("|".join(f"{letter}(?={'|'.join(rest)})" for letter, rest in rests.items()))


def _phrase_pattern(phrase: str) -> str:
    return re.escape(phrase).replace(r"\ ", r"\s+").replace("'", "['’]")


def stands_at_clause_start(text: str, start: int) -> bool:
    """Whether a phrase at `start` opens a clause: "8. Wait", "8 but wait", "— wait"; not "the wait".

    Words like "but" or "hmm" open a clause wherever they stand; words like "so" or "no" only hand on the
    question of where they stand themselves.
    """
    if text[max(0, start - 2) : start].rstrip(" ")[-1:] in _PLAIN_ENDS or _OPENER.match(text, start):
        return True
    before = text[max(0, start - _WINDOW) : start]
    capital = text[start : start + 1].isupper()
    while True:
        before = before.rstrip(_MARKS)
        if not before or _ends_clause(before):
            return True
        if capital and before[-1] in _FORMULA_ENDS:
            return True
        lead_in = _LEAD_IN.search(before)
        if lead_in is None:
            return False
        if lead_in.group(1):
            return True
        before, capital = before[: lead_in.start()], lead_in.group()[0].isupper()


def _ends_clause(before: str) -> bool:
    last = before[-1]
    if last == ">":
        return bool(_TAG.search(before)) or before.rpartition("\n")[2].strip() == ">"
    if last == "-":
        return bool(_SPACED_DASH.search(before))
    return (
        last in _CLAUSE_ENDS or bool(_LIST_MARK.search(before)) or (not last.isascii() and not last.isalnum())
    )
