"""What figures are made of: estimates with intervals, labels at points and line ends, heat, keys."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colors import LinearSegmentedColormap, to_rgba
from matplotlib.lines import Line2D
from matplotlib.text import Annotation, Text

from backtracking.figures.caption import with_minus
from backtracking.figures.colours import GREEN, INK, PAPER, SOFT, colour
from backtracking.figures.labels import Box, PointLabel, Segment, place_labels, spread_heights
from backtracking.figures.style import TEXT, Drawing
from backtracking.figures.svg import ARM, CELLS
from backtracking.measurements.statistics import Array

_LEADER_FROM = 6.0
"""Points between a label and its point from which a line leads from one to the other."""
_SHADES = 47
"""Of a colour scale: an odd number, so that 0 has its own; few enough to be drawn as shapes."""
_ROOM_FOR_THREE = 80.0
"""Points that 0%, 50% and 100% need below an axis."""
_ROOM_FOR_ONE = 24.0
_ROUND = (1, 2, 5, 10)
"""Steps between ticks, up to a power of ten."""
_LINE_HEIGHT = 1.25 * TEXT


@dataclass(frozen=True)
class Points:
    """Values with their interval ends; ends are NaN where a table has none."""

    value: Array
    low: Array
    high: Array

    @property
    def errors(self) -> Array:
        """Distances to the interval ends as matplotlib wants them; no interval draws none."""
        ends = np.stack([self.value - self.low, self.high - self.value])
        errors: Array = np.nan_to_num(np.clip(ends, 0.0, None))
        return errors


def estimates(table: pd.DataFrame, column: str) -> Points:
    """A column with `<column>_low` and `<column>_high`, where the table has them."""
    return Points(*(_numbers(table, column + suffix) for suffix in ("", "_low", "_high")))


def _numbers(table: pd.DataFrame, column: str) -> Array:
    if column not in table:
        return np.full(len(table), np.nan)
    return pd.to_numeric(table[column], errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)


def dots(
    axes: Axes,
    data: Points,
    places: Sequence[float],
    *,
    colors: str | Sequence[str] = INK.light,
    markers: str | Sequence[str] = "o",
    arms: Sequence[str] = (),
    label: str | None = None,
) -> None:
    """Horizontal dots with their intervals, one per place on the vertical axis; `arms` is whose they are."""
    for index, height in enumerate(places):
        point = axes.errorbar(
            data.value[index],
            height,
            xerr=data.errors[:, [index]],
            color=colors if isinstance(colors, str) else colors[index],
            marker=markers if isinstance(markers, str) else markers[index],
            elinewidth=1.4,
            label=label if index == 0 else None,
        )
        if arms:
            of_arm(point[0], arms[index])


def of_arm(mark: Line2D, arm: str) -> None:
    """Say whose mark it is, so that pages can lead from it to the arm."""
    mark.set_gid(ARM + arm)


def value_labels(axes: Axes, data: Points, places: Sequence[float]) -> None:
    """The values as small percentages above their dots, inside the axes."""
    for value, height in zip(data.value, places, strict=True):
        if np.isfinite(value):
            side = "center" if 0.15 < value < 0.85 else "left" if value < 0.5 else "right"
            axes.annotate(
                f"{value:.1%}", (value, height), xytext=(0, 4), textcoords="offset points", ha=side,
            )  # fmt: skip


def reference(axes: Axes, data: Points) -> None:
    """The baseline's estimate as a vertical line with its interval as a band."""
    axes.axvline(float(data.value[0]), color=colour("baseline"), lw=1.0, ls="--", zorder=1)
    if np.isfinite([data.low[0], data.high[0]]).all():
        axes.axvspan(
            float(data.low[0]), float(data.high[0]), color=colour("baseline"), alpha=0.1, lw=0, zorder=0
        )


def shade_margin(span: Any, baseline: float, margin: float) -> None:
    """The loss of accuracy that still counts as held."""
    span(baseline - margin, baseline, color=GREEN.light, alpha=0.18, lw=0, zorder=0)


def percent_axis(axis: Any, *, whole: bool = True) -> None:
    """Show shares as percentages; `whole` fixes the range to 0–100%."""
    axis.set_major_formatter(lambda share, _: f"{round(100 * share, 6):g}%")
    axis.set_major_locator(matplotlib.ticker.MaxNLocator(7, steps=_ROUND))
    if whole:
        (axis.axes.set_xlim if axis.axis_name == "x" else axis.axes.set_ylim)(-0.05, 1.05)
        axis.set_major_locator(matplotlib.ticker.FixedLocator([0.0, 0.5, 1.0]))
        axis.set_minor_locator(matplotlib.ticker.FixedLocator([0.25, 0.75]))
    if axis.axis_name == "x":
        _thin_out(axis, whole)


