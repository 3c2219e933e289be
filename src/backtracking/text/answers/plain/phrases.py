"""Circumstances behind a number that leave it as it is: where, when, of what, what for."""

from collections.abc import Sequence

from backtracking.text.answers.plain import verbs
from backtracking.text.answers.plain import words as plain
from backtracking.text.answers.plain.things import (
    is_concrete,
    is_counted,
    is_figure,
    is_plural,
    is_superlative,
    names_things,
)
from backtracking.text.numbers.lexer import Token, token_at
from backtracking.text.numbers.lexicon import NUMBER_WORDS

_LONG_PHRASE = 5


def phrase_end(tail: Sequence[Token], at: int) -> int:
    """Where a phrase ends that begins at a place."""
    at += token_at(tail, at).word == "that"  # in that time
    while at < len(tail) and (tail[at].kind in ("word", "money", "percent") or is_figure(tail[at])):
        if tail[at].word in plain.CONNECTS and tail[at].word not in plain.INSIDE_PHRASES:
            return at
        at += 1
        following = token_at(tail, at)
        hyphen = following.kind == "dash" and not following.spaced and not token_at(tail, at + 1).spaced
        if hyphen or following.text in ("'", "’"):
            at += 1  # the 400-gallon tank, the farmers' market
    return at


def is_errand(phrase: Sequence[Token]) -> bool:
    """To go; to rent the boat; to her friends."""
    done = [token for token in phrase[1:] if is_figure(token)]
    if any(token.word in plain.SCALES_BEHIND for token in phrase):
        return False
    vague = any(token.word in plain.VAGUE or token.word in plain.PERSONS for token in phrase)
    things = [token for token in phrase[1:] if token.word not in plain.LOOSE]
    if phrase[0].word not in plain.UNDOING and is_concrete(things):
        return True
    packs = phrase[0].word in verbs.BASES and len(phrase) == 2 and not vague
    return not is_figure(phrase[0]) and (
        len(phrase) == 1 or bool(done) or packs or _is_harmless(phrase[1:]) or _is_harmless(phrase)
    )


def is_circumstance(preposition: str, tail: Sequence[Token], begin: int, end: int) -> bool:
    """Whether a phrase and its preposition only say where, when, of what or for whom."""
    phrase = tail[begin:end]
    words = [token.word for token in phrase if token.kind == "word"]
    if " ".join((preposition, *words)) in plain.INNOCENT_PHRASES:
        return True
    agent = (
        token_at(tail, begin - 2).word.endswith(("ed", "en")) and token_at(tail, begin).word in plain.DEFINITE
    )
    scaled = bool(phrase) and phrase[0].word in plain.SCALES_BEHIND  # in dozens
    if not phrase or scaled or (preposition == "by" and not agent and not _tells_how(phrase)):
        return False
    if preposition in ("of", "out"):
        figures = any(map(is_figure, phrase))
        return _is_share(tail, begin, end) or (not figures and _is_harmless(phrase))
    if any(map(is_figure, phrase)):
        return _is_numbered(preposition, phrase)
    if preposition == "in" and any(token.word.endswith("'s") for token in phrase):
        return False  # in Tom's notes
    errand = preposition == "for" and token_at(tail, end).word == "to"
    return errand or _is_harmless(phrase) or _is_known_place(preposition, tail, begin, end)


def _is_numbered(preposition: str, phrase: Sequence[Token]) -> bool:
    """For 4 hours of work; in the two farms altogether; in one trip; on page 3."""
    while phrase and (phrase[-1].word in plain.TAIL or phrase[-1].word == "of"):
        phrase = phrase[:-1]
    if not phrase or is_counted(phrase[-1]):
        return bool(phrase)
    if phrase[0].word == "one" and len(phrase) == 2 and is_concrete(phrase[1:]):
        return True
    numbered = is_figure(phrase[-1]) or phrase[-1].word in plain.PLACES
    return numbered and preposition not in ("to", "over", "within", "in")


def _tells_how(phrase: Sequence[Token]) -> bool:
    """By selling eggs; by Friday; by 6 kids."""
    timed = phrase[0].word == "the" and phrase[-1].word in plain.TIMES
    named = phrase[0].word in verbs.STATING or phrase[-1].text[:1].isupper()
    return timed or named or any(map(is_figure, phrase))


def _is_known_place(preposition: str, tail: Sequence[Token], begin: int, end: int) -> bool:
    """For her lawnmower; on this shopping trip; in the tower; in four hours."""
    phrase = tail[begin:end]
    anywhere = phrase[0].word in ("a", "an") and preposition in ("in", "on", "at") and is_plural(tail[0].word)
    definite = anywhere or phrase[0].word in plain.DEFINITE or is_figure(phrase[0])
    short = len(phrase) <= _LONG_PHRASE
    return definite and short and preposition in plain.PLACES_IT and is_concrete(phrase)


def _is_share(tail: Sequence[Token], begin: int, end: int) -> bool:
    """Of milk; of the 60 students; out of 60 students passed; ¾ of it."""
    phrase = [token for token in tail[begin:end] if token.word != "of"]
    rate = next((k for k, token in enumerate(phrase) if token.word in ("a", "an", "per", "each") and k), None)
    phrase = phrase[:rate]  # of coffee a week
    words = [token.word for token in phrase]
    if not words or not plain.PERSONS.isdisjoint(words):
        return False
    if words[0] in ("sorts", "kind", "sort"):
        return False
    if any(map(is_figure, phrase)):
        return words[0] == "the" or _acts(phrase) or token_at(tail, end).word in ("is", "are", "was", "were")
    if begin == 1:
        return words[0] in ("the", "it", "them", "her", "his", "their", "its") or _acts(phrase)
    return len(words) <= 2 and plain.VAGUE.isdisjoint(words)


def _acts(phrase: Sequence[Token]) -> bool:
    """Of the 60 students passed."""
    last = phrase[-1].word
    return last in plain.HAPPENS or last in verbs.STATES or last.endswith("ed")


def _is_harmless(phrase: Sequence[Token]) -> bool:
    """Things, names or known places; nobody's view."""
    words = [token.word for token in phrase if token.kind == "word"]
    if not words or not plain.PERSONS.isdisjoint(words) or plain.VAGUE.intersection(words):
        return False
    if any(is_superlative(word) or word in plain.SCALES_BEHIND or word in NUMBER_WORDS for word in words):
        return False
    if words[0] in verbs.STATING:
        return True
    return all(map(_is_known, phrase))


def _is_known(token: Token) -> bool:
    known = token.word in plain.QUANTITIES or token.word in plain.PLACES or names_things(token)
    return known or token.kind != "word" or is_figure(token) or token.word in plain.PREDICATES
