"""Numbers that are said to be somebody else's or something else's: "18 is what Bob earns"."""

from collections.abc import Sequence

from backtracking.text.answers.plain import words as plain
from backtracking.text.numbers.lexer import Token, token_at
from backtracking.text.numbers.lexicon import word_set

_FAR = 4
_OTHERS = word_set(
    """
    sister sisters brother brothers sibling siblings mother father mom dad parents uncle aunt cousin
    cousins friend friends neighbor neighbors neighbour neighbours grandmother grandfather grandma
    grandpa wife husband son daughter boss colleague colleagues coworker coworkers classmate
    classmates roommate partner rival rivals teacher"""
)
_ARE_READ = word_set("shows showed reads says said prints printed displays displayed")


def is_anothers(tail: Sequence[Token]) -> bool:
    """18 is how old her brother is; the price of a ticket; what the clock showed; not "what each pays"."""
    said = next((at for at in range(min(_FAR, len(tail))) if tail[at].kind != "word" or _is(tail[at])), _FAR)
    clause = tail[said + 1 :]
    clause = clause[: next((at for at, token in enumerate(clause) if token.kind == "stop"), len(clause))]
    if not _is(token_at(tail, said)) or token_at(clause, 0).word not in ("what", "how", "the"):
        return False
    return any(_names_other(clause, at) for at in range(1, len(clause)))


def _is(token: Token) -> bool:
    return token.word in ("is", "are", "was", "were")


def _names_other(clause: Sequence[Token], at: int) -> bool:
    token, before, following = clause[at], clause[at - 1], token_at(clause, at + 1)
    if token.word in _ARE_READ:
        return following.kind == "none"
    of_any = (before.word, token.word) in (("of", "a"), ("of", "an"))
    related = token.word in _OTHERS and (before.word in plain.OWNERS or before.word.endswith("'s"))
    person = token.text[:1].isupper() and not token.word.endswith("'s")
    named = person and token.word not in plain.DAYS and token.word != "i"
    return of_any or related or named
