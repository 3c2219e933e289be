"""What is undefined is never called supported: no onsets, no right answers, cut rows, too little to lose."""

import pandas as pd
import pytest

from backtracking.claims import phase1 as phase1_claims
from backtracking.claims import phase2 as phase2_claims
from backtracking.claims.evidence import Evidence
from backtracking.measurements.floors import too_low
from backtracking.measurements.tradeoff import find_best_tradeoff, summarize_arms
from tests.report.tables import MAIN, event_rows, run_paths, sweep_table

MARGIN = 0.05


def phase1(folder, baseline, targeted, random, **changes):
    """Verdicts on runs of these (backtracking, accuracy); `changes` are laid over all rows."""
    rates = {"baseline": baseline, "targeted_ablation": targeted, "random_ablation": random}
    rows = [event_rows(name, *pair, problems=100, seed=k) for k, (name, pair) in enumerate(rates.items())]
    steps = {"steps_wrong": 1, "steps_right": 3, "onsets_after_wrong": 0, "onsets_after_right": 0}
    scan = pd.DataFrame(
        {"layer": [0, 1], "component": "mlp", "selectivity": 0.1, "selectivity_p_holm": [0.9, 0.9]}
    )
    events = pd.concat(rows).assign(**(steps | changes))
    paths = run_paths(folder, backtracking_events=events, ablation_importance=scan)
    return {verdict.key: verdict for verdict in phase1_claims.phase1_verdicts(Evidence(paths), MAIN)}


def test_without_onsets_nothing_is_concluded_about_them(tmp_path):
    found = phase1(tmp_path, (0.6, 0.8), (0.6, 0.8), (0.6, 0.8), has_backtracking_strict=False)
    for name in ("H0", "error_detection"):
        assert found[name].outcome == "not testable", name
        assert "no onsets in 400 baseline completions" in found[name].because
    assert found["accuracy_intact"].outcome != "not testable"


def test_few_onsets_do_not_make_h0(tmp_path):
    found = phase1(tmp_path, (0.03, 0.8), (0.0, 0.8), (0.03, 0.8))
    assert found["H0"].outcome == "not testable"
    assert "at least 10% needed" in found["H0"].because


@pytest.mark.parametrize(
    ("accuracy", "changes", "says"),
    [
        (0.0, {"is_correct": False}, "baseline accuracy is 0.0%"),
        (0.025, {}, "at least 10% needed"),
        (0.8, {"finish_reason": "length"}, "100.0% of baseline completions are cut"),
    ],
    ids=["no right answer", "hardly a right answer", "all cut"],
)
def test_accuracy_that_cannot_be_lost_is_not_intact(tmp_path, accuracy, changes, says):
    found = phase1(tmp_path, (0.6, accuracy), (0.2, 0.0), (0.6, accuracy), **changes)
    assert found["accuracy_intact"].outcome == "not testable"
    assert says in found["accuracy_intact"].because


def phase2(folder, table):
    paths = run_paths(folder, subset_sweep_results=table)
    return {verdict.key: verdict for verdict in phase2_claims.phase2_verdicts(Evidence(paths), MARGIN)}


def swept(baseline, arm, **changes):
    """A sweep of one arm; `changes` are laid over the arm's rows, or with a leading `base_` over all rows."""
    everywhere = {name.removeprefix("base_"): value for name, value in changes.items() if "base_" in name}
    of_arm = {name: value for name, value in changes.items() if "base_" not in name}
    return sweep_table({"baseline": baseline, "arm": arm}, MARGIN, everywhere, {"arm": of_arm})


@pytest.mark.parametrize(
    ("table", "says"),
    [
        (swept((0.6, 0.025), (0.1, 0.0)), "baseline accuracy is"),
        (
            swept((0.6, 0.8), (0.1, 0.8), base_finish_reason="length"),
            "100.0% of baseline completions are cut",
        ),
        (swept((0.6, 0.8), (0.1, 0.8), base_has_backtracking_strict=False), "no onsets in 600"),
    ],
    ids=["little to lose", "baseline cut", "no onsets"],
)
def test_no_reduction_without_loss_where_it_is_undefined(tmp_path, table, says):
    assert table["verdict"].tolist() == ["", "not testable"]
    assert says in table["not_testable"][1]
    assert find_best_tradeoff(table) is None
    found = phase2(tmp_path, table)
    for name in ("turned_down", "substantial"):
        assert found[name].outcome == "not testable"
        assert says in found[name].because


def test_an_arm_that_destroys_does_not_test_a_reduction_where_there_is_no_onset(tmp_path):
    quiet = {"has_backtracking_strict": False}
    rates = {"baseline": (0.6, 0.8), "mild": (0.1, 0.8), "harsh": (0.1, 0.1)}
    table = sweep_table(rates, MARGIN, quiet, {})
    assert table["verdict"].tolist() == ["", "not testable", "destructive"]
    found = phase2(tmp_path, table)
    assert found["turned_down"].outcome == found["substantial"].outcome == "not testable"
    assert "no onsets in 600" in found["turned_down"].because
    assert found["destroys"].outcome == "supported"


@pytest.mark.parametrize(("problems", "said"), [(1, "only 1 problem;"), (5, "only 5 problems;")])
def test_few_problems_decide_nothing_whatever_they_show(problems, said):
    rows = [
        event_rows(name, 0.5, 0.8, problems=problems, samples=40, seed=k).assign(
            arm=name, subset_name=name, scale=None, num_components=1, kind="intervention"
        )
        for k, name in enumerate(("baseline", "arm"))
    ]
    table = summarize_arms(pd.concat(rows), MARGIN)
    assert table["verdict"][1] == "not testable"
    assert table["not_testable"][1] == f"{said} a verdict needs 6"


@pytest.mark.parametrize("accuracy", [0.0, 0.82])
def test_an_arm_that_breaks_the_text_is_destructive_whatever_its_answers(tmp_path, accuracy):
    table = swept((0.6, 0.8), (0.1, accuracy), finish_reason="length")
    assert table["verdict"][1] == "destructive"
    found = phase2(tmp_path, table)
    assert found["destroys"].outcome == "supported"
    assert found["turned_down"].outcome == "contradicted"


def test_the_floor_is_what_separates_held_from_destroyed():
    """At the floor, a loss inside the margin leaves at least the half that the claim of destruction takes."""
    assert too_low("accuracy", 0.0999, MARGIN)
    assert not too_low("accuracy", 0.10, MARGIN)


def test_that_no_arm_destroys_is_judged_without_any_onset(tmp_path):
    found = phase2(tmp_path, swept((0.6, 0.8), (0.1, 0.8), base_has_backtracking_strict=False))
    assert found["destroys"].outcome == "contradicted"


def test_few_problems_without_onsets_are_both_said_where_both_matter(tmp_path):
    rows = [
        event_rows(name, 0.0, 0.8, problems=3, samples=4, seed=k).assign(
            arm=name, subset_name=name, scale=None, num_components=1, kind="intervention"
        )
        for k, name in enumerate(("baseline", "arm"))
    ]
    found = phase2(tmp_path, summarize_arms(pd.concat(rows), MARGIN))
    for name in ("turned_down", "destroys"):
        assert "only 3 problems" in found[name].because
    assert "no onsets in 12" in found["turned_down"].because
    assert "no onsets" not in found["destroys"].because
