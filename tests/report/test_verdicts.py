"""Conclusions follow the tables, in every direction, and say what is missing."""

import re

import numpy as np
import pandas as pd
import pytest

from backtracking.claims import phase1 as phase1_claims
from backtracking.claims import phase2 as phase2_claims
from backtracking.claims.evidence import Evidence
from backtracking.config.phase2 import ContinuationConfig, Phase2Config, ScaleSweepConfig
from backtracking.config.schema import ExperimentConfig
from backtracking.figures import style as figures
from backtracking.reports.write import write_phase1_report, write_phase2_report
from tests.report.tables import MAIN, event_rows, run_paths, sweep_table


def _scan(p_values):
    return pd.DataFrame(
        {
            "layer": range(len(p_values)),
            "component": "mlp",
            "delta_wait_logit_mean": -1.0,
            "n_events": 50,
            "selectivity": [2.0 if p < 0.05 else 0.1 for p in p_values],
            "selectivity_p_holm": p_values,
        }
    )


def _events(targeted, random, accuracy=0.85):
    return pd.concat(
        [
            event_rows("baseline", 0.6, 0.85, problems=100, seed=1),
            event_rows("targeted_ablation", targeted, accuracy, problems=100, seed=2),
            event_rows("random_ablation", random, 0.85, problems=100, seed=3),
        ]
    )


def _judged(paths):
    return {verdict.claim.split(":")[0]: verdict for verdict in phase1_claims.verdicts(Evidence(paths), MAIN)}


@pytest.mark.parametrize(
    ("targeted", "random", "p_values", "h1", "h0"),
    [
        (0.1, 0.6, [0.001, 0.9], "supported", "not supported"),
        (0.6, 0.6, [0.9, 0.9], "not supported", "not supported"),
        (0.1, 0.1, [0.001, 0.9], "not supported", "not supported"),
        (0.1, 0.6, [0.9, 0.9], "not supported", "not supported"),
        (0.0, 0.0, [0.9, 0.9], "not supported", "supported"),
        (0.62, 0.95, [0.001, 0.9], "not supported", "not supported"),
    ],
)
def test_h1_and_h0_follow_scan_and_regeneration(tmp_path, targeted, random, p_values, h1, h0):
    paths = run_paths(
        tmp_path, backtracking_events=_events(targeted, random), ablation_importance=_scan(p_values)
    )
    found = _judged(paths)
    assert (found["H1"].outcome, found["H0"].outcome) == (h1, h0), found


@pytest.mark.parametrize(
    ("mean", "h1"),
    [([0.001, 0.9], "supported"), ([0.9, 0.001], "mode-dependent"), ([0.9, 0.9], "mode-dependent")],
)
def test_modes_of_removal_that_disagree_support_nothing(tmp_path, mean, h1):
    zero = _scan([0.001, 0.9])
    modes = pd.concat(
        [zero.assign(mode="zero"), _scan(mean).assign(mode="mean"), _scan([0.9] * 2).assign(mode="scale")]
    )
    paths = run_paths(
        tmp_path, backtracking_events=_events(0.1, 0.6), ablation_importance=zero, ablation_modes=modes
    )
    found = _judged(paths)
    assert (found["H1"].outcome, found["H0"].outcome) == (h1, "not supported")
    assert ("(mode mean)" in found["H1"].because) == (h1 == "mode-dependent")


def test_the_scans_own_rule_is_judged(tmp_path):
    """Without controls the scan ranks by effect, and selectivity has no values."""
    scan = _scan([np.nan, np.nan]).assign(effect=[2.0, 0.1], effect_p_holm=[0.001, 0.9])
    paths = run_paths(tmp_path, backtracking_events=_events(0.1, 0.6), ablation_importance=scan)
    assert _judged(paths)["H1"].outcome == "not testable"
    paths.table("ablation_selection.json").write_text('{"rule": "effect"}')
    assert _judged(paths)["H1"].outcome == "supported"
    config = ExperimentConfig.model_validate({"prompting": {"template": "{question}"}})
    markdown, _ = write_phase1_report(paths, config, {"generate[x]": "selected_layers.json changed"})
    text = markdown.read_text()
    assert "p (Holm, by effect)" in text and "0.900" in text
    assert "Out of date" in text and "selected_layers.json changed" in text


