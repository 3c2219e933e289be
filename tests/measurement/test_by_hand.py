"""Intervals, falls and verdicts worked out again in a few plain lines, number by number."""

import math
from statistics import variance

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from backtracking.measurements import statistics
from backtracking.measurements.bounded import ProblemValues, values_by_problem
from backtracking.measurements.looks import planned
from backtracking.measurements.outcome import (
    AFTER_RIGHT,
    AFTER_WRONG,
    FallingOutcome,
    breaks_text,
    judged_on,
    onsets_removed,
    what_fell,
)
from backtracking.measurements.tradeoff import (
    HELD,
    NO_EFFECT,
    NOT_TESTABLE,
    find_best_tradeoff,
    summarize_arms,
    why_untested,
)
from tests.phase2.test_winning import BASELINE, PROBLEMS, mostly, often, rows, seldom

COUNTS, TOTALS = [0, 3, 5, 6, 2], [6, 6, 6, 6, 4]
WAYS = [FallingOutcome("errors", AFTER_WRONG, 0.25), FallingOutcome("checks", AFTER_RIGHT, 0.75)]
BASE = {"onset_after_wrong": 0.8, "onset_after_right": 0.4}


def test_a_rate_and_its_interval():
    share, size, problems = 16 / 28, 28, 5
    spread = (
        problems / (problems - 1) * sum((c - share * t) ** 2 for c, t in zip(COUNTS, TOTALS, strict=True))
    )
    worst = sum(t**2 for t in TOTALS) / size
    clear = spread / size**2 / (share * (1 - share) / size)
    seen = sum(t - c > 0 for c, t in zip(COUNTS, TOTALS, strict=True))
    weight = statistics._WORST_CASE_WEIGHT
    effect = min((seen * clear + weight * worst) / (seen + weight), worst)
    pull = stats.t.ppf(0.975, problems - 1) ** 2 * effect / size
    middle = (share + pull / 2) / (1 + pull)
    reach = math.sqrt(pull * (share * (1 - share) + pull / 4)) / (1 + pull)
    found = statistics.rate(COUNTS, TOTALS)
    assert (found.value, found.low, found.high) == pytest.approx((share, middle - reach, middle + reach))


def test_no_share_passes_one():
    found = statistics.rate([4, 4, 4], [4, 4, 4])
    assert found.low < found.value == found.high == 1.0


def test_a_ratio_and_its_interval_ignore_problems_with_nothing():
    top, bottom = np.array([3.0, 5.0, 1.0, 4.0]), np.array([2.0, 2.0, 1.0, 5.0])
    influence = top / top.sum() - bottom / bottom.sum()
    reach = stats.t.ppf(0.975, 3) * math.sqrt(4 * variance(influence.tolist()))
    found = statistics.ratio([*top, 0], [*bottom, 0])
    value = 13 / 10
    assert (found.value, found.low, found.high) == pytest.approx(
        (value, value * math.exp(-reach), value * math.exp(reach))
    )


def test_the_p_value_of_clustered_odds():
    tables = np.array([[[4, 1], [2, 3]], [[3, 2], [1, 4]], [[5, 2], [3, 3]], [[2, 2], [2, 5]]], dtype=float)
    sizes = tables.sum((1, 2))
    agree, disagree = tables[:, 0, 0] * tables[:, 1, 1] / sizes, tables[:, 0, 1] * tables[:, 1, 0] / sizes
    influence = agree / agree.sum() - disagree / disagree.sum()
    error = math.sqrt(len(tables) * variance(influence.tolist()))
    found = statistics.clustered_odds(tables)
    t = abs(math.log(agree.sum() / disagree.sum())) / error
    assert found.odds_ratio == pytest.approx(agree.sum() / disagree.sum())
    assert found.p == pytest.approx(2 * stats.t.sf(t, len(tables) - 1))


@pytest.mark.parametrize("draws", [1, 7, 2000])
def test_problems_are_drawn_as_often_as_asked(draws, monkeypatch):
    monkeypatch.setattr(statistics, "_BLOCK", 30)
    drawn = np.concatenate(statistics._resampled(np.ones((10, 1)), draws, seed=0))
    assert drawn.shape == (draws, 1)
    assert (drawn == 10).all()


def line(**more):
    return pd.Series(
        {f"{name}_diff{end}": value for name, ends in more.items() for end, value in ends.items()}
    )


