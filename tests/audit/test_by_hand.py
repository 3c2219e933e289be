"""Bounds, chance and differences of the audit, worked out by hand on a few rows."""

import math

import pandas as pd
import pytest
from scipy import stats

from backtracking.claims.audit.answers import FEW_ODD, MANY_ODD, _odd
from backtracking.claims.audit.audited import AuditedRun
from backtracking.claims.audit.chance import _Accuracy, _compared, _hits, chance_of
from backtracking.claims.audit.check import graded
from backtracking.claims.audit.components import _prompt_lengths, _reused
from backtracking.claims.audit.conditions import _apart, _rate
from tests.audit.folders import events, write_run


@pytest.mark.parametrize(
    ("number", "outcome"), [(0.1, "pass"), (0.2, "pass"), (0.3, "warn"), (0.5, "warn"), (0.6, "fail")]
)
def test_above_a_bound_is_beyond_it(number, outcome):
    found = graded(number, "says", warn=0.2, fail=0.5, details=["a"])
    assert (found.outcome, found.number) == (outcome, number)
    assert found.details == (() if outcome == "pass" else ("a",))
    assert graded(9.0, "says", warn=0.2).outcome == "warn"


@pytest.mark.parametrize(
    ("odd", "total", "outcome"),
    [(0, 50, "pass"), (1, 50, "pass"), (2, 50, "warn"), (5, 50, "warn"), (6, 50, "fail"), (4, 5, "warn"),
     (5, 5, "fail")],
)  # fmt: skip
def test_odd_answers(odd, total, outcome):
    """One in fifty is 2%, five are 10%: neither is above. Fewer than five never fail."""
    assert (FEW_ODD, MANY_ODD) == (0.02, 0.1)
    found = _odd(["x", "y", "x", "z", "x", "x"][:odd], total, "answers are odd")
    assert (found.outcome, found.number) == (outcome, odd / total)
    assert found.details == (
        () if outcome == "pass" else tuple(dict.fromkeys(["`x`", "`y`", "`x`", "`z`"][:odd]))
    )


def group_of(tmp_path, table):
    (group,) = AuditedRun(write_run(tmp_path, {"backtracking_events": table})).baselines
    return group


def answered(tmp_path, *rows):
    """A baseline whose completions have these (problem, answer, is it right)."""
    table = events(problems=1, samples=len(rows))
    table = table[(table["condition"] == "baseline") & (table["variant"] == "no_think_tags")]
    names, answers, right = zip(*rows, strict=True)
    table = table.assign(example_id=names, predicted_answer=answers, is_correct=right)
    return group_of(tmp_path, table)


FIVE = [("a", "1", True), ("b", "2", True), ("c", "3", True), ("d", "4", True), ("e", "5", True)]


def test_what_answers_that_are_right_elsewhere_would_get(tmp_path):
    """a's 1 is also said once by b and once by f, of the six rows that are not a's; nobody else repeats."""
    group = answered(tmp_path, *FIVE, ("b", "1.0", False), ("f", "1", False), ("a", "1", True))
    assert chance_of(group) == pytest.approx((2 / 6 + 0 + 0 + 0 + 0) / 5)


def test_four_known_answers_tell_no_chance(tmp_path):
    assert chance_of(answered(tmp_path / "four", *FIVE[:4], ("e", "5", False))) is None
    assert chance_of(answered(tmp_path / "five", *FIVE)) == 0.0


def test_accuracy_is_at_chance_where_its_interval_reaches_it(tmp_path):
    lucky = answered(tmp_path / "lucky", *[(name, "1", name in "abcde") for name in "abcdefghij"])
    found = _compared(lucky)
    assert (found.value, found.chance, found.is_at_chance) == (0.5, 1.0, True)
    sound = answered(
        tmp_path / "sound", *[(name, str(place), True) for place, name in enumerate("abcdefghij")]
    )
    found = _compared(sound)
    assert (found.value, found.chance, found.is_at_chance) == (1.0, 0.0, False)


def test_hits_by_problem_and_value():
    hits = _hits(["p", "q"], ["1", "2"], ["p", "p", "q", "q"], ["1", "2", "2", None])
    assert hits.tolist() == [[1, 1], [0, 1]]


def test_two_rates_apart_as_if_one_completion_of_each_problem_counted(tmp_path):
    run = AuditedRun(write_run(tmp_path, {"backtracking_events": events()}))  # four samples of a problem
    found = _apart("accuracy", (0.5, 80.0), (0.25, 160.0), run)
    pooled = (10 + 10) / 60
    z = 0.25 / math.sqrt(pooled * (1 - pooled) * (1 / 20 + 1 / 40))
    assert found.p == pytest.approx(2 * stats.norm.sf(z))
    alike = _apart("accuracy", (0.0, 80.0), (0.0, 80.0), run)
    assert alike.p == 1.0, "no spread on either side: nothing tells them apart"


def test_prompts_are_measured_where_rows_say_whose_they_are(tmp_path):
    table = events(problems=2, samples=1)
    whole = AuditedRun(write_run(tmp_path / "whole", {"backtracking_events": table}))
    assert set(_prompt_lengths(whole).values()) == {20, 21}
    for column in ("prompt_tokens", "sample_id"):
        run = AuditedRun(write_run(tmp_path / column, {"backtracking_events": table.drop(columns=column)}))
        assert _prompt_lengths(run) == {}


def test_completions_without_a_grade_count_as_not_right(tmp_path):
    """Of ten answers five are right and five have no grade: half of them, not all."""
    rows = [(name, str(place), True if place < 5 else None) for place, name in enumerate("abcdefghij")]
    group = answered(tmp_path, *rows)
    assert _compared(group).value == 0.5
    assert _rate(group, "correct") == (0.5, 10.0)


def test_hardly_any_right_where_chance_is_not_known(tmp_path):
    rows = [(f"p{place:02}", str(place), place == 0) for place in range(50)]
    found = _compared(answered(tmp_path, *rows))
    assert (found.value, found.chance, found.is_at_chance) == (0.02, None, True)
    assert str(found).startswith("accuracy is 2.0% in ")
    better = _compared(answered(tmp_path / "better", *rows[1:], ("p50", "50", True), ("p51", "51", True)))
    assert not better.is_at_chance


def test_an_accuracy_beside_its_chance_in_words():
    known = _Accuracy("here", 0.5, 0.25, is_at_chance=False)
    assert str(known) == "accuracy is 50.0% in here; gold of other problems gives 25.0%"
    tested = _Accuracy("here", 0.5, 0.25, is_at_chance=False, p=0.04)
    assert str(tested) == f"{known} (p = 0.040)"


def test_controls_that_serve_twice():
    lines = [("a", 0, 5), ("a", 0, 5), ("a", 0, 6), ("b", 1, 5)]
    rows = pd.DataFrame(lines, columns=["control_example_id", "control_sample_id", "control_pos"])
    rows = rows.assign(matching="matched_row")
    assert "25.0% of 4 controls" in _reused("matched_row", rows).found
    assert _reused("matched_row", rows.drop(columns="control_pos")) is None
    assert _reused("matched_row", rows.assign(matching="unmatched")) is None
