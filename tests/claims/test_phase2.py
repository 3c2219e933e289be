"""Phase 2: each outcome of each claim from planted sweeps."""

import pandas as pd
import pytest

from backtracking.figures.arms import verdict
from tests.claims.planted import judged2
from tests.measurement.test_outcome import arms_table, completions, events_of
from tests.report.tables import sweep_table

BASE = {"baseline": (0.6, 0.85)}


@pytest.mark.parametrize(
    ("arms", "outcome", "substantial", "says"),
    [
        ({"good": (0.3, 0.85), "bad": (0.05, 0.1)}, "supported", "supported", "not confirmed"),
        ({"weak": (0.5, 0.85)}, "supported", "contradicted", "not confirmed"),
        ({"third": (0.41, 0.85)}, "supported", "inconclusive", "not confirmed"),
        ({"bad": (0.05, 0.1)}, "contradicted", "not testable", "none of 1 interventions"),
        ({"louder": (0.75, 0.85)}, "contradicted", "not testable", "none of 1 interventions"),
        ({"close": (0.3, 0.74)}, "inconclusive", "not testable", "Nearest arm: `close`. Open: accuracy"),
    ],
)
def test_turned_down_and_by_how_much(tmp_path, arms, outcome, substantial, says):
    table = sweep_table(BASE | arms, margin=0.1)
    found = judged2(tmp_path, subset_sweep_results=table)
    assert found["turned_down"].outcome == outcome, found["turned_down"]
    assert says in found["turned_down"].because
    assert found["substantial"].outcome == substantial, found["substantial"]


def test_few_problems_leave_it_open_with_a_number(tmp_path):
    found = judged2(
        tmp_path, subset_sweep_results=sweep_table(BASE | {"mild": (0.5, 0.85)}, 0.1, problems=24, samples=2)
    )
    assert found["turned_down"].outcome == "inconclusive"
    assert found["turned_down"].deciding_problems > 24


def _confirmed(winner):
    table = sweep_table(BASE | {"found": winner}, margin=0.1)
    return table.assign(role=["baseline", "winner"])


@pytest.mark.parametrize(
    ("confirmed", "outcome", "substantial"),
    [
        (_confirmed((0.2, 0.85)), "supported", "supported"),
        (_confirmed((0.5, 0.85)), "supported", "contradicted"),
        (_confirmed((0.2, 0.4)), "contradicted", "not testable"),
        (_confirmed((0.2, 0.75)), "inconclusive", "not testable"),
    ],
    ids=["a large reduction", "a small one", "accuracy lost", "accuracy in doubt"],
)
@pytest.mark.parametrize("swept", [{"bad": (0.05, 0.1)}, {"good": (0.1, 0.85)}], ids=["none", "one"])
def test_once_there_is_a_confirmation_nothing_else_decides(tmp_path, swept, confirmed, outcome, substantial):
    table = sweep_table(BASE | swept, margin=0.1)
    found = judged2(tmp_path, subset_sweep_results=table, confirm_results=confirmed)
    assert (found["turned_down"].outcome, found["substantial"].outcome) == (outcome, substantial)
    assert "held-out" in found["turned_down"].because


CALM = {"right": 0.02}
PREFIXES = {"right": (-0.4, -0.3), "injected": (-0.04, 0.04)}


def _arms(**arm):
    """A baseline that doubts, and an arm, as a table of arms."""
    doubts = {"wrong": 0.9, "right": 0.4}
    found = arms_table(
        events_of(completions("baseline", **doubts), completions("arm", **(doubts | arm))), 0.1
    )
    return found.assign(role=["baseline", "winner"])


def _behind(**intervals):
    """What the arm does behind fixed prefixes, as intervals of its changes."""
    line = {"arm": "arm", "draw": None, "problems": 60}
    for kind, (low, high) in (PREFIXES | intervals).items():
        name = f"onset_after_{kind}_diff"
        line |= {name: (low + high) / 2, f"{name}_low": low, f"{name}_high": high}
    return pd.DataFrame([line])


@pytest.mark.parametrize(
    ("arm", "says"),
    [
        (CALM, "what falls: needless checks."),
        ({"wrong": 0.3}, "what falls: noticing of errors."),
        ({"wrong": 0.3, "right": 0.02}, "what falls: needless checks and noticing of errors."),
    ],
)
def test_the_verdict_says_what_falls(tmp_path, arm, says):
    found = judged2(tmp_path, subset_sweep_results=_arms(**arm))["turned_down"]
    assert found.outcome == "supported"
    assert found.because.startswith(says)
    assert found.numbers["what_fell"] in found.because.replace(" and ", "; ")


