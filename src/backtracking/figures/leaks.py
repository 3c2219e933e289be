"""Phase 2 figures about what leaks: first divergences, the fate of corrections, the choice of an arm."""

from collections.abc import Sequence

import pandas as pd

from backtracking.claims.wording import as_points, counted, lines_of, plainly, quoted, rate_text
from backtracking.figures import marks
from backtracking.figures.arms import plane, verdict_key
from backtracking.figures.caption import Caption, NothingToShow, of_positions, sample_size, what_bars_mean
from backtracking.figures.colours import PAPER, colour, written_on
from backtracking.figures.marks import pretty
from backtracking.figures.style import PAGE, Drawing, canvas, drawn, panels
from backtracking.measurements.outcome import judged_on, outcomes_shown
from backtracking.measurements.specificity import FATES
from backtracking.run.records import BASELINE_NAME

LEADERS = 4
ROOM_FOR_NAMES = 4.5
"""How wide a panel has to be, in inches, for the names of arms in it."""
_FATE_COLOURS = {
    "marked": "corrected aloud",
    "silent": "corrected silently",
    "never_erred": "never erred",
    "wrong": "wrong",
    "unanswered": "unanswered",
}


@drawn
def plot_first_divergences(
    summary: pd.DataFrame, replaced: pd.DataFrame, shown: int = 8, *, width: float = PAGE
) -> Drawing:
    """Left: how much likelier than chance a first change hits a trigger. Right: the commonest changes."""
    summary = summary[summary["specificity_index"].notna()].sort_values("specificity_index", ascending=False)
    if summary.empty:
        raise NothingToShow("no completion left its baseline, or the baseline has no trigger tokens")
    summary = summary.reset_index(drop=True)
    first = str(summary["arm"].iloc[0])
    changes = replaced[replaced["arm"] == first].fillna("").head(shown)
    figure, axes = panels(
        width, 2 if len(changes) else 1, 0.19 * max(len(summary), len(changes)) + 0.2, narrowest=3.0
    )
    places = list(range(len(summary)))[::-1]
    arms = list(summary["arm"].astype(str))
    marks.dots(
        axes[0], marks.estimates(summary, "specificity_index"), places, colors=colour("arm"), arms=arms
    )
    axes[0].axvline(1.0, color=colour("baseline"), ls="--", lw=1.0)
    axes[0].set_yticks(places, [pretty(arm) for arm in arms])
    axes[0].set_xlabel("specificity index")
    axes[0].set_title("What the first change hits")
    if len(changes):
        bars = list(range(len(changes)))[::-1]
        axes[1].barh(bars, changes["share"], color=colour("arm"), height=0.7)
        labels = [f"{_shown(old)} → {_shown(new)}" for old, new in _pairs(changes)]
        axes[1].set_yticks(bars, labels, family="monospace")
        marks.percent_axis(axes[1].xaxis, whole=False)
        axes[1].set_xlabel("share of first changes")
        axes[1].set_title(pretty(first))
    figure.caption = Caption(
        "The first token where an arm parts from its baseline",
        _hits_says(summary),
        f"1 (dashed): a trigger is hit no more often than any other token. {what_bars_mean(summary)}",
        of_positions(
            summary, ("diverged", "completions that part from their baseline"), ("total", "completions")
        ),
    )  # fmt: skip
    return figure


def _hits_says(summary: pd.DataFrame) -> str:
    """The arm whose first changes hit triggers most; none where several do alike, or none does."""
    index, best = summary["specificity_index"], lines_of(summary)[0]
    if not index.max() > 0:
        return "No arm's first change hits a trigger."
    value = plainly(best, "specificity_index")
    if (alike := int(index.eq(index.max()).sum())) > 1:
        return f"{alike} arms tie in hitting triggers most: index {value}."
    return f"{quoted(best['arm'])} hits triggers most: index {value}."


def _pairs(changes: pd.DataFrame) -> Sequence[tuple[str, str]]:
    return list(zip(changes["baseline_text"].astype(str), changes["new_text"].astype(str), strict=True))


def _shown(text: str) -> str:
    """Model text as a label: spaces visible, no mathtext, nothing unprintable."""
    visible = text.replace(" ", "␣").replace("\n", "⏎").replace("$", r"\$")
    return "".join(char if char.isprintable() else "\ufffd" for char in visible)[:14] or "∅"


