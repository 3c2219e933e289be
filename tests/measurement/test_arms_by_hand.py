"""The table of arms, its verdicts and its front, on rows so few that all can be worked out by hand."""

import math

import pandas as pd
import pytest

from backtracking.measurements.outcome import ANY, ANYWHERE, FallingOutcome
from backtracking.measurements.tradeoff import (
    DESTRUCTIVE,
    HELD,
    NO_EFFECT,
    NOT_TESTABLE,
    SUBSET_COLUMNS,
    _verdict,
    front_probability,
    seems_best,
    summarize_arms,
    with_arm_names,
)
from tests.phase2.test_winning import BASELINE, mostly, rows, seldom

WAYS = [FallingOutcome(ANY, ANYWHERE, 1.0)]
BASE = pd.Series(
    {"backtracking_count": 300, "total": 400, "accuracy": 0.5, "truncation_rate": 0.1}, dtype=object
)
ARM = {
    "arm": "a",
    "problems": 80,
    "total": 400,
    "truncation_rate": 0.1,
    "accuracy_diff_low": -0.02,
    "accuracy_diff_high": 0.02,
    "what_fell": "",
    "onsets_removed": 0.0,
    "backtracking_diff": 0.0,
    "backtracking_diff_low": -0.02,
    "backtracking_diff_high": 0.02,
    "backtracking_diff_p_holm": 1.0,
}
FELL = {"what_fell": ANY, "onsets_removed": 0.4}
ROSE = {"onsets_removed": -0.1, "backtracking_diff": 0.1, "backtracking_diff_p_holm": 0.04}


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({}, NO_EFFECT),
        ({"backtracking_diff_low": -0.05}, "inconclusive"),
        ({"backtracking_diff_high": 0.05}, "inconclusive"),
        (FELL, HELD),
        (FELL | {"accuracy_diff_low": -0.05}, "inconclusive"),
        (FELL | {"accuracy_diff_low": -0.06, "accuracy_diff_high": -0.05}, "inconclusive"),
        (FELL | {"accuracy_diff_low": -0.07, "accuracy_diff_high": -0.06}, DESTRUCTIVE),
        (ROSE, "raises backtracking"),
        (ROSE | {"onsets_removed": 0.0}, NO_EFFECT),
        (ROSE | {"backtracking_diff_p_holm": 0.05}, NO_EFFECT),
        ({"arm": "baseline"}, ""),
        ({"problems": 5}, NOT_TESTABLE),
        ({"problems": 6}, NO_EFFECT),
        ({"truncation_rate": 0.5}, NO_EFFECT),
        ({"truncation_rate": 0.51}, NOT_TESTABLE),
    ],
)
def test_a_verdict_follows_from_the_ends_of_intervals(changes, verdict):
    """The margin is 0.05: neither held nor lost at it, and no effect only inside it."""
    assert _verdict(pd.Series(ARM | changes), BASE, WAYS, margin=0.05)[0] == verdict


def test_a_small_baseline_may_lose_less_than_the_margin():
    """A quarter of 0.16 is 0.04."""
    small = pd.Series({**BASE, "accuracy": 0.16})
    found = [_verdict(pd.Series(ARM | FELL | {"accuracy_diff_low": low}), small, WAYS, 0.05) for low in
             (-0.039, -0.041)]  # fmt: skip
    assert found == [(HELD, ""), ("inconclusive", "")]


def test_all_reasons_are_given_for_what_cannot_be_judged():
    silent = pd.Series({**BASE, "backtracking_count": 0}, dtype=object)
    unpaired = pd.Series(ARM | {"accuracy_diff_low": float("nan")})
    verdict, reason = _verdict(unpaired, silent, WAYS, 0.05)
    assert verdict == NOT_TESTABLE
    paired, onsets = reason.split("; ")
    assert paired == "fewer than 2 problems have completions under both the baseline and the arm"
    assert onsets == "no onsets in 400 baseline completions"
    few_steps = pd.Series(ARM | {"backtracking_diff_low": float("nan"), "strict_count": 3})
    verdict, reason = _verdict(few_steps, BASE, WAYS, 0.05)
    assert verdict == NOT_TESTABLE
    assert reason.endswith("whose 400 completions hold 400")


def arms_of(**columns):
    arms = pd.DataFrame(columns)
    return arms.assign(kind=["baseline", *["intervention"] * (len(arms) - 1)], num_components=1)


def test_the_first_by_estimates_loses_no_more_than_is_allowed():
    """A quarter of the baseline's 0.16 is 0.04, less than the margin."""
    arms = arms_of(
        arm=["baseline", "lost", "broken", "first", "weaker", "more"],
        accuracy=[0.16, 0.11, 0.13, 0.12, 0.16, 0.2],
        accuracy_diff=[0.0, -0.05, -0.03, -0.04, 0.0, 0.04],
        onsets_removed=[0.0, 0.9, 0.8, 0.5, 0.4, -0.2],
        verdict=["", "", DESTRUCTIVE, "", "", ""],
    )
    assert seems_best(arms, margin=0.05)["arm"] == "first"
    assert seems_best(arms[arms["arm"] != "first"], margin=0.05)["arm"] == "weaker"
    assert seems_best(arms.iloc[[0, 1, 2, 5]], margin=0.05) is None
    unchanged = arms.iloc[[0, 5]].assign(onsets_removed=0.0)
    assert seems_best(unchanged, margin=0.05) is None


