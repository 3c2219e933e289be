"""Onset rules: phrases with what must hold around them, compiled to patterns that stay linear in the text.

A phrase is words. `a|b` is either word, `a_b` two words in one choice, `word?` may be missing, `*` is any one
word and `#` any number in digits. Words may be joined by a space, a comma or a hyphen.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from importlib.resources import files

from pydantic import TypeAdapter

from backtracking.config.onsets import OnsetRule, TurnKind
from backtracking.run.inputs import yaml_data

Hit = tuple[TurnKind, int, int]
"""A kind, and where the phrase that shows it begins and ends."""

_JOIN = r"(?:[,;:]?\s{1,3}|-)"
_GAP = r"[\s,;:.…!—–*\"'“”-]{0,6}+"
"""What may stand between a phrase and what follows it: "Wait... no"."""
_WORD = r"[^\W_][\w'-]{0,30}"
_NUMBER = r"[$€£]?\d[\d.,]{0,15}%?"
_ANY = {"*": _WORD, "#": _NUMBER}
_END = r"(?![^\W_]|['-][^\W_])"
_SENTENCE = 300
_SENTENCE_END = re.compile(r"[.?!…\n。？！](?:(?<=[\n。？！])|(?=[\s\"'”’)*]|\Z))")
_CLAUSE = r"[.?!:;,…。！？：；，、—–\n\r(\[{（【>|•*-](?<!-(?=\S))[\s\"'“”‘«*_`#>(\d.)-]{0,12}"
_SAID_FIRST = (
    "and so or no yes yeah ok okay well now then right sorry though however but oh ah hm hmm um uh also"
)
_LEAD_INS = frozenset(re.findall(r"\w+", _SAID_FIRST))
_BEHIND_LEAD_IN = re.compile(r"[\s,.…!:—–-]{1,4}")
_MOST_LEAD_INS = 3
_ONE_WORD = r"([^\W_]+(?:'[^\W_]+)?)"
_THREE_WORDS = re.compile(rf"{_ONE_WORD}(?:%?{_JOIN}{_ONE_WORD}(?:%?{_JOIN}{_ONE_WORD})?)?")


class TurnRules:
    """The rules of all kinds, looked up by the word that a phrase begins with; earlier kinds go first."""

    def __init__(self, rules: Mapping[TurnKind, Sequence[OnsetRule]]) -> None:
        ordered = [(kind, rule) for kind, members in rules.items() for rule in members]
        self._at_clause = _Index((kind, rule) for kind, rule in ordered if rule.position == "clause_start")
        self._anywhere = _Index((kind, rule) for kind, rule in ordered if rule.position == "anywhere")
        lead_in = f"{_any_of(_LEAD_INS)}(?![^\\W_]){_BEHIND_LEAD_IN.pattern}"
        opens = f"(?:{lead_in}){{0,{_MOST_LEAD_INS}}}?{self._at_clause.opening}"
        self._clause = re.compile(f"{_CLAUSE}(?={opens})")
        self._word = re.compile(rf"[\W_](?={self._anywhere.opening})")

    def find(self, lowered: str) -> list[Hit]:
        """The first hit of each kind in each sentence, in order."""
        hits = sorted({*self._clause_hits(lowered), *self._other_hits(lowered)}, key=lambda hit: hit[1:])
        return list(_one_per_sentence(hits, lowered))

    def _clause_hits(self, lowered: str) -> Iterator[Hit]:
        for start in self._clause_starts(lowered):
            place = start
            for _ in range(_MOST_LEAD_INS + 1):
                words = _THREE_WORDS.match(lowered, place)
                if words is None:
                    break
                if hit := self._at_clause.first_hit(words):
                    yield hit
                    break
                gap = words.group(1) in _LEAD_INS and _BEHIND_LEAD_IN.match(lowered, words.end(1))
                if not gap:
                    break
                place = gap.end()

    def _clause_starts(self, lowered: str) -> Iterator[int]:
        """Where a clause opens with what a phrase may begin with, if need be behind a few words."""
        yield len(lowered) - len(lowered.lstrip())
        for match in self._clause.finditer(lowered):
            yield match.end()
        place = lowered.find(" but ")
        while place >= 0:
            yield place + 1
            place = lowered.find(" but ", place + 1)

    def _other_hits(self, lowered: str) -> Iterator[Hit]:
        for match in self._word.finditer(f" {lowered}"):
            words = _THREE_WORDS.match(lowered, match.start())
            if words and (hit := self._anywhere.first_hit(words)):
                yield hit


class _Index:
    """Phrases by their first three words, so that few are tried at a place; the rules' order is kept."""

    def __init__(self, rules: Iterable[tuple[TurnKind, OnsetRule]]) -> None:
        phrases = [(_Compiled(kind, rule, phrase), phrase) for kind, rule in rules for phrase in rule.phrases]
        self.opening = _begins(opening for _, phrase in phrases for opening in _openings(phrase))
        begun = [(words, compiled) for compiled, p in phrases for words in _beginnings(p.lower().split(), 3)]
        by_first: dict[str | None, list[tuple[tuple[str | None, ...], _Compiled]]] = {}
        for words, compiled in begun:
            by_first.setdefault(words[0], []).append((words, compiled))
        self._table: dict[tuple[str | None, ...], list[_Compiled]] = {}
        for first, second in dict.fromkeys(words[:2] for words, _ in begun):
            own = by_first[first]
            for place in (second, None):
                among = [(words[2], compiled) for words, compiled in own if words[1] in (None, place)]
                for third in {None, *(word for word, _ in among)}:
                    tried = dict.fromkeys(compiled for word, compiled in among if word in (None, third))
                    self._table[first, place, third] = list(tried)
        self._firsts = {first for first, _, _ in self._table}

    def first_hit(self, words: re.Match[str]) -> Hit | None:
        """The first phrase that holds where up to three words were read."""
        first, second, third = words.groups()
        if first not in self._firsts:
            return None
        phrases = (
            self._table.get((first, second, third))
            or self._table.get((first, second, None))
            or self._table.get((first, None, third))
            or self._table[first, None, None]
        )
        for phrase in phrases:
            end = phrase.end(words.string, words.start())
            if end is not None:
                return phrase.kind, words.start(), end
        return None


