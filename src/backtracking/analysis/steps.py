"""Checkable statements of the form `a op b = v` in a completion."""

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

_NUMBER = r"\$?\d[\d,]{0,15}(?:\.\d{1,12})?"
_STATEMENT = re.compile(
    rf"(?<![\w.,=+*/×÷·−-])({_NUMBER})((?:\s{{0,2}}[-+*/×÷·−]\s{{0,2}}{_NUMBER}){{1,6}})\s{{0,2}}=\s{{0,2}}([-−]?{_NUMBER})"
)
_TERM = re.compile(rf"\s*([-+*/×÷·−])\s*({_NUMBER})")
_OPERATIONS: dict[str, Callable[[Fraction, Fraction], Fraction]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
}
_SIGNS = str.maketrans({"×": "*", "·": "*", "÷": "/", "−": "-"})
_TOLERANCE = Fraction(1, 100)


@dataclass(frozen=True)
class CheckedStep:
    """One statement: where it begins, what it computes, and whether its result is right."""

    start: int
    expression: str
    is_right: bool


def read_steps(text: str) -> list[CheckedStep]:
    """All checkable statements in order; those that divide by zero are left out."""
    found = []
    for match in _STATEMENT.finditer(text):
        first, rest, stated = match.groups()
        terms = [(sign.translate(_SIGNS), _value(number)) for sign, number in _TERM.findall(rest)]
        value = _evaluate(_value(first), terms)
        if value is not None:
            expression = "".join(f"{first}{rest}".split()).translate(_SIGNS).replace(",", "").replace("$", "")
            found.append(CheckedStep(match.start(), expression, _agrees(value, stated)))
    return found


def _value(number: str) -> Fraction:
    return Fraction(number.replace(",", "").replace("$", "").replace("−", "-"))


def _evaluate(first: Fraction, terms: list[tuple[str, Fraction]]) -> Fraction | None:
    """Products before sums, from the left."""
    sums = [first]
    for sign, value in terms:
        if sign in "*/":
            if sign == "/" and value == 0:
                return None
            sums[-1] = _OPERATIONS[sign](sums[-1], value)
        else:
            sums.append(_OPERATIONS[sign](Fraction(0), value))
    return sum(sums, Fraction(0))


def _agrees(value: Fraction, stated: str) -> bool:
    """Equal, or equal after the rounding that the stated decimals imply."""
    rounded = "." in stated and abs(value - _value(stated)) < _TOLERANCE
    return value == _value(stated) or rounded
