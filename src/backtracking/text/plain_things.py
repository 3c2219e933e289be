"""What a word or a short phrase names: a number, what is counted, something certain."""

from collections.abc import Sequence

from backtracking.text import plain_words as plain
from backtracking.text import verbs
from backtracking.text.lexer import Token, token_at
from backtracking.text.lexicon import NUMBER_WORDS

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


def is_sober(phrase: Sequence[Token]) -> bool:
    """Whether no word of a phrase, known or not, can make a reserve of it.

    A word that is not known may name a thing; behind a bare preposition it may be an idiom: "in jest".
    """
    if not all(token.kind == "word" or is_figure(token) for token in phrase):
        return False
    return is_concrete([token for token in phrase if token.word not in plain.LOOSE]) and not any(
        token.word in plain.RESERVING
        or token.word.endswith(("n't", "'s"))
        or _is_unknown_adverb(token)
        or _may_be_idiom(phrase, at)
        for at, token in enumerate(phrase)
    )


def _is_unknown_adverb(token: Token) -> bool:
    known = token.word in plain.ADVERBS or token.word in plain.TAIL or token.word in plain.NO_ADVERBS
    known = known or token.word in verbs.STATES or token.word in plain.QUANTITIES
    return token.word.endswith(("ly", "ed")) and token.text[:1].islower() and not known


def _may_be_idiom(phrase: Sequence[Token], at: int) -> bool:
    following = token_at(phrase, at + 1)
    if phrase[at].word in ("over", "to", "within") and is_figure(following):
        return True
    if phrase[at].word not in plain.PLACED_BY or following.kind != "word":
        return False
    known = (
        following.word in plain.QUANTITIES
        or following.word in plain.PLACES
        or following.word in plain.PREDICATES
    )
    certain = following.word in plain.DEFINITE or following.word == "of" or is_figure(following)
    if following.word in ("a", "an"):
        return True
    return not (known or certain or is_counted(following) or following.word in verbs.STATING)