def _openings(phrase: str) -> Iterator[tuple[str, str | None]]:
    """The first two words that a phrase may begin with; no second one where any or none may follow."""
    tokens = phrase.lower().split()
    for place, token in enumerate(tokens):
        for choice in token.removesuffix("?").split("|"):
            first, *more = _read_words(choice)
            followed_by_a_sign = choice.startswith(f"{first}%")
            for second in [None] if followed_by_a_sign else more[:1] or _next_words(tokens[place + 1 :]):
                yield first, second
        if not token.endswith("?"):
            return


def _beginnings(tokens: Sequence[str], count: int) -> Iterator[tuple[str | None, ...]]:
    """So many words that a phrase may begin with; none where any may follow or the phrase has ended."""
    if not tokens or not count:
        yield (None,) * count
        return
    for choice in tokens[0].removesuffix("?").split("|"):
        words = _read_words(choice)[:count]
        known = next((place for place, word in enumerate(words) if word in _ANY), len(words))
        rest = tokens[1:] if known == len(words) else ()
        for more in _beginnings(rest, count - known):
            yield *words[:known], *more
    if tokens[0].endswith("?"):
        yield from _beginnings(tokens[1:], count)


def _next_words(tokens: Sequence[str]) -> Iterator[str | None]:
    for token in tokens:
        for choice in token.removesuffix("?").split("|"):
            word = _read_words(choice)[0]
            yield None if word in _ANY else word
        if not token.endswith("?"):
            return
    yield None


def _read_words(choice: str) -> list[str]:
    """The words of a choice as they are read in a text, where a sign such as % is none of a word."""
    return [word.rstrip("%") for word in re.split("[_-]", choice)]


class _Compiled:
    """One phrase of a rule with its contexts."""

    def __init__(self, kind: TurnKind, rule: OnsetRule, phrase: str) -> None:
        ahead = f"(?={_GAP}{_choice(rule.next)})" if rule.next else ""
        not_ahead = f"(?!{_GAP}{_choice(rule.not_next)})" if rule.not_next else ""
        self.kind = kind
        self._pattern = re.compile(_words(phrase) + _END + ahead + not_ahead)
        self._later, self._not_later = _search(rule.later), _search(rule.not_later)
        self._question = rule.question
        self._looks_on = bool(rule.later or rule.not_later or rule.question is not None)

    def end(self, lowered: str, start: int) -> int | None:
        """Where the phrase ends, if it stands at `start` and its sentence is as the rule asks."""
        match = self._pattern.match(lowered, start)
        if match is None or not self._looks_on:
            return match.end() if match else None
        end, is_question = sentence_end(lowered, match.end())
        rest = match.end(), end
        holds = (
            self._question in (None, is_question)
            and (self._later is None or self._later.search(lowered, *rest) is not None)
            and (self._not_later is None or self._not_later.search(lowered, *rest) is None)
        )
        return match.end() if holds else None


