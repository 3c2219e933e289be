"""Phase 1 figures that need tables only; intervals are drawn where the tables have them."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from backtracking.claims.wording import lines_of, quoted, rate_text
from backtracking.figures import marks
from backtracking.figures.caption import Caption, NothingToShow, interval, sample_size, signed, what_bars_mean
from backtracking.figures.colours import colour
from backtracking.figures.marks import pretty
from backtracking.figures.style import BESIDE_NAMES, PAGE, Drawing, canvas, drawn, panels
from backtracking.measurements.metrics import called
from backtracking.measurements.stability import stability_summary

_CONDITIONS = {"baseline": "baseline", "targeted_ablation": "targeted", "random_ablation": "random"}
_RATES = ("backtracking_rate", "onset_after_wrong", "accuracy", "truncation_rate")


@drawn
def plot_backtracking_rate_by_variant(table: pd.DataFrame, *, width: float = PAGE) -> Drawing:
    """Baseline backtracking, accuracy and truncation of every prompt variant.

    `table`: one row per variant with `variant, total, backtracking_rate, accuracy, truncation_rate`.
    """
    if table.empty:
        raise NothingToShow("no baseline completions")
    names = [str(name) for name in table["variant"]]
    return _rates(table, width, names, [colour("baseline")] * len(table), "The baseline by prompt format")


@drawn
def plot_backtracking_rate_by_condition(table: pd.DataFrame, *, width: float = PAGE) -> Drawing:
    """Backtracking, accuracy and truncation under every condition of one variant.

    `table`: one row per condition with `variant, condition, total, backtracking_rate, accuracy`.
    """
    if table.empty:
        raise NothingToShow("no completions of any condition")
    several = table["variant"].nunique() > 1
    names = [
        f"{condition} / {variant}" if several else str(condition)
        for condition, variant in zip(table["condition"], table["variant"], strict=True)
    ]
    colors = [colour(_CONDITIONS.get(str(name), "arm")) for name in table["condition"]]
    title = "Under ablation" + ("" if several else f", {pretty(table['variant'].iloc[0])}")
    return _rates(table, width, names, colors, title)


def _rates(
    table: pd.DataFrame, width: float, names: Sequence[str], colors: Sequence[str], title: str
) -> Drawing:
    """Backtracking, onsets after wrong steps, accuracy and truncation side by side, where they are known."""
    shown = [column for column in _RATES if column in table and table[column].notna().any()]
    places = list(range(len(table)))[::-1]
    labels = [_with_n(name, n) for name, n in zip(names, table["total"], strict=True)]
    figure, axes = panels(
        width, len(shown), 0.42 * len(table), narrowest=BESIDE_NAMES, names=names, share="y"
    )
    arms = [str(name) for name in table["condition"]] if "condition" in table else []
    for ax, column in zip(axes, shown, strict=True):
        data = marks.estimates(table, column)
        marks.dots(ax, data, places, colors=list(colors), arms=arms)
        marks.value_labels(ax, data, places)
        marks.percent_axis(ax.xaxis)
        ax.set_title(called(column))
    axes[0].set_yticks(places, labels)
    axes[0].set_ylim(-0.5, len(table) - 0.3)
    figure.caption = Caption(title, _from_to(table, names), what_bars_mean(table), sample_size(table))
    return figure


def _from_to(table: pd.DataFrame, names: Sequence[str], column: str = "backtracking_rate") -> str:
    """Where a rate is highest and where it is lowest."""
    ordered = sorted(zip(lines_of(table), names, strict=True), key=lambda one: -float(one[0][column]))
    (top, most), (bottom, least) = ordered[0], ordered[-1]
    said = f"{called(column).capitalize()} is {rate_text(top, column, n=None)} under {quoted(most)}"
    if len(ordered) > 1:
        said += f" and {rate_text(bottom, column, n=None)} under {quoted(least)}"
    return f"{said}."


@drawn
def plot_formatting_effect_on_backtracking(table: pd.DataFrame, *, width: float = PAGE) -> Drawing:
    """How the way of opening the assistant's turn changes baseline backtracking.

    `table` as for `plot_backtracking_rate_by_variant`; the first row is the reference.
    """
    if table.empty:
        raise NothingToShow("no baseline completions")
    if len(table) == 1:
        raise NothingToShow(f"one prompt format only, {quoted(table['variant'].iloc[0])}: nothing to compare")
    table = table.reset_index(drop=True)
    data = marks.estimates(table, "backtracking_rate")
    figure, axes = canvas(width, 0.42 * len(table))
    places = list(range(len(table)))[::-1]
    marks.reference(axes, marks.estimates(table.head(1), "backtracking_rate"))
    marks.dots(axes, data, places, colors=colour("baseline"))
    changes = ["", *(f" ({signed(100 * (value - data.value[0]), 0)} points)" for value in data.value[1:])]
    labels = [
        f"{pretty(name)}\n{value:.0%}{change}"
        for name, value, change in zip(table["variant"], data.value, changes, strict=True)
    ]
    axes.set_yticks(places, labels)
    axes.set_ylim(-0.5, len(table) - 0.3)
    marks.percent_axis(axes.xaxis)
    axes.set_xlabel("completions with backtracking")
    figure.caption = Caption(
        "Prompt format and backtracking", _formats_say(table),
        f"Dashed: the first format. {what_bars_mean(table)}", sample_size(table),
    )  # fmt: skip
    return figure


def _formats_say(table: pd.DataFrame) -> str:
    """The largest change from the first format, with its interval where the table has one."""
    changes = table["backtracking_rate"] - table["backtracking_rate"].iloc[0]
    if not changes.abs().max() > 0:
        return f"In these completions backtracking is the same as under {quoted(table['variant'].iloc[0])}."
    row = table.loc[changes.abs().idxmax()]
    low, high = (100 * row.get(f"backtracking_diff_{end}", float("nan")) for end in ("low", "high"))
    largest = signed(100 * float(changes[row.name]))
    return (
        f"The largest change from {quoted(table['variant'].iloc[0])} is {largest} points"
        f"{interval(low, high)}, under {quoted(row['variant'])}."
    )


@drawn
def plot_backtracking_vs_accuracy(table: pd.DataFrame, *, width: float = PAGE) -> Drawing:
    """Accuracy of completions with and without backtracking, per variant, baseline only.

    `table`: `variant, has_backtracking, total, accuracy` and intervals, two rows per variant; the share of
    cut completions stands beside where it is known.
    """
    if table.empty:
        raise NothingToShow("no baseline completions")
    if table["accuracy"].isna().all():
        raise NothingToShow("no completion has a gold answer")
    variants = list(dict.fromkeys(table["variant"]))
    figure, axes = canvas(width, 0.62 * len(variants) + 0.2)
    looks = {False: ("baseline", "o", "without backtracking"), True: ("onset", "s", "with backtracking")}
    for has, (thing, marker, _) in looks.items():
        part = table[table["has_backtracking"].astype(bool) == has].reset_index(drop=True)
        shift = -0.18 if has else 0.18
        places = [len(variants) - 1 - variants.index(name) + shift for name in part["variant"]]
        data = marks.estimates(part, "accuracy")
        marks.dots(axes, data, places, colors=colour(thing), markers=marker)
        graded_by_gold = part["gold_count" if "gold_count" in part else "total"]
        for place, n, value in zip(places, graded_by_gold, data.value, strict=True):
            side = "left" if value < 0.3 else "right" if value > 0.7 else "center"
            axes.annotate(
                f"{value:.0%} of {int(n):,}", (value, place), xytext=(0, 4), textcoords="offset points",
                ha=side,
            )  # fmt: skip
    axes.set_yticks(range(len(variants)), [pretty(name) for name in reversed(variants)])
    axes.set_ylim(-0.6, len(variants) - 0.3)
    marks.percent_axis(axes.xaxis)
    axes.set_xlabel("accuracy")
    marks.key(
        figure,
        {text: {"color": colour(thing), "marker": marker} for thing, marker, text in looks.values()},
    )
    figure.caption = Caption(
        "Backtracking and accuracy under the baseline",
        _apart(table),
        f"A completion without an answer counts as wrong. {what_bars_mean(table)}",
        sample_size(table),
    )
    return figure


def _apart(table: pd.DataFrame) -> str:
    """Accuracy with and without backtracking under the first format."""
    first = table[table["variant"] == table["variant"].iloc[0]]
    words = {bool(row["has_backtracking"]): rate_text(row, "accuracy", n=None) for row in lines_of(first)}
    told = {kind: words[kind] for kind in (True, False) if words.get(kind, "—") != "—"}
    names = {True: "completions with backtracking", False: "those without"}
    if len(told) == 1:
        names[False] = "completions without backtracking"
    said = " and ".join(f"{told[kind]} of {names[kind]}" for kind in told)
    return f"Under {quoted(table['variant'].iloc[0])}, {said} end right." if said else ""


@drawn
def plot_onset_stability(table: pd.DataFrame, *, width: float = PAGE) -> Drawing:
    """How many positions have an onset in which share of their continuations: onsets beside matched controls.

    `table`: `onset_stability.csv`.
    """
    if table.empty:
        raise NothingToShow("no onset was sampled again")
    kinds = {"onset": "onsets", "matched_row": "matched controls"}
    kinds = {kind: name for kind, name in kinds.items() if (table["position_kind"] == kind).any()}
    figure, axes = panels(width, len(kinds), 1.5, share="both")
    means = stability_summary(table, 1.0).set_index("position_kind")
    said, counts = [], []
    for ax, (kind, name) in zip(axes, kinds.items(), strict=True):
        shares = table.loc[table["position_kind"] == kind, "share"]
        heights, edges = np.histogram(shares, bins=10, range=(0.0, 1.0))
        ax.bar(edges[:-1], heights / len(shares), width=0.092, align="edge", color=colour(kind))
        marks.reference(ax, marks.estimates(means.loc[[kind]], "share"))
        marks.percent_axis(ax.xaxis)
        marks.percent_axis(ax.yaxis)
        ax.set_title(f"{name}, n = {len(shares):,}")
        ax.set_xlabel("continuations with an onset")
        said.append(
            f"{rate_text(lines_of(means.loc[[kind]])[0], 'share', n=None)} of continuations from {name}"
        )
        counts.append(f"{len(shares):,} {name}")
    axes[0].set_ylabel("positions")
    figure.caption = Caption(
        "The same prefix sampled again",
        f"An onset comes within the window in {' and '.join(said)}.",
        "Each bar is the share of positions where so many continuations have one; dashed: the mean over "
        "continuations, with its 95% interval over problems.",
        f"n = {', '.join(counts)}.",
    )
    return figure


def _with_n(name: object, total: object) -> str:
    return f"{pretty(name)}\nn = {int(str(total)):,}"
