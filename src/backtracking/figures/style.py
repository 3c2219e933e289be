"""What all figures share: colours, intervals, and saving without touching matplotlib's global state."""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from io import BytesIO
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from backtracking.artifacts import kinds
from backtracking.artifacts.registry import figures_of
from backtracking.figures.gallery import write_index
from backtracking.measurements.outcome import judged_on
from backtracking.run.io import atomic_path
from backtracking.run.paths import RunPaths
from backtracking.run.records import BASELINE_NAME

# Okabe and Ito's palette: told apart under every common form of colour blindness, and in grey
BLUE, ORANGE, GREEN, VERMILLION = "#0072B2", "#E69F00", "#009E73", "#D55E00"
SKY, PURPLE, GREY, INK = "#56B4E9", "#CC79A7", "#8C8C8C", "#222222"
SERIES = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY)

_STYLE: Any = {
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#E6E6E6",
    "grid.linewidth": 0.8,
    "legend.frameon": False,
    "savefig.dpi": 160,
}


@contextmanager
def style() -> Iterator[None]:
    """The look of the project's figures, inside the block only."""
    with matplotlib.rc_context(_STYLE):
        yield


class Drawing(Figure):
    """A figure that notebooks show although no pyplot knows of it."""

    def _repr_png_(self) -> bytes:
        with style(), BytesIO() as buffer:
            self.savefig(buffer, format="png", dpi=110)
            return buffer.getvalue()


def new_figure(width: float, height: float, columns: int = 1, **options: Any) -> tuple[Figure, list[Axes]]:
    """A figure with one row of axes, free of pyplot."""
    figure = Drawing(figsize=(width, height), layout="constrained")
    axes = figure.subplots(1, columns, squeeze=False, **options)
    return figure, list(axes[0])


def save(figure: Figure, paths: RunPaths, made: kinds.Figure) -> None:
    """Write a figure into the run, and its copy in the folder of all runs' figures, each atomically."""
    with style(), atomic_path(made.path(paths)) as temporary:
        figure.savefig(temporary, metadata={"Software": None})
    with atomic_path(paths.proposal_figure(made.stem)) as temporary:
        shutil.copyfile(made.path(paths), temporary)
    write_index(paths.gallery)


def publish(paths: RunPaths, made: kinds.Table, table: pd.DataFrame) -> None:
    """Write a table into the run, and draw the figures that show it."""
    made.write(paths, table)
    for figure in figures_of(made):
        file, _, draw = figure.drawn_by.partition(":")
        save(getattr(import_module(f"backtracking.figures.{file}"), draw)(table), paths, figure)


@dataclass(frozen=True)
class Points:
    """Values with their interval ends; ends are NaN where a table has none."""

    value: "np.ndarray[Any, np.dtype[np.float64]]"
    low: "np.ndarray[Any, np.dtype[np.float64]]"
    high: "np.ndarray[Any, np.dtype[np.float64]]"

    @property
    def errors(self) -> "np.ndarray[Any, np.dtype[np.float64]]":
        """Distances to the interval ends as matplotlib wants them; no interval draws none."""
        ends = np.stack([self.value - self.low, self.high - self.value])
        errors: np.ndarray[Any, np.dtype[np.float64]] = np.nan_to_num(np.clip(ends, 0.0, None))
        return errors


def estimates(table: pd.DataFrame, column: str) -> Points:
    """A column with `<column>_low` and `<column>_high`, where the table has them."""
    return Points(*(_numbers(table, column + suffix) for suffix in ("", "_low", "_high")))


def _numbers(table: pd.DataFrame, column: str) -> "np.ndarray[Any, np.dtype[np.float64]]":
    if column not in table:
        return np.full(len(table), np.nan)
    return pd.to_numeric(table[column], errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)


def dots(
    axes: Axes,
    data: Points,
    places: Sequence[float],
    *,
    colors: str | Sequence[str] = BLUE,
    markers: str | Sequence[str] = "o",
    label: str | None = None,
) -> None:
    """Horizontal dots with their intervals, one per place on the vertical axis."""
    for index, place in enumerate(places):
        axes.errorbar(
            data.value[index],
            place,
            xerr=data.errors[:, [index]],
            color=colors if isinstance(colors, str) else colors[index],
            marker=markers if isinstance(markers, str) else markers[index],
            markersize=6.5,
            capsize=3,
            elinewidth=1.8,
            label=label if index == 0 else None,
        )


def value_labels(axes: Axes, data: Points, places: Sequence[float], color: str = INK) -> None:
    """The values as small percentages above their dots."""
    for value, place in zip(data.value, places, strict=True):
        if np.isfinite(value):
            text = f"{value:.1%}"
            axes.annotate(
                text,
                (value, place),
                xytext=(0, 6),
                textcoords="offset points",
                ha="center",
                fontsize=8,
                color=color,
            )


