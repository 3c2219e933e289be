"""Phase 2 figures: sweeps, the tradeoff, the onset step, the baseline summary."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from backtracking.claims.wording import as_points, lines_of, quoted, rate_text
from backtracking.figures import marks
from backtracking.figures.arms import looks, plane, verdict, verdict_key
from backtracking.figures.caption import (
    BANDS,
    BANDS_AND_BARS,
    Caption,
    NothingToShow,
    of_positions,
    sample_size,
    sentence,
    what_bars_mean,
)
from backtracking.figures.colours import LINE, colour
from backtracking.figures.marks import pretty
from backtracking.figures.style import BESIDE_MANY, BESIDE_NAMES, PAGE, Drawing, drawn, panels
from backtracking.measurements.floors import NOT_TESTABLE
from backtracking.measurements.metrics import Metric, called
from backtracking.measurements.outcome import judged_on, outcomes_shown
from backtracking.measurements.tradeoff import with_arm_names
from backtracking.run.records import BASELINE_NAME

NEEDLESS_CHECKS = "onset_after_right"
"""So few of all right steps that their differences cannot be seen on an axis from 0 to 100%."""
NO_ARMS = "the sweep holds no arms beside the baseline"


@drawn
def plot_subset_sweep_comparison(
    table: pd.DataFrame, margin: float = 0.05, *, width: float = PAGE
) -> Drawing:
    """What arms are judged on, backtracking, accuracy and truncation per arm, against the baseline.

    `table`: `subset_sweep_results.csv`; the row named `baseline` is the reference.
    """
    table = with_arm_names(table)
    base = table[table["subset_name"] == BASELINE_NAME]
    outcome = judged_on(table).name
    arms = table[table["subset_name"] != BASELINE_NAME].sort_values(outcome)
    if base.empty or arms.empty:
        raise NothingToShow(NO_ARMS)
    shown = pd.concat([base, arms], ignore_index=True)
    columns = dict.fromkeys((*_onset_rates(table), "accuracy", "truncation_rate"))
    present = [column for column in columns if column in shown]
    places = list(range(len(shown)))[::-1]
    names = [pretty(arm) for arm in shown["arm"]]
    height = 0.2 * len(shown) + 0.15
    figure, axes = panels(
        width, len(present), height, narrowest=BESIDE_NAMES, narrower=BESIDE_MANY, names=names, share="y"
    )
    colors, markers = looks(shown)
    for ax, column in zip(axes, present, strict=True):
        marks.reference(ax, marks.estimates(base, column))
        data = marks.estimates(shown, column)
        marks.dots(ax, data, places, colors=colors, markers=markers, arms=list(shown["arm"].astype(str)))
        marks.percent_axis(ax.xaxis, whole=column != NEEDLESS_CHECKS)
        ax.set_title(called(column))
    marks.shade_margin(axes[present.index("accuracy")].axvspan, float(base["accuracy"].iloc[0]), margin)
    axes[0].set_yticks(places, names)
    axes[0].set_ylim(-0.6, len(shown) - 0.4)
    marks.key(figure, verdict_key(shown))
    figure.caption = Caption(
        "Every arm beside the baseline", _strongest(base, arms, outcome),
        f"Dashed: the baseline; green: the accuracies that count as held (at most {as_points(margin)} lost). "
        f"{what_bars_mean(shown)}", sample_size(shown),
    )  # fmt: skip
    return figure


def _strongest(base: pd.DataFrame, arms: pd.DataFrame, outcome: str) -> str:
    """The arm that lowers the outcome most, what it does to accuracy, and how many arms hold it."""
    before, after = lines_of(base)[0], lines_of(arms.sort_values(outcome))[0]
    if not after[outcome] < before[outcome]:
        return f"No arm takes {called(outcome)} below the baseline's {rate_text(before, outcome, n=None)}."
    held = sum(verdict(row) == "non-destructive" for row in lines_of(arms))
    if "verdict" not in arms:
        judged = ""
    elif arms["verdict"].eq(NOT_TESTABLE).all():
        judged = " No arm could be judged."
    else:
        judged = f" Arms that lower it with accuracy held: {held} of {len(arms)}."
    return (
        f"{quoted(after['arm'])} takes {called(outcome)} furthest down, from "
        f"{rate_text(before, outcome, n=None)} to "
        f"{rate_text(after, outcome, n=None)}, with accuracy {rate_text(after, 'accuracy', n=None)} "
        f"instead of {rate_text(before, 'accuracy', n=None)}.{judged}"
    )


@drawn
def plot_scale_tradeoff_curve(table: pd.DataFrame, margin: float = 0.05, *, width: float = PAGE) -> Drawing:
    """The rates as the subset is turned down, and the same arms in the tradeoff plane of each outcome.

    `table`: `scale_sweep_results.csv`; scale 1 (or the row named `baseline`) is the untouched model.
    """
    table = with_arm_names(table)
    is_base = table["subset_name"] == BASELINE_NAME
    table = table.assign(scale=pd.to_numeric(table["scale"]).where(~is_base, 1.0))
    table = table.sort_values("scale").reset_index(drop=True)
    if len(table) < 2:
        raise NothingToShow("the sweep holds no scales beside the baseline")
    names = [str(name) for name in table["subset_name"].unique() if name != BASELINE_NAME]
    outcome = judged_on(table).name
    outcomes = outcomes_shown(table)
    parts = {"Onsets": _onset_rates(table), "Completions": ["accuracy", "truncation_rate"]}
    if len(outcomes) == 1:
        parts = {pretty(", ".join(names)): [rate for part in parts.values() for rate in part]}
    figure, axes = panels(width, 2 * len(parts), 2.2, narrowest=2.8)
    for place, ((title, rates), metric) in enumerate(zip(parts.items(), outcomes, strict=True)):
        _rates_by_scale(figure, axes[2 * place], table, rates, title)
        _scales_in_plane(figure, axes[2 * place + 1], table, metric, margin)
    marks.key(figure, verdict_key(table))
    arms = table[table["subset_name"] != BASELINE_NAME]
    figure.caption = Caption(
        f"{', '.join(map(quoted, names))} turned down step by step",
        _strongest(table[table["subset_name"] == BASELINE_NAME], arms, outcome)
        if (table["subset_name"] == BASELINE_NAME).any()
        else "",
        "Scale 1 is the untouched model; green: the accuracies that count as held "
        f"(at most {as_points(margin)} lost). {what_bars_mean(table, BANDS_AND_BARS)}", sample_size(table),
    )  # fmt: skip
    return figure


def _onset_rates(table: pd.DataFrame) -> list[str]:
    """The onsets that arms are judged on, and completions with any."""
    return list(dict.fromkeys([*(metric.name for metric in outcomes_shown(table)), "backtracking_rate"]))


def _rates_by_scale(
    figure: Drawing, axes: Axes, table: pd.DataFrame, rates: Sequence[str], title: str
) -> None:
    ends = []
    for column in [column for column in rates if column in table]:
        data = marks.estimates(table, column)
        marks.curve(axes, table["scale"], data, colour(column))
        ends.append((float(data.value[0]), called(column)))
    marks.end_labels(figure, axes, ends)
    marks.scale_axis(axes)
    axes.set_title(title)
    axes.set_ylim(-0.05, 1.05)
    marks.percent_axis(axes.yaxis)


def _scales_in_plane(
    figure: Drawing, axes: Axes, table: pd.DataFrame, outcome: Metric, margin: float
) -> None:
    axes.plot(table[outcome.name], table["accuracy"], color=LINE.light, lw=1.2, zorder=1)
    labels = [
        BASELINE_NAME if row["subset_name"] == BASELINE_NAME else f"×{row['scale']:g}"
        for row in lines_of(table)
    ]
    plane(figure, axes, table, outcome, margin, labels)
    axes.set_title("What it costs")


@drawn
def plot_continuation_ablation_effect(summary: pd.DataFrame, *, width: float = PAGE) -> Drawing:
    """P(onset token) before and after, per scale, at onsets and at matched other positions.

    `summary`: rows of `summarize_continuation_results`: `position_kind, scale, n, onset_prob,
    family_prob, other_families_prob` with intervals; scale 1 is the untouched model.
    """
    if summary.empty:
        raise NothingToShow("no events to intervene on")
    quantities = {
        "onset_prob": "P(onset token)",
        "family_prob": "P(its family)",
        "other_families_prob": "P(other families)",
    }
    shown = [name for name in quantities if name in summary]
    kinds = {"onset": ("onset", "o", "at the onset"), "control": ("matched_row", "s", "at a matched control")}
    parts = {
        kind: summary[summary["position_kind"] == kind].sort_values("scale", ascending=False)
        for kind in kinds
        if (summary["position_kind"] == kind).any()
    }
    figure, axes = panels(width, len(shown), 1.8, share="y")
    for ax, column in zip(axes, shown, strict=True):
        for kind, part in parts.items():
            thing, marker, _ = kinds[kind]
            marks.curve(ax, part["scale"], marks.estimates(part, column), colour(thing), marker=marker)
        marks.scale_axis(ax)
        ax.set_title(quantities[column])
        ax.set_ylim(-0.03, 1.03)
    axes[0].set_ylabel("mean probability")
    marks.key(
        figure,
        {
            f"{words} (n = {_most(parts[kind], 'n'):,})": {
                "color": colour(thing),
                "marker": marker,
                "ls": "-",
            }
            for kind, (thing, marker, words) in kinds.items()
            if kind in parts
        },
    )
    figure.caption = Caption(
        "The intervention at the onset step alone", _step_says(parts), what_bars_mean(summary, BANDS),
        sentence(f"n = {_most(part, 'n'):,} {_POSITIONS[kind]}" for kind, part in parts.items()),
    )  # fmt: skip
    return figure


_POSITIONS = {"onset": "onsets", "control": "matched controls"}


def _most(part: pd.DataFrame, column: str) -> int:
    return int(part[column].max()) if column in part else 0


def _step_says(parts: Mapping[str, pd.DataFrame]) -> str:
    """The probability of the onset token untouched, and at the strongest dose."""
    if "onset" not in parts or "onset_prob" not in parts["onset"]:
        return ""
    rows = lines_of(parts["onset"])
    return (
        f"At onsets the probability of the onset token goes from {_probability(rows[0])} to "
        f"{_probability(rows[-1])} at scale {rows[-1]['scale']:g}."
    )


def _probability(row: Mapping[Any, Any]) -> str:
    return f"{float(row['onset_prob']):.2f}"


@drawn
def plot_baseline_only_summary(summary: Mapping[str, Any], *, width: float = PAGE) -> Drawing:
    """Rates per variant without any intervention.

    `summary` is metrics_v2.json, or its `baseline_only_summary`, which maps each variant to its numbers
    (`backtracking_rate`, `accuracy_of_all`, …, with intervals).
    """
    summary = summary.get("baseline_only_summary", summary)
    variants = {name: row for name, row in summary.items() if isinstance(row, Mapping)}
    if not variants and "backtracking_rate" in summary:
        variants = {"all variants": summary}
    if not variants:
        raise NothingToShow("metrics_v2.json holds no baseline summary")
    table = pd.DataFrame([{"variant": name, **row} for name, row in variants.items()])
    rates = {
        "backtracking_rate": "backtracking_rate",
        "accuracy_of_all": "accuracy",
        "truncation_rate": "truncation_rate",
    }
    shown = {
        column: metric for column, metric in rates.items() if column in table and table[column].notna().any()
    }
    names = [pretty(name) for name in table["variant"]]
    height = 0.36 * len(table) + 0.1
    figure, axes = panels(width, len(shown), height, narrowest=BESIDE_NAMES, names=names, share="y")
    places = list(range(len(table)))[::-1]
    for ax, (column, metric) in zip(axes, shown.items(), strict=True):
        data = marks.estimates(table, column)
        marks.dots(ax, data, places, colors=colour(metric))
        marks.value_labels(ax, data, places)
        marks.percent_axis(ax.xaxis)
        ax.set_title(called(metric))
    axes[0].set_yticks(places, names)
    axes[0].set_ylim(-0.5, len(table) - 0.3)
    first = lines_of(table)[0]
    is_graded = "accuracy_of_all" in shown
    accuracy = f" and accuracy {rate_text(first, 'accuracy_of_all', n=None)}." if is_graded else "."
    figure.caption = Caption(
        "The baseline of Phase 1 by prompt format",
        f"Under {quoted(first['variant'])}, backtracking is {rate_text(first, 'backtracking_rate', n=None)}"
        + accuracy,
        what_bars_mean(table), sample_size(table) or of_positions(table, ("n", "completions")),
    )  # fmt: skip
    return figure