def test_the_share_of_onsets_taken_away_and_its_interval():
    arm = line(
        onset_after_wrong={"": -0.2, "_low": -0.26, "_high": -0.1},
        onset_after_right={"": -0.3, "_low": -0.38, "_high": -0.25},
    )
    whole = 0.25 * 0.8 + 0.75 * 0.4
    value = (0.25 * 0.2 + 0.75 * 0.3) / whole
    below = math.hypot(0.25 * 0.1, 0.75 * 0.05) / whole
    above = math.hypot(0.25 * 0.06, 0.75 * 0.08) / whole
    found = onsets_removed(arm, pd.Series(BASE), WAYS)
    assert (found.value, found.low, found.high) == pytest.approx((value, value - below, value + above))


@pytest.mark.parametrize(("p", "fell"), [(0.02, ["errors"]), (0.03, []), (0.06, [])])
def test_every_way_of_falling_has_its_share_of_the_level(p, fell):
    arm = line(
        onset_after_wrong={"": -0.2, "_low": -0.3, "_p_holm": p},
        onset_after_right={"": 0.0, "_low": -0.1, "_p_holm": 1.0},
    )
    assert what_fell(arm, pd.Series(BASE), WAYS, margin=0.05) == fell


def test_text_is_broken_by_more_than_the_margin():
    assert not breaks_text(line(truncation={"_low": 0.05}), 0.05)
    assert breaks_text(line(truncation={"_low": 0.06}), 0.05)
    assert not breaks_text(line(backtracking={"_low": 0.5}), 0.05)


def test_a_table_says_what_its_arms_were_judged_on():
    assert judged_on(pd.DataFrame({"judged_on": [None, "onset_after_wrong"]})) == AFTER_WRONG
    assert judged_on(pd.DataFrame({"arm": ["a"]})).name == "backtracking_rate"


def test_few_problems_decide_nothing_not_even_that_text_is_broken():
    broken = rows("broken", "intervention", seldom, mostly).assign(finish_reason="length", is_loop=True)
    events = pd.concat([BASELINE, broken])
    table = summarize_arms(events, 0.05).set_index("arm")
    assert table.loc["broken", "verdict"] == "destructive"
    few = events[events["example_id"].isin([f"p{number}" for number in range(4)])]
    table = summarize_arms(few, 0.05).set_index("arm")
    assert table.loc["broken", "verdict"] == NOT_TESTABLE
    assert "problems" in table.loc["broken", "not_testable"]


def test_ratios_to_the_baseline():
    poor = rows("poor", "intervention", seldom, lambda problem, _: problem % 2 > 0).assign(distinct_3=0.6)
    table = summarize_arms(pd.concat([BASELINE, poor]), 0.05).set_index("arm")
    assert table.loc["poor", "distinct_3_ratio"] == pytest.approx(0.6 / 0.9)
    assert table.loc["poor", "retention"] == pytest.approx(0.5 / 0.75)


def test_equal_reductions_are_told_apart_by_accuracy_then_by_size():
    arms = pd.DataFrame(
        {
            "arm": ["large", "less right", "small", "weak"],
            "kind": "intervention",
            "verdict": HELD,
            "onsets_removed": [0.5, 0.5, 0.5, 0.4],
            "accuracy": [0.8, 0.7, 0.8, 0.9],
            "num_components": [2, 1, 1, 1],
        }
    )
    assert find_best_tradeoff(arms)["arm"] == "small"
    assert find_best_tradeoff(arms[arms["arm"] != "small"])["arm"] == "large"


def judged(*arms, base=BASELINE, looks=None):
    return summarize_arms(pd.concat([base, *arms]), 0.05, looks).set_index("arm")


