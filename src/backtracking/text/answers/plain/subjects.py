"""Whose number it is: quantities that are said to be so much, and who does what so many times."""

import re
from collections.abc import Sequence

from backtracking.text.answers.plain import verbs
from backtracking.text.answers.plain import words as plain
from backtracking.text.answers.plain.leads import (
    clause_begin,
    is_part_of_quantity,
    leads_on_to,
    tells_by_itself,
)
from backtracking.text.answers.plain.things import NEAR, is_concrete, is_counted, is_figure, said
from backtracking.text.numbers.lexer import NOTHING, Token, token_at

_STRANGE = 3
"""So many unknown words make a subject unknown."""
_OF_STANDARD = re.compile(
    r"\b(?:than|as) (?P<standard>\w+(?: [\w']+){0,2}?) (?:[,(—–-] )?"
    r"(?:who|which(?! (?:is|means|makes|gives|leaves|equals|totals)\b)|whose|and (?P=standard))"
    r"\b(?:(?!\bso\b)[^,;:.)])*$"
)


def belongs_to_standard(head: Sequence[Token]) -> bool:
    """Whether it is the number that something is compared with: "Tom has 5 fewer than Ann, who has 18"."""
    return _OF_STANDARD.search(said(head[-NEAR:])) is not None


def takes_number(words: Sequence[Token], at: int, *, counts: bool) -> bool:
    """Whether a verb states the number, or a preposition behind a word that takes it."""
    word, before = words[at].word, token_at(words, at - 1).word
    if word in plain.PREPOSITION_LEADS:
        if _has_amount_of(words, at):
            return True
        of_sum = word in ("of", "to", "as", "in")
        return _takes_preposition(words, at) and (not of_sum or is_quantity(words[: at - 1], counts=counts))
    if word in plain.COPULAS:
        return leads_on_to(words, at) and is_quantity(words[:at], counts=counts)
    if word in plain.GIVES and _is_calculation(words[:at]):
        return True
    if word in verbs.STATING:
        return token_at(words, at - 1).kind in ("stop", "none") or before in ("and", "for", "by")
    return word in verbs.STATES and _has_subject(words, at)


def sums_up(words: Sequence[Token], at: int) -> bool:
    """She paid 5 and 13, for a combined total of; a total of."""
    article = _article_of_amount(words, at)
    before = token_at(words, article - 1)
    leads = before.word in ("for", "making", "giving") or before.text == ","
    return (
        article > 0 and leads and not {"total", "sum"}.isdisjoint(token.word for token in words[article:at])
    )


def _article_of_amount(words: Sequence[Token], at: int) -> int:
    """Where "a profit of" begins; -1 where nothing of the kind ends at a place."""
    noun = token_at(words, at - 1).word
    begin = at - 2 - (token_at(words, at - 2).word in plain.SUMMING)
    found = token_at(words, at).word == "of" and noun in plain.PREPOSITION_LEADS["of"]
    return begin if found and token_at(words, begin).word in ("a", "an") else -1


def _has_amount_of(words: Sequence[Token], at: int) -> bool:
    """The rectangle has an area of; he makes a total commission of."""
    article = _article_of_amount(words, at)
    named = token_at(words, article - 1).text[:1].isupper()  # takes Ann a total of
    return article >= 0 and token_at(words, article - 1 - named).word in verbs.STATES


def _takes_preposition(words: Sequence[Token], at: int) -> bool:
    """Total of, comes to, left with, drives at."""
    takers = plain.PREPOSITION_LEADS[words[at].word]
    if words[at].word in ("for", "in", "with"):
        passive = (
            token_at(words, at - 2).word in ("is", "are", "was", "were") and words[at - 1].word != "gone"
        )
        return not (passive and words[at].word == "for") and not takers.isdisjoint(
            token.word for token in words[max(0, at - 7) : at]
        )
    if words[at].word == "to" and any(token.word in plain.BRINGS for token in words[max(0, at - 4) : at]):
        return True  # brings her total to
    back = at - 1 - (token_at(words, at - 1).word in ("up", "down", "out", "off", "back", "only"))
    return token_at(words, back).word in takers or (
        words[at].word == "to" and is_figure(token_at(words, back))
    )


def is_quantity(subject: Sequence[Token], *, counts: bool) -> bool:
    """Whether a subject is a quantity or a person: the cost of the two shirts; not the closest multiple.

    Of what it is the cost may be anything, and so may that be which is so many feet long.
    """
    begin = clause_begin(subject)
    if _is_owned(subject[begin:]):
        return True
    if _is_amount_of_things(subject[begin:]):
        return True
    strange = [at for at in range(begin, len(subject)) if not is_part_of_quantity(subject[at])]
    if len(strange) > 1 and not (counts and len(strange) < _STRANGE):
        return False
    owned = strange == [len(subject) - 1] and token_at(subject, strange[0] - 1).word.endswith("'s")
    return not strange or counts or owned or token_at(subject, strange[0] - 2).word in ("of", "for")


def _is_owned(subject: Sequence[Token]) -> bool:
    """Ada's daily consumption; not "Ada's brother thinks it", "there's no reason for it"."""
    owner, *words = subject or [NOTHING]
    owned = owner.word in plain.OWNERS or (owner.word.endswith("'s") and owner.word not in plain.COPULAS)
    return owned and not any(token.word in plain.VAGUE or token.word in plain.PERSONS for token in words)


def _is_amount_of_things(subject: Sequence[Token]) -> bool:
    """The total number of cards that had the letter D on them."""
    begin = 0
    while (
        token_at(subject, begin).word in plain.HEAD or token_at(subject, begin).word in plain.COMMON
    ) and token_at(subject, begin + 1).word != "of":
        begin += 1
    noun, of = token_at(subject, begin), token_at(subject, begin + 1)
    common = token_at(subject, begin - 1).word == "common"
    takes = of.word == "of" or (of.word in ("to", "for") and noun.word in plain.AMOUNTS)
    return (noun.word in plain.AMOUNTS or common) and takes and is_concrete(subject[begin + 2 :])


def _has_subject(words: Sequence[Token], at: int) -> bool:
    """Whether somebody does what the verb says, in a sentence of its own."""
    word, before = words[at].word, token_at(words, at - 1).word
    if before == "to":
        governed = token_at(words, at - 2).word in plain.TO_GOVERNORS
        return governed or (word in plain.REACHES and any(map(is_figure, words[:at])))
    if word in verbs.BASES and not _may_do(words, at - 1):
        return False
    if not tells_by_itself(words, at):
        return False
    hurried = any(
        t.text[:1].islower()
        and t.word.endswith("ly")
        and t.word not in plain.ADVERBS | plain.TAIL | plain.PLACES
        for t in words[:at]
    )
    return not hurried and before not in ("could", "might", "may", "not", "or")


def _may_do(words: Sequence[Token], at: int) -> bool:
    """Whether what stands before a verb's base form takes it: we, will, must each, 3 friends."""
    while token_at(words, at).word in plain.ADVERBS and words[at].word not in plain.BASE_SUBJECTS:
        at -= 1
    subject = token_at(words, at)
    return subject.word in plain.BASE_SUBJECTS or is_counted(subject) or is_figure(subject)


def _is_calculation(words: Sequence[Token]) -> bool:
    """This gives; adding the two gives; 3 times 6 gives."""
    begin = max((at + 1 for at in range(len(words)) if words[at].text in plain.BREAKS), default=0)
    while token_at(words, begin).word in plain.ADVERBS:
        begin += 1
    first = token_at(words, begin)
    return first.word in ("this", "that", "which", "it", "we", "") or first.word.endswith("ing")
