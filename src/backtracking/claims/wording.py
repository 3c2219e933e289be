"""How numbers and foreign text are written: every rate with its interval and n, where the table has them."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import pandas as pd

TableLine = Mapping[Any, Any]


class Estimate(Protocol):
    """A number with its 95% interval, over so many problems."""

    @property
    def value(self) -> float:
        """The number itself."""

    @property
    def low(self) -> float:
        """Where its interval begins."""

    @property
    def high(self) -> float:
        """Where its interval ends."""

    @property
    def problems(self) -> int:
        """How many problems stand behind it."""


_MAX_QUOTE = 80
_PLACES = 3
"""Digits that the largest of some numbers is given, and decimals at most."""


def number(row: TableLine, column: str) -> float | None:
    """A cell as a finite number, or none."""
    try:
        value = float(row.get(column, math.nan))
    except (TypeError, ValueError):
        return None
    return value if math.isfinite(value) else None


def written(value: float, spec: str) -> str:
    """A number with a real minus sign, and no sign at all before a zero."""
    text = f"{value:{spec}}"
    if not any(digit in text for digit in "123456789"):
        text = text.lstrip("+-")
    return text.replace("-", "−")


def fixed(*values: float | None) -> str:
    """The format in which the largest of these numbers has three digits, and all as many decimals."""
    largest = max((abs(value) for value in values if value is not None), default=0.0)
    if not largest:
        return ",.1f"
    before = math.floor(math.log10(largest)) + 1
    return f",.{min(_PLACES, max(0, _PLACES - before))}f"


def whole(row: TableLine, column: str) -> str:
    """A whole number."""
    value = number(row, column)
    return "—" if value is None else f"{int(value):,}"


def roughly(amount: int) -> str:
    """A number that is only about right: two digits that tell, rounded up."""
    unit = 10 ** max(0, len(str(amount)) - 2)
    return f"{-(-amount // unit) * unit:,}"


def counted(amount: int, noun: str, plural: str = "") -> str:
    """`1 pair`, `20 pairs`."""
    return f"{amount:,} {noun if amount == 1 else plural or noun + 's'}"


def percent(value: float | None, digits: int = 1) -> str:
    """A share as a percentage; a dash for none."""
    return "—" if value is None else written(value, f".{digits}%")


def rate_text(row: TableLine, column: str, *, n: str | None = "total") -> str:
    """`62.3% [58.1, 66.2], n = 1,200`."""
    value = number(row, column)
    if value is None:
        return "—"
    low, high = number(row, f"{column}_low"), number(row, f"{column}_high")
    text = percent(value)
    if low is not None and high is not None:
        text += f" [{written(100 * low, '.1f')}, {written(100 * high, '.1f')}]"
    total = number(row, n) if n else None
    return text + (f", n = {int(total):,}" if total is not None else "")


def points(row: TableLine, column: str) -> str:
    """A difference of rates in percentage points with its interval."""
    value = number(row, column)
    if value is None:
        return "—"
    ends = [number(row, f"{column}{end}") for end in ("_low", "_high")]
    return _with_ends(100 * value, [None if end is None else 100 * end for end in ends], "+.1f")


def as_points(share: float) -> str:
    """A difference of rates as a rule names it: `5 points`."""
    return f"{100 * share:g} points"


def in_points(difference: Estimate) -> str:
    """A computed difference of rates in percentage points with its interval."""
    return points({"x": difference.value, "x_low": difference.low, "x_high": difference.high}, "x")


def span(estimate: Estimate, *, percent: bool = False) -> str:
    """An estimate with its interval: `62% [40, 80]` or `3.31 [3.28, 3.34]`."""
    if percent:
        ends = f"{written(100 * estimate.low, '.0f')}, {written(100 * estimate.high, '.0f')}"
        return f"{written(estimate.value, '.0%')} [{ends}]"
    return _with_ends(
        estimate.value, (estimate.low, estimate.high), fixed(estimate.value, estimate.low, estimate.high)
    )


def plainly(row: TableLine, column: str, spec: str = "") -> str:
    """A column of a row with its interval, as plain numbers; all to the same place."""
    value = number(row, column)
    if value is None:
        return "—"
    ends = [number(row, f"{column}{end}") for end in ("_low", "_high")]
    return _with_ends(value, ends, spec or fixed(value, *ends))


def _with_ends(value: float, ends: Sequence[float | None], spec: str) -> str:
    shown = [written(end, spec) for end in ends if end is not None]
    return written(value, spec) + (f" [{', '.join(shown)}]" if len(shown) == 2 else "")


def p_value(value: float | None) -> str:
    """A p-value with three decimals."""
    if value is None:
        return "—"
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def quoted(text: object, limit: int = _MAX_QUOTE) -> str:
    """Untrusted text as inline code: nothing in it can end the code, break a table, or become markup."""
    shown = str(text)
    if len(shown) > limit:
        shown = shown[: limit - 1] + "…"
    shown = shown.replace("`", "ˋ").replace("|", "¦").replace("\n", "⏎").replace("\t", "⇥")
    shown = "".join(char if char.isprintable() else "\ufffd" for char in shown)
    if shown[:1] == " ":
        shown = "␣" + shown[1:]
    return f"`{shown or '∅'}`"


def lines_of(table: pd.DataFrame) -> Sequence[dict[Any, Any]]:
    """A table's rows as dictionaries."""
    return table.to_dict("records")
