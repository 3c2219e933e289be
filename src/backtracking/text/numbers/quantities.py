"""Quantities as people and models write them: a small grammar over the tokens of a statement.

    quantity := sign? currency? amount (currency | percent | unit)*
    amount   := number (fraction | "and a half")? ("× 10" power)? power? magnitude?
    compound := quantity unit ("and"? quantity smaller-unit)+

A quantity keeps every value it may stand for. One that has none, such as √18, 18:20 or 12,5, is still a
quantity: what stands there is known not to be a plain number.
"""

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from typing import NamedTuple

from backtracking.text.numbers.amounts import Quantity, is_ordinal, mixed_part, read_amount
from backtracking.text.numbers.lexer import NOTHING, Token, token_at
from backtracking.text.numbers.lexicon import (
    GLUED_UNITS,
    MAJOR_MONEY,
    MINOR_MONEY,
    POWERS_OF_TEN,
    SCALES,
    SMALL_NUMBERS,
    SUFFIXES,
    UNITS,
)

__all__ = ["Quantity", "read_quantity"]

_COPULAS = frozenset(
    [
        "is",
        "are",
        "was",
        "be",
        "been",
        "being",
        "equals",
        "equal",
        "to",
        "becomes",
        "at",
        "of",
        "by",
        "exactly",
        "reaches",
        "drops",
        "fell",
        "rises",
        "it's",
    ]
)
_SIGN_PLACES = ("none", "equals", "open", "times", "over", "plus", "bound", "about", "money")


def read_quantity(tokens: Sequence[Token], at: int) -> tuple[Quantity, int] | None:
    """The longest quantity that begins at a token, and the token after it."""
    simple = _simple(tokens, at)
    if simple is None:
        return None
    quantity, stop = simple
    return _compound(tokens, quantity, stop)


def _simple(tokens: Sequence[Token], at: int) -> tuple[Quantity, int] | None:
    """sign? currency? amount (currency | percent | unit)*."""
    begin, negative, currency = at, False, False
    previous = tokens[at - 1] if at else NOTHING
    for _ in range(3):
        token = token_at(tokens, at)
        if not negative and _is_sign(tokens, at, previous if at == begin else NOTHING):
            negative, at = True, at + 1
        elif not currency and (token.kind == "money" or token.word in ("usd", "eur", "rs", "gbp", "us")):
            if token.word == "us" and token_at(tokens, at + 1).kind != "money":
                return None
            currency, at = token.kind == "money", at + 1
        elif token.kind == "plus" and at == begin and _is_leading_place(previous):
            at += 1
        else:
            break
    amount = read_amount(tokens, at)
    if amount is None:
        return None
    quantity, stop = amount
    quantity = replace(quantity, start=tokens[begin].start, currency=currency)
    if at == begin and previous.kind == "word" and previous.end == quantity.start:
        quantity = replace(quantity, readings=(), start=previous.start)  # A18, x2: a name
    quantity, stop = _magnitude(tokens, quantity, stop)
    if negative:
        quantity = replace(quantity, readings=tuple(-value for value in quantity.readings))
    return _dressed(tokens, quantity, stop)


def _ends_number(token: Token) -> bool:
    return token.kind in ("number", "frac", "vulgar", "power", "percent", "close")


def _is_sign(tokens: Sequence[Token], at: int, previous: Token) -> bool:
    """Whether a dash or word makes the number behind it negative."""
    token, following = token_at(tokens, at), token_at(tokens, at + 1)
    if token.word == "negative":
        return True
    if token.word == "minus":
        return not _ends_number(previous) and previous.word not in SMALL_NUMBERS
    if token.kind != "dash" or following.kind not in ("number", "frac", "vulgar", "money"):
        return False
    if not following.spaced:
        return not _ends_number(previous) and (token.spaced or previous.kind not in ("word", "dash"))
    return _is_leading_place(previous)


