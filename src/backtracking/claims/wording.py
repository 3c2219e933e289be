"""How numbers and foreign text are written: every rate with its interval and n, where the table has them."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import pandas as pd

Row = Mapping[Any, Any]


class Estimate(Protocol):
    """A number with its 95% interval, over so many problems."""

    @property
    def value(self) -> float: ...
    @property
    def low(self) -> float: ...
    @property
    def high(self) -> float: ...
    @property
    def problems(self) -> int: ...


_MAX_QUOTE = 80


def number(row: Row, column: str) -> float | None:
    """A cell as a finite number, or none."""
    try:
        value = float(row.get(column, math.nan))
    except (TypeError, ValueError):
        return None
    return value if math.isfinite(value) else None


def count(row: Row, column: str) -> str:
    """A whole number."""
    value = number(row, column)
    return "—" if value is None else f"{int(value):,}"


def percent(value: float | None, digits: int = 1) -> str:
    """A share as a percentage; a dash for none."""
    return "—" if value is None else f"{value:.{digits}%}"


def rate(row: Row, column: str, *, n: str | None = "total") -> str:
    """`62.3% [58.1, 66.2], n = 1,200`."""
    value = number(row, column)
    if value is None:
        return "—"
    low, high = number(row, f"{column}_low"), number(row, f"{column}_high")
    text = percent(value)
    if low is not None and high is not None:
        text += f" [{100 * low:.1f}, {100 * high:.1f}]"
    total = number(row, n) if n else None
    return text + (f", n = {int(total):,}" if total is not None else "")


def points(row: Row, column: str) -> str:
    """A difference of rates in percentage points with its interval."""
    value = number(row, column)
    if value is None:
        return "—"
    low, high = number(row, f"{column}_low"), number(row, f"{column}_high")
    span = f" [{100 * low:+.1f}, {100 * high:+.1f}]" if low is not None and high is not None else ""
    return f"{100 * value:+.1f}{span}"


def in_points(found: Estimate) -> str:
    """A computed difference of rates in percentage points with its interval."""
    return points({"found": found.value, "found_low": found.low, "found_high": found.high}, "found")


def span(found: Estimate, *, percent: bool = False) -> str:
    """An estimate with its interval: `62% [40, 80]` or `3.31 [3.28, 3.34]`."""
    if percent:
        return f"{found.value:.0%} [{100 * found.low:.0f}, {100 * found.high:.0f}]"
    return f"{found.value:.3g} [{found.low:.3g}, {found.high:.3g}]"


def plain(row: Row, column: str, spec: str = ".3g") -> str:
    """A column of a row with its interval, as plain numbers."""
    value = number(row, column)
    if value is None:
        return "—"
    low, high = number(row, f"{column}_low"), number(row, f"{column}_high")
    span = f" [{low:{spec}}, {high:{spec}}]" if low is not None and high is not None else ""
    return f"{value:{spec}}{span}"


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


def records(table: pd.DataFrame) -> Sequence[dict[Any, Any]]:
    """A table's rows as dictionaries."""
    return table.to_dict("records")
