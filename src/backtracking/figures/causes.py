"""Figures of error injection, patching and the direction."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from backtracking.figures import style as look
from backtracking.measurements.injections import FEWEST_DRAWN, FEWEST_PAIRS

_GROUP_NAMES = {
    "changed": "change … result",
    "between": "between",
    "deciding": "deciding position",
}
_METHODS = {
    "difference of means": (look.VERMILLION, "-"),
    "probe": (look.BLUE, "-"),
    "probe, shuffled labels": (look.GREY, ":"),
}


def plot_error_injection(summary: pd.DataFrame, curve: pd.DataFrame) -> Figure:
    """Left: change of the onset family's log-mass at the next sentence, by kind. Right: by position.

    `summary`: `error_injection_summary.csv`; `curve`: `error_injection_curve.csv`.
    """
    if summary.empty:
        return look.empty_figure("no checkable step could be rewritten")
    with look.style():
        figure, (kinds, course) = look.new_figure(11.0, 1.6 + 0.42 * max(6, len(summary)), 2)
        places = list(range(len(summary)))[::-1]
        harmless = summary["kind"].isin(["operands_swapped", "name_changed", "any harmless"])
        colors = [look.BLUE if calm else look.VERMILLION for calm in harmless]
        look.dots(kinds, look.estimates(summary, "change"), places, colors=colors)
        kinds.axvline(0, color=look.INK, lw=0.8)
        labels = [
            f"{look.pretty(kind)} (n = {n})" for kind, n in zip(summary["kind"], summary["n"], strict=True)
        ]
        kinds.set_yticks(places, labels)
        kinds.set_xlabel("change of log P(onset family), nats")
        kinds.set_title("Where the next sentence begins")
        for rewrite, color in (("wrong", look.VERMILLION), ("harmless", look.BLUE)):
            rows = curve[curve["rewrite"] == rewrite] if len(curve) else curve
            if len(rows):
                course.plot(rows["offset"], rows["change"], color=color, marker="o", ms=4, label=rewrite)
                course.fill_between(
                    rows["offset"], rows["change_low"], rows["change_high"], color=color, alpha=0.2, lw=0
                )
        course.axhline(0, color=look.INK, lw=0.8)
        course.xaxis.set_major_locator(MaxNLocator(integer=True))
        course.set_xlabel("tokens after the result")
        course.set_ylabel("change of log P(onset family), nats")
        course.set_title("After a wrong result or a harmless rewrite")
        course.legend()
    return figure


def plot_patching(table: pd.DataFrame) -> Figure:
    """Layer × component: the share of the gap between right and wrong prefixes that one patch moves.

    `table`: `error_patching.csv`.
    """
    if table.empty:
        return look.empty_figure("no pair of prefixes differed enough to patch")
    pairs = int(table["n_pairs"].max())
    if pairs < FEWEST_DRAWN:
        return look.empty_figure(
            f"pairs of prefixes that differ enough to patch: {pairs}, at least {FEWEST_DRAWN} needed to draw"
        )
    directions = list(table["direction"].unique())
    groups = list(table["positions"].unique())
    layers = sorted(table["layer"].unique())
    with look.style():
        figure = Figure(
            figsize=(2.9 * len(groups) + 1.4, 1.4 + 1.2 * len(directions) * (1 + len(layers) / 12))
        )
        figure.set_layout_engine("constrained")
        panels = figure.subplots(len(directions), len(groups), squeeze=False)
        bound = max(1.0, float(table["share"].abs().max()))
        for axes_row, direction in zip(panels, directions, strict=True):
            for axes, group in zip(axes_row, groups, strict=True):
                cell = table[(table["direction"] == direction) & (table["positions"] == group)]
                grid = cell.pivot(index="layer", columns="component", values="share")
                image = axes.imshow(
                    grid.to_numpy(float),
                    origin="lower",
                    aspect="auto",
                    cmap="RdBu_r",
                    vmin=-bound,
                    vmax=bound,
                )
                axes.set_xticks(range(grid.shape[1]), list(grid.columns))
                axes.yaxis.set_major_locator(MaxNLocator(integer=True))
                axes.grid(visible=False)
                axes.set_title(_GROUP_NAMES[group] if direction == directions[0] else "")
            axes_row[0].set_ylabel(f"{direction}\nlayer")
        figure.colorbar(image, ax=panels, label="share of the gap moved")
        if pairs < FEWEST_PAIRS:
            figure.suptitle(f"few pairs ({pairs}): no finding from fewer than {FEWEST_PAIRS}", fontsize=9.5)
    return figure


def plot_direction(table: pd.DataFrame) -> Figure:
    """AUROC on held-out problems by layer: direction and probe with baselines, one panel per control kind.

    `table`: `direction.csv`.
    """
    if table.empty:
        return look.empty_figure("no held-out problems to test on")
    kinds = list(table["control_kind"].unique())
    with look.style():
        figure, panels = look.new_figure(5.4 * len(kinds), 4.0, len(kinds), sharey=True)
        for axes, kind in zip(panels, kinds, strict=True):
            rows = table[(table["control_kind"] == kind) & (table["place"] == "deciding")]
            for method, (color, line) in _METHODS.items():
                part = rows[rows["method"] == method]
                axes.plot(
                    part["layer"], part["auroc"], color=color, ls=line, marker="o", ms=3.5, label=method
                )
                axes.fill_between(
                    part["layer"], part["auroc_low"], part["auroc_high"], color=color, alpha=0.15, lw=0
                )
            position = rows[rows["method"] == "position only"]
            if len(position):
                axes.axhline(
                    float(position["auroc"].iloc[0]), color=look.GREEN, ls="--", lw=1.4, label="position only"
                )
            axes.axhline(0.5, color=look.INK, lw=0.8)
            axes.set_xlabel("layer")
            axes.set_title(f"against controls: {look.pretty(kind)}")
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        panels[0].set_ylabel("AUROC on held-out problems")
        low = float(np.nanmin(table["auroc"]))
        panels[0].set_ylim(min(0.35, low - 0.05), 1.03)
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), fontsize=9)
    return figure
