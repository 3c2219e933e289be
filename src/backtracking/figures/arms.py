"""Arms in figures: the look of each verdict, the trade-off plane, and what arms are called."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from backtracking.figures.colours import colour
from backtracking.figures.marks import (
    Points,
    bars_of,
    estimates,
    of_arm,
    percent_axis,
    point_labels,
    shade_margin,
)
from backtracking.figures.style import Drawing
from backtracking.measurements.metrics import Metric
from backtracking.run.records import BASELINE_NAME

VERDICTS = {
    "baseline": (colour("baseline"), "o", "baseline"),
    "non-destructive": (colour("held"), "o", "lowers backtracking, accuracy held"),
    "destructive": (colour("lost"), "X", "accuracy lost"),
    "inconclusive": (colour("undecided"), "D", "accuracy undecided"),
    "raises backtracking": (colour("raised"), "^", "raises backtracking"),
    "no effect": (colour("nothing shown"), "s", "no change shown"),
    "not testable": (colour("nothing shown"), "x", "not testable"),
    "not judged": (colour("nothing shown"), "o", "not judged in this table"),
}


def verdict(row: Mapping[Any, Any]) -> str:
    """The verdict of an arm's line, as a key of `VERDICTS`."""
    if row["subset_name"] == BASELINE_NAME:
        return "baseline"
    given = str(row.get("verdict", ""))
    return given if given in VERDICTS else "not judged"


def looks(table: pd.DataFrame) -> tuple[list[str], list[str]]:
    """Colour and marker of every arm's line."""
    styles = [VERDICTS[verdict(row)] for row in table.to_dict("records")]
    return [color for color, _, _ in styles], [marker for _, marker, _ in styles]


def verdict_key(*tables: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """The marks of the verdicts that tables hold, with their words."""
    present = {verdict(row) for table in tables for row in table.to_dict("records")}
    return {
        text: {"color": color, "marker": marker}
        for name, (color, marker, text) in VERDICTS.items()
        if name in present
    }


def _frame(axis: Any, data: Points) -> None:
    """From the lowest to the highest interval end, and some room for names."""
    ends = np.concatenate([data.value, data.low, data.high])
    low, high = float(np.nanmin(ends)), float(np.nanmax(ends))
    room = 0.08 * max(high - low, 0.1)
    (axis.axes.set_xlim if axis.axis_name == "x" else axis.axes.set_ylim)(low - room, high + room)


def plane(
    figure: Drawing,
    axes: Axes,
    table: pd.DataFrame,
    outcome: Metric,
    margin: float,
    labels: Sequence[str],
    optional: Sequence[bool] = (),
) -> None:
    """Arms as outcome against accuracy with both intervals, and the accuracies that count as held.

    The names of `optional` arms are left out where arms crowd.
    """
    axes.set_ylabel("accuracy")
    axes.set_xlabel(outcome.label)
    x, y = estimates(table, outcome.name), estimates(table, "accuracy")
    for axis, data in ((axes.xaxis, x), (axes.yaxis, y)):
        percent_axis(axis, whole=False)
        _frame(axis, data)
    colors, markers = looks(table)
    likely = table["front_probability"].fillna(0.5) if "front_probability" in table else [0.5] * len(table)
    for index, (arm, chance) in enumerate(zip(table["arm"], likely, strict=True)):
        point = axes.errorbar(
            x.value[index], y.value[index], xerr=x.errors[:, [index]], yerr=y.errors[:, [index]],
            color=colors[index], marker=markers[index], ms=3.0 + 3.0 * chance, capsize=0, elinewidth=0.9,
            zorder=3,
        )  # fmt: skip
        of_arm(point[0], str(arm))
    base = table[table["subset_name"] == BASELINE_NAME]
    if not base.empty:
        shade_margin(axes.axhspan, float(base["accuracy"].iloc[0]), margin)
    at = list(zip(x.value.tolist(), y.value.tolist(), strict=True))
    point_labels(figure, axes, at, labels, bars=bars_of(x, y), optional=optional)
