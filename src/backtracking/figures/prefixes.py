"""The figure of fixed prefixes: onsets after the same errors under every arm, and what is missing of them."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from backtracking.figures import style as look


def plot_fixed_prefixes(table: pd.DataFrame) -> Figure:
    """Left: P(onset) behind injected errors and behind the right step. Right: the share of their gap removed.

    `table`: `fixed_prefixes.csv`; a random arm's sets are small dots beside their mean.
    """
    if table.empty:
        return look.empty_figure("no right baseline row states a step that could be made wrong")
    pooled = table[table["draw"].isna()].reset_index(drop=True)
    places = list(range(len(pooled)))[::-1]
    with look.style():
        figure, (left, right) = look.new_figure(10.0, 0.55 * len(pooled) + 2.0, 2, sharey=True)
        for column, color, marker, label in (
            ("onset_after_injected", look.VERMILLION, "o", "behind an injected error"),
            ("onset_after_right", look.BLUE, "s", "behind the right step"),
        ):
            look.dots(left, look.estimates(pooled, column), places, colors=color, markers=marker, label=label)
        look.percent_axis(left.xaxis)
        left.set_xlabel("completions that say it before the next step")
        left.legend(loc="best")
        look.dots(right, look.estimates(pooled, "share_removed"), places, colors=look.INK)
        _sets(right, table, dict(zip(pooled["arm"], places, strict=True)))
        right.axvline(0.0, color=look.INK, ls="--", lw=1.2)
        look.percent_axis(right.xaxis, whole=False)
        right.set_xlabel("share of the gap removed")
        left.set_yticks(places, [look.pretty(arm) for arm in pooled["arm"]])
        left.set_ylim(-0.6, len(pooled) - 0.4)
        figure.suptitle(
            f"The same {int(pooled['prefixes'].max()):,} prefixes under every arm",
            x=0.01, ha="left", fontweight="bold",
        )  # fmt: skip
    return figure


def _sets(axes: Axes, table: pd.DataFrame, places: dict[str, int]) -> None:
    """Each set of a random arm by itself."""
    sets = table[table["draw"].notna()]
    heights = [places[arm] - 0.22 for arm in sets["arm"]]
    axes.plot(sets["share_removed"], heights, ls="", marker=".", color=look.GREY)
