"""Arithmetic statements in running text: found, evaluated exactly, and judged right or wrong.

A statement is an equality with an operator on at least one side: `5 + 3 = 8`, `$4 × 3 boxes = $12`,
`(2 + 3) * 4 = 5 * 4 = 20`. What cannot be judged fairly (an expression that runs on into something without a
value, other units on the right than on the left, sums of percentages and numbers, division by zero) is left
out rather than guessed, whether it would look right or wrong.
"""

from fractions import Fraction
from typing import NamedTuple

from backtracking.text.arithmetic.equalities import read_equalities
from backtracking.text.arithmetic.equality_sides import Side
from backtracking.text.arithmetic.expressions import FRACTION_SLASH, Operand, Span, expression_value
from backtracking.text.arithmetic.refutations import is_nobodys
from backtracking.text.numbers.lexicon import UNITS


class Step(NamedTuple):
    """A checkable statement: spans of the numbers computed with, and of the number claimed."""

    start: int
    end: int
    operands: tuple[Span, ...]
    result: Span
    expected: Fraction
    claimed: Fraction
    correct: bool


def find_steps(text: str) -> list[Step]:
    """All checkable statements of a text, in order."""
    judged = (_judge(left, right, approximate) for left, right, approximate in read_equalities(text))
    steps = (step for step in judged if step is not None)
    return [step for step in steps if step.correct or not is_nobodys(text, step.start, step.end)]


def _judge(left: Side, right: Side, approximate: bool) -> Step | None:
    """Compare computed and stated value; the left side is the computed one if it has an operator."""
    computed, stated = (left, right) if left.has_operator else (right, left)
    portions = {operand.percent for operand in (*computed.operands, *stated.operands)}
    if not _counts_the_same(left, right) or (_adds(computed) and len(portions) > 1):
        return None
    expected, whole = expression_value(computed.parts), expression_value(stated.parts)
    if expected is None or whole is None:
        return None
    if computed.is_share and whole.denominator == 1:
        return None  # "the remaining 3/4 = 12"
    first = stated.operands[0]
    value = -first.value if stated.parts[0] == "-" else first.value
    # "5 + 3 = 8 + 2 = 10" runs on: the first number alone may be what is claimed
    several = [value] if len(stated.parts) > 1 else []
    claims = [whole, *several, *([100 * value] if first.percent else [])]
    right_ones = [claim for claim in claims if _agrees(expected, claim, first.decimals, approximate)]
    claimed = (right_ones or claims)[0]
    counts_things = bool(stated.units) and not computed.units
    if not right_ones and (
        _is_range(computed, whole, stated.units)
        or _may_be_meant(computed, expected, claims, first, counts_things=counts_things)
    ):
        return None
    other_units = not left.mixed and left.units and right.units and not left.units & right.units
    converts = (other_units or _mixes_units(computed.units)) and _is_conversion(expected, claimed)
    if (converts and not right_ones) or (other_units and (right_ones or _adds(left))):
        return None
    operands = tuple(operand.span for operand in computed.operands)
    return Step(left.start, right.end, operands, first.span, expected, claimed, bool(right_ones))


def _is_range(computed: Side, claim: Fraction, units: frozenset[str]) -> bool:
    """Pages 10 - 20 = 11 pages; 9 - 17 = 8 hours; 9 - 5 = 8 hours: a hyphen for "to"."""
    if computed.units or not units or computed.parts != (computed.operands[0], "-", computed.operands[-1]):
        return False
    first, last = (operand.value for operand in computed.operands)
    if first < last:
        return claim in (last - first, last - first + 1)
    return "hour" in units and (first + claim - last) % _CLOCK == 0


_CLOCK = 12
"""Hours after which a clock says the same."""


def _counts_the_same(left: Side, right: Side) -> bool:
    """Whether both sides count the same unknown, and things of different names are only collected."""
    if left.unknown != right.unknown or right.mixed:
        return False
    return not left.mixed or _collects(left, right)