def _begins(openings: Iterable[tuple[str, str | None]]) -> str:
    """A pattern that one of these first two words must match: it tells most places apart at a glance."""
    by_letter: dict[str, dict[str, list[str | None]]] = {}
    for first, second in openings:
        by_letter.setdefault(first[:1], {}).setdefault(first[1:], []).append(second)
    letters = []
    for letter, words in by_letter.items():
        rests = (re.escape(rest) + r"(?![^\W_])" + _second(seconds) for rest, seconds in words.items())
        letters.append(f"{re.escape(letter)}(?:{'|'.join(rests)})")
    return f"(?:{'|'.join(letters) or '(?!)'})"


def _second(words: Sequence[str | None]) -> str:
    """A pattern for the second word, empty where any or none may follow."""
    return "" if None in words else _JOIN + _any_of(word for word in words if word)


def _any_of(words: Iterable[str]) -> str:
    """A pattern for any of these words that decides letter by letter, which is quick for many words."""
    rests: dict[str, list[str]] = {}
    for word in sorted(set(words)):
        rests.setdefault(word[:1], []).append(word[1:])
    is_whole = rests.pop("", None) is not None
    choices = [re.escape(letter) + (_any_of(rest) if any(rest) else "") for letter, rest in rests.items()]
    return f"(?:{'|'.join(choices)}){'?' if is_whole else ''}" if choices else "(?!)"


def _one_per_sentence(hits: Iterable[Hit], lowered: str) -> Iterator[Hit]:
    ends: dict[TurnKind, int] = {}
    for kind, start, end in hits:
        if start >= ends.get(kind, 0):
            ends[kind] = sentence_end(lowered, end)[0]
            yield kind, start, end


def sentence_end(text: str, start: int) -> tuple[int, bool]:
    """Where the sentence ends, looked for no further than a few lines, and whether it is a question."""
    end = _SENTENCE_END.search(text, start, start + _SENTENCE)
    if end is None:
        return min(start + _SENTENCE, len(text)), False
    return end.start(), end.group() in "?？"


def lone_words(rules: Iterable[OnsetRule]) -> list[str]:
    """Words that open a clause and are a whole phrase by themselves: "wait", not the "is" of "is that"."""
    lone: dict[str, None] = {}
    for rule in rules:
        if rule.position == "clause_start" and rule.question is not True:
            for phrase in rule.phrases:
                needed = [token for token in phrase.lower().split() if not token.endswith("?")]
                choices = needed[0].split("|") if len(needed) == 1 else []
                lone |= dict.fromkeys(choice for choice in choices if "_" not in choice)
    return list(lone)


@cache
def bundled_rules(kind: TurnKind) -> tuple[OnsetRule, ...]:
    """The rules of a kind that ship with the package."""
    text = files("backtracking").joinpath("assets", "onsets", f"{kind}.yaml").read_text(encoding="utf-8")
    return TypeAdapter(tuple[OnsetRule, ...]).validate_python(yaml_data(text))


def _search(phrases: Sequence[str]) -> re.Pattern[str] | None:
    return re.compile(rf"[^\w'-](?={_choice(phrases)})") if phrases else None


def _choice(phrases: Sequence[str]) -> str:
    """A pattern for any of these phrases; what they begin with is looked at before each is tried."""
    openings = [opening for phrase in phrases for opening in _openings(phrase)]
    ahead = "" if any(first in _ANY for first, _ in openings) else f"(?={_begins(openings)})"
    return f"{ahead}(?:{'|'.join(_words(phrase) + _END for phrase in phrases)})"


def _words(phrase: str) -> str:
    """A phrase as a pattern without unbounded repetition."""
    pattern, joined = "", False
    for token in phrase.lower().split():
        word = f"(?:{'|'.join(_one_choice(choice) for choice in token.removesuffix('?').split('|'))})"
        if token.endswith("?"):
            pattern += rf"(?:{_JOIN}{word})?" if joined else rf"(?:{word}{_JOIN})?"
        else:
            pattern += _JOIN + word if joined else word
            joined = True
    return pattern


def _one_choice(choice: str) -> str:
    return _JOIN.join(_ANY.get(word) or re.escape(word) for word in choice.split("_"))
