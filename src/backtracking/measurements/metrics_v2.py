"""Deconfounded metrics of a run, from its events table alone.

Baseline only unless a number is about conditions; conditions are compared within one variant only. The keys
`accuracy` and `with_/without_backtracking` keep the meanings that they had in the earlier study: correct
answers divided by gradable ones, and by all completions of the group. `accuracy_of_all` is the stricter share
in which an unanswered completion counts as wrong.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from backtracking.measurements import statistics
from backtracking.measurements.statistics import Array
from backtracking.measurements.tallies import (
    AMONG_STRICT,
    differences,
    groups,
    names,
    select,
    summarize,
)
from backtracking.run.io import write_json
from backtracking.run.records import BASELINE_NAME

Summary = dict[str, Any]


def compute_baseline_only_metrics(tallies: pd.DataFrame) -> Summary:
    """Rates without any intervention: over all variants, and under each variant's name."""
    return _earlier_names(summarize(select(tallies, condition=BASELINE_NAME))) | _by_variant(
        tallies, lambda sums: _earlier_names(summarize(sums))
    )


def compute_backtracking_vs_accuracy_baseline(tallies: pd.DataFrame) -> Summary:
    """Accuracy of baseline completions with and without backtracking, and the odds ratio within problems."""
    pooled = tallies[tallies.index.get_level_values("condition") == BASELINE_NAME]
    return backtracking_vs_accuracy(pooled) | _by_variant(tallies, backtracking_vs_accuracy)


def compute_formatting_baseline_only(tallies: pd.DataFrame) -> Summary:
    """Baseline rates per variant, with differences to the first variant paired by problem."""
    table = formatting_table(tallies)
    return _rows_by(table, "variant")


def compute_variant_specific_metrics(tallies: pd.DataFrame) -> Summary:
    """Per variant, every condition beside that variant's own baseline."""
    tables = {variant: condition_table(tallies, variant) for variant in names(tallies, "variant")}
    return {variant: _rows_by(table, "condition") for variant, table in tables.items()}


def save_metrics_v2(tallies: pd.DataFrame, path: Path) -> Summary:
    """Compute all four objects and write them."""
    metrics = {
        "baseline_only_summary": compute_baseline_only_metrics(tallies),
        "backtracking_vs_accuracy": compute_backtracking_vs_accuracy_baseline(tallies),
        "formatting_effect": compute_formatting_baseline_only(tallies),
        "variant_specific": compute_variant_specific_metrics(tallies),
    }
    write_json(path, metrics)
    return metrics


def summary_metrics(tallies: pd.DataFrame) -> Summary:
    """`summary_metrics.json`: every group of the run, and the baseline's accuracy by backtracking."""
    summaries: Summary = {}
    for (variant, condition), sums in groups(tallies).items():
        summaries.setdefault(variant, {})[condition] = summarize(sums)
    return {
        "groups": summaries,
        "backtracking_vs_accuracy": compute_backtracking_vs_accuracy_baseline(tallies),
    }


def _rows_by(table: pd.DataFrame, column: str) -> Summary:
    """The table's rows under the names in one of its columns."""
    return {
        str(row[column]): _earlier_names({str(key): value for key, value in row.items() if key != column})
        for row in table.to_dict("records")
    }


def _by_variant(tallies: pd.DataFrame, measure: Any) -> Summary:
    variants = names(tallies, "variant", condition=BASELINE_NAME)
    return {name: measure(select(tallies, variant=name, condition=BASELINE_NAME)) for name in variants}


def _earlier_names(line: Summary) -> Summary:
    """`accuracy` as the earlier study had it; the share of all completions under a name of its own."""
    renamed = {key.replace("accuracy", "accuracy_of_all", 1): line[key] for key in _keys(line, "accuracy")}
    earlier = {
        key.replace("accuracy_graded", "accuracy"): line[key] for key in _keys(line, "accuracy_graded")
    }
    kept = {key: value for key, value in line.items() if key not in _keys(line, "accuracy")}
    return kept | earlier | renamed


def _keys(line: Summary, name: str) -> list[str]:
    return [key for key in (name, f"{name}_low", f"{name}_high") if key in line]


def backtracking_vs_accuracy(sums: pd.DataFrame) -> Summary:
    """Accuracy with and without backtracking: shares, their ratio, and the odds ratio within problems.

    A problem that is hard makes both for more backtracking and for more errors; only the comparison inside
    problems is free of that. `sums` has one row per problem (or per problem and variant).
    """
    problems = sums.groupby(level="example_id").sum()
    columns = [name for name in AMONG_STRICT if name in problems]
    backtracked = problems[[f"strict_{name}" for name in columns]].set_axis(columns, axis=1)
    groups = {
        "with_backtracking": backtracked,
        "without_backtracking": problems[columns] - backtracked,
    }
    result: Summary = {name: _accuracy_of(group) for name, group in groups.items()}
    shares = np.stack([group[name] for group in groups.values() for name in ("correct", "with_gold")], axis=1)
    odds = statistics.mantel_haenszel(_two_by_two(sums))
    return result | {
        **statistics.estimate_columns(
            "rate_ratio", statistics.cluster_bootstrap(shares, _rate_ratio, seed=0)
        ),
        "odds_ratio": odds.odds_ratio,
        "odds_ratio_low": odds.low,
        "odds_ratio_high": odds.high,
        "odds_ratio_p": odds.p,
        "informative_problems": odds.informative,
    }