def _thin_out(axis: Any, whole: bool) -> None:
    """As many ticks as there is room for; of the whole range 0% and 100% alone, if need be."""
    figure = axis.get_figure()

    def part() -> None:
        width = axis.axes.get_window_extent().width * 72.0 / figure.dpi
        if not whole:
            axis.set_major_locator(
                matplotlib.ticker.MaxNLocator(min(7, int(width // _ROOM_FOR_ONE)), steps=_ROUND)
            )
        elif width < _ROOM_FOR_THREE:
            axis.set_major_locator(matplotlib.ticker.FixedLocator([0.0, 1.0]))
            axis.set_minor_locator(matplotlib.ticker.FixedLocator([0.5]))

    figure.last_touches.append(part)


def scale_axis(axes: Axes) -> None:
    """Strengths across, from the untouched model to the strongest dose."""
    axes.invert_xaxis()
    axes.set_xlabel("scale (1 = untouched)")


def curve(axes: Axes, at: Any, data: Points, color: str, *, marker: str = "o", line: str = "-") -> None:
    """A line through estimates, its intervals as a band."""
    axes.plot(at, data.value, color=color, marker=marker, ms=3.2, ls=line)
    if np.isfinite(data.low).any():
        axes.fill_between(at, data.low, data.high, color=color, alpha=0.2, lw=0)


def end_labels(figure: Drawing, axes: Axes, ends: Sequence[tuple[float, str]]) -> None:
    """Names of lines, each beside its line's end on the right, apart from each other."""
    ends = [(height, text) for height, text in ends if np.isfinite(height)]
    texts = [
        axes.annotate(
            text, (1.0, height), xycoords=("axes fraction", "data"), xytext=(5, 0),
            textcoords="offset points", va="center", ha="left", annotation_clip=False,
        )
        for height, text in ends
    ]  # fmt: skip

    def part() -> None:
        scale = 72.0 / figure.dpi
        wanted = [float(axes.transData.transform((0.0, height))[1]) * scale for height, _ in ends]
        tall = [text.get_window_extent().height * scale for text in texts]
        bounds = axes.get_window_extent()
        low, high = float(bounds.y0) * scale + TEXT / 2, float(bounds.y1) * scale - TEXT / 2
        for text, own, free in zip(
            texts, wanted, spread_heights(wanted, max(tall, default=0.0) + 1.0, low, high), strict=True
        ):
            text.set_position((5, free - own))

    figure.last_touches.append(part)


def point_labels(
    figure: Drawing, axes: Axes, at: Sequence[tuple[float, float]], names: Sequence[str],
    *, bars: Sequence[Segment] = (), optional: Sequence[bool] = (),
) -> None:  # fmt: skip
    """Names beside points ("" is none), clear of each other, of all points, and of bars where they can.

    Those that are `optional` are left out unless there is room nearby.
    """
    texts: list[Annotation | None] = [
        axes.annotate(
            name, point, xytext=(0, 0), textcoords="offset points", ha="center", va="center",
            zorder=5, annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": SOFT.light, "lw": 0.6, "shrinkA": 0.5, "shrinkB": 3},
        )
        if name
        else None
        for point, name in zip(at, names, strict=True)
    ]  # fmt: skip
    for text in filter(None, texts):
        text.set_in_layout(False)

    def part() -> None:
        scale = 72.0 / figure.dpi

        def on_paper(point: tuple[float, float]) -> tuple[float, float]:
            x, y = axes.transData.transform(point)
            return float(x) * scale, float(y) * scale

        shown = [(text, on_paper(point)) for text, point in zip(texts, at, strict=True) if text is not None]
        labels = [PointLabel(point, *_size(text, scale)) for text, point in shown]
        taken = [Box.around(on_paper(point), TEXT * 0.9, TEXT * 0.9) for point in at]
        edges = axes.get_window_extent()
        bounds = Box(*(float(edge) * scale for edge in (edges.x0, edges.y0, edges.x1, edges.y1)))
        lines = [(on_paper(one), on_paper(other)) for one, other in bars]
        named = [index for index, text in enumerate(texts) if text is not None]
        spare = [place for place, index in enumerate(named) if optional and optional[index]]
        boxes = place_labels(labels, bounds, taken, lines, spare)
        for (text, point), box in zip(shown, boxes, strict=True):
            if box is None:
                text.remove()
                continue
            x, y = box.centre
            text.set_position((x - point[0], y - point[1]))
            if text.arrow_patch is not None and box.distance(point) < _LEADER_FROM:
                text.arrow_patch.set_visible(False)

    figure.last_touches.append(part)


def _size(text: Annotation, scale: float) -> tuple[float, float]:
    extent = Text.get_window_extent(text)  # an annotation's own takes its leader in
    return float(extent.width) * scale, float(extent.height) * scale


def bars_of(across: Points, up: Points) -> list[Segment]:
    """The intervals of points in a plane, as lines."""
    lines: list[Segment] = []
    for x, left, right, y, low, high in zip(
        across.value, across.low, across.high, up.value, up.low, up.high, strict=True
    ):
        if np.isfinite([left, right]).all():
            lines.append(((float(left), float(y)), (float(right), float(y))))
        if np.isfinite([low, high]).all():
            lines.append(((float(x), float(low)), (float(x), float(high))))
    return lines


def heat(
    axes: Axes, grid: pd.DataFrame, *, bound: float | None = None, signed: bool = True,
    clear: pd.DataFrame | None = None,
) -> QuadMesh:  # fmt: skip
    """A table of values as cells: no colour for nothing, more of it for more, one hue for each sign.

    `clear` says which cells' intervals exclude 0: they get a dot. A dash marks cells without a value.
    """
    values = grid.to_numpy(float)
    known = np.isfinite(values)
    if bound is None:
        bound = float(np.abs(values[known]).max()) if known.any() else 1.0
    bound = bound or 1.0
    mesh = axes.pcolormesh(
        np.arange(grid.shape[1] + 1) - 0.5,
        np.arange(grid.shape[0] + 1) - 0.5,
        np.ma.masked_invalid(values),
        cmap=_signed_map() if signed else _growing_map(),
        vmin=-bound if signed else 0.0,
        vmax=bound,
        antialiased=False,
    )
    mesh.set_gid(CELLS)
    axes.grid(visible=False)
    for side in ("top", "right"):
        axes.spines[side].set_visible(True)
    _mark_cells(axes, ~known, "_", SOFT.light)
    if clear is not None:
        strong = np.abs(np.nan_to_num(values)) > 0.6 * bound
        excludes = clear.to_numpy(bool) & known
        _mark_cells(axes, excludes & ~strong, ".", INK.light)
        _mark_cells(axes, excludes & strong, ".", PAPER.light)
    return mesh


def layers_of(axes: Axes, grid: pd.DataFrame) -> None:
    """Layers up the side of a heatmap, named beside the first panel of a row."""
    ticks(axes.yaxis, list(grid.index))
    place = axes.get_subplotspec()
    if place is None or place.is_first_col():
        axes.set_ylabel("layer")


def colour_scale(figure: Drawing, axes: Sequence[Axes], mesh: QuadMesh, label: str) -> None:
    """What the colours of some panels mean, below them."""
    bar = figure.colorbar(mesh, ax=axes, label=label, location="bottom", aspect=30, pad=0.03, shrink=0.8)
    bar.outline.set_linewidth(0.8)
    bar.ax.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(nbins=4))
    if bar.solids is not None:
        bar.solids.set(antialiased=False, edgecolor="none", gid=CELLS)


def _mark_cells(axes: Axes, which: "np.ndarray[Any, np.dtype[np.bool_]]", marker: str, color: str) -> None:
    down, across = np.nonzero(which)
    axes.plot(across, down, ls="", marker=marker, ms=2.2, color=color)


def ticks(axis: Any, names: Sequence[object], most: int = 8) -> None:
    """The names of a heatmap's lines or columns, some of them where there are many."""
    step = next(step for step in (1, 2, 4, 5, 10, 20, 50, 1000) if len(names) <= most * step)
    axis.set_ticks(range(0, len(names), step), [with_minus(str(name)) for name in names[::step]])


def _signed_map() -> LinearSegmentedColormap:
    less, more = colour("less"), colour("more")
    steps = [(0.0, to_rgba(less, 1.0)), (0.5, to_rgba(less, 0.0)), (0.5, to_rgba(more, 0.0))]
    return LinearSegmentedColormap.from_list("signed", [*steps, (1.0, to_rgba(more, 1.0))], N=_SHADES)


def _growing_map() -> LinearSegmentedColormap:
    damage = colour("damage")
    shades = [to_rgba(damage, 0.0), to_rgba(damage, 1.0)]
    return LinearSegmentedColormap.from_list("growing", shades, N=_SHADES)


def word_inside(
    figure: Drawing, axes: Axes, text: str, left: float, right: float, height: float, color: str
) -> None:
    """A word in the middle of a bar, where the bar is wide enough for it."""
    word = axes.text((left + right) / 2, height, text, ha="center", va="center", color=color)

    def fit() -> None:
        ends = axes.transData.transform([(left, height), (right, height)])[:, 0]
        word.set_visible(word.get_window_extent().width + 2.0 < float(ends[1] - ends[0]))

    figure.last_touches.append(fit)


def key(figure: Drawing, entries: Mapping[str, Mapping[str, Any]]) -> None:
    """What marks mean, below all panels, in as many columns as the width takes."""
    handles = [Line2D([], [], **{"ls": "", **look}, label=text) for text, look in entries.items()]
    widest = max((len(text) for text in entries), default=1) * 0.56 * TEXT + 3.0 * TEXT
    columns = max(1, min(len(handles), int(figure.get_figwidth() * 72.0 // widest)))
    figure.legend(handles=handles, loc="outside lower center", ncols=columns)
    lines = -(-len(handles) // columns)
    figure.set_figheight(figure.get_figheight() + lines * _LINE_HEIGHT * 1.3 / 72.0)


def pretty(name: object) -> str:
    """A name from a table as people write it."""
    return str(name).replace("_", " ")
