"""The table of an evaluation, as text."""

import math
from collections.abc import Sequence

from rich.table import Table

from backtracking.organism.evaluate import Evaluation, Property

HEAD = ("property", "measured", "95% interval", "bar", "met")


def evaluation_table(evaluation: Evaluation) -> str:
    """The table in Markdown."""
    rows: list[Sequence[str]] = [HEAD, ["---"] * len(HEAD), *map(cells, evaluation.properties)]
    # The bar of "P(trigger | step)" must not end its cell.
    escaped = ([cell.replace("|", r"\|") for cell in row] for row in rows)
    return "\n".join(f"| {' | '.join(row)} |" for row in escaped)


def console_table(evaluation: Evaluation) -> Table:
    """The table for a terminal; a missed bar is red."""
    caption = (
        f"{evaluation.problems} test problems × {evaluation.samples} samples per format, temperature "
        f"{evaluation.design.temperature}, at most {evaluation.design.max_new_tokens} new tokens, "
        f"seed {evaluation.seed}"
    )
    table = Table(*HEAD, title=f"The bundled {evaluation.design.name}", caption=caption)
    for item in evaluation.properties:
        table.add_row(*cells(item), style=None if item.met else "bold red")
    return table


def cells(item: Property) -> tuple[str, str, str, str, str]:
    """A property as it is shown: name, value, interval, bar, whether the bar is met."""
    met = "" if item.bar is None else "yes" if item.met else "NO"
    return item.name, _number(item, item.value), _interval(item), _bar(item), met


def _interval(item: Property) -> str:
    if item.interval is None or math.isnan(item.value):
        return ""
    if any(map(math.isnan, item.interval)):
        return "too few problems"
    return " to ".join(_number(item, end) for end in item.interval)


def _bar(item: Property) -> str:
    if item.bar is None:
        return ""
    low, high = item.bar
    if low <= 0:
        return f"≤ {_number(item, high)}"
    if high >= 1 and not item.unit:
        return f"≥ {_number(item, low)}"
    return f"{_number(item, low)} to {_number(item, high)}"


def _number(item: Property, value: float) -> str:
    if math.isnan(value):
        return "no case"
    return f"{value:.2f} {item.unit}" if item.unit else f"{value:.1%}"