@pytest.mark.parametrize(
    ("arm", "behind", "outcome"),
    [
        (CALM, {}, "supported"),
        (CALM, {"right": (-0.2, 0.1)}, "inconclusive"),
        (CALM, {"right": (0.1, 0.2)}, "contradicted"),
        (CALM, {"injected": (-0.5, -0.3)}, "contradicted"),
        (CALM, {"injected": (-0.3, 0.1)}, "supported"),
        ({"wrong": 0.3}, {"injected": (-0.7, -0.5)}, "supported"),
        ({"wrong": 0.3}, {}, "inconclusive"),
    ],
    ids=[
        "as in free text",
        "unclear",
        "more checks",
        "noticing lost",
        "noticing unclear",
        "noticing",
        "not there",
    ],
)
def test_what_fell_falls_behind_the_same_prefixes_too(tmp_path, arm, behind, outcome):
    found = judged2(tmp_path, confirm_results=_arms(**arm), confirm_fixed_prefixes=_behind(**behind))
    assert found["turned_down"].outcome == outcome, found["turned_down"].because
    assert (found["substantial"].outcome == "not testable") == (outcome != "supported")


def test_exploratory_arms_need_no_prefixes(tmp_path):
    swept, behind = _arms(**CALM), _behind(right=(0.1, 0.2))
    found = judged2(tmp_path, subset_sweep_results=swept, confirm_fixed_prefixes=behind)
    assert found["turned_down"].outcome == "supported"


@pytest.mark.parametrize(("arm", "outcome"), [((0.05, 0.1), "contradicted"), ((0.2, 0.76), "inconclusive")])
def test_without_a_winner_the_search_half_says_why(tmp_path, arm, outcome):
    searched = sweep_table(BASE | {"tried": arm}, margin=0.1)
    confirmed = searched.head(1).assign(role="baseline")
    found = judged2(tmp_path, tradeoff_search=searched, confirm_results=confirmed)
    assert found["turned_down"].outcome == outcome
    assert found["substantial"].outcome == "not testable"


@pytest.mark.parametrize(
    ("arm", "outcome"),
    [((0.1, 0.1), "supported"), ((0.5, 0.84), "contradicted"), ((0.2, 0.425), "inconclusive")],
)
def test_destroying_is_the_loss_of_half(tmp_path, arm, outcome):
    found = judged2(tmp_path, subset_sweep_results=sweep_table(BASE | {"arm": arm}, margin=0.1))
    assert found["destroys"].outcome == outcome, found["destroys"].because


def _step(change, kl, kl_control, half=0.02):
    lines = [
        {"position_kind": kind, "scale": 0.0, "n": 100, "family_change": change, "kl": value}
        for kind, value in (("onset", kl), ("control", kl_control))
    ]
    table = pd.DataFrame(lines)
    for name in ("family_change", "kl"):
        table[f"{name}_low"], table[f"{name}_high"] = table[name] - half, table[name] + half
    return table


@pytest.mark.parametrize(
    ("table", "outcome"),
    [
        (_step(-0.2, 0.6, 0.2), "supported"),
        (_step(-0.2, 0.2, 0.6), "contradicted"),
        (_step(+0.2, 0.6, 0.2), "contradicted"),
        (_step(-0.2, 0.29, 0.2), "inconclusive"),
        (_step(-0.06, 0.6, 0.2), "inconclusive"),
        (_step(-0.002, 0.6, 0.2, half=0.001), "contradicted"),
        (_step(-0.2, 0.21, 0.2, half=0.001), "contradicted"),
        (_step(-0.2, 0.6, 0.2).head(1), "not testable"),
    ],
    ids=[
        "at onsets",
        "at controls",
        "raises",
        "nearly alike",
        "hardly",
        "next to nothing",
        "alike",
        "no controls",
    ],
)
def test_the_onset_step(tmp_path, table, outcome):
    assert judged2(tmp_path, continuation_ablation_summary=table)["onset_step"].outcome == outcome


def test_without_a_sweep_nothing_is_testable(tmp_path):
    found = judged2(tmp_path)
    assert {verdict.outcome for verdict in found.values()} == {"not testable"}
    assert "subset_sweep_results.csv" in found["turned_down"].missing


def test_an_arm_that_raises_backtracking_is_called_so():
    table = sweep_table({"baseline": (0.3, 0.85), "louder": (0.7, 0.85)}, margin=0.1)
    assert list(table["verdict"]) == ["", "raises backtracking"]
    assert verdict(table.to_dict("records")[1]) == "raises backtracking"
