"""Numbers told twice: 2.5, or 5/2; 90 minutes, which is 1.5 hours; 1/4, that is, 25%."""

import re
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

from backtracking.text.answers.plain.things import NEAR, said
from backtracking.text.answers.stances.stances import Mention, Stance
from backtracking.text.numbers.lexer import Token, token_at
from backtracking.text.numbers.lexicon import UNITS, WEIGHTS, word_set

_DESCRIBES = word_set("than as half twice thrice third thirds quarter quarters once every")
"""What describes a quantity by another one."""
_FAR = 10
_LINK = re.compile(
    r"(?:(?!(?:or|so|and|then|but)\b)[a-z]+ ){0,3}?(?:[,;.\n] ){0,2}"
    r"(?:(?:which|that|this) (?:is|equals|means|makes|comes to|amounts to)|that's|i \. e \.|namely|equals|or"
    r"|in other words|corresponding to|=|⇒|→|\((?: (?:=|or|that is|which is|i \. e \.))?)"
    r"(?: (?:to say|exactly|just|also|equal to|the same as|a))*(?: ,)?"
)
"""What stands between two names of one amount, the unit of the first with it."""


def with_restatements(tokens: Sequence[Token], mentions: list[Mention]) -> list[Mention]:
    """The same, where "or" offers no other number, and an amount that is told in two units is one."""
    return _with_both_units(tokens, _with_offered(tokens, mentions))


def _with_offered(tokens: Sequence[Token], mentions: list[Mention]) -> list[Mention]:
    """The same, where "or" offers no other number: 2.5, or 5/2; 6 times 7, or 42."""
    offered = [
        replace(m, stance=Stance.CLAIMED)
        if m.stance is Stance.HEDGED and _values_description(tokens, m.first)
        else m
        for m in mentions
    ]
    for place, (one, other) in enumerate(pairwise(mentions)):
        between = tokens[one.stop : other.first]
        if not 1 <= len(between) <= 4 or between[-1].word != "or":
            continue
        same = one.quantity.readings[:1] == other.quantity.readings[:1] != ()
        for at in (place, place + 1) if same or _is_same_amount(tokens, one, other) else ():
            if offered[at].stance is Stance.HEDGED:
                offered[at] = replace(offered[at], stance=Stance.CLAIMED)
        worked = one.stance is Stance.PART or (place and mentions[place - 1].stance is Stance.PART)
        if worked and between[0].text == "," and other.stance is Stance.HEDGED:
            offered[place + 1] = replace(other, stance=Stance.CLAIMED)
    return offered


def _values_description(tokens: Sequence[Token], at: int) -> bool:
    """Whether "or" tells the value of what was described: "3 inches taller than Ann, or 18 inches"."""
    if token_at(tokens, at - 1).word != "or" or token_at(tokens, at - 2).text != ",":
        return False
    clause = tokens[max(0, at - 2 - NEAR) : at - 2]
    begin = max((k + 1 for k, token in enumerate(clause) if token.kind == "stop"), default=0)
    return any(token.word in _DESCRIBES or token.kind == "percent" for token in clause[begin:])


def _with_both_units(tokens: Sequence[Token], mentions: list[Mention]) -> list[Mention]:
    """The same, each amount that is told in two units read as either."""
    told: list[Mention] = []
    for mention in mentions:
        if told and _is_told_again(tokens, told[-1], mention):
            told[-1] = _either(tokens, told[-1], mention)
        else:
            told.append(mention)
    return told


def _is_told_again(tokens: Sequence[Token], one: Mention, other: Mention) -> bool:
    between = tokens[one.stop : other.first]
    return (
        0 < len(between) <= _FAR
        and one.stance is Stance.CLAIMED is other.stance
        and _is_same_amount(tokens, one, other)
        and _LINK.fullmatch(said(between).strip(" $\\")) is not None
    )


def _either(tokens: Sequence[Token], one: Mention, other: Mention) -> Mention:
    """One mention of an amount, from its first name to the unit of the second."""
    quantity, unit = other.quantity, token_at(tokens, other.stop)
    end = unit.end if unit.word in UNITS else quantity.end
    readings = dict.fromkeys((*one.quantity.readings, *quantity.readings))
    decimals = max(one.quantity.decimals, quantity.decimals)
    both = replace(one.quantity, end=end, readings=tuple(readings), decimals=decimals, percent=False)
    return replace(one, quantity=both, stop=other.stop)


def _is_same_amount(tokens: Sequence[Token], one: Mention, other: Mention) -> bool:
    """Whether two numbers are told in different units and come to the same: 1/4 and 25%, 2000 g and 2 kg."""
    if not one.quantity.readings or not other.quantity.readings:
        return False
    if one.quantity.percent != other.quantity.percent:
        percent, plain = (one, other) if one.quantity.percent else (other, one)
        return percent.quantity.readings[-1] == plain.quantity.readings[0]
    sizes = _amounts(tokens, other)
    return any(sizes.get(kind) == size for kind, size in _amounts(tokens, one).items()) and (
        one.quantity.readings != other.quantity.readings
    )


def _amounts(tokens: Sequence[Token], mention: Mention) -> dict[str, Fraction]:
    """How much a number and its unit come to in the smallest unit of each dimension the unit may have."""
    value = mention.quantity.readings[0]
    inside = (token.word for token in tokens[mention.first : mention.stop + 1])
    unit = next((word for word in inside if UNITS.get(word, ("number",))[0] != "number"), "")
    if not unit:
        return {"money": value * 100} if mention.quantity.currency else {}
    return {kind: value * size for kind, size in (UNITS[unit], *WEIGHTS.get(unit, ()))}