def reference(axes: Axes, data: Points, *, color: str = INK, label: str = "") -> None:
    """One estimate as a vertical line with its interval as a band."""
    axes.axvline(float(data.value[0]), color=color, lw=1.2, ls="--", label=label or None, zorder=1)
    if np.isfinite([data.low[0], data.high[0]]).all():
        axes.axvspan(float(data.low[0]), float(data.high[0]), color=color, alpha=0.08, lw=0, zorder=0)


VERDICTS = {
    "non-destructive": (GREEN, "o", "lowers backtracking, accuracy held"),
    "destructive": (VERMILLION, "X", "accuracy lost"),
    "no effect": (GREY, "s", "no change shown"),
    "not testable": (GREY, "x", "not testable"),
    "not judged": (GREY, "o", "not judged in this table"),
    "raises backtracking": (PURPLE, "^", "raises backtracking"),
    "inconclusive": (ORANGE, "D", "accuracy undecided"),
    "baseline": (INK, "o", "baseline"),
}


def verdict(row: Mapping[Any, Any]) -> str:
    """The verdict of an arm's line, as a key of `VERDICTS`."""
    if row["subset_name"] == BASELINE_NAME:
        return "baseline"
    given = str(row.get("verdict", ""))
    return given if given in VERDICTS else "not judged"


_LABEL_SIZE = 8.5
_LIFTS = (7, -14, 18, -25, 29, -36, 40, -47)


def plane(axes: Axes, table: pd.DataFrame, margin: float, labels: Sequence[str] = ()) -> None:
    """Arms as outcome against accuracy with both intervals, and the accuracies that count as held."""
    outcome = judged_on(table)
    axes.set_xlabel(f"{outcome.label}  (left is less)")
    x, y = estimates(table, outcome.name), estimates(table, "accuracy")
    sizes = (
        4.0 + 6.0 * table["front_probability"].fillna(0.5)
        if "front_probability" in table
        else pd.Series(7.0, table.index)
    )
    taken: list[tuple[float, float, float]] = []
    for index, row in enumerate(table.to_dict("records")):
        color, marker, _ = VERDICTS[verdict(row)]
        axes.errorbar(
            x.value[index], y.value[index], xerr=x.errors[:, [index]], yerr=y.errors[:, [index]],
            color=color, marker=marker, ms=float(sizes.iloc[index]), capsize=3, elinewidth=1.2, zorder=3,
        )  # fmt: skip
        label = labels[index] if labels else pretty(row["arm"])
        place = (float(x.value[index]), float(y.value[index]))
        lift = _free_lift(axes, place, label, taken)
        axes.annotate(
            label, place, xytext=(7, lift), textcoords="offset points", fontsize=_LABEL_SIZE, zorder=5,
            bbox={"facecolor": "white", "alpha": 0.7, "lw": 0, "pad": 0.5},
        )  # fmt: skip
    base = table[table["subset_name"] == BASELINE_NAME]
    if not base.empty:
        shade_margin(axes.axhspan, float(base["accuracy"].iloc[0]), margin)


def _free_lift(
    axes: Axes, place: tuple[float, float], label: str, taken: list[tuple[float, float, float]]
) -> float:
    """How many points above its dot a label stands clear of those `taken`: (left, right, height)."""
    pixels = axes.transData.transform(place)
    across, up = (float(pixel) * 72.0 / axes.figure.dpi for pixel in pixels)
    left, right = across, across + 0.55 * _LABEL_SIZE * len(label)

    def is_free(lift: float) -> bool:
        return all(
            right < other_left or left > other_right or abs(up + lift - height) > 1.1 * _LABEL_SIZE
            for other_left, other_right, height in taken
        )

    lift = next((lift for lift in _LIFTS if not label or is_free(lift)), _LIFTS[0])
    if label:
        taken.append((left, right, up + lift))
    return lift


def shade_margin(span: Any, baseline: float, margin: float) -> None:
    """The loss of accuracy that still counts as held."""
    span(baseline - margin, baseline, color=GREEN, alpha=0.15, lw=0, zorder=0)


def percent_axis(axis: Any, *, whole: bool = True) -> None:
    """Show shares as percentages; `whole` fixes the range to 0–100%."""
    axis.set_major_formatter(matplotlib.ticker.PercentFormatter(1.0, decimals=0))
    if whole:
        bounds = (-0.05, 1.05)
        (axis.axes.set_xlim if axis.axis_name == "x" else axis.axes.set_ylim)(*bounds)


def pretty(name: str) -> str:
    """A name from a table as people write it."""
    return str(name).replace("_", " ")


def empty_figure(reason: str) -> Figure:
    """A figure that says why there is nothing to show, so that a missing result is never a missing file."""
    with style():
        figure, (axes,) = new_figure(6.4, 2.4)
        axes.axis("off")
        axes.text(0.5, 0.5, reason, ha="center", va="center", color=GREY, wrap=True)
    return figure
