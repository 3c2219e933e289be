"""Metrics are declared once: every table, and every page about one, follows the declarations."""

import importlib.util
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from backtracking.artifacts import columns
from backtracking.measurements import metrics, tallies
from backtracking.measurements.comparison import average, compare, pooled
from backtracking.measurements.metrics import LATER_SIGNS, OUTCOMES
from backtracking.measurements.tradeoff import summarize_arms
from tests.report.tables import event_rows

ROOT = Path(__file__).parents[2]
STEPS = {
    "fresh_wrong": 1,
    "fresh_right": 2,
    "onsets_after_fresh_wrong": lambda rows: rows["has_backtracking_strict"].astype(int),
    "onsets_after_fresh_right": 0,
    "has_doubt": lambda rows: rows["has_backtracking_strict"],
    "has_redo": False,
}


def arms(**changes):
    parts = [
        event_rows(name, *rates, problems=30, samples=4, seed=seed).assign(
            arm=name,
            subset_name=name,
            scale=None,
            num_components=seed,
            kind="intervention",
            **STEPS,
            **changes,
        )
        for seed, (name, rates) in enumerate({"baseline": (0.6, 0.8), "less": (0.3, 0.7)}.items())
    ]
    return pd.concat(parts)


def test_names_differ_and_say_what_they_are():
    names = [metric.name for metric in metrics.METRICS]
    assert len(set(names)) == len(names)
    assert all(metric.formula for metric in metrics.METRICS)
    assert all(metric.outcome for metric in metrics.METRICS if metric.compared)


def test_both_phases_show_the_same_number_under_the_same_name():
    events = arms(completion_tokens=40, truncated=lambda rows: rows["finish_reason"] != "stop")
    swept = summarize_arms(events, 0.05).set_index("arm")
    for name, part in events.groupby("arm"):
        tally = tallies.tally(part.assign(variant="v", condition=name, has_backtracking_relaxed=True))
        line = tallies.summarize(tally.groupby(level="example_id").sum())
        for metric in metrics.shown_in(2):
            for column in (metric.name, f"{metric.name}_low", f"{metric.name}_high"):
                np.testing.assert_allclose(swept.loc[name, column], line[column], rtol=1e-12, equal_nan=True)


def test_differences_by_hand():
    """Paired means of equally many samples: the difference of the shares, counted in plain Python."""
    events = arms()
    left, right = (events[events["arm"] == name] for name in ("less", "baseline"))
    for outcome, column in (("backtracking", "has_backtracking_strict"), ("accuracy", "is_correct")):
        shares = [sum(str(v) == "True" for v in rows[column]) / len(rows) for rows in (left, right)]
        assert compare(left, right, OUTCOMES[outcome]).value == pytest.approx(shares[0] - shares[1])
        assert average(left, OUTCOMES[outcome]).value == pytest.approx(shares[0])


def test_a_new_metric_is_one_line(monkeypatch):
    """It comes up in tables of both phases, and in what their columns mean."""
    new = metrics.Metric(
        "wrong_rate", "graded", formula="graded ÷ all", shown=(1, 2), outcome="wrong", compared=(2,)
    )
    monkeypatch.setattr(metrics, "METRICS", (*metrics.METRICS, new))
    table = summarize_arms(arms(), 0.05)
    assert {"wrong_rate", "wrong_rate_low", "wrong_diff", "wrong_diff_p"} <= set(table.columns)
    assert metrics.meanings_in(1)["wrong_rate"] == metrics.meanings_in(2)["wrong_rate"] == "graded ÷ all"
    assert "`wrong_rate` to the baseline" in metrics.differences_in(2, "the baseline")["wrong_diff"]


def test_columns_are_described_by_the_declarations():
    for metric in metrics.shown_in(2):
        assert columns.ARM_RATES[metric.name] == columns.RATES[metric.name] == metric.formula


def test_the_page_is_written_from_them():
    spec = importlib.util.spec_from_file_location("metric_docs", ROOT / "scripts/write_metric_docs.py")
    writer = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(writer)
    assert writer.PAGE.read_text(encoding="utf-8") == writer.render(), "run `make docs`"


def test_signs_of_degeneration_are_plain_shares_and_means():
    """By hand, over three completions of two problems, one of them too short for a run of three tokens."""
    rows = pd.DataFrame(
        {
            "example_id": ["a", "a", "b"],
            "has_backtracking_strict": [True, False, False],
            "is_correct": [None, True, False],
            "predicted_answer": [None, "5", "6"],
            "non_ascii_burst": [True, False, False],
            "distinct_3": [float("nan"), 0.5, 0.75],
        }
    )
    found = {metric.name: pooled(rows, metric) for metric in LATER_SIGNS}
    assert found == {"no_answer_rate": 1 / 3, "non_ascii_rate": 1 / 3, "distinct_3": 0.625}
    assert math.isnan(pooled(rows[:1], LATER_SIGNS[-1]))
