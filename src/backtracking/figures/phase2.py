"""Phase 2 figures: sweeps, the tradeoff, the onset step, the baseline summary."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from backtracking.figures import style as look
from backtracking.measurements.metrics import called
from backtracking.measurements.outcome import judged_on
from backtracking.measurements.tradeoff import with_arm_names
from backtracking.run.records import BASELINE_NAME


def plot_subset_sweep_comparison(table: pd.DataFrame, margin: float = 0.05) -> Figure:
    """What arms are judged on, backtracking, accuracy and truncation per arm, against the baseline.

    `table`: `subset_sweep_results.csv`; the row named `baseline` is the reference.
    """
    base = table[table["subset_name"] == BASELINE_NAME]
    outcome = judged_on(table).name
    arms = table[table["subset_name"] != BASELINE_NAME].sort_values(outcome)
    if base.empty or arms.empty:
        return look.empty_figure("the sweep holds no arms beside the baseline")
    shown = pd.concat([base, arms], ignore_index=True)
    columns = dict.fromkeys((outcome, "backtracking_rate", "accuracy", "truncation_rate"))
    panels = [(column, called(column)) for column in columns if column in shown]
    places = list(range(len(shown)))[::-1]
    with look.style():
        figure, axes = look.new_figure(
            3.1 * len(panels) + 2.2, 0.42 * len(shown) + 1.9, len(panels), sharey=True
        )
        for ax, (column, label) in zip(axes, panels, strict=True):
            look.reference(ax, look.estimates(base, column))
            _verdict_dots(ax, shown, column, places)
            look.percent_axis(ax.xaxis)
            ax.set_xlabel(label)
        accuracy = axes[[column for column, _ in panels].index("accuracy")]
        look.shade_margin(accuracy.axvspan, float(base["accuracy"].iloc[0]), margin)
        axes[0].set_yticks(places, [_arm_label(row) for row in shown.to_dict("records")])
        axes[0].set_ylim(-0.6, len(shown) - 0.4)
        figure.suptitle(
            "Subset sweep (dashed: baseline; green: accuracy margin)", x=0.01, ha="left", fontweight="bold"
        )
        _verdict_legend(figure, shown)
    return figure


def plot_scale_tradeoff_curve(table: pd.DataFrame, margin: float = 0.05) -> Figure:
    """Left: both rates as the subset is turned down. Right: the same arms in the tradeoff plane.

    `table`: `scale_sweep_results.csv`; scale 1 (or the row named `baseline`) is the untouched model.
    """
    table = with_arm_names(table)
    table = table.assign(
        scale=pd.to_numeric(table["scale"]).where(table["subset_name"] != BASELINE_NAME, 1.0)
    )
    table = table.sort_values("scale").reset_index(drop=True)
    if len(table) < 2:
        return look.empty_figure("the sweep holds no scales beside the baseline")
    names = [name for name in table["subset_name"].unique() if name != BASELINE_NAME]
    with look.style():
        figure, (left, right) = look.new_figure(10.6, 4.6, 2)
        colors = {
            judged_on(table).name: look.PURPLE,
            "backtracking_rate": look.VERMILLION,
            "accuracy": look.BLUE,
            "truncation_rate": look.GREY,
        }
        for column, color in colors.items():
            if column in table:
                _curve(left, table, column, color, called(column))
        left.set_xlabel("scale of the components' outputs (1 = untouched)")
        left.set_title(look.pretty(", ".join(names)))
        look.percent_axis(left.yaxis)
        left.legend(loc="best")
        _tradeoff_plane(right, table, margin)
    return figure


def _curve(axes: Axes, table: pd.DataFrame, column: str, color: str, label: str) -> None:
    data = look.estimates(table, column)
    axes.plot(table["scale"], data.value, color=color, marker="o", ms=5, label=label)
    if np.isfinite(data.low).all():
        axes.fill_between(table["scale"], data.low, data.high, color=color, alpha=0.15, lw=0)


def _tradeoff_plane(axes: Axes, table: pd.DataFrame, margin: float) -> None:
    axes.plot(table[judged_on(table).name], table["accuracy"], color="#BBBBBB", lw=1.2, zorder=1)
    labels = [
        "baseline" if row["arm"] == BASELINE_NAME else f"×{row['scale']:g}"
        for row in table.to_dict("records")
    ]
    look.percent_axis(axes.xaxis)
    look.percent_axis(axes.yaxis)
    look.plane(axes, table, margin, labels)
    axes.set_ylabel("accuracy")
    axes.set_title("Tradeoff (green: accuracy margin)")


def plot_continuation_ablation_effect(summary: pd.DataFrame) -> Figure:
    """P(onset token) before and after, per scale, at onsets and at matched other positions.

    `summary`: rows of `summarize_continuation_results`: `position_kind, scale, n, onset_prob,
    family_prob, other_families_prob` with intervals; scale 1 is the untouched model.
    """
    if summary.empty:
        return look.empty_figure("no events to intervene on")
    quantities = [
        ("onset_prob", "P(onset token)"),
        ("family_prob", "P(its token family)"),
        ("other_families_prob", "P(other trigger families)"),
    ]
    quantities = [q for q in quantities if q[0] in summary]
    kinds = (
        ("onset", look.VERMILLION, "o", "at the onset"),
        ("control", look.BLUE, "s", "matched control position"),
    )
    with look.style():
        figure, axes = look.new_figure(3.7 * len(quantities) + 0.6, 4.0, len(quantities), sharey=True)
        for ax, (column, title) in zip(axes, quantities, strict=True):
            for kind, color, marker, label in kinds:
                part = summary[summary["position_kind"] == kind].sort_values("scale", ascending=False)
                if not part.empty:
                    _step_line(ax, part, column, color, marker, label)
            ax.invert_xaxis()
            ax.set_xlabel("scale (1 = before)")
            ax.set_title(title)
            ax.set_ylim(-0.03, 1.03)
        axes[0].set_ylabel("mean probability")
        axes[0].legend(loc="best")
    return figure


def _step_line(axes: Axes, part: pd.DataFrame, column: str, color: str, marker: str, label: str) -> None:
    data = look.estimates(part, column)
    count = int(part["n"].max()) if "n" in part else 0
    shift = 0.008 if label.startswith("matched") else -0.008
    axes.errorbar(
        part["scale"] + shift, data.value, yerr=data.errors, color=color, marker=marker, capsize=3, lw=1.6,
        label=f"{label} (n={count:,})",
    )  # fmt: skip


def plot_baseline_only_summary(summary: Mapping[str, Any]) -> Figure:
    """The `baseline_only_summary` of metrics_v2.json: rates per variant without any intervention.

    `summary` maps each variant to its numbers (`backtracking_rate`, `accuracy_of_all`, …, with intervals).
    """
    variants = {name: row for name, row in summary.items() if isinstance(row, Mapping)}
    if not variants and "backtracking_rate" in summary:
        variants = {"all variants": summary}
    if not variants:
        return look.empty_figure("metrics_v2.json holds no baseline summary")
    table = pd.DataFrame([{"variant": name, **row} for name, row in variants.items()])
    shown = [
        ("backtracking_rate", look.VERMILLION, called("backtracking_rate")),
        ("accuracy_of_all", look.BLUE, called("accuracy")),
        ("truncation_rate", look.GREY, called("truncation_rate")),
    ]
    shown = [item for item in shown if item[0] in table]
    with look.style():
        figure, (axes,) = look.new_figure(7.4, 0.9 * len(table) + 1.7)
        for index, (column, color, label) in enumerate(shown):
            shift = 0.24 * (1 - index)
            places = [len(table) - 1 - i + shift for i in range(len(table))]
            data = look.estimates(table, column)
            look.dots(axes, data, places, colors=color, label=label)
            look.value_labels(axes, data, places, color)
        names = [look.pretty(name) for name in table["variant"]]
        axes.set_yticks(range(len(table)), names[::-1])
        axes.set_ylim(-0.6, len(table) - 0.3)
        look.percent_axis(axes.xaxis)
        axes.set_title("Baseline only")
        figure.legend(loc="outside lower center", ncols=3)
    return figure


def _verdict_dots(axes: Axes, table: pd.DataFrame, column: str, places: Sequence[float]) -> None:
    looks = [look.VERDICTS[look.verdict(row)] for row in table.to_dict("records")]
    colors, markers = [color for color, _, _ in looks], [marker for _, marker, _ in looks]
    look.dots(axes, look.estimates(table, column), places, colors=colors, markers=markers)


def _verdict_legend(figure: Figure, table: pd.DataFrame) -> None:
    present = {look.verdict(row) for row in table.to_dict("records")}
    handles = [
        figure.axes[0].plot([], [], color=color, marker=marker, ls="", ms=6.5, label=label)[0]
        for name, (color, marker, label) in look.VERDICTS.items()
        if name in present
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), fontsize=9)


def _arm_label(row: Mapping[Any, Any]) -> str:
    count = int(row.get("num_components") or 0)
    return look.pretty(row["subset_name"]) + (f"  ({count})" if count else "")
