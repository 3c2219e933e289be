"""Errors, formats and accuracy: each outcome of each claim from planted tables."""

import numpy as np
import pandas as pd
import pytest

from backtracking.artifacts import phase1 as files
from backtracking.claims.formatting import variation
from backtracking.measurements.metrics_v2 import formatting_table
from backtracking.measurements.tallies import tally
from tests.claims.planted import judged, stepped
from tests.report.tables import MAIN, event_rows


def _injected(value, low, high):
    line = {"kind": "any wrong", "n": 60, "problems": 60, "above_harmless": value}
    return pd.DataFrame([line | {"above_harmless_low": low, "above_harmless_high": high}])


@pytest.mark.parametrize(
    ("rates", "problems", "injected", "outcome"),
    [
        ((0.9, 0.05), 100, None, "supported"),
        ((1.0, 0.0), 100, None, "supported"),
        ((0.9, 0.05), 100, _injected(3.3, 3.2, 3.4), "supported"),
        ((0.3, 0.3), 600, None, "contradicted"),
        ((0.1, 0.6), 100, None, "contradicted"),
        ((0.9, 0.05), 100, _injected(0.02, 0.0, 0.04), "contradicted"),
        ((0.9, 0.05), 100, _injected(0.2, -0.1, 0.5), "inconclusive"),
        ((0.35, 0.25), 12, None, "inconclusive"),
        ((0.02, 0.01), 100, None, "not testable"),
    ],
)
def test_error_detection(tmp_path, rates, problems, injected, outcome):
    tables = {} if injected is None else {"error_injection_summary": injected}
    found = judged(tmp_path, stepped("baseline", *rates, problems=problems), **tables)["error_detection"]
    assert found.outcome == outcome, found.because
    assert (found.deciding_problems is not None) == (outcome == "inconclusive")


@pytest.mark.parametrize(
    ("accuracy", "problems", "outcome"),
    [
        (0.85, 500, "supported"),
        (0.5, 500, "contradicted"),
        (0.84, 12, "inconclusive"),
        (0.8, 500, "inconclusive"),
    ],
)
def test_accuracy_intact_is_an_equivalence_claim(tmp_path, accuracy, problems, outcome):
    how = {"problems": problems, "samples": 8}
    rows = [
        event_rows("baseline", 0.6, 0.85, **how, seed=1),
        event_rows("targeted_ablation", 0.2, accuracy, **how, seed=2),
    ]
    assert judged(tmp_path, *rows)["accuracy_intact"].outcome == outcome


@pytest.mark.parametrize(
    ("odds", "outcome"),
    [
        ({"odds_ratio": 0.3, "odds_ratio_low": 0.2, "odds_ratio_high": 0.5}, "supported"),
        ({"odds_ratio": 3.0, "odds_ratio_low": 2.0, "odds_ratio_high": 5.0}, "contradicted"),
        ({"odds_ratio": 0.8, "odds_ratio_low": 0.5, "odds_ratio_high": 1.3}, "inconclusive"),
        ({"odds_ratio": 0.8}, "not testable"),
    ],
)
def test_the_cost_within_a_problem(tmp_path, odds, outcome):
    paths = tmp_path / "runs" / "test" / files.SUMMARY.name
    paths.parent.mkdir(parents=True)
    found = {"backtracking_vs_accuracy": {MAIN: {"informative_problems": 40} | odds}}
    paths.write_text(pd.Series(found).to_json())
    assert judged(tmp_path, event_rows("baseline", 0.6, 0.85))["costs_accuracy"].outcome == outcome


def _formats(other, problems=300, main=(0.8, 0.04), **how):
    """Two variants: the main one, and another whose onsets follow wrong and right steps at these rates."""
    rows = [
        stepped("baseline", *main, problems=problems),
        stepped("baseline", *other, problems=problems, variant="other", seed=2, **how),
    ]
    events = pd.concat(rows)
    return {
        "backtracking_events": events,
        "formatting_summary": formatting_table(tally(events), [MAIN, "other"]),
    }