def _collects(left: Side, right: Side) -> bool:
    """3 apples + 4 oranges = 7 fruits."""
    return bool(right.units) and not left.units & right.units and UNITS.keys().isdisjoint(right.units)


def _adds(side: Side) -> bool:
    return any(part in ("+", "-") for part in side.parts if isinstance(part, str))


def _mixes_units(units: frozenset[str]) -> bool:
    """Whether units of one dimension stand together: 20 km/h × 15 min = 5 km."""
    dimensions = [UNITS[unit][0] for unit in units if unit in UNITS]
    return len(dimensions) > len(set(dimensions))


def _is_conversion(expected: Fraction, claimed: Fraction) -> bool:
    """Whether two values may be the same in other units: 60 minutes * 3 = 3 hours."""
    if not expected or not claimed:
        return True
    ratio = abs(expected / claimed)
    return max(ratio, 1 / ratio) in _RATIOS


_RATIOS = (
    frozenset(
        big / small
        for dimension, big in UNITS.values()
        for other, small in UNITS.values()
        if dimension == other and big >= small
    )
    | frozenset(Fraction(10) ** power for power in range(10))
    | frozenset(map(Fraction, (2, 4, 8, 30, 31, 52, 365)))
)


def _may_be_meant(
    computed: Side, expected: Fraction, claims: list[Fraction], first: Operand, *, counts_things: bool
) -> bool:
    """Whether a difference is what rounded operands, or a quotient cut to a whole number, make of it."""
    if not _OPERATORS_THAT_ROUND & {part for part in computed.parts if isinstance(part, str)}:
        return _has_points_between_thousands(computed, claims[0])
    difference = min(abs(expected - claim) for claim in claims)
    slack = sum((_slack(operand) for operand in computed.operands), Fraction(0))
    if difference <= slack * abs(expected):
        return True
    whole = first.decimals == 0 and expected.denominator != 1
    quotient = {part for part in computed.parts if isinstance(part, str)} <= {"/", FRACTION_SLASH}
    small = difference * 100 < abs(expected) or (quotient and counts_things)  # 17 / 5 = 3 boxes
    return (whole and difference < 1 and small) or _has_points_between_thousands(computed, claims[0])


def _has_points_between_thousands(computed: Side, claim: Fraction) -> bool:
    """1.000 + 500 = 1.500."""
    points = [part for part in computed.operands if part.decimals == _THOUSANDS]
    parts = [
        part._replace(value=part.value * 1000) if isinstance(part, Operand) and part in points else part
        for part in computed.parts
    ]
    return bool(points) and expression_value(parts) in (claim, claim * 1000)


_THOUSANDS = 3
_OPERATORS_THAT_ROUND = frozenset(("*", "/", "^", FRACTION_SLASH))


def _slack(operand: Operand) -> Fraction:
    """How far, relatively, a rounded operand may be from what was meant: 0.33 for a third, 3.14, 1.732."""
    half_unit = Fraction(1, 2 * 10**operand.decimals)
    near = operand.value.limit_denominator(12)
    recurring = near.denominator % 3 == 0 or near.denominator % 7 == 0 or near.denominator % 11 == 0
    rounded = (
        operand.decimals > 2
        or operand.value in _CONSTANTS
        or (recurring and abs(near - operand.value) <= half_unit)
    )
    if operand.percent or operand.decimals < 2 or not rounded:
        return Fraction(0)
    return half_unit / abs(operand.value) if operand.value else Fraction(0)


_CONSTANTS = frozenset(Fraction(text) for text in ("3.14", "1.41", "1.73", "2.24", "2.72"))


def _agrees(expected: Fraction, claimed: Fraction, decimals: int, approximate: bool) -> bool:
    """Equal, or equal after rounding or cutting to the decimals that the text shows."""
    if expected == claimed:
        return True
    if decimals == 0 and not approximate:
        return False
    difference = abs(expected - claimed)
    size = max(abs(expected), abs(claimed), Fraction(approximate))
    # to no more than half of itself: 0.01 is not 0.1
    return difference < Fraction(1, 10**decimals) and 2 * difference <= size
