"""One side of an equality: the operands and operators that its tokens spell, units aside."""

import re
from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache
from math import isqrt
from typing import NamedTuple

from backtracking.text.arithmetic import equality_words as say
from backtracking.text.arithmetic.equality_tokens import NUMERIC
from backtracking.text.arithmetic.expressions import FRACTION_SLASH, ExpressionPart, Operand
from backtracking.text.numbers.lexer import Token
from backtracking.text.numbers.lexicon import UNITS, VULGAR


class Side(NamedTuple):
    """One side of an equality: operands and operators in order, parentheses kept as text."""

    parts: tuple[ExpressionPart, ...]
    operands: tuple[Operand, ...]
    units: frozenset[str]
    start: int
    end: int
    unknown: str = ""
    """The letter behind every number: 5k + 3k."""
    mixed: bool = False
    """Whether things of different names are added: 3 apples + 4 oranges."""

    @property
    def has_operator(self) -> bool:
        """Whether it computes anything."""
        return len(self.operands) > 1 or any(operand.quotient for operand in self.operands)

    @property
    def is_share(self) -> bool:
        """Whether it is a proper fraction and nothing else."""
        if len(self.operands) == 1:
            return self.operands[0].quotient and 0 < self.operands[0].value < 1
        if len(self.operands) != 2 or not ("/" in self.parts or FRACTION_SLASH in self.parts):
            return False
        top, bottom = self.operands
        return 0 < top.value < bottom.value


def side_of(tokens: Sequence[Token], begin: int, end: int) -> Side | None:
    """Operands and operators of tokens begin..end, units aside; none when the units forbid to compute."""
    parts: list[ExpressionPart] = []
    letters: list[str] = []
    terms: list[set[str]] = [set()]
    last = tokens[begin].end
    for at in range(begin, end):
        token = tokens[at]
        if token.kind in ("number", "frac"):
            operand = _operand(token, percent=at + 1 < end and tokens[at + 1].kind == "percent")
            if operand is None:
                return None
            parts.append(operand)
            last = token.end
        elif token.kind in ("op", "paren"):
            if token.text in ("+", "-"):
                terms.append(set())
            parts.append(token.text)
            last = token.end if token.kind == "paren" else last
        elif token.kind == "word":
            if _is_unknown(tokens[at - 1], token):
                letters.append(token.text if token.start == tokens[at - 1].end else "")
                last = token.end
                continue
            terms[-1].add(unit_of(token.text))
            if parts and parts[-1] == "/":
                parts.pop()  # "$4/hour": a unit, no division
        elif token.kind == "money" and at + 1 < end and tokens[at + 1].kind == "number":
            terms[-1].add("dollar")
    operands = tuple(part for part in parts if isinstance(part, Operand))
    if not letters and not any(terms):
        return Side(tuple(parts), operands, frozenset(), tokens[begin].start, last)
    letter, mixed = _common_letter(letters, parts), _is_mixed(terms)
    if letter is None or mixed is None:
        return None
    units = frozenset().union(*terms)
    return Side(tuple(parts), operands, units, tokens[begin].start, last, letter, mixed)


def _is_mixed(terms: Sequence[set[str]]) -> bool | None:
    """Whether a sum's terms have different names; none where these forbid to add them."""
    named = [units for units in terms if units]
    if len(named) < len(terms) and any("cent" in units for units in named):
        return None  # 1 - 35 cents
    mixed = len(named) > 1 and not set.intersection(*named)
    whole = len(named) == len(terms) and UNITS.keys().isdisjoint(set().union(*named))
    return None if mixed and not whole else mixed


def _common_letter(letters: Sequence[str], parts: Sequence[ExpressionPart]) -> str | None:
    """The letter behind every number of a sum, empty where there is none; none where they differ."""
    if not letters:
        return ""
    numbers = sum(isinstance(part, Operand) for part in parts)
    only_adds = all(part in ("+", "-") for part in parts if isinstance(part, str))
    same = len(set(letters)) == 1 and len(letters[0]) == 1 and letters[0] not in say.UNIT_LETTERS
    return letters[0] if same and only_adds and len(letters) == numbers else None


def _is_unknown(number: Token, word: Token) -> bool:
    """Whether the word behind a number is no unit: 2y, 3ab, 5², 2 dozen, 5 times."""
    if number.kind not in NUMERIC:
        return False
    letters = word.text.rstrip("²³")
    glued = word.start == number.end and len(letters) <= 2 and letters not in say.SHORT_UNITS
    return glued or is_unknown_name(word) or word.text in "xX" or word.text.casefold() in say.VALUES


def _operand(token: Token, *, percent: bool) -> Operand | None:
    span = (token.start, token.end)
    if token.kind == "number":
        value, decimals = _number(token.text)
        if percent:
            value, decimals = value / 100, decimals + 2
        return Operand(value, span, decimals, percent)
    if token.text[0] == "√" or token.text.startswith("\\sqrt"):
        radicand = int("".join(filter(str.isdigit, token.text)))
        root = isqrt(radicand)
        return Operand(Fraction(root), span, 0, percent, quotient=True) if root * root == radicand else None
    if (part := VULGAR.get(token.text[-1])) is not None:
        count = int(token.text[:-1] or 0)
        return Operand(count + part, span, 0, percent, quotient=not count)
    *whole, top, bottom = (int(part) for part in re.findall(r"\d+", token.text))
    if not bottom or (whole and top >= bottom):
        return None
    return Operand(sum(whole) + Fraction(top, bottom), span, 0, percent, quotient=not whole)


@lru_cache(maxsize=65_536)
def _number(text: str) -> tuple[Fraction, int]:
    """The value of a number and how many decimals it shows."""
    digits = re.sub(r"[^\d.]", "", text).rstrip(".")
    return Fraction(digits), len(digits.partition(".")[2])


def unit_of(word: str) -> str:
    """The word in the singular and in small letters."""
    return word.casefold().rstrip("s")


def is_unknown_name(token: Token) -> bool:
    """A single letter that is neither a unit nor a word: x, p, n."""
    return is_letter(token) and token.text not in "aAI"


def is_letter(token: Token) -> bool:
    """A single letter that is no unit."""
    return len(token.text) == 1 and token.text not in say.UNIT_LETTERS
