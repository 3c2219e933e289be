"""Error coupling: onsets after wrong and right steps, against the small reasoner's planted rates."""

import random

import numpy as np
import pandas as pd
import pytest

from backtracking.config.schema import DetectionConfig
from backtracking.measurements.coupling import coupling_table, follow_steps, preceded_by_error
from backtracking.organism.design import DESIGN
from backtracking.organism.task import tiny_problems
from backtracking.organism.traces import write_trace
from backtracking.text.arithmetic import find_steps
from backtracking.text.onsets import Detector

DETECTOR = Detector(DetectionConfig())


def follow(text, *, truncated=False):
    return follow_steps(text, find_steps(text), DETECTOR.of_kind(text, "strict"), truncated=truncated)


def test_each_step_and_whether_an_onset_comes_before_the_next():
    text = "5 + 3 = 9. Wait, 5 + 3 = 8. 8 + 1 = 9. Hmm. 9 + 1 = 11. So 11."
    assert follow(text) == {
        "steps_right": 2,
        "steps_wrong": 2,
        "onsets_after_right": 0,
        "onsets_after_wrong": 1,
        "fresh_right": 1,
        "fresh_wrong": 2,
        "onsets_after_fresh_right": 0,
        "onsets_after_fresh_wrong": 1,
    }


def test_relaxed_onsets_do_not_count():
    assert follow("5 + 3 = 9. Hmm. 1 + 1 = 2.")["onsets_after_wrong"] == 0


def test_two_onsets_after_one_step_count_once():
    assert follow("5 + 3 = 9. Wait, hold on, no.")["onsets_after_wrong"] == 1


def test_the_last_step_of_a_cut_row_is_censored_unless_an_onset_was_seen():
    assert follow("1 + 1 = 2. 5 + 3 = 9. And", truncated=True)["steps_wrong"] == 0
    assert follow("1 + 1 = 2. 5 + 3 = 9. Wait", truncated=True)["onsets_after_wrong"] == 1


def test_preceded_by_error():
    text = "Wait. 5 + 3 = 9. Wait. 5 + 3 = 8. Wait."
    places = [onset.start for onset in DETECTOR.find(text)]
    assert [preceded_by_error(find_steps(text), place) for place in places] == [None, True, False]


def test_planted_rates_are_recovered():
    rng, rows = random.Random(1), []
    for problem in tiny_problems("train", 600, 1):
        for _ in range(3):
            text = write_trace(problem, "baseline_think_newline", rng).text
            rows.append({"example_id": problem.id} | follow(text))
    sums = pd.DataFrame(rows).groupby("example_id").sum()
    (line,) = coupling_table({("main", "baseline"): sums}).to_dict("records")
    form = DESIGN.formats["baseline_think_newline"]
    assert line["p_onset_after_wrong_low"] <= form.trigger <= line["p_onset_after_wrong_high"]
    assert line["p_onset_after_right_low"] <= form.false_alarm <= line["p_onset_after_right_high"]
    assert line["difference_low"] <= form.trigger - form.false_alarm <= line["difference_high"]
    assert line["odds_ratio_low"] > 1
    assert line["informative_problems"] > 50


def test_no_coupling_gives_an_odds_ratio_of_one():
    generator = np.random.default_rng(0)
    steps = generator.integers(1, 8, (300, 2))
    followed = generator.binomial(steps, generator.beta(2, 3, (300, 1)))
    columns = ["steps_right", "steps_wrong", "onsets_after_right", "onsets_after_wrong"]
    sums = pd.DataFrame(np.hstack([steps, followed]), columns=columns, index=pd.RangeIndex(300))
    (line,) = coupling_table({("main", "baseline"): sums}).to_dict("records")
    assert line["odds_ratio_low"] < 1 < line["odds_ratio_high"]


def test_without_any_step():
    sums = pd.DataFrame(
        0.0, index=["a"], columns=["steps_right", "steps_wrong", "onsets_after_right", "onsets_after_wrong"]
    )
    (line,) = coupling_table({("main", "baseline"): sums}).to_dict("records")
    assert line["n_wrong"] == 0
    assert line["odds_ratio"] != pytest.approx(1.0)