@pytest.mark.parametrize(
    ("tables", "outcome", "shares"),
    [
        (_formats((0.2, 0.04)), "supported", "contradicted"),
        (_formats((0.8, 0.04), problems=600), "contradicted", "contradicted"),
        (_formats((0.72, 0.04), problems=12), "inconclusive", "contradicted"),
        (_formats((0.9, 0.85), main=(0.06, 0.04)), "supported", "supported"),
        (_formats((0.45, 0.25), problems=30, main=(0.3, 0.1)), "supported", "inconclusive"),
        (_formats((0.2, 0.04), accuracy=0.1, sound_accuracy=0.1), "not testable", "not testable"),
    ],
    ids=["both", "no format", "few problems", "format alone", "half and half", "a broken variant"],
)
def test_formats_and_errors_as_shares(tmp_path, tables, outcome, shares):
    found = judged(tmp_path, **tables)
    assert found["format_effect"].outcome == outcome, found["format_effect"].because
    assert found["H2"].outcome == shares, found["H2"].because
    if outcome == "not testable":
        assert "`other` breaks it" in found["H2"].missing


def test_where_neither_matters_a_share_of_next_to_nothing_is_no_finding(tmp_path):
    found = judged(tmp_path, **_formats((0.32, 0.32), main=(0.3, 0.3), problems=1500))
    assert found["H2"].numbers["format_share_low"] > 0.5
    assert (found["H2"].outcome, found["format_effect"].outcome) == ("contradicted", "contradicted")


def test_a_difference_of_no_interest_is_no_effect_however_significant(tmp_path):
    tables = _formats((0.75, 0.04), problems=1500)
    line = tables["formatting_summary"].iloc[1]
    assert line["backtracking_diff_p_holm"] < 0.01
    assert -0.05 < line["backtracking_diff_low"] < line["backtracking_diff_high"] < 0
    assert judged(tmp_path, **tables)["format_effect"].outcome == "contradicted"


def test_one_variant_says_nothing_about_formats(tmp_path):
    found = judged(tmp_path, stepped("baseline", 0.9))
    assert (found["H2"].outcome, found["format_effect"].outcome) == ("not testable", "not testable")


def test_shares_of_variation_against_simulated_steps():
    """The analysis of variance of steps drawn one by one, with equal error rates: both shares are its."""
    generator = np.random.default_rng(0)
    rates = np.array([[0.8, 0.1], [0.5, 0.3]])
    variant, wrong = generator.integers(0, 2, 400_000), generator.random(400_000) < 0.3
    onset = generator.random(400_000) < rates[variant, 1 - wrong.astype(int)]
    totals = np.array(
        [
            [
                (onset & wrong & here).sum(),
                (wrong & here).sum(),
                (onset & ~wrong & here).sum(),
                (~wrong & here).sum(),
            ]
            for here in (variant == 0, variant == 1)
        ],
        dtype=float,
    )
    frame = pd.DataFrame({"variant": variant, "wrong": wrong, "onset": onset.astype(float)})
    by_format = frame.groupby("variant")["onset"].mean().var(ddof=0) / onset.var()
    inside = frame.groupby(["variant", "wrong"])["onset"].mean()
    cells = frame.set_index(["variant", "wrong"]).index
    by_both = np.var(inside.loc[cells].to_numpy()) / onset.var()
    found = variation(totals)
    assert found[0] == pytest.approx(by_format, abs=2e-3)
    assert found[0] + found[1] == pytest.approx(by_both, abs=2e-3)


def test_what_is_missing_is_named(tmp_path):
    found = judged(tmp_path, event_rows("baseline", 0.6, 0.85))
    assert {verdict.outcome for verdict in found.values()} == {"not testable"}
    assert "ablation_importance.csv" in found["H1"].missing
    assert "targeted_ablation" in found["accuracy_intact"].missing
