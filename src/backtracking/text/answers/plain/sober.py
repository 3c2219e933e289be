"""Whether a clause makes no reserve of what it says, whatever its words."""

from collections.abc import Sequence

from backtracking.text.answers.plain import verbs
from backtracking.text.answers.plain import words as plain
from backtracking.text.answers.plain.things import is_counted, is_superlative
from backtracking.text.numbers.lexer import Token, token_at


def is_sober(words: Sequence[Token], *, wishes: bool = False) -> bool:
    """Whether no word of a clause, known or not, can make a reserve of it, wishes aside where they may be."""
    return not any(
        _makes_reserve(words, at)
        or (words[at].word in verbs.UNREAL and not wishes and not _is_thing(words, at))
        for at in range(len(words))
    )


def _is_thing(words: Sequence[Token], at: int) -> bool:
    """The framed picture; 18 toys; the number he thought of; not "she pictures 18"."""
    if words[at].word == "thought" and token_at(words, at + 1).word == "of":
        return True
    if words[at].word not in plain.LIKE_VERBS:
        return False
    if at == 0:
        return True  # right behind the number
    before = token_at(words, at - 1).word
    framed = before.endswith("ed") and token_at(words, at - 2).word in plain.BEFORE_NOUN
    return framed or before in plain.BEFORE_NOUN


def _makes_reserve(words: Sequence[Token], at: int) -> bool:
    word, before = words[at].word, token_at(words, at - 1).word
    if (word == "missing" and before in plain.COPULAS) or (word == "wait" and before in ("a", "the", "to")):
        return False
    if _tells_apart(words, at) or (word == "grain" and token_at(words, at + 1).word != "of"):
        return False
    if word in plain.RESERVING or word in plain.VIEWS or words[at].text == "may" or word.endswith("n't"):
        return True
    if word == "save" and before in ("all", "everything", "everyone"):
        return True
    return is_superlative(word) or _is_unknown_adverb(words, at) or _may_be_idiom(words, at)


def _tells_apart(words: Sequence[Token], at: int) -> bool:
    """No and not and or, where they tell things apart: with no letter, did not eat, either red or blue."""
    word, before, following = words[at].word, token_at(words, at - 1).word, token_at(words, at + 1).word
    if word == "no":
        return before in ("with", "have", "has", "had")
    if word == "not":
        return (before in ("did", "do", "does") and following in verbs.BASES) or following.endswith("ed")
    return word == "or" and any(token.word in ("either", "any") for token in words[:at])


def _is_unknown_adverb(words: Sequence[Token], at: int) -> bool:
    """Reportedly; not "Kelly paid", "is fully downloaded"."""
    word, following = words[at].word, token_at(words, at + 1).word
    named = words[at].text[:1].isupper() and (at > 0 or following in verbs.STATES)
    if not word.endswith("ly") or named or (at and following.endswith("ed")):
        return False
    known = (plain.ADVERBS, plain.TAIL, plain.NO_ADVERBS, verbs.STATES, plain.QUANTITIES)
    return not any(word in table for table in known)


def _may_be_idiom(words: Sequence[Token], at: int) -> bool:
    """In jest; on a whim; by Ann's lights; not "in a whole day", "in red paint", "of colour"."""
    word, following = words[at].word, token_at(words, at + 1)
    if word not in plain.PLACED_BY or word in ("of", "to", "per") or following.kind != "word":
        return False
    if word == "by" and token_at(words, at - 1).word.endswith("ed"):
        return False  # covered by forest
    if following.word in ("a", "an"):
        return plain.TIMES.isdisjoint(token.word for token in words[at + 2 : at + 4])
    if following.word.endswith("'s"):
        return word in ("by", "in") and token_at(words, at + 2).word not in plain.TIMES | plain.PLACES
    if following.word == "what":
        return True
    known = (plain.QUANTITIES, plain.PLACES, plain.PREDICATES, verbs.STATING, plain.TIMES)
    names = (
        is_counted(following)
        or following.word.endswith(("ing", "ment"))
        or any(following.word in table for table in known)
    )
    return token_at(words, at + 2).kind == "none" and not names
