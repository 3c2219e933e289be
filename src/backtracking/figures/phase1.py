"""Phase 1 figures that need tables only; intervals are drawn where the tables have them."""

from collections.abc import Sequence

import pandas as pd
from matplotlib.figure import Figure

from backtracking.figures import style as look
from backtracking.measurements.metrics import called

_CONDITION_COLORS = {
    "baseline": look.INK,
    "targeted_ablation": look.VERMILLION,
    "random_ablation": look.GREY,
}


def plot_backtracking_rate_by_variant(table: pd.DataFrame) -> Figure:
    """Baseline backtracking, accuracy and truncation of every prompt variant.

    `table`: one row per variant with `variant, total, backtracking_rate, accuracy, truncation_rate`.
    """
    if table.empty:
        return look.empty_figure("no baseline rows")
    return _rates(
        table.reset_index(drop=True),
        labels=[_with_n(name, n) for name, n in zip(table["variant"], table["total"], strict=True)],
        colors=[look.SERIES[i % len(look.SERIES)] for i in range(len(table))],
        title="Baseline by prompt variant",
    )


def plot_backtracking_rate_by_condition(table: pd.DataFrame) -> Figure:
    """Backtracking, accuracy and truncation under every condition of one variant.

    `table`: one row per condition with `variant, condition, total, backtracking_rate, accuracy`.
    """
    if table.empty:
        return look.empty_figure("no rows of any condition")
    table = table.reset_index(drop=True)
    several = table["variant"].nunique() > 1
    names = [
        f"{condition} / {variant}" if several else str(condition)
        for condition, variant in zip(table["condition"], table["variant"], strict=True)
    ]
    return _rates(
        table,
        labels=[_with_n(name, n) for name, n in zip(names, table["total"], strict=True)],
        colors=[_CONDITION_COLORS.get(str(name), look.BLUE) for name in table["condition"]],
        title="Under ablation" + ("" if several else f", {look.pretty(table['variant'].iloc[0])}"),
    )


def plot_formatting_effect_on_backtracking(table: pd.DataFrame) -> Figure:
    """How the way of opening the assistant's turn changes baseline backtracking.

    `table` as for `plot_backtracking_rate_by_variant`; the first row is the reference.
    """
    if table.empty:
        return look.empty_figure("no baseline rows")
    table = table.reset_index(drop=True)
    data = look.estimates(table, "backtracking_rate")
    with look.style():
        figure, (axes,) = look.new_figure(7.2, 0.6 * len(table) + 1.7)
        places = list(range(len(table)))[::-1]
        colors = [look.INK, *[look.BLUE] * (len(table) - 1)]
        look.reference(axes, look.estimates(table.head(1), "backtracking_rate"))
        look.dots(axes, data, places, colors=colors)
        for index, (place, value, right) in enumerate(zip(places, data.value, data.high, strict=True)):
            text = f"{value:.0%}" + (f"  ({100 * (value - data.value[0]):+.0f} points)" if index else "")
            edge = right if pd.notna(right) else value
            axes.annotate(text, (edge, place), xytext=(8, 0), textcoords="offset points", va="center")
        axes.set_yticks(
            places, [_with_n(name, n) for name, n in zip(table["variant"], table["total"], strict=True)]
        )
        axes.set_ylim(-0.6, len(table) - 0.4)
        look.percent_axis(axes.xaxis)
        axes.set_xlim(-0.03, 1.18)
        axes.set_xlabel("completions with backtracking (baseline, strict)")
        axes.set_title("Formatting and backtracking")
    return figure