def test_lines_of_an_earlier_implementation_get_names():
    sweep = pd.DataFrame({"subset_name": ["baseline", "top_2", "top_2"], "scale": ["1.0", "0.50", None]})
    assert list(with_arm_names(sweep)["arm"]) == ["baseline", "top_2_x0.5", "top_2"]
    assert list(with_arm_names(sweep.drop(columns="scale"))["arm"]) == ["baseline", "top_2", "top_2"]
    named = sweep.assign(arm=["a", "b", "c"])
    assert list(with_arm_names(named)["arm"]) == ["a", "b", "c"]
    assert list(with_arm_names(pd.DataFrame({"scale": [1.0]}))) == ["scale"]


def test_an_arm_has_its_counts_in_its_line():
    cut = rows("cut", "intervention", seldom, mostly)
    cut.loc[cut["sample_id"] == 5, "finish_reason"] = "length"
    table = summarize_arms(pd.concat([BASELINE, cut.assign(scale=0.5, fresh_wrong=2, fresh_right=3)]), 0.05)
    assert tuple(table.columns[: len(SUBSET_COLUMNS)]) == SUBSET_COLUMNS
    line = table.set_index("arm").loc["cut"]
    assert (line["total"], line["problems"], line["finished_count"]) == (480, 80, 400)
    assert (line["backtracking_count"], line["correct_count"]) == (80, 360)
    assert (line["subset_name"], line["scale"], line["num_components"], line["kind"]) == (
        "cut",
        0.5,
        1,
        "intervention",
    )
    assert line["backtracking_rate"] == pytest.approx(80 / 480)
    assert line["truncation_rate"] == pytest.approx(80 / 480)


def test_losing_more_than_the_margin_has_a_p_value_and_a_number_of_problems():
    """No answer changes in 80 problems though one in 20 were lost: 0.95⁸⁰; log 0.025 ÷ log 0.95 would do."""
    line = summarize_arms(
        pd.concat([BASELINE, rows("same", "intervention", seldom, mostly)]), margin=0.05
    ).set_index("arm").loc["same"]  # fmt: skip
    assert line["accuracy_no_worse_p"] == pytest.approx(0.95**80)
    assert line["accuracy_deciding_problems"] == pytest.approx(math.log(0.025) / math.log(0.95), rel=0.01)


def stepped(arm, correct, wrong, after_wrong, right, after_right, problem="p0"):
    """Four completions of one problem; the first holds all steps."""
    kind = "baseline" if arm == "baseline" else "intervention"
    part = rows(arm, kind, lambda _, s: s < after_wrong + after_right, lambda _, s: s < correct).iloc[:4]
    return part.assign(
        example_id=problem,
        fresh_wrong=[wrong, 0, 0, 0],
        onsets_after_fresh_wrong=[after_wrong, 0, 0, 0],
        fresh_right=[right, 0, 0, 0],
        onsets_after_fresh_right=[after_right, 0, 0, 0],
    )


def test_the_front_counts_onsets_at_the_mix_of_steps_of_the_baseline():
    """The baseline errs in a quarter of its steps: it costs 1/4 × 1 = 0.25, and the arm 3/4 × 1/4 = 0.1875.

    At the arm's own mix both would cost 0.2.
    """
    base = stepped("baseline", 2, wrong=20, after_wrong=20, right=60, after_right=0)
    arm = stepped("arm", 2, wrong=1, after_wrong=0, right=4, after_right=1)
    none_wrong = stepped("none wrong", 2, wrong=0, after_wrong=0, right=4, after_right=0)
    better = stepped("better", 3, wrong=2, after_wrong=2, right=4, after_right=4)
    front = front_probability(pd.concat([base, arm, none_wrong, better]), seed=0, draws=5)
    assert front.to_dict() == {"baseline": 0.0, "arm": 1.0, "none wrong": 0.0, "better": 1.0}
    assert front.name == "front_probability"


def test_equals_stand_on_the_front_together_and_as_many_onsets_with_fewer_right_behind_it():
    base = stepped("baseline", 2, 0, 0, 4, 2)
    others = [stepped("same", 2, 0, 0, 4, 2), stepped("worse", 1, 0, 0, 4, 2)]
    front = front_probability(pd.concat([base, *others]), seed=0, draws=5)
    assert front.to_dict() == {"baseline": 1.0, "same": 1.0, "worse": 0.0}


def test_problems_are_drawn_for_the_front():
    """Drawn of two problems: the first twice, each once, the second twice, at 1/4, 1/2 and 1/4.

    In the first the arm has fewer onsets and as many right, in the second as many onsets and fewer right.
    """
    parts = [
        stepped("baseline", 4, 0, 0, 4, 4, problem="p0"),
        stepped("baseline", 4, 0, 0, 4, 4, problem="p1"),
        stepped("arm", 4, 0, 0, 4, 0, problem="p0"),
        stepped("arm", 3, 0, 0, 4, 4, problem="p1"),
    ]
    front = front_probability(pd.concat(parts), seed=0)
    assert front.to_dict() == pytest.approx({"baseline": 0.75, "arm": 0.75}, abs=0.04)
    assert (front * 2000 == (front * 2000).round()).all(), "2,000 draws when nothing else is said"