@pytest.mark.parametrize(("accuracy", "outcome"), [(0.85, "supported"), (0.5, "not supported")])
def test_kept_accuracy_is_an_equivalence_claim(tmp_path, accuracy, outcome):
    events = pd.concat(
        [
            event_rows("baseline", 0.6, 0.85, problems=500, samples=8, seed=1),
            event_rows("targeted_ablation", 0.2, accuracy, problems=500, samples=8, seed=2),
        ]
    )
    found = _judged(run_paths(tmp_path, backtracking_events=events))
    assert found["The targeted ablation leaves accuracy intact"].outcome == outcome


def _coupled(after_wrong, after_right):
    """Events in which every row has one wrong step and two right ones, and the table made of them."""
    events = event_rows("baseline", 0.6, 0.85)
    generator = np.random.default_rng(0)
    events["steps_wrong"], events["steps_right"] = 1, 2
    events["onsets_after_wrong"] = generator.binomial(1, after_wrong, len(events))
    events["onsets_after_right"] = generator.binomial(2, after_right, len(events))
    line = {"variant": MAIN, "condition": "baseline", "n_wrong": len(events), "n_right": 2 * len(events)}
    return {"backtracking_events": events, "error_coupling": pd.DataFrame([line])}


@pytest.mark.parametrize(
    ("after_wrong", "after_right", "outcome"),
    [
        (0.9, 0.05, "supported"),
        (1.0, 0.0, "supported"),
        (0.3, 0.3, "not supported"),
        (0.1, 0.6, "not supported"),
    ],
)
def test_error_detection_follows_what_comes_after_wrong_and_right_steps(
    tmp_path, after_wrong, after_right, outcome
):
    found = _judged(run_paths(tmp_path, **_coupled(after_wrong, after_right)))
    assert found["Onsets are error detection"].outcome == outcome


@pytest.mark.parametrize(
    ("after_wrong", "p_format", "outcome"),
    [
        (0.3, 0.001, "supported"),
        (0.3, 0.4, "not supported"),
        (0.9, 0.001, "not supported"),
        (0.9, 0.4, "not supported"),
    ],
)
def test_h2_wants_formatting_and_no_errors(tmp_path, after_wrong, p_format, outcome):
    tables = _coupled(after_wrong, 0.35)
    lines = [
        {"variant": MAIN, "backtracking_diff": np.nan, "backtracking_diff_p_holm": np.nan},
        {"variant": "other", "backtracking_diff": -0.2, "backtracking_diff_p_holm": p_format},
    ]
    lines = [line | {"total": 160, "backtracking_count": 80} for line in lines]
    assert _judged(run_paths(tmp_path, **tables))["H2"].outcome == "not testable"
    paths = run_paths(tmp_path, **tables, formatting_summary=pd.DataFrame(lines))
    assert _judged(paths)["H2"].outcome == outcome


@pytest.mark.parametrize(("above", "outcome"), [(0.2, "supported"), (-0.1, "not supported")])
def test_injected_errors_can_refute_error_detection(tmp_path, above, outcome):
    injected = {"kind": "any wrong", "n": 9, "above_harmless": 0.5, "above_harmless_low": above}
    tables = _coupled(0.9, 0.05) | {"error_injection_summary": pd.DataFrame([injected])}
    assert _judged(run_paths(tmp_path, **tables))["Onsets are error detection"].outcome == outcome


def test_an_ablation_that_breaks_the_text_is_no_evidence_for_h1(tmp_path):
    events = _events(0.1, 0.6)
    broken = events["condition"] == "targeted_ablation"
    events.loc[broken, "finish_reason"] = "length"
    paths = run_paths(tmp_path, backtracking_events=events, ablation_importance=_scan([0.001, 0.9]))
    found = _judged(paths)["H1"]
    assert found.outcome == "not testable"
    assert "100.0% are cut" in found.because


def test_tables_of_an_earlier_study_do_not_hide_truncation(tmp_path):
    events = _events(0.1, 0.6).drop(columns=["finish_reason"])
    found = _judged(run_paths(tmp_path, backtracking_events=events, ablation_importance=_scan([0.001, 0.9])))
    assert found["H1"].outcome == "not testable"
    assert "cut at the cap" in found["H1"].because


def test_few_rows_do_not_prove_that_accuracy_is_kept(tmp_path):
    events = pd.concat(
        [
            event_rows("baseline", 0.6, 0.85, problems=6),
            event_rows("targeted_ablation", 0.2, 0.85, problems=6),
        ]
    )
    found = _judged(run_paths(tmp_path, backtracking_events=events))
    assert found["The targeted ablation leaves accuracy intact"].outcome == "not supported"


