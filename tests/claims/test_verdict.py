"""The record of a verdict: how parts make an outcome, how many problems decide, what the audit takes away."""

import json
import math

import numpy as np
import pytest

from backtracking.claims.audit.check import Check
from backtracking.claims.parts import (
    TableEstimate,
    above,
    below,
    fact,
    missing,
    problems_to_decide,
    undecided,
    within,
)
from backtracking.claims.verdict import Claim, as_data, upheld
from backtracking.measurements.statistics import paired_difference

CLAIM = Claim("key", "It is so", "Supported when it is.", ("rows_cut", "row_keys"), "All of it.")
NEAR_ZERO = TableEstimate(-0.06, -0.24, 0.12, 24)


@pytest.mark.parametrize(
    ("part", "outcome"),
    [
        (above("x", TableEstimate(0.3, 0.2, 0.4, 50), 0.1, "far"), "supported"),
        (above("x", TableEstimate(0.0, -0.05, 0.05, 50), 0.1, "short"), "contradicted"),
        (above("x", TableEstimate(0.1, 0.0, 0.2, 50), 0.1, "near"), "inconclusive"),
        (below("x", TableEstimate(-0.3, -0.4, -0.2, 50), 0.0, "far"), "supported"),
        (below("x", TableEstimate(0.3, 0.2, 0.4, 50), 0.0, "beyond"), "contradicted"),
        (below("x", NEAR_ZERO, 0.0, "near"), "inconclusive"),
        (within("x", TableEstimate(0.0, -0.02, 0.03, 50), 0.05, "inside"), "supported"),
        (within("x", TableEstimate(0.2, 0.1, 0.3, 50), 0.05, "outside"), "contradicted"),
        (within("x", NEAR_ZERO, 0.05, "both"), "inconclusive"),
        (missing("a table"), "not testable"),
        (fact(True, "read off"), "supported"),
        (fact(False, "read off"), "contradicted"),
        (undecided("open"), "inconclusive"),
    ],
)
def test_an_interval_wholly_on_one_side_decides_and_nothing_else(part, outcome):
    assert CLAIM.judge(part).outcome == outcome


def test_24_problems_and_minus_6_are_inconclusive_with_the_number_that_would_decide():
    verdict = CLAIM.judge(below("x", NEAR_ZERO, 0.0, "-6.0 [-24.0, +12.0]"))
    assert verdict.outcome == "inconclusive"
    assert verdict.deciding_problems == math.ceil(problems_to_decide(NEAR_ZERO, 0.0)) > 300
    assert f"about {verdict.deciding_problems:,} problems would decide" in verdict.because
    assert verdict.numbers["x_low"] == -0.24


@pytest.mark.parametrize(
    ("parts", "outcome"),
    [
        ((fact(True, "a"), fact(True, "b")), "supported"),
        ((fact(True, "a"), undecided("b")), "inconclusive"),
        ((undecided("a"), missing("b")), "not testable"),
        ((missing("a"), fact(False, "b")), "contradicted"),
    ],
)
def test_one_part_that_fails_contradicts_and_one_without_data_keeps_from_testing(parts, outcome):
    assert CLAIM.judge(*parts).outcome == outcome


def test_an_estimate_on_the_threshold_gets_no_number_that_nobody_could_plan_with():
    verdict = CLAIM.judge(below("x", TableEstimate(0.0, -0.2, 0.2, 24), 0.0, "none"))
    assert verdict.deciding_problems is None and "more than 1,000,000 problems" in verdict.because


def test_modes_that_disagree_are_inconclusive_whatever_else_was_found():
    verdict = CLAIM.mode_dependent(undecided("zero: a; mean: b"), fact(False, "c"), missing("d"))
    assert (verdict.outcome, verdict.missing) == ("inconclusive", "")
    assert verdict.because.startswith("mode-dependent: ") and "zero: a; mean: b" in verdict.because


@pytest.mark.parametrize("effect", [0.08, 0.12])
def test_so_many_problems_do_decide_with_the_named_power(effect):
    """Studies of the named size, drawn anew, decide in 80 of 100; those of the first size far less."""
    generator = np.random.default_rng(0)

    def study(problems):
        base = generator.beta(2, 2, problems)
        pair = (generator.binomial(4, np.clip(base - shift, 0, 1)) for shift in (effect, 0.0))
        return paired_difference(*((counts, np.full(problems, 4.0)) for counts in pair))

    small = [study(24) for _ in range(300)]
    named = math.ceil(np.median([problems_to_decide(_centred(one, -effect), 0.0) for one in small]))
    decided = np.mean([study(named).high < 0 for _ in range(600)])
    assert 0.70 < decided < 0.88, (named, decided)
    assert np.mean([one.high < 0 for one in small]) < decided


def _centred(found, value):
    """The same interval around the true value: the formula asks what if the truth is what was seen."""
    shift = value - found.value
    return TableEstimate(value, found.low + shift, found.high + shift, found.problems)


def check(name, outcome):
    return Check(name, outcome, "99% of rows are cut", "why", "what to do")


@pytest.mark.parametrize(
    ("checks", "outcome"),
    [
        ([], "supported"),
        ([check("rows_cut", "warn"), check("row_keys", "pass")], "supported"),
        ([check("another", "fail")], "supported"),
        ([check("rows_cut", "fail")], "not testable"),
    ],
)
def test_a_failed_check_leaves_what_rests_on_it_not_testable(checks, outcome):
    (verdict,) = upheld([CLAIM.judge(fact(True, "it is"))], {one.name: one for one in checks})
    assert verdict.outcome == outcome
    if outcome == "not testable":
        assert "rows_cut" in verdict.missing and "99% of rows are cut" in verdict.because


def test_as_data_is_json_without_undefined_numbers():
    odd = above("x", TableEstimate(0.3, 0.2, math.inf, 50), 0.1, "far")
    data = json.loads(json.dumps(as_data([CLAIM.judge(odd)]), allow_nan=False))
    (found,) = data["verdicts"]
    assert data["rules_page"] == "docs/claims.md"
    assert set(found) == {
        "key", "claim", "rule", "outcome", "because", "numbers", "deciding_problems", "missing", "depends_on",
    }  # fmt: skip
    assert found["numbers"]["x_high"] is None and found["depends_on"] == ["rows_cut", "row_keys"]