@drawn
def plot_correction_flow(flow: pd.DataFrame, *, width: float = PAGE) -> Drawing:
    """What becomes, under every arm, of the rows whose baseline erred and put it right: one bar per arm.

    `flow`: `correction_flow.csv`.
    """
    if flow.empty or not flow["total"].max():
        raise NothingToShow("no baseline completion made a checkable error and corrected it")
    shares = flow.pivot_table(index="arm", columns="fate", values="share", aggfunc="sum", sort=False)
    shares = shares.reindex(columns=[fate.name for fate in FATES]).fillna(0.0)
    if set(shares.index) <= {BASELINE_NAME}:
        raise NothingToShow("there is no arm beside the baseline")
    still = shares["marked"].where(shares.index != BASELINE_NAME, 2.0)
    shares = shares.loc[still.sort_values(ascending=False, kind="stable").index]
    figure, axes = canvas(width, 0.21 * len(shares) + 0.1)
    places = list(range(len(shares)))[::-1]
    left = pd.Series(0.0, shares.index)
    for fate in FATES:
        thing = _FATE_COLOURS[fate.name]
        bars = axes.barh(
            places,
            shares[fate.name],
            left=left,
            height=0.78,
            color=colour(thing),
            edgecolor=PAPER.light,
            lw=0.7,
        )
        for bar, arm, share, start in zip(bars, shares.index, shares[fate.name], left, strict=True):
            bar.set_gid(f"arm:{arm}")
            middle = bar.get_y() + bar.get_height() / 2
            marks.word_inside(figure, axes, f"{share:.0%}", start, start + share, middle, written_on(thing))
        left = left + shares[fate.name]
    axes.set_yticks(places, [pretty(arm) for arm in shares.index])
    axes.set_ylim(-0.5, len(shares) - 0.5)
    marks.percent_axis(axes.xaxis)
    axes.set_xlim(0.0, 1.0)
    axes.grid(visible=False)
    present = [fate for fate in FATES if shares[fate.name].any()]
    marks.key(
        figure,
        {fate.text: {"color": colour(_FATE_COLOURS[fate.name]), "marker": "s"} for fate in present},
    )
    figure.caption = Caption(
        "What becomes of corrections", _flow_says(shares),
        "Each bar: the same problems and samples under one arm, by how they end.",
        f"n = {counted(int(flow['total'].max()), 'baseline completion')} that erred and ended right.",
    )  # fmt: skip
    return figure


def _flow_says(shares: pd.DataFrame) -> str:
    """The arm with the fewest spoken corrections, and what happens instead."""
    arms = shares[shares.index != BASELINE_NAME]
    least = arms.iloc[int(arms["marked"].to_numpy().argmin())]
    said = f"{least['marked']:.0%}"
    if BASELINE_NAME in shares.index and not least["marked"] < shares["marked"][BASELINE_NAME]:
        return f"No arm has fewer spoken corrections than the baseline: {said} at least."
    if (alike := int(arms["marked"].eq(least["marked"]).sum())) > 1:
        return f"{alike} arms tie for the fewest spoken corrections: {said}."
    return (
        f"{quoted(least.name)} has the fewest spoken corrections: {least['marked']:.0%}; under it "
        f"{least['silent']:.0%} are made without a trigger and {least['wrong']:.0%} end wrong."
    )


def _may_go_unnamed(table: pd.DataFrame, few: bool) -> list[bool]:
    """Arms whose names go where arms crowd: all but baseline, controls, the front, the one that doubts most.

    In a narrow panel there is room for `few` of these: the baseline and what stands out.
    """
    named = table["kind"].eq("baseline") if few else table["kind"] != "intervention"
    if "front_probability" in table:
        arms = table[table["kind"] == "intervention"]
        leaders = arms.sort_values("front_probability", ascending=False, kind="stable")
        leaders = leaders.head(LEADERS // 2 if few else LEADERS)
        distinct = leaders.drop_duplicates([judged_on(table).name, "accuracy"])
        extremes = [table[one.name].idxmax() for one in outcomes_shown(table)]
        named |= table.index.isin([*distinct.index, *([] if few else extremes)])
    else:
        named |= True
    return [not always for always in named]


@drawn
def plot_choice(
    search: pd.DataFrame, confirm: pd.DataFrame, margin: float, *, width: float = PAGE
) -> Drawing:
    """Left: arms on the search half, larger where they are likelier on the front. Right: the confirmation.

    Where no arm was confirmed there is the search half alone.
    """
    if search.empty:
        raise NothingToShow("no arms were searched")
    is_confirmed = not confirm.empty and not confirm["subset_name"].eq(BASELINE_NAME).all()
    halves = {"search half": search} | ({"confirm half": confirm} if is_confirmed else {})
    shown = [(name, half, outcome) for name, half in halves.items() for outcome in outcomes_shown(half)]
    figure, axes = panels(width, len(shown), 2.3, narrowest=ROOM_FOR_NAMES)
    marks.key(figure, verdict_key(*halves.values()))
    for ax, (name, half, outcome) in zip(axes, shown, strict=True):
        table = half.reset_index(drop=True)
        ax.set_title(name)
        names = [pretty(arm) for arm in table["arm"]]
        plane(figure, ax, table, outcome, margin, names, _may_go_unnamed(table, width < ROOM_FOR_NAMES))
    figure.caption = Caption(
        "The choice of an arm and its confirmation", _choice_says(confirm, is_confirmed),
        "Larger marks: likelier on the front; in a crowd some go unnamed; green: the accuracies that count "
        f"as held (at most {as_points(margin)} lost). {what_bars_mean(search)}", sample_size(search),
    )  # fmt: skip
    return figure


def _choice_says(confirm: pd.DataFrame, is_confirmed: bool) -> str:
    if not is_confirmed:
        return "No arm qualified on the search half, so none was confirmed."
    arm = lines_of(confirm[confirm["subset_name"] != BASELINE_NAME])[0]
    outcome = judged_on(confirm)
    return (
        f"On the other half, {quoted(arm['arm'])} has {outcome.label} {rate_text(arm, outcome.name, n=None)} "
        f"and accuracy {rate_text(arm, 'accuracy', n=None)}."
    )
