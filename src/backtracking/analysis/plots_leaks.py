"""Phase 2 figures about what leaks: first divergences, the fate of corrections, the choice of an arm."""

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from backtracking.analysis import figures as look

LEADERS = 4

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
    """Per arm the fates of rows whose baseline erred and corrected itself, as stacked shares."""
    if flow.empty or not flow["total"].max():
        return look.empty_figure("no baseline row made a checkable error and corrected it")
    arms = list(dict.fromkeys(flow["arm"]))
    with look.style():
        figure, (axes,) = look.new_figure(8.6, 0.42 * len(arms) + 1.9)
        left = pd.Series(0.0, index=arms)
        for fate, color, label in _FATES:
            share = flow[flow["fate"] == fate].set_index("arm")["share"].reindex(arms).fillna(0.0)
            axes.barh(range(len(arms)), share, left=left, color=color, label=label, edgecolor="white")
            for place, (start, width) in enumerate(zip(left, share, strict=True)):
                if width >= 0.06:
                    ink = "white" if color == look.BLUE else look.INK
                    axes.text(
                        start + width / 2,
                        place,
                        f"{width:.0%}",
                        ha="center",
                        va="center",
                        fontsize=8,
                        color=ink,
                    )
            left += share
        axes.set_yticks(range(len(arms)), [look.pretty(arm) for arm in arms])
        axes.invert_yaxis()
        axes.set_xlim(0, 1)
        axes.xaxis.set_major_formatter("{x:.0%}")
        axes.set_title(f"Rows whose baseline erred and corrected itself (n = {int(flow['total'].max()):,})")
        figure.legend(loc="outside lower center", ncols=3, fontsize=9)
    return figure


def _plane_with_leaders(axes: Axes, table: pd.DataFrame, margin: float) -> None:
    """The plane with names for few arms only: the baseline, controls, and those likeliest on the front."""
    named = table["kind"] != "intervention"
    if "front_probability" in table:
        leaders = table[~named].sort_values("front_probability", ascending=False, kind="stable").head(LEADERS)
        distinct = leaders.drop_duplicates(["backtracking_rate", "accuracy"])
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
            ax.set_xlabel("backtracking  (left is less)")
            look.percent_axis(ax.xaxis)
            look.percent_axis(ax.yaxis)
            if not table.empty:
                _plane_with_leaders(ax, table.reset_index(drop=True), margin)
        axes[0].set_ylabel("accuracy")
    return figure