_ACCURACIES = ("accuracy", "accuracy_graded", "accuracy_finished", "truncation_rate")
_ACCURACY_COUNTS = ("gold_count", "correct_count", "finished_count", "finished_correct_count")


def _accuracy_of(sums: pd.DataFrame) -> Summary:
    """Counts and shares of a group of completions; cuts make for wrong answers, so they stand beside."""
    summary = summarize(sums)
    intervals = [f"{name}{end}" for name in _ACCURACIES for end in ("", "_low", "_high")]
    return {name: summary[name] for name in ("total", *_ACCURACY_COUNTS, *intervals) if name in summary}


def _rate_ratio(sums: Array) -> Array:
    ratios: Array = (sums[:, 0] / sums[:, 1]) / (sums[:, 2] / sums[:, 3])
    return ratios


def _two_by_two(sums: pd.DataFrame) -> Array:
    """[problem, backtracked?, correct?], yes first; unanswered counts as wrong."""
    with_right = sums["strict_correct"].to_numpy()
    with_wrong = sums["strict"].to_numpy() - with_right
    without_right = sums["correct"].to_numpy() - with_right
    without_wrong = sums["total"].to_numpy() - sums["strict"].to_numpy() - without_right
    cells = np.stack([with_right, with_wrong, without_right, without_wrong], axis=1)
    return cells.reshape(-1, 2, 2)


def accuracy_by_backtracking(tallies: pd.DataFrame) -> pd.DataFrame:
    """Two rows per variant, baseline only: accuracy with and without backtracking."""
    rows = []
    for variant, groups_of in _by_variant(tallies, backtracking_vs_accuracy).items():
        for has, name in ((True, "with_backtracking"), (False, "without_backtracking")):
            rows.append({"variant": variant, "has_backtracking": has, **groups_of[name]})
    return pd.DataFrame(rows)


def formatting_table(tallies: pd.DataFrame, order: tuple[str, ...] = ()) -> pd.DataFrame:
    """`formatting_summary.csv`: one row per variant, baseline only, compared with the first one."""
    variants = sorted(names(tallies, "variant", condition=BASELINE_NAME), key=_position(order))
    return _compared(
        "variant", {name: select(tallies, variant=name, condition=BASELINE_NAME) for name in variants}
    )


def condition_table(tallies: pd.DataFrame, variant: str) -> pd.DataFrame:
    """`condition_comparison.csv`: one row per condition of a variant, compared with its baseline."""
    conditions = sorted(names(tallies, "condition", variant=variant), key=_position((BASELINE_NAME,)))
    table = _compared(
        "condition", {name: select(tallies, variant=variant, condition=name) for name in conditions}
    )
    table.insert(0, "variant", variant)
    return table


def draw_table(tallies: pd.DataFrame) -> pd.DataFrame:
    """`random_draws.csv`: one row per random draw, so that the pool's spread can be seen."""
    lines = [
        {"draw": int(draw), **_contract_first(summarize(select(tallies, condition=draw)))}
        for draw in (names(tallies, "condition") if len(tallies) else ())
    ]
    return pd.DataFrame(lines, columns=None if lines else ["draw"]).sort_values("draw")


def _position(order: tuple[str, ...]) -> Any:
    return lambda name: order.index(name) if name in order else len(order)


def _compared(column: str, parts: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """A row of rates per group, with paired differences to the first, Holm-corrected per outcome."""
    lines = [{column: name, **_contract_first(summarize(sums))} for name, sums in parts.items()]
    reference, *others = parts.values()
    table = pd.DataFrame(lines)
    compared = [differences(sums, reference) for sums in others]
    for outcome in compared[0] if compared else {}:
        p_values = [part[outcome].p for part in compared]
        column_of: dict[str, list[float]] = {
            "diff": [part[outcome].value for part in compared],
            "diff_low": [part[outcome].low for part in compared],
            "diff_high": [part[outcome].high for part in compared],
            "diff_p": p_values,
            "diff_p_holm": statistics.holm(p_values).tolist(),
            "minimum_detectable": [part[outcome].minimum_detectable for part in compared],
        }
        for suffix, values in column_of.items():
            table[f"{outcome}_{suffix}"] = [float("nan"), *values]
    return table


def _contract_first(line: Summary) -> Summary:
    first = ("total", "backtracking_count", "backtracking_rate", "accuracy")
    return {name: line[name] for name in first} | line
