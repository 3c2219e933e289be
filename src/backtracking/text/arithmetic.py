"""Arithmetic statements in running text: found, evaluated exactly, and judged right or wrong.

A statement is an equality with an operator on at least one side: `5 + 3 = 8`, `$4 × 3 boxes = $12`,
`(2 + 3) * 4 = 5 * 4 = 20`. What cannot be judged fairly (an expression that runs on into something without a
value, other units on the right than on the left, sums of percentages and numbers, division by zero) is left
out rather than guessed, whether it would look right or wrong.
"""

from dataclasses import dataclass
from fractions import Fraction

from backtracking.text.equalities import Side, read_equalities
from backtracking.text.expressions import Span, evaluate


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


def find_steps(text: str) -> list[Step]:
    """All checkable statements of a text, in order."""
    judged = (_judge(left, right, approximate) for left, right, approximate in read_equalities(text))
    return [step for step in judged if step is not None]


def _judge(left: Side, right: Side, approximate: bool) -> Step | None:
    """Compare computed and stated value; the left side is the computed one if it has an operator."""
    computed, stated = (left, right) if left.has_operator else (right, left)
    if left.units and right.units and not left.units & right.units:
        return None
    if any(operand.percent for operand in computed.operands) and _adds(computed):
        return None
    expected, whole = evaluate(computed.parts), evaluate(stated.parts)
    if expected is None or whole is None:
        return None
    if computed.is_share and whole.denominator == 1:
        return None  # "the remaining 3/4 = 12"
    first = stated.operands[0]
    value = -first.value if stated.parts[0] == "-" else first.value
    # "5 + 3 = 8 + 2 = 10" runs on: the first number alone may be what is claimed
    claims = [whole, value, *([100 * value] if first.percent else [])]
    right_ones = [claim for claim in claims if _agrees(expected, claim, first.decimals, approximate)]
    claimed = (right_ones or claims)[0]
    operands = tuple(operand.span for operand in computed.operands)
    return Step(left.start, right.end, operands, first.span, expected, claimed, bool(right_ones))


def _adds(side: Side) -> bool:
    return any(part in ("+", "-") for part in side.parts if isinstance(part, str))


def _agrees(expected: Fraction, claimed: Fraction, decimals: int, approximate: bool) -> bool:
    """Equal, or equal after rounding or cutting to the decimals that the text shows."""
    if expected == claimed:
        return True
    if decimals == 0 and not approximate:
        return False
    return abs(expected - claimed) < Fraction(1, 10**decimals)