def test_what_is_missing_is_named(tmp_path):
    found = _judged(run_paths(tmp_path, backtracking_events=event_rows("baseline", 0.6, 0.85)))
    assert {verdict.outcome for verdict in found.values()} == {"not testable"}
    assert "ablation_importance.csv" in found["H1"].because
    assert "targeted_ablation" in found["The targeted ablation leaves accuracy intact"].because


@pytest.mark.parametrize(
    ("arms", "outcome", "says"),
    [
        ({"good": (0.3, 0.85), "bad": (0.05, 0.1)}, "supported", "not confirmed"),
        ({"bad": (0.05, 0.1)}, "not supported", "none of 1 interventions"),
        ({"idle": (0.6, 0.85)}, "not supported", "none of 1 interventions"),
    ],
)
def test_non_destructive_claim(tmp_path, arms, outcome, says):
    table = sweep_table({"baseline": (0.6, 0.85)} | arms, margin=0.1)
    paths = run_paths(tmp_path, subset_sweep_results=table)
    claim, *_ = phase2_claims.verdicts(Evidence(paths), 0.1)
    assert claim.outcome == outcome, claim
    assert says in claim.because


def test_a_winner_that_fails_on_the_other_half_is_not_supported(tmp_path):
    won = sweep_table({"baseline": (0.6, 0.85), "good": (0.3, 0.85)}, margin=0.1)
    failed = sweep_table({"baseline": (0.6, 0.85), "good": (0.3, 0.5)}, margin=0.1)
    failed["role"] = ["baseline", "winner"]
    paths = run_paths(tmp_path, subset_sweep_results=won, confirm_results=failed)
    claim, *_ = phase2_claims.verdicts(Evidence(paths), 0.1)
    assert claim.outcome == "not supported"
    assert "held-out" in claim.because


def _confirmed(winner):
    table = sweep_table({"baseline": (0.6, 0.85), "found": winner}, margin=0.1)
    return table.assign(role=["baseline", "winner"])


@pytest.mark.parametrize(
    ("confirmed", "holds", "is_substantial"),
    [
        (_confirmed((0.2, 0.85)), "supported", "supported"),
        (_confirmed((0.5, 0.85)), "supported", "not supported"),
        (_confirmed((0.2, 0.4)), "not supported", "not supported"),
        (_confirmed((0.2, 0.85)).head(1), "not supported", "not supported"),
    ],
    ids=["a large reduction", "a small one", "accuracy lost", "no winner"],
)
@pytest.mark.parametrize("swept", [{"bad": (0.05, 0.1)}, {"good": (0.1, 0.85)}], ids=["none", "one"])
def test_once_there_is_a_confirmation_nothing_else_decides(tmp_path, swept, confirmed, holds, is_substantial):
    table = sweep_table({"baseline": (0.6, 0.85)} | swept, margin=0.1)
    paths = run_paths(tmp_path, subset_sweep_results=table, confirm_results=confirmed)
    claim, substantial, *_ = phase2_claims.verdicts(Evidence(paths), 0.1)
    assert (claim.outcome, substantial.outcome) == (holds, is_substantial)


def test_an_arm_that_raises_backtracking_is_called_so():
    table = sweep_table({"baseline": (0.3, 0.85), "louder": (0.7, 0.85)}, margin=0.1)
    assert list(table["verdict"]) == ["", "raises backtracking"]
    assert figures.verdict(table.to_dict("records")[1]) == "raises backtracking"


def test_reports_are_written_from_almost_nothing_and_from_much(tmp_path):
    config = ExperimentConfig(
        phase2=Phase2Config(
            scale_sweep=ScaleSweepConfig(enabled=False),
            continuation_ablation=ContinuationConfig(enabled=False),
        )
    )
    bare = run_paths(tmp_path / "bare", backtracking_events=event_rows("baseline", 0.6, 0.85))
    for markdown, page in (
        write_phase1_report(bare, config, {}),
        write_phase2_report(bare, None, config, {}),
    ):
        text = markdown.read_text()
        assert "not testable" in text
        assert "Missing:" in text
        assert not re.search(r"\bnan\b|\bNone\b", text)
        assert page.read_text().startswith("<!doctype html>")