def plot_backtracking_vs_accuracy(table: pd.DataFrame) -> Figure:
    """Accuracy of completions with and without backtracking, per variant, baseline only.

    `table`: `variant, has_backtracking, total, accuracy` and intervals, two rows per variant; the share of
    cut completions stands beside where it is known.
    """
    if table.empty:
        return look.empty_figure("no baseline rows")
    variants = list(dict.fromkeys(table["variant"]))
    with look.style():
        figure, (axes,) = look.new_figure(7.2, 0.85 * len(variants) + 1.6)
        for shift, has, color, label in (
            (0.15, False, look.BLUE, "without backtracking"),
            (-0.15, True, look.VERMILLION, "with backtracking"),
        ):
            part = table[table["has_backtracking"].astype(bool) == has].reset_index(drop=True)
            places = [len(variants) - 1 - variants.index(name) + shift for name in part["variant"]]
            data = look.estimates(part, "accuracy")
            look.dots(axes, data, places, colors=color, label=label)
            cuts = part.get("truncation_rate", pd.Series(float("nan"), part.index))
            for place, n, cut, value in zip(places, part["total"], cuts, data.value, strict=True):
                note = f"n={int(n):,}" + (f", {cut:.0%} cut" if pd.notna(cut) else "")
                axes.annotate(
                    note, (value, place), xytext=(0, 7), textcoords="offset points",
                    ha="center", fontsize=8, color=color,
                )  # fmt: skip
        axes.set_yticks(range(len(variants)), [look.pretty(name) for name in reversed(variants)])
        axes.set_ylim(-0.6, len(variants) - 0.3)
        look.percent_axis(axes.xaxis)
        axes.set_xlabel("accuracy (unanswered counts as wrong)")
        axes.set_title("Backtracking and accuracy, baseline")
        figure.legend(loc="outside lower center", ncols=2)
    return figure


def plot_onset_stability(table: pd.DataFrame) -> Figure:
    """How many positions have an onset in which share of their continuations: onsets beside matched places.

    `table`: `onset_stability.csv`.
    """
    if table.empty:
        return look.empty_figure("no onset was sampled again")
    kinds = {"onset": ("at onsets", look.VERMILLION), "matched_row": ("at matched places", look.BLUE)}
    with look.style():
        figure, (axes,) = look.new_figure(6.4, 3.8)
        edges = [k / 10 for k in range(11)]
        for kind, (name, color) in kinds.items():
            rows = table[table["position_kind"] == kind]
            if len(rows):
                axes.hist(
                    rows["share"], bins=edges, weights=[1 / len(rows)] * len(rows), color=color, alpha=0.55,
                    label=f"{name} (n = {len(rows)}, mean {rows['share'].mean():.0%})",
                )  # fmt: skip
        look.percent_axis(axes.xaxis)
        look.percent_axis(axes.yaxis)
        axes.set_xlabel("continuations with an onset within the window")
        axes.set_ylabel("positions")
        axes.set_title("The same prefix sampled again")
        axes.legend(fontsize=8.5)
    return figure


def _rates(table: pd.DataFrame, labels: Sequence[str], colors: Sequence[str], title: str) -> Figure:
    """Backtracking, onsets after wrong steps, accuracy and truncation side by side, where they are known."""
    panels = [
        (column, called(column))
        for column in ("backtracking_rate", "onset_after_wrong", "accuracy", "truncation_rate")
        if column in table and (column != "onset_after_wrong" or table[column].notna().any())
    ]
    places = list(range(len(table)))[::-1]
    with look.style():
        figure, axes = look.new_figure(
            3.0 * len(panels) + 1.6, 0.55 * len(table) + 1.7, len(panels), sharey=True
        )
        for ax, (column, label) in zip(axes, panels, strict=True):
            data = look.estimates(table, column)
            look.dots(ax, data, places, colors=list(colors))
            look.value_labels(ax, data, places)
            look.percent_axis(ax.xaxis)
            ax.set_xlabel(label)
        axes[0].set_yticks(places, list(labels))
        axes[0].set_ylim(-0.6, len(table) - 0.25)
        figure.suptitle(title, x=0.01, ha="left", fontweight="bold")
    return figure


def _with_n(name: object, total: object) -> str:
    return f"{look.pretty(str(name))}\nn = {int(str(total)):,}"