def _is_leading_place(previous: Token) -> bool:
    """Whether a sign behind a token belongs to the number that follows."""
    if previous.kind == "stop":
        return previous.text in ":,"
    return previous.kind in _SIGN_PLACES or previous.word in _COPULAS


def _magnitude(tokens: Sequence[Token], quantity: Quantity, at: int) -> tuple[Quantity, int]:
    """k, M, dozen, thousand behind a number, and what follows: 2 thousand 3 hundred."""
    if (of_one := _part_of_one(tokens, quantity, at)) is not None:
        return of_one
    if quantity.spelled:
        return quantity, at
    token = token_at(tokens, at)
    at += token.kind == "dash" and not token.spaced and token_at(tokens, at + 1).word in SCALES
    token = token_at(tokens, at)
    factor = SCALES.get(token.word)
    if factor is None and token.kind == "word" and not token.spaced:
        text = token.text.upper() if quantity.currency and len(token.text) == 1 else token.text
        factor = SUFFIXES.get(text)
    if factor is None:
        return quantity, at
    scaled = tuple(value * factor for value in quantity.readings)
    at += 1
    smaller, following = token_at(tokens, at), token_at(tokens, at + 1)
    more = smaller.kind == "number" and following.word in POWERS_OF_TEN and smaller.text.isdigit()
    if more and POWERS_OF_TEN[following.word] < factor:
        scaled = tuple(value + int(smaller.text) * POWERS_OF_TEN[following.word] for value in scaled)
        at += 2
    elif (part := mixed_part(tokens, at)) is not None and smaller.word == "and":
        scaled, at = tuple(value + part[0] * factor for value in scaled), part[1]
    return replace(quantity, readings=scaled, end=tokens[at - 1].end, decimals=0), at


def _part_of_one(tokens: Sequence[Token], quantity: Quantity, at: int) -> tuple[Quantity, int] | None:
    """1/3 of a dozen, half of a million."""
    of, article, scale = (token_at(tokens, at + k) for k in range(3))
    whole = SCALES.get(scale.word)
    part = quantity.value is not None and 0 < quantity.value < 1
    if not part or whole is None or (of.word, article.word) not in (("of", "a"), ("of", "one")):
        return None
    readings = tuple(value * whole for value in quantity.readings)
    return replace(quantity, readings=readings, end=scale.end, decimals=0), at + 3


def _dressed(tokens: Sequence[Token], quantity: Quantity, at: int) -> tuple[Quantity, int]:
    """What stands right behind a number: percent and currency signs, suffixes, letters that unmake it."""
    for dress in (_ordinal, _percentage, _money_behind, _unknown_behind, _below_zero):
        dressed = dress(tokens, quantity, at)
        if dressed is not None:
            return dressed
    return quantity, at


def _ordinal(tokens: Sequence[Token], quantity: Quantity, at: int) -> tuple[Quantity, int] | None:
    """15th, 15^{th}."""
    at += token_at(tokens, at).kind == "raised"
    suffix = token_at(tokens, at)
    if suffix.spaced or not is_ordinal(tokens, at):
        return None
    return replace(quantity, end=suffix.end), at + 1


def _percentage(tokens: Sequence[Token], quantity: Quantity, at: int) -> tuple[Quantity, int] | None:
    """15%, 15 per cent: 15 or 0.15."""
    token = token_at(tokens, at)
    apart = token.word == "per" and token_at(tokens, at + 1).word == "cent"
    if token.kind != "percent" and token.word not in ("percent", "pct") and not apart:
        return None
    stop = at + 1 + apart
    readings = (*quantity.readings, *(value / 100 for value in quantity.readings))
    return replace(quantity, end=tokens[stop - 1].end, readings=readings, percent=True), stop


def _money_behind(tokens: Sequence[Token], quantity: Quantity, at: int) -> tuple[Quantity, int] | None:
    """18€, 75¢, 18 dollars."""
    token = token_at(tokens, at)
    if token.kind == "money" and not token_at(tokens, at + 1).text[:1].isdigit():
        return replace(quantity, end=token.end, currency=True), at + 1
    if token.text == "¢" and len(quantity.readings) == 1:
        return _in_cents(quantity, token), at + 1
    return (replace(quantity, currency=True), at) if token.word in MAJOR_MONEY else None


