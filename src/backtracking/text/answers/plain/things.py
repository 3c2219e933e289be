"""What a word or a short phrase names: a number, what is counted, something certain."""

from collections.abc import Sequence

from backtracking.text.answers.plain import verbs
from backtracking.text.answers.plain import words as plain
from backtracking.text.numbers.lexer import Token
from backtracking.text.numbers.lexicon import NUMBER_WORDS

_NO_PLURALS = ("ss", "us", "is")


def is_figure(token: Token) -> bool:
    """Whether a token is a number in figures or words."""
    return token.kind in ("number", "frac", "vulgar") or token.word in NUMBER_WORDS


def is_counted(token: Token) -> bool:
    """Whether a word may name what is counted: units, plurals, names."""
    return token.word in plain.UNIT_WORDS or is_plural(token.word) or token.text[:1].isupper()


def is_plural(word: str) -> bool:
    """Whether a word looks like the plural of a noun."""
    if word.endswith("fish"):
        return True
    ends = word.endswith("s") and len(word) > 2 and not word.endswith(_NO_PLURALS)
    return ends and word not in plain.NO_THINGS


def is_superlative(word: str) -> bool:
    """Whether a word looks like "lowest"."""
    return word.endswith("est") and word not in plain.NO_SUPERLATIVES


def is_concrete(phrase: Sequence[Token]) -> bool:
    """Whether a short phrase is nobody's view, no extreme and no number of its own."""
    words = [token.word for token in phrase if token.kind == "word"]
    return not any(
        word in plain.VAGUE or word in plain.PERSONS or word in plain.SCALES_BEHIND or is_superlative(word)
        for word in words
    )


def names_things(token: Token) -> bool:
    """Whether a word may end the name of what is counted."""
    word = token.word
    done = word in verbs.STATES and word.endswith("ed")
    return is_counted(token) or done or word in plain.TAIL or word in plain.PLACES


def names_only_things(token: Token) -> bool:
    """Whether a word can only be the name of things: eggs; not "counts"."""
    return (is_plural(token.word) and token.word not in verbs.STATES) or token.word in plain.UNIT_WORDS


NEAR = 40
"""As many tokens beside a number patterns look at, so that long sentences cost no more than short ones."""


def said(tokens: Sequence[Token]) -> str:
    """What tokens say, as a pattern reads it."""
    return " ".join(token.word or token.text for token in tokens)
