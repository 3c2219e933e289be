"""Phase 2 figures about what leaks: first divergences, the fate of corrections, the choice of an arm."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from backtracking.figures import style as look
from backtracking.measurements.outcome import judged_on
from backtracking.run.records import BASELINE_NAME

LEADERS = 4
_FLOWS_A_LINE = 4
_COLUMN = 0.08
_LABELLED = 0.05

_Way = tuple[str, str]
"""From a fate under the baseline to one under the arm."""

_FATES = (
    ("marked", look.BLUE, "errs, backtracks, ends right"),
    ("silent", look.SKY, "errs, no trigger, ends right"),
    ("never_erred", look.GREEN, "never errs, ends right"),
    ("wrong", look.VERMILLION, "ends wrong"),
    ("unanswered", look.GREY, "gives no answer"),
)


def plot_first_divergences(summary: pd.DataFrame, replaced: pd.DataFrame, shown: int = 8) -> Figure:
    """Left: how much likelier than chance a first change hits a trigger. Right: the commonest changes."""
    summary = summary[summary["specificity_index"].notna()].sort_values("specificity_index", ascending=False)
    if summary.empty:
        return look.empty_figure("no completion left its baseline, or the baseline has no trigger tokens")
    summary = summary.reset_index(drop=True)
    changes = _commonest(replaced, str(summary["arm"].iloc[0]), shown)
    height = 0.36 * max(len(summary), len(changes)) + 1.8
    with look.style():
        figure, (left, right) = look.new_figure(11.0, height, 2)
        places = list(range(len(summary)))[::-1]
        data = look.estimates(summary, "specificity_index")
        look.dots(left, data, places, colors=look.BLUE)
        left.axvline(1.0, color=look.INK, ls="--", lw=1.2)
        left.set_yticks(places, [look.pretty(arm) for arm in summary["arm"]])
        left.set_xlabel("specificity index (1 = hits triggers no more than other tokens)")
        left.set_title("What the first change hits")
        bars = list(range(len(changes)))[::-1]
        right.barh(bars, changes["share"], color=look.SKY)
        labels = [f"{_shown(old)} → {_shown(new)}" for old, new in _pairs(changes)]
        right.set_yticks(bars, labels, family="monospace")
        look.percent_axis(right.xaxis, whole=False)
        right.set_xlabel("share of first changes")
        right.set_title(look.pretty(str(summary["arm"].iloc[0])))
    return figure


def _commonest(replaced: pd.DataFrame, arm: str, shown: int) -> pd.DataFrame:
    return replaced[replaced["arm"] == arm].fillna("").head(shown)


def _pairs(changes: pd.DataFrame) -> Sequence[tuple[str, str]]:
    return list(zip(changes["baseline_text"].astype(str), changes["new_text"].astype(str), strict=True))


def _shown(text: str) -> str:
    """Model text as a label: spaces visible, no mathtext, nothing unprintable."""
    visible = text.replace(" ", "␣").replace("\n", "⏎").replace("$", r"\$")
    return "".join(char if char.isprintable() else "\ufffd" for char in visible)[:18] or "∅"


def plot_correction_flow(flow: pd.DataFrame) -> Figure:
    """Per arm, rows whose baseline erred and corrected itself flow to what becomes of them under the arm."""
    if flow.empty or not flow["total"].max():
        return look.empty_figure("no baseline row made a checkable error and corrected it")
    arms = [arm for arm in dict.fromkeys(flow["arm"]) if arm != BASELINE_NAME]
    if not arms:
        return look.empty_figure("there is no arm beside the baseline")
    columns = min(len(arms), _FLOWS_A_LINE)
    lines = -(-len(arms) // columns)
    with look.style():
        figure = Figure(figsize=(2.75 * columns + 0.6, 2.5 * lines + 1.2), layout="constrained")
        grid = figure.subplots(lines, columns, squeeze=False).ravel()
        for axes, arm in zip(grid, arms, strict=False):
            _flow(axes, flow[flow["arm"] == arm])
            axes.set_title(look.pretty(arm), fontsize=9)
        for axes in grid:
            axes.axis("off")
        figure.suptitle(
            f"Left: {int(flow['total'].max()):,} baseline rows that erred and ended right. "
            "Right: the same rows under the arm.",
            x=0.01, ha="left", fontsize=10,
        )  # fmt: skip
        keys = [Patch(color=color, label=label) for _, color, label in _FATES]
        figure.legend(handles=keys, loc="outside lower center", ncols=3, fontsize=9)
    return figure


def _flow(axes: Axes, part: pd.DataFrame) -> None:
    """Two filled columns and a band for every way from one to the other, in the same order on both sides."""
    share = {
        (str(origin), str(fate)): float(value)
        for origin, fate, value in zip(part["baseline_fate"], part["fate"], part["share"], strict=True)
    }
    colors = {fate: color for fate, color, _ in _FATES}
    ways = [(origin, fate) for origin in colors for fate in colors if share.get((origin, fate), 0.0) > 0]
    leaves = _stack(share, ways)
    arrives = _stack(share, sorted(ways, key=lambda way: list(colors).index(way[1])))
    bend = np.linspace(0.0, 1.0, 40)
    smooth = bend**2 * (3 - 2 * bend)
    for way in ways:
        top = leaves[way] + (arrives[way] - leaves[way]) * smooth
        axes.fill_between(bend, top - share[way], top, color=colors[way[1]], alpha=0.45, lw=0)
    for place, side, tops in ((-_COLUMN, 0, leaves), (1.0, 1, arrives)):
        for fate, color in colors.items():
            members = [way for way in ways if way[side] == fate]
            height = math.fsum(share[way] for way in members)
            if not members:
                continue
            upper = max(tops[way] for way in members)
            axes.bar(place, -height, _COLUMN, bottom=upper, align="edge", color=color, edgecolor="white")
            if height >= _LABELLED:
                beside = 1.0 + _COLUMN + 0.03 if side else -_COLUMN - 0.03
                align = "left" if side else "right"
                axes.text(beside, upper - height / 2, f"{height:.0%}", ha=align, va="center", fontsize=8)
    axes.set_xlim(-0.45, 1.45)
    axes.set_ylim(0, 1)


def _stack(share: Mapping[_Way, float], ways: Sequence[_Way]) -> dict[_Way, float]:
    """The upper edge of each band where bands are piled from the top in this order."""
    tops: dict[_Way, float] = {}
    top = 1.0
    for way in ways:
        tops[way] = top
        top -= share[way]
    return tops


def _plane_with_leaders(axes: Axes, table: pd.DataFrame, margin: float) -> None:
    """The plane with names for few arms only: the baseline, controls, and those likeliest on the front."""
    named = table["kind"] != "intervention"
    if "front_probability" in table:
        leaders = table[~named].sort_values("front_probability", ascending=False, kind="stable").head(LEADERS)
        distinct = leaders.drop_duplicates([judged_on(table).name, "accuracy"])
        named |= table.index.isin(distinct.index)
    else:
        named |= True
    labels = [look.pretty(arm) if shown else "" for arm, shown in zip(table["arm"], named, strict=True)]
    look.plane(axes, table, margin, labels)


def plot_choice(search: pd.DataFrame, confirm: pd.DataFrame, margin: float) -> Figure:
    """Left: arms on the search half, larger where they are likelier on the front. Right: the confirmation."""
    if search.empty:
        return look.empty_figure("no arms were searched")
    with look.style():
        figure, axes = look.new_figure(11.0, 4.8, 2, sharex=True, sharey=True)
        titles = ("Search half (size: P(on the front))", "Confirm half")
        for ax, table, title in zip(axes, (search, confirm), titles, strict=True):
            ax.set_title(title)
            look.percent_axis(ax.xaxis)
            look.percent_axis(ax.yaxis)
            if not table.empty:
                _plane_with_leaders(ax, table.reset_index(drop=True), margin)
        if not confirm.empty and confirm["subset_name"].eq(BASELINE_NAME).all():
            axes[1].text(0.5, 0.5, "no arm qualified on the search half", ha="center", color=look.GREY)
        axes[0].set_ylabel("accuracy")
    return figure
