"""Arithmetic statements in running text: found, evaluated exactly, and judged right or wrong.

A statement is an equality with an operator on at least one side: `5 + 3 = 8`, `$4 × 3 boxes = $12`,
`(2 + 3) * 4 = 5 * 4 = 20`. What cannot be judged fairly (words on one side, other units on the right than on
the left, sums of percentages and numbers, division by zero) is left out rather than guessed.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

Span = tuple[int, int]

_TOKEN = re.compile(
    r"""(?P<word>[^\W\d_]+)
    |(?P<skip>[ \t]+|\*\*|[{}]|\\(?:[,;:! ()]|(?:left|right|text|mathrm|displaystyle)\b))
    |(?P<number>(?<!\d)\d{1,3}(?:,\d{3}){1,6}(?![\d,])(?:\.\d{1,12})?|(?<!\d)\d{1,18}(?:\.\d{1,12})?(?!\d)
        |(?<!\d)\.\d{1,12})
    |(?P<op>[-+*/^×·÷−–∗]|\\(?:times|cdot|div)\b)
    |(?P<equals>==?|≈|\\approx\b)
    |(?P<paren>[()])
    |(?P<percent>\\?%)
    |(?P<money>\\?[$€£¥])
    |(?P<frac>\\[dt]?frac\{\d{1,15}\}\{\d{1,15}\})
    |(?P<other>.|\n)""",
    re.VERBOSE,
)
_EQUALS = re.compile(r"=|≈|\\approx\b")
_REACH_BACK, _REACH_ON = 100, 50
_OPERATORS = {
    "×": "*",
    "·": "*",
    "∗": "*",
    "÷": "/",
    "−": "-",
    "–": "-",
    "\\times": "*",
    "\\cdot": "*",
    "\\div": "/",
}
_MAX_UNIT_WORDS = 3
_MAX_TOKENS = 40
_MAX_EXPONENT = 12


@dataclass(frozen=True)
class Step:
    """A checkable statement: spans of the numbers computed with, and of the number claimed."""

    start: int
    end: int
    operands: tuple[Span, ...]
    result: Span
    expected: Fraction
    claimed: Fraction
    correct: bool


class _Token(NamedTuple):
    kind: str
    text: str
    start: int
    end: int
    spaced: bool
    """Whether a space stands before it."""


class _Operand(NamedTuple):
    """A number with its units, ready to be part of an expression."""

    value: Fraction
    span: Span
    decimals: int
    percent: bool


@dataclass(frozen=True)
class _Side:
    """One side of an equality: operands and operators in order, parentheses kept as text."""

    parts: tuple["_Operand | str", ...]
    units: frozenset[str]
    start: int
    end: int

    @property
    def operands(self) -> list[_Operand]:
        return [part for part in self.parts if isinstance(part, _Operand)]

    @property
    def has_operator(self) -> bool:
        return len(self.operands) > 1


def find_steps(text: str) -> list[Step]:
    """All checkable statements of a text, in order."""
    return [
        step
        for start, end in _neighbourhoods(text)
        for step in _steps(_tokens(text, start, end), cut=start > 0)
    ]


def _neighbourhoods(text: str) -> list[Span]:
    """The stretches of text around equals signs; the rest cannot hold a statement."""
    spans: list[Span] = []
    for match in _EQUALS.finditer(text):
        start, end = max(0, match.start() - _REACH_BACK), min(len(text), match.end() + _REACH_ON)
        if spans and start <= spans[-1][1]:
            spans[-1] = (spans[-1][0], end)
        else:
            spans.append((start, end))
    return [(_word_end(text, start), _word_end(text, end)) for start, end in spans]


def _word_end(text: str, at: int) -> int:
    """Move on to the next space, so that no number is cut in two."""
    while 0 < at < len(text) and not text[at].isspace():
        at += 1
    return at


def _tokens(text: str, start: int, end: int) -> list[_Token]:
    tokens: list[_Token] = []
    spaced = False
    for match in _TOKEN.finditer(text, start, end):
        kind = match.lastgroup or "other"
        if kind == "skip":
            spaced = True
            continue
        found = match.group()
        if kind == "word" and found in "xX" and tokens and tokens[-1].kind in _ENDS_OPERAND:
            kind, found = "op", "*"
        tokens.append(_Token(kind, _OPERATORS.get(found, found), match.start(), match.end(), spaced))
        spaced = False
    return tokens


_ENDS_OPERAND = ("number", "frac", "percent", "word")


def _steps(tokens: Sequence[_Token], *, cut: bool) -> Iterator[Step]:
    """The statements of a stretch; when it is cut at its start, one that reaches back to there may be too."""
    for place, token in enumerate(tokens):
        if token.kind != "equals":
            continue
        left = _read_left(tokens, place)
        right = _read_right(tokens, place) if left is not None else None
        if left is None or right is None or not (left.has_operator or right.has_operator):
            continue
        if cut and all(token.kind in ("op", "paren") for token in tokens if token.start < left.start):
            continue
        step = _judge(left, right, approximate=token.text[0] not in "=")
        if step is not None:
            yield step


def _judge(left: _Side, right: _Side, *, approximate: bool) -> Step | None:
    """Compare computed and stated value; the left side is the computed one if it has an operator."""
    computed, stated = (left, right) if left.has_operator else (right, left)
    if left.units and right.units and not left.units & right.units:
        return None
    if any(operand.percent for operand in computed.operands) and _adds(computed):
        return None
    expected, whole = _evaluate(computed), _evaluate(stated)
    if expected is None or whole is None:
        return None
    first = stated.operands[0]
    value = -first.value if stated.parts[0] == "-" else first.value
    # "5 + 3 = 8 + 2 = 10" runs on: the first number alone may be what is claimed
    claims = [whole, value, *([100 * value] if first.percent else [])]
    right_ones = [claim for claim in claims if _agrees(expected, claim, first.decimals, approximate)]
    claimed = (right_ones or claims)[0]
    operands = tuple(operand.span for operand in computed.operands)
    return Step(left.start, right.end, operands, first.span, expected, claimed, bool(right_ones))


def _adds(side: _Side) -> bool:
    return any(part in ("+", "-") for part in side.parts if isinstance(part, str))


def _agrees(expected: Fraction, claimed: Fraction, decimals: int, approximate: bool) -> bool:
    """Equal, or equal after rounding or cutting to the decimals that the text shows."""
    if expected == claimed:
        return True
    if decimals == 0 and not approximate:
        return False
    return abs(expected - claimed) < Fraction(1, 10**decimals)


def _read_left(tokens: Sequence[_Token], equals: int) -> _Side | None:
    """The longest expression that ends at an equals sign."""
    at, depth, need_operand = equals - 1, 0, True
    begin = -1
    while at >= 0 and equals - at <= _MAX_TOKENS:
        token = tokens[at]
        if need_operand:
            if token.kind == "paren" and token.text == ")":
                depth, at = depth + 1, at - 1
                continue
            at = _operand_start(tokens, at)
            if at < 0:
                break
            need_operand = False
            begin = at if depth == 0 else begin
            at -= 1
        elif token.kind == "paren" and token.text == "(" and depth > 0:
            depth -= 1
            begin = at if depth == 0 else begin
            at -= 1
        elif token.kind == "op":
            need_operand, at = True, at - 1
        else:
            break
    return _side(tokens, begin, equals) if begin >= 0 else None


def _operand_start(tokens: Sequence[_Token], at: int) -> int:
    """Where the operand that ends at a token begins, units passed over; −1 when there is none."""
    words = 0
    while at >= 0 and tokens[at].kind in ("word", "money", "percent") and words < _MAX_UNIT_WORDS:
        words += tokens[at].kind == "word"
        if tokens[at].kind == "word" and at and tokens[at - 1].text == "/" and tokens[at - 1].kind == "op":
            at -= 1  # "$4/hour"
        at -= 1
    if at < 0 or tokens[at].kind not in ("number", "frac"):
        return -1
    if at and tokens[at - 1].kind == "money":
        at -= 1
    attached = at > 0 and tokens[at - 1].text == "-" and not tokens[at].spaced
    if attached and (
        at == 1 or tokens[at - 2].kind in ("equals", "op", "other") or tokens[at - 2].text == "("
    ):
        at -= 1
    return at


def _read_right(tokens: Sequence[_Token], equals: int) -> _Side | None:
    """The longest expression that begins after an equals sign."""
    at, depth, need_operand = equals + 1, 0, True
    end = -1
    while at < len(tokens) and at - equals <= _MAX_TOKENS:
        token = tokens[at]
        if need_operand:
            if token.kind == "paren" and token.text == "(":
                depth, at = depth + 1, at + 1
                continue
            stop = _operand_stop(tokens, at)
            if stop < 0:
                break
            at, need_operand = stop, False
            end = at if depth == 0 else end
        elif token.kind == "paren" and token.text == ")" and depth > 0:
            depth, at = depth - 1, at + 1
            end = at if depth == 0 else end
        elif token.kind == "op":
            need_operand, at = True, at + 1
        else:
            break
    return _side(tokens, equals + 1, end) if end >= 0 else None


def _operand_stop(tokens: Sequence[_Token], at: int) -> int:
    """The token after the operand that begins at a token; −1 when there is none."""
    for kind in ("money", "op", "money"):
        if at < len(tokens) and tokens[at].kind == kind and (kind == "money" or tokens[at].text == "-"):
            at += 1
    if at >= len(tokens) or tokens[at].kind not in ("number", "frac"):
        return -1
    at += 1
    words = 0
    while at < len(tokens) and words < _MAX_UNIT_WORDS:
        per = tokens[at].text == "/" and at + 1 < len(tokens) and tokens[at + 1].kind == "word"
        if tokens[at].kind not in ("word", "percent", "money") and not per:
            break
        words += tokens[at].kind == "word"
        at += 1
    return at


def _side(tokens: Sequence[_Token], begin: int, end: int) -> _Side | None:
    """Operands and operators of tokens begin..end, with the units aside."""
    parts: list[_Operand | str] = []
    units: set[str] = set()
    last = tokens[begin].end
    for at in range(begin, end):
        token = tokens[at]
        if token.kind in ("number", "frac"):
            percent = at + 1 < end and tokens[at + 1].kind == "percent"
            parts.append(_operand(token, percent))
            last = token.end
        elif token.kind in ("op", "paren"):
            parts.append(token.text)
            last = token.end if token.kind == "paren" else last
        elif token.kind == "word":
            units.add(_unit(token.text))
            if parts and parts[-1] == "/":
                parts.pop()  # "$4/hour": a unit, no division
        elif token.kind == "money" and at + 1 < end and tokens[at + 1].kind == "number":
            units.add("dollar")
    if not any(isinstance(part, _Operand) for part in parts):
        return None
    return _Side(tuple(parts), frozenset(units), tokens[begin].start, last)


def _operand(token: _Token, percent: bool) -> _Operand:
    span = (token.start, token.end)
    if token.kind == "frac":
        top, bottom = (int(part) for part in re.findall(r"\d+", token.text))
        return _Operand(Fraction(top, bottom) if bottom else Fraction(0), span, 0, percent)
    digits = token.text.replace(",", "")
    value = Fraction(digits) if "." in digits else Fraction(int(digits))
    decimals = len(digits.partition(".")[2])
    if percent:
        value, decimals = value / 100, decimals + 2
    return _Operand(value, span, decimals, percent)


def _unit(word: str) -> str:
    return word.casefold().rstrip("s")


class _UnclearError(Exception):
    """An expression that has no value, or none worth computing."""


def _evaluate(side: _Side) -> Fraction | None:
    parts = list(side.parts)
    try:
        value = _sum(parts)
    except _UnclearError:
        return None
    return None if parts else value


def _sum(parts: list["_Operand | str"]) -> Fraction:
    value = _product(parts)
    while parts and parts[0] in ("+", "-"):
        sign = 1 if parts.pop(0) == "+" else -1
        value += sign * _product(parts)
    return value


def _product(parts: list["_Operand | str"]) -> Fraction:
    value = _power(parts)
    while parts and parts[0] in ("*", "/"):
        if parts.pop(0) == "*":
            value *= _power(parts)
            continue
        divisor = _power(parts)
        if divisor == 0:
            raise _UnclearError
        value /= divisor
    return value


def _power(parts: list["_Operand | str"]) -> Fraction:
    value = _atom(parts)
    if parts and parts[0] == "^":
        parts.pop(0)
        exponent = _atom(parts)
        if exponent.denominator != 1 or not 0 <= exponent <= _MAX_EXPONENT:
            raise _UnclearError
        value = Fraction(value ** int(exponent))
    return value


def _atom(parts: list["_Operand | str"]) -> Fraction:
    if not parts:
        raise _UnclearError
    part = parts.pop(0)
    if isinstance(part, _Operand):
        return part.value
    if part == "-":
        return -_power(parts)
    if part != "(":
        raise _UnclearError
    value = _sum(parts)
    if not parts or parts.pop(0) != ")":
        raise _UnclearError
    return value
