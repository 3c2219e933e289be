"""Figures of error injection, patching and the direction."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.ticker import MaxNLocator

from backtracking.claims.wording import lines_of, plainly
from backtracking.figures import marks
from backtracking.figures.caption import BANDS, Caption, NothingToShow, of_positions, what_bars_mean
from backtracking.figures.colours import INK, colour
from backtracking.figures.marks import pretty
from backtracking.figures.mechanism import CONTROLS, by_layer
from backtracking.figures.style import PAGE, Drawing, drawn, panels
from backtracking.measurements.injections import FEWEST_DRAWN, FEWEST_PAIRS

_HARMLESS = ("operands_swapped", "name_changed", "any harmless")
_GROUP_NAMES = {"changed": "the change", "between": "between", "deciding": "deciding position"}
_METHODS = {
    "difference of means": ("direction", "-"),
    "probe": ("probe", "-"),
    "probe, shuffled labels": ("by chance", ":"),
}
_POSITION_ONLY = "position only"


@drawn
def plot_error_injection(summary: pd.DataFrame, curve: pd.DataFrame, *, width: float = PAGE) -> Drawing:
    """Left: change of the onset family's log-mass at the next sentence, by kind. Right: by position.

    `summary`: `error_injection_summary.csv`; `curve`: `error_injection_curve.csv`.
    """
    if summary.empty:
        raise NothingToShow("no checkable step could be rewritten")
    height = max(0.24 * len(summary), 1.7)
    figure, axes = panels(width, 2 if len(curve) else 1, height, narrowest=3.0)
    kinds = axes[0]
    places = list(range(len(summary)))[::-1]
    colors = [colour("right" if kind in _HARMLESS else "wrong") for kind in summary["kind"]]
    marks.dots(kinds, marks.estimates(summary, "change"), places, colors=colors)
    kinds.axvline(0, color=INK.light, lw=0.8)
    labels = [f"{pretty(kind)} ({n})" for kind, n in zip(summary["kind"], summary["n"], strict=True)]
    kinds.set_yticks(places, labels)
    kinds.set_xlabel("Δ log P(onset family), nats")
    kinds.set_title("At the next sentence")
    if len(curve):
        _course(figure, axes[1], curve)
    figure.caption = Caption(
        "Right steps rewritten", _injection_says(summary),
        "First: by kind of rewrite, n in brackets. Second: by tokens after the result. Bars and bands are "
        "95% intervals over problems.", of_positions(summary, ("n", "rewrites of a kind")),
    )  # fmt: skip
    return figure


def _course(figure: Drawing, axes: Any, curve: pd.DataFrame) -> None:
    ends = []
    for rewrite, thing in (("wrong", "wrong"), ("harmless", "right")):
        rows = curve[curve["rewrite"] == rewrite]
        if len(rows):
            data = marks.estimates(rows, "change")
            marks.curve(axes, rows["offset"], data, colour(thing), marker="o" if rewrite == "wrong" else "s")
            ends.append((float(data.value[-1]), rewrite))
    marks.end_labels(figure, axes, ends)
    axes.axhline(0, color=INK.light, lw=0.8)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("tokens after the result")
    axes.set_ylabel("Δ log P(onset family), nats")
    axes.set_title("Token by token")


def _injection_says(summary: pd.DataFrame) -> str:
    """The change over all wrong and over all harmless rewrites, where the table pools them."""
    rows = {str(row["kind"]): row for row in lines_of(summary)}
    pooled = [(name, rows[name]) for name in ("any wrong", "any harmless") if name in rows]
    shown = pooled or list(rows.items())[:1]
    said = " and ".join(
        f"by {plainly(row, 'change', '.2f')} after {pretty(name)} rewrite" for name, row in shown
    )
    return f"The onset's log-probability changes {said}, in nats."


@drawn
def plot_patching(table: pd.DataFrame, *, width: float = PAGE) -> Drawing:
    """Layer × component: the share of the gap between right and wrong prefixes that one patch moves.

    `table`: `error_patching.csv`.
    """
    if table.empty:
        raise NothingToShow("no pair of prefixes differed enough to patch")
    pairs = int(table["n_pairs"].max())
    if pairs < FEWEST_DRAWN:
        raise NothingToShow(
            f"pairs of prefixes that differ enough to patch: {pairs}, at least {FEWEST_DRAWN} needed to draw"
        )
    directions, groups = list(table["direction"].unique()), list(table["positions"].unique())
    height = max(1.0, 0.07 * table["layer"].nunique())
    cells = [(direction, group) for direction in directions for group in groups]
    figure, axes = panels(width, len(cells), height, narrowest=width / (len(groups) + 0.1), share="both")
    bound = max(1.0, float(table["share"].abs().max()))
    for ax, (direction, group) in zip(axes, cells, strict=True):
        rows = table[(table["direction"] == direction) & (table["positions"] == group)]
        clear = (
            rows.assign(clear=(rows["share_low"] > 0) | (rows["share_high"] < 0))
            if "share_low" in rows
            else None
        )
        grid, marked = (
            None if frame is None else frame.pivot(index="layer", columns="component", values=column)
            for frame, column in ((rows, "share"), (clear, "clear"))
        )
        assert grid is not None
        mesh = marks.heat(ax, grid, bound=bound, clear=marked)
        marks.ticks(ax.xaxis, list(grid.columns))
        marks.layers_of(ax, grid)
        ax.set_title(f"{direction}: {_GROUP_NAMES[group]}")
    marks.colour_scale(figure, axes, mesh, "share of the gap moved")
    few = f" Few pairs: no finding from fewer than {FEWEST_PAIRS}." if pairs < FEWEST_PAIRS else ""
    figure.caption = Caption(
        "Activations swapped between right and wrong prefixes", _patching_says(table) + few,
        "Colour: the share of the gap in log-odds that the swap moves; a dot where its 95% interval "
        "excludes 0.",
        of_positions(table, ("n_pairs", "pairs"), ("n_problems", "problems")),
    )  # fmt: skip
    return figure


def _patching_says(table: pd.DataFrame) -> str:
    """What moves most of the gap."""
    most = lines_of(table.loc[[table["share"].abs().idxmax()]])[0]
    return (
        f"Most of the gap is moved by {most['component']} {int(most['layer'])} at "
        f"{_GROUP_NAMES[most['positions']]} ({most['direction']}): {plainly(most, 'share', '.2f')} of it."
    )


@drawn
def plot_direction(table: pd.DataFrame, *, width: float = PAGE) -> Drawing:
    """AUROC on held-out problems by layer: direction and probe with baselines, one panel per control kind.

    `table`: `direction.csv`.
    """
    if table.empty:
        raise NothingToShow("no held-out problems to test on")
    deciding = table[table["place"] == "deciding"]
    kinds = [str(kind) for kind in table["control_kind"].unique()]
    figure, axes = panels(width, len(kinds), 2.0, narrowest=2.8, share="y")
    present: dict[str, dict[str, Any]] = {}
    for ax, kind in zip(axes, kinds, strict=True):
        rows = deciding[deciding["control_kind"] == kind]
        for method, (thing, line) in _METHODS.items():
            part = rows[rows["method"] == method]
            if len(part):
                marks.curve(ax, part["layer"], marks.estimates(part, "auroc"), colour(thing), line=line)
                present[method] = {"color": colour(thing), "ls": line, "marker": "o", "ms": 3.2}
        position = rows[rows["method"] == _POSITION_ONLY]
        if len(position):
            at = colour("position alone")
            ax.axhline(float(position["auroc"].iloc[0]), color=at, ls="--", lw=1.4)
            present[_POSITION_ONLY] = {"color": at, "ls": "--"}
        ax.axhline(0.5, color=INK.light, lw=0.8)
        ax.set_title(f"against {CONTROLS.get(kind, pretty(kind))}")
        by_layer(ax)
    axes[0].set_ylabel("AUROC")
    low = float(np.nanmin(table["auroc"]))
    axes[0].set_ylim(min(0.35, low - 0.05), 1.03)
    marks.key(figure, present)
    figure.caption = Caption(
        "How well a direction tells onsets from controls", _direction_says(deciding),
        f"AUROC on problems that were not fitted on; 0.5 is chance. {what_bars_mean(table, BANDS)}",
        of_positions(deciding, ("n_fit", "samples fitted on"), ("n_test", "tested on")),
    )  # fmt: skip
    return figure


def _direction_says(deciding: pd.DataFrame) -> str:
    """The layer whose direction separates best, by the first kind of control."""
    rows = deciding[deciding["method"] == "difference of means"]
    rows = rows[rows["control_kind"] == rows["control_kind"].iloc[0]] if len(rows) else rows
    if rows["auroc"].dropna().empty:
        return ""
    best = lines_of(rows.loc[[rows["auroc"].idxmax()]])[0]
    kind = CONTROLS.get(best["control_kind"], pretty(best["control_kind"]))
    return f"Against {kind} it separates best in layer {int(best['layer'])}: {plainly(best, 'auroc', '.2f')}."
