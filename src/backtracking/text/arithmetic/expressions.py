"""Exact values of short expressions: operands and operators in order, parentheses kept as text."""

from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

Span = tuple[int, int]

FRACTION_SLASH = "\u2044"
"""The slash of `1/2`, which binds tighter than a spaced one: 10 / 1/2 is twenty."""

_MAX_BITS = 512


class Operand(NamedTuple):
    """A number with its units, ready to be part of an expression."""

    value: Fraction
    span: Span
    decimals: int
    percent: bool
    quotient: bool = False
    """Whether it is written as a fraction and nothing else: a division, too."""


ExpressionPart = Operand | str
_Value = int | Fraction
"""Whole values are plain integers, which are many times as quick."""


class _UnclearError(Exception):
    """An expression that has no value, or none worth computing."""


def expression_value(expression: Sequence[ExpressionPart]) -> Fraction | None:
    """The value of an expression; none when it has none or is too large to be meant."""
    if len(expression) == 1 and isinstance(expression[0], Operand):
        return expression[0].value
    parts = list(expression)
    try:
        value = _sum(parts)
    except _UnclearError:
        return None
    return None if parts else Fraction(value)


def _sum(parts: list[ExpressionPart]) -> _Value:
    value = _product(parts)
    while parts and parts[0] in ("+", "-"):
        sign = 1 if parts.pop(0) == "+" else -1
        value = _bounded(value + sign * _product(parts))
    return value


def _product(parts: list[ExpressionPart]) -> _Value:
    value = _quotient(parts)
    while parts and parts[0] in ("*", "/"):
        times = parts.pop(0) == "*"
        factor = _quotient(parts)
        value = _bounded(value * factor) if times else _divide(value, factor)
    return value


def _quotient(parts: list[ExpressionPart]) -> _Value:
    value = _power(parts)
    while parts and parts[0] == FRACTION_SLASH:
        parts.pop(0)
        value = _divide(value, _power(parts))
    return value


def _divide(value: _Value, divisor: _Value) -> _Value:
    if divisor == 0:
        raise _UnclearError
    return _bounded(_plain(Fraction(value, divisor)))


def _power(parts: list[ExpressionPart]) -> _Value:
    value = _atom(parts)
    if parts and parts[0] == "^":
        parts.pop(0)
        exponent = _atom(parts)
        if exponent.denominator != 1 or not 0 <= exponent * _bits(value) <= _MAX_BITS:
            raise _UnclearError
        value = value ** int(exponent)
    return value


def _atom(parts: list[ExpressionPart]) -> _Value:
    if not parts:
        raise _UnclearError
    part = parts.pop(0)
    if isinstance(part, Operand):
        return _plain(part.value)
    if part == "-":
        return -_power(parts)
    if part != "(":
        raise _UnclearError
    value = _sum(parts)
    if not parts or parts.pop(0) != ")":
        raise _UnclearError
    return value


def _plain(value: Fraction) -> _Value:
    return value.numerator if value.denominator == 1 else value


def _bounded(value: _Value) -> _Value:
    if _bits(value) > _MAX_BITS:
        raise _UnclearError
    return value


def _bits(value: _Value) -> int:
    return max(value.numerator.bit_length(), value.denominator.bit_length())