def test_a_sweep_in_waves_pays_for_its_looks():
    fewer = rows("fewer", "intervention", lambda p, s: often(p, s) and p % 5 > 0, mostly)
    once, looks = judged(fewer).loc["fewer"], planned(PROBLEMS)
    line = judged(fewer, looks=looks).loc["fewer"]
    assert line["problems_in_full"] == PROBLEMS == looks.ends[-1]
    assert line["nominal_level"] == looks.level(PROBLEMS) < 0.05
    assert line["backtracking_diff_p"] == pytest.approx(looks.overall(once["backtracking_diff_p"], PROBLEMS))
    assert line["accuracy_diff_low"] <= once["accuracy_diff_low"]
    wide, narrow = (one["backtracking_diff_high"] - one["backtracking_diff_low"] for one in (line, once))
    assert wide > narrow
    half = [f"p{number}" for number in range(PROBLEMS // 2)]
    part = [frame[frame["example_id"].isin(half)] for frame in (BASELINE, fewer)]
    early = judged(part[1], base=part[0], looks=looks).loc["fewer"]
    assert early["problems_in_full"] == PROBLEMS
    assert early["nominal_level"] == looks.level(PROBLEMS // 2) < line["nominal_level"]


def test_what_an_arm_may_be_beside_a_reduction():
    more = rows("more", "intervention", lambda problem, sample: True, mostly)
    same = rows("same", "intervention", often, mostly)
    table = judged(more, same)
    assert table.loc["more", "verdict"] == "raises backtracking"
    assert table.loc["same", "verdict"] == NO_EFFECT
    uneven = rows("uneven", "intervention", lambda p, s: p % 3 > 0, mostly)
    assert judged(uneven).loc["uneven", "verdict"] == "inconclusive"


def test_a_baseline_that_is_cut_or_wrong_judges_nothing():
    fewer = rows("fewer", "intervention", seldom, mostly)
    cut = BASELINE.assign(finish_reason=np.where(BASELINE["sample_id"] < 4, "length", "stop"))
    line = judged(fewer, base=cut).loc["fewer"]
    assert line["verdict"] == NOT_TESTABLE
    assert "baseline completions are cut" in line["not_testable"]
    wrong = judged(fewer, base=BASELINE.assign(is_correct=False)).loc["fewer"]
    assert wrong["verdict"] == NOT_TESTABLE
    assert pd.isna(wrong["retention"])
    silent = judged(fewer, base=BASELINE.assign(has_backtracking_strict=False, n_onsets_strict=0)).loc[
        "fewer"
    ]
    assert silent["verdict"] == NOT_TESTABLE
    assert "onset" in silent["not_testable"]


def test_why_no_arm_could_be_judged():
    table = pd.DataFrame({"verdict": [NOT_TESTABLE] * 3, "not_testable": ["few", "cut", "few"]})
    assert why_untested(table) == "few; cut"
    assert why_untested(table.assign(verdict=[NOT_TESTABLE, HELD, NOT_TESTABLE])) == ""
    assert why_untested(table.drop(columns="not_testable")) == ""
    assert why_untested(table.iloc[:0]) == ""


def test_the_smallest_loss_of_accuracy_that_would_have_been_seen():
    worse = rows("worse", "intervention", often, lambda p, s: mostly(p, s) and (p + s) % 7 > 0)
    before, after = (frame.groupby("example_id")["is_correct"].mean() for frame in (BASELINE, worse))
    error = (after - before).std() / math.sqrt(PROBLEMS)
    quantiles = stats.t.ppf(0.975, PROBLEMS - 1) + stats.t.ppf(0.8, PROBLEMS - 1)
    assert judged(worse).loc["worse", "accuracy_minimum_detectable"] == pytest.approx(
        quantiles * error, rel=0.02
    )


def test_no_more_than_all_onsets_can_be_taken_away():
    arm = line(
        onset_after_wrong={"": -0.7, "_low": -0.9, "_high": -0.5},
        onset_after_right={"": -0.4, "_low": -0.6, "_high": -0.2},
    )
    found = onsets_removed(arm, pd.Series(BASE), WAYS)
    assert found.low < found.value < found.high == 1.0


def test_problems_without_completions_say_nothing():
    whole, more = statistics.rate([2, 3, 0], [4, 4, 4]), statistics.rate([2, 3, 0, 0], [4, 4, 4, 0])
    assert (more.value, more.low, more.high) == (whole.value, whole.low, whole.high)
    values = values_by_problem(([2, 1, 3], [4, 0, 4]), ([1, 1, 0], [4, 4, 0]))
    assert len(values.each) == 1


def test_a_difference_that_lies_at_the_worst_end_is_certain():
    worst = ProblemValues(np.full(5, -1.0), 1.0)
    assert worst.p_at_most(-1.0) == worst.p_at_most(0.0) == 1.0
    assert worst.low() == -1.0


@pytest.mark.parametrize("method", [statistics.mantel_haenszel, statistics.clustered_odds])
def test_odds_where_one_side_never_happens(method):
    never = np.array([[[0, 4], [3, 2]], [[0, 3], [2, 5]]], dtype=float)
    always = never[:, ::-1]
    assert method(never).odds_ratio == 0.0
    assert method(always).odds_ratio == math.inf
    assert math.isnan(method(never).p)
    one_outcome = np.array([[[3, 0], [2, 0]], [[2, 2], [1, 3]], [[3, 1], [1, 2]]], dtype=float)
    assert method(one_outcome).informative == 2
