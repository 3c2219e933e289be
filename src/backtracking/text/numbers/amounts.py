"""Numbers by themselves, in figures or in words: 1,250.50, 2½, 2.3 × 10³, 6², one hundred and twenty-five."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from backtracking.text.numbers.lexer import Token, token_at
from backtracking.text.numbers.lexicon import (
    DENOMINATORS,
    ORDINAL_ENDINGS,
    POWER_WORDS,
    SCALES,
    SEVERAL_PARTS,
    SMALL_NUMBERS,
    SUPERSCRIPTS,
    TENS,
    VULGAR,
)

_MAX_DIGITS = 40
_MAX_POWER = 60
_MAX_SPELLED = 40
_PLAIN = re.compile(r"\d+(?:\.\d+)?|\.\d+")
_GROUPED = re.compile(r"\d{1,3}(?:[^\d.]+\d{3})+(?:\.\d+)?|\d{1,2}(?:,\d{2})+,\d{3}(?:\.\d+)?")
_SCIENTIFIC = re.compile(r"(\d+(?:\.\d+)?)[eE]([-+]?\d{1,3})")


@dataclass(frozen=True)
class Quantity:
    """A number as written, with all the values that it may stand for."""

    start: int
    end: int
    readings: tuple[Fraction, ...]
    """The values it may stand for; none where it has no plain value."""
    decimals: int = 0
    currency: bool = False
    percent: bool = False
    spelled: bool = False

    @property
    def value(self) -> Fraction | None:
        """The value, if there is one."""
        return self.readings[0] if self.readings else None


def read_amount(tokens: Sequence[Token], at: int) -> tuple[Quantity, int] | None:
    """A number in figures or words with what belongs to it: fraction, power of ten, power."""
    token = token_at(tokens, at)
    if token.kind in ("number", "frac", "vulgar"):
        return _figures(tokens, at)
    if token.kind == "root":
        inner = read_amount(tokens, at + 1)
        stop = inner[1] if inner else at + 1
        return Quantity(token.start, tokens[stop - 1].end, ()), stop
    if token.kind == "word":
        return _spelled(tokens, at)
    return None


def _figures(tokens: Sequence[Token], at: int) -> tuple[Quantity, int]:
    token = tokens[at]
    value, decimals = _numeral(token)
    at += 1
    whole = value is not None and value.denominator == 1 and token.kind == "number"
    part = mixed_part(tokens, at) if whole else None
    if whole and token_at(tokens, at).word in SEVERAL_PARTS:
        value, at = _part_in_words(tokens, at - 1) or (value, at)
    if value is not None and part is not None:
        value, at = value + part[0], part[1]
    following, beyond = token_at(tokens, at), token_at(tokens, at + 1)
    if token.kind == "number" and following.kind == "over" and beyond.kind == "number" and part is None:
        bottom, _ = _numeral(beyond)
        value = value / bottom if value is not None and bottom else None
        decimals, at = 0, at + 2
    if (power := _power_of_ten(tokens, at)) is not None:
        value = value * Fraction(10) ** power[0] if value is not None else None
        decimals, at = 0, power[1]
    value, at = _raised(tokens, value, at)
    readings = () if value is None else (value,)
    return Quantity(token.start, tokens[at - 1].end, readings, decimals), at


def _numeral(token: Token) -> tuple[Fraction | None, int]:
    """The value of one token and how many decimals it shows; none when it is read differently by place."""
    text = token.text
    if len(text) > _MAX_DIGITS * 2:
        return None, 0
    if token.kind == "vulgar":
        return VULGAR[text], 0
    if token.kind == "frac":
        digits = re.findall(r"\d+", text.partition("frac")[2])
        top, bottom = digits if len(digits) == 2 else digits[0]
        return (Fraction(int(top), int(bottom)) if int(bottom) else None), 0
    if match := _SCIENTIFIC.fullmatch(text):
        power = int(match.group(2))
        return (Fraction(match.group(1)) * Fraction(10) ** power if abs(power) <= _MAX_POWER else None), 0
    if not _PLAIN.fullmatch(text):
        if not _GROUPED.fullmatch(text):
            return None, 0
        text = re.sub(r"[^\d.]", "", text)
    return Fraction(text), len(text.partition(".")[2])


def mixed_part(tokens: Sequence[Token], at: int) -> tuple[Fraction, int] | None:
    """What makes a whole number a mixed one: ½, 1/2, \\frac{1}{2}, "and a half"."""
    token = token_at(tokens, at)
    if token.kind in ("vulgar", "frac"):
        value, _ = _numeral(token)
        return (value, at + 1) if value is not None else None
    joined = token.word == "and"
    begin = at + joined
    top, slash, bottom = (token_at(tokens, begin + k) for k in range(3))
    if top.kind == bottom.kind == "number" and slash.kind == "over" and top.spaced:
        values = _numeral(top)[0], _numeral(bottom)[0]
        if values[0] is not None and values[1] and values[0] < values[1]:
            return values[0] / values[1], begin + 3
    if joined and top.kind in ("vulgar", "frac"):
        value, _ = _numeral(top)
        return (value, begin + 1) if value is not None else None
    return _part_in_words(tokens, begin) if joined else None


def _part_in_words(tokens: Sequence[Token], at: int) -> tuple[Fraction, int] | None:
    """A half, one third, three-quarters."""
    first = token_at(tokens, at)
    top = 1 if first.word in ("a", "an") else SMALL_NUMBERS.get(first.word)
    if first.kind == "number" and first.text.isdigit() and len(first.text) <= 2:
        top = int(first.text)
    behind = at + 1 + (token_at(tokens, at + 1).kind == "dash")
    bottom = DENOMINATORS.get(token_at(tokens, behind).word)
    several = token_at(tokens, behind).word in SEVERAL_PARTS
    if not top or bottom is None or (top >= bottom and not several):
        return None
    return Fraction(top, bottom), behind + 1


def _power_of_ten(tokens: Sequence[Token], at: int) -> tuple[int, int] | None:
    """× 10³ behind a number."""
    sign, ten, power = (token_at(tokens, at + k) for k in range(3))
    times = sign.kind == "times" or sign.word == "x"
    if not (times and ten.text == "10" and power.kind == "power" and not power.spaced):
        return None
    exponent = _exponent(power)
    return None if exponent is None else (exponent, at + 3)


def _exponent(token: Token) -> int | None:
    digits = token.text.translate(SUPERSCRIPTS).replace("−", "-").strip("^{} ")
    if not re.fullmatch(r"-?\d{1,3}", digits) or abs(int(digits)) > _MAX_POWER:
        return None
    return int(digits)


def _raised(tokens: Sequence[Token], value: Fraction | None, at: int) -> tuple[Fraction | None, int]:
    """A number with its power: 6², 10^{3}, 5 squared; none where it is too large or unknown."""
    token = token_at(tokens, at)
    if token.kind == "power" and not token.spaced:
        exponent = _exponent(token)
        small = value is not None and exponent is not None and _is_small_power(value, exponent)
        return (value**exponent if small and value is not None and exponent is not None else None), at + 1
    if token.kind == "raised" and not is_ordinal(tokens, at + 1):
        return None, at + 1
    if token.word in POWER_WORDS:
        exponent = POWER_WORDS[token.word]
        small = value is not None and _is_small_power(value, exponent)
        return (value**exponent if small and value is not None else None), at + 1
    return value, at


def _is_small_power(value: Fraction, exponent: int) -> bool:
    size = max(value.numerator.bit_length(), value.denominator.bit_length())
    return size * abs(exponent) <= 512 and (value != 0 or exponent >= 0)


def is_ordinal(tokens: Sequence[Token], at: int) -> bool:
    """Whether a number is followed by "th" and the like."""
    return token_at(tokens, at).word in ORDINAL_ENDINGS


def _spelled(tokens: Sequence[Token], at: int) -> tuple[Quantity, int] | None:
    """A number in English words: one hundred and twenty-five thousand, a dozen, two and a half."""
    begin, first = at, tokens[at]
    if (part := _part_in_words(tokens, at)) is not None:
        quantity = Quantity(first.start, tokens[part[1] - 1].end, (part[0],), spelled=True)
        return quantity, part[1]
    if first.word == "half" and token_at(tokens, at + 1).word not in ("a", *SCALES):
        return Quantity(first.start, first.end, (Fraction(1, 2),), spelled=True), at + 1
    article = first.word in ("a", "an", "half") or first.word == "another"
    if article:
        scale = at + 1 + (first.word == "half" and token_at(tokens, at + 1).word == "a")
        if token_at(tokens, scale).word not in SCALES or first.word == "another":
            return None
        value = Fraction(1, 2) if first.word == "half" else Fraction(1)
        total, at = Fraction(0), scale
        value, at = value * SCALES[tokens[at].word], at + 1
        done = _rest_of_spelled(tokens, at, total, value)
    elif first.word in SMALL_NUMBERS or first.word in TENS:
        done = _rest_of_spelled(tokens, at, Fraction(0), None)
    else:
        return None
    total, at = done
    if (part := mixed_part(tokens, at)) is not None:
        total, at = total + part[0], part[1]
        factor = SCALES.get(token_at(tokens, at).word)
        total, at = total * (factor or 1), at + (factor is not None)
    raised, at = _raised(tokens, total, at)
    readings = () if raised is None else (raised,)
    return Quantity(tokens[begin].start, tokens[at - 1].end, readings, spelled=True), at


def _rest_of_spelled(
    tokens: Sequence[Token], at: int, total: Fraction, current: Fraction | None
) -> tuple[Fraction, int]:
    """Number words from a place on: what was read before is `total` and, below a scale word, `current`."""
    end = at + _MAX_SPELLED
    multiplier = current
    while at < end:
        token, following = token_at(tokens, at), token_at(tokens, at + 1)
        word = token.word
        tens = multiplier is not None and multiplier % 100 >= 20 and multiplier % 10 == 0
        if token.kind == "dash" and not token.spaced and following.word in SMALL_NUMBERS and tens:
            at += 1
            continue
        hundreds = multiplier is not None and (multiplier >= 100 or (multiplier == 0 and total >= 1000))
        if word == "and" and hundreds and _is_below_hundred(following):
            if DENOMINATORS.get(token_at(tokens, at + 2).word):
                break
            at += 1
            continue
        if word in SMALL_NUMBERS or word in TENS:
            value = SMALL_NUMBERS.get(word, TENS.get(word, 0))
            if multiplier is not None and not _fits_behind(multiplier, value):
                break
            multiplier = (multiplier or Fraction(0)) + value
        elif word in SCALES and multiplier is not None:
            scale = SCALES[word]
            if scale == 100:
                multiplier *= scale
            else:
                total, multiplier = total + multiplier * scale, Fraction(0)
        elif word == "point" and following.word in SMALL_NUMBERS:
            return _decimals_in_words(tokens, at + 1, total + (multiplier or 0))
        else:
            break
        at += 1
    return total + (multiplier or 0), at


def _is_below_hundred(token: Token) -> bool:
    return token.word in SMALL_NUMBERS or token.word in TENS


def _fits_behind(multiplier: Fraction, value: int) -> bool:
    """Twenty takes up to nine, a hundred up to ninety-nine, a thousand anything."""
    if multiplier == 0:
        return True
    if multiplier % 100 == 0:
        return 0 < value < 100
    return multiplier % 10 == 0 and multiplier % 100 >= 20 and 0 < value < 10


def _decimals_in_words(tokens: Sequence[Token], at: int, value: Fraction) -> tuple[Fraction, int]:
    place = Fraction(1, 10)
    while (digit := SMALL_NUMBERS.get(token_at(tokens, at).word, 10)) < 10:
        value, place, at = value + digit * place, place / 10, at + 1
    return value, at
