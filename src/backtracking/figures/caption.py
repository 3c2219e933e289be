"""What is said under a figure: what it is called, what to see, how to read it, and over how many rows."""

import math
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass

import pandas as pd

INTERVALS = "Bars are 95% intervals over problems."
BANDS = "Bands are 95% intervals over problems."
BANDS_AND_BARS = "Bands and bars are 95% intervals over problems."


def what_bars_mean(table: pd.DataFrame, says: str = INTERVALS) -> str:
    """What bars mean, where the table has any: one problem has no interval."""
    ends = table[[name for name in table.columns if str(name).endswith("_low")]]
    return says if ends.notna().to_numpy().any() else ""


_NEGATIVE = re.compile(r"(?<![\w.)])-(?=\d)")


class NothingToShow(Exception):  # noqa: N818  (it is an outcome, not an error)
    """A figure that would be empty; the reason is said in its place."""


class NotMade(NothingToShow):
    """The run has no results that the figure could show, and it is said how they are made."""


@dataclass(frozen=True)
class Caption:
    """The words of a figure, as data; reports print them."""

    title: str
    sees: str = ""
    """What to see, computed from the table."""
    shows: str = ""
    """What is drawn, and what its marks mean."""
    counts: str = ""
    """How many rows and problems, and the share of cut rows."""

    def __post_init__(self) -> None:
        for part in ("sees", "shows", "counts"):
            object.__setattr__(self, part, with_minus(getattr(self, part)).strip())

    def __str__(self) -> str:
        return " ".join(filter(None, (f"{self.title}.", self.sees, self.shows, self.counts)))

    def as_json(self) -> dict[str, str]:
        """Each part, and the whole as running text."""
        return asdict(self) | {"caption": str(self)}


def with_minus(text: str) -> str:
    """Text whose negative numbers have a minus sign, not a hyphen."""
    return _NEGATIVE.sub("−", text)


def sample_size(table: pd.DataFrame) -> str:
    """n of completions and problems, and the share of cut rows, of a table with a line per arm."""
    parts = []
    if "total" in table:
        parts.append(f"n = {_of(table['total'], 'completion')}")
        if "problems" in table:
            parts[-1] += f" of {_of(table['problems'], 'problem')}"
        if len(table) > 1:
            parts[-1] += " each"
    if "truncation_rate" in table and table["truncation_rate"].notna().any():
        parts.append(f"cut: {_span(100 * table['truncation_rate'], '{:.1f}')}%")
    return sentence(parts)


def _of(numbers: "pd.Series[float]", noun: str) -> str:
    amount = _span(numbers, "{:,.0f}")
    return f"{amount} {noun}" if amount == "1" else f"{amount} {noun}s"


def of_positions(table: pd.DataFrame, *columns: tuple[str, str]) -> str:
    """n of what an analysis read: each column of the table with the word for what it counts."""
    return sentence(f"n = {_span(table[name], '{:,.0f}')} {word}" for name, word in columns if name in table)


def sentence(parts: Iterable[str]) -> str:
    """Parts as one sentence; nothing where there are none."""
    text = "; ".join(filter(None, parts))
    return f"{text[0].upper() if not text.startswith('n =') else text[0]}{text[1:]}." if text else ""


def _span(values: "pd.Series[float]", form: str) -> str:
    """One value, or from the smallest to the largest."""
    known = pd.to_numeric(values, errors="coerce").dropna()
    if known.empty:
        return "?"
    low, high = form.format(known.min()), form.format(known.max())
    return low if low == high else f"{low}–{high}"


def signed(value: float, digits: int = 1) -> str:
    """A number with its sign, with a minus that is one."""
    return with_minus(f"{value:+.{digits}f}")


def interval(low: float, high: float, digits: int = 1) -> str:
    """`[−1.2, 3.4]`; nothing where an end is not known."""
    if math.isnan(low) or math.isnan(high):
        return ""
    return with_minus(f" [{low:.{digits}f}, {high:.{digits}f}]")
