"""The figure of fixed prefixes: onsets after the same errors under every arm, and what is missing of them."""

import pandas as pd
from matplotlib.axes import Axes

from backtracking.claims.wording import lines_of, quoted, rate_text
from backtracking.figures import marks
from backtracking.figures.caption import Caption, NothingToShow, sample_size, what_bars_mean
from backtracking.figures.colours import colour
from backtracking.figures.marks import pretty
from backtracking.figures.style import PAGE, Drawing, drawn, panels
from backtracking.run.records import BASELINE_NAME

_BEHIND = {
    "onset_after_injected": ("wrong", "o", "behind an injected error"),
    "onset_after_right": ("right", "s", "behind the right step"),
}


@drawn
def plot_fixed_prefixes(table: pd.DataFrame, *, width: float = PAGE) -> Drawing:
    """Left: P(onset) behind injected errors and behind the right step. Right: the share of their gap removed.

    `table`: `fixed_prefixes.csv`; a random arm's sets are small dots below their mean.
    """
    if table.empty:
        raise NothingToShow("no right baseline completion states a step that could be made wrong")
    pooled = table[table["draw"].isna()].reset_index(drop=True)
    if set(pooled["arm"]) == {BASELINE_NAME}:
        raise NothingToShow(f"the baseline is the only arm. {_say(pooled)}".rstrip("."))
    removed = pooled["share_removed"].notna().any()
    places = list(range(len(pooled)))[::-1]
    figure, axes = panels(width, 2 if removed else 1, 0.3 * len(pooled) + 0.2, narrowest=2.6, share="y")
    arms = list(pooled["arm"].astype(str))
    for column, (thing, marker, _) in _BEHIND.items():
        data = marks.estimates(pooled, column)
        marks.dots(axes[0], data, places, colors=colour(thing), markers=marker, arms=arms)
    marks.percent_axis(axes[0].xaxis)
    axes[0].set_title("onset before the next step")
    axes[0].set_yticks(places, [pretty(arm) for arm in arms])
    axes[0].set_ylim(-0.6, len(pooled) - 0.4)
    if removed:
        marks.dots(axes[1], marks.estimates(pooled, "share_removed"), places, arms=arms)
        _sets(axes[1], table, dict(zip(arms, places, strict=True)))
        axes[1].axvline(0.0, color=colour("baseline"), ls="--", lw=1.0)
        marks.percent_axis(axes[1].xaxis, whole=False)
        axes[1].set_title("share of the gap removed")
    marks.key(
        figure, {text: {"color": colour(thing), "marker": marker} for thing, marker, text in _BEHIND.values()}
    )
    prefixes = int(pooled["prefixes"].max())
    figure.caption = Caption(
        f"The same {prefixes:,} prefixes under every arm", _say(pooled),
        f"{'Small dots: each random set. ' if table['draw'].notna().any() else ''}{what_bars_mean(table)}",
        sample_size(pooled),
    )  # fmt: skip
    return figure


def _say(pooled: pd.DataFrame) -> str:
    """Onsets behind errors under the baseline, and the arm that removes most of the gap."""
    by_arm = {str(row["arm"]): row for row in lines_of(pooled)}
    said = ""
    if (base := by_arm.get(BASELINE_NAME)) is not None:
        said = (
            f"Under the baseline an onset follows {rate_text(base, 'onset_after_injected', n=None)} of "
            f"injected errors and {rate_text(base, 'onset_after_right', n=None)} of right steps."
        )
    removed = pooled["share_removed"].dropna()
    if not removed.empty:
        most = lines_of(pooled.loc[[removed.idxmax()]])[0]
        said += f" {quoted(most['arm'])} removes {rate_text(most, 'share_removed', n=None)} of that gap."
    return said.strip()


def _sets(axes: Axes, table: pd.DataFrame, places: dict[str, int]) -> None:
    """Each set of a random arm by itself."""
    sets = table[table["draw"].notna()]
    heights = [places[arm] - 0.25 for arm in sets["arm"]]
    axes.plot(sets["share_removed"], heights, ls="", marker="o", ms=2.5, color=colour("random"))