def _in_cents(quantity: Quantity, last: Token) -> Quantity:
    """75 cents may be asked for as 75 or as 0.75."""
    (value,) = quantity.readings
    return replace(quantity, readings=(value, value / 100), end=last.end, currency=True)


def _unknown_behind(tokens: Sequence[Token], quantity: Quantity, at: int) -> tuple[Quantity, int] | None:
    """18x, 18\\pi, 18!, 18_{9}, 18‰: not the number that stands there."""
    token, following = token_at(tokens, at), token_at(tokens, at + 1)
    if token.text == "\\frac" and (following.text in GLUED_UNITS or following.word in UNITS):
        return quantity, at + 1  # a unit written as a fraction
    letters = token.kind == "word" and not quantity.spelled and not _is_glued_unit(token)
    factorial = token.text == "!" and (following.kind in ("none", "close", "equals") or following.text == "!")
    glued = not token.spaced and (letters or factorial or token.text in ("‰", "_"))
    if not glued and token.kind not in ("command", "root"):
        return None
    return replace(quantity, readings=(), end=token.end), at + 1


def _below_zero(tokens: Sequence[Token], quantity: Quantity, at: int) -> tuple[Quantity, int] | None:
    """5 below zero, 5 degrees below zero."""
    at += token_at(tokens, at).word == "degrees"
    zero = token_at(tokens, at + 1)
    if token_at(tokens, at).word != "below" or zero.word != "zero":
        return None
    return replace(quantity, readings=tuple(-abs(value) for value in quantity.readings), end=zero.end), at + 2


def _is_glued_unit(token: Token) -> bool:
    return (len(token.text) >= 3 and token.text not in ("ths", "rds")) or token.text in GLUED_UNITS


def _compound(tokens: Sequence[Token], first: Quantity, at: int) -> tuple[Quantity, int]:
    """18 dollars and 50 cents, 5 feet 6 inches: one quantity in any of its units."""
    named = token_at(tokens, at).word
    unit = UNITS.get(named) or (UNITS["dollar"] if first.currency else None)
    if len(first.readings) != 1:
        return first, at
    smaller = _smaller_units(tokens, at + (named in UNITS), unit) if unit is not None else []
    if unit is None or not smaller:
        return (_in_cents(first, tokens[at]) if named in MINOR_MONEY else first), at
    dimension, size = unit
    total = first.readings[0] * size + sum(part.number * part.size for part in smaller)
    readings = tuple(total / each for each in (size, *(part.size for part in smaller)))
    stop, money = smaller[-1].stop, dimension == "money"
    readings, decimals = (readings[:1], 2) if money else (readings, 0)
    end = tokens[stop - 1].end
    return replace(first, end=end, readings=readings, decimals=decimals, currency=money), stop


class _Part(NamedTuple):
    """A number of smaller units, the size of one, and the token behind."""

    number: Fraction
    size: Fraction
    stop: int


def _smaller_units(tokens: Sequence[Token], at: int, unit: tuple[str, Fraction]) -> list[_Part]:
    """What follows a number and its unit in ever smaller units, each less than one of the unit before."""
    dimension, size = unit
    parts: list[_Part] = []
    while True:
        joint = token_at(tokens, at)
        smaller = _simple(tokens, at + (joint.word == "and" or joint.text == ","))
        if smaller is None or len(smaller[0].readings) != 1 or smaller[0].currency:
            return parts
        (count,), stop = smaller[0].readings, smaller[1]
        kind, each = UNITS.get(token_at(tokens, stop).word, ("", size))
        if kind != dimension or each >= size or count * each >= size:
            return parts
        at, size = stop + 1, each
        parts.append(_Part(count, each, at))
