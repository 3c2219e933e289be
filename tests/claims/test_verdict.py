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
from backtracking.claims.wording import roughly
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
    assert f"about {roughly(verdict.deciding_problems)} problems would decide" in verdict.because
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
    assert (found["numbers"]["x"], found["numbers"]["x_low"]) == (0.3, 0.2)
    assert found["numbers"]["x_high"] is None and found["depends_on"] == ["rows_cut", "row_keys"]


@pytest.mark.parametrize("distance", [0.35, 0.5, 0.8, 1.1, 1.5])
def test_the_deciding_number_is_that_of_a_power_analysis_by_the_same_t_distribution(distance):
    """statsmodels asks for the same number by the noncentral t distribution."""
    from scipy import special
    from statsmodels.stats.power import TTestPower

    problems = 6
    reach = special.stdtrit(problems - 1, 0.975) / math.sqrt(problems)  # of values whose spread is 1
    asked = problems_to_decide(TableEstimate(distance, distance - reach, distance + reach, problems), 0.0)
    theirs = TTestPower().solve_power(effect_size=distance, alpha=0.05, power=0.8)
    assert abs(asked - math.ceil(theirs)) <= 1


@pytest.mark.parametrize("problems", [2, 4, 6, 7, 12, 100])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.7, 0.95, 0.999])
def test_a_study_that_has_not_decided_is_never_told_that_it_is_large_enough(problems, share):
    """Wherever inside its interval a threshold lies: to decide takes more problems than there are."""
    found = TableEstimate(0.5, 0.2, 0.8, problems)
    assert problems_to_decide(found, 0.5 + 0.3 * share) > problems
    assert problems_to_decide(found, 0.5 - 0.3 * share) > problems


def test_a_number_that_the_study_has_already_is_not_named():
    open_part = above("x", TableEstimate(0.1, 0.0, 0.2, 50), 0.05, "near", deciding=31.0)
    verdict = CLAIM.judge(open_part)
    assert verdict.outcome == "inconclusive"
    assert verdict.deciding_problems is None
    assert "more problems would be needed to decide" in verdict.because


@pytest.mark.parametrize("problems", [1, 4, 5])
def test_few_problems_decide_nothing_whatever_they_show(problems):
    for value in (0.9, 0.0):
        verdict = CLAIM.judge(
            above("x", TableEstimate(value, value - 0.01, value + 0.01, problems), 0.1, "sure")
        )
        assert verdict.outcome == "not testable"
        assert verdict.missing.startswith(f"only {problems} problem")
        assert "a verdict needs 6" in verdict.missing
    enough = above("x", TableEstimate(0.9, 0.89, 0.91, 6), 0.1, "sure")
    assert CLAIM.judge(enough).outcome == "supported"
    unknown = above("x", TableEstimate(0.9, 0.89, 0.91, 0), 0.1, "sure")
    assert CLAIM.judge(unknown).outcome == "supported", "a foreign table may not say how many there were"


def test_five_problems_on_one_side_are_not_beyond_chance_and_six_are():
    """The floor, by all ways in which problems may lean: an exact sign test."""
    from itertools import product

    from backtracking.measurements.floors import FEWEST_PROBLEMS
    from backtracking.measurements.statistics import LEVEL

    def as_extreme(problems):
        ways = list(product((-1, 1), repeat=problems))
        return sum(abs(sum(way)) == problems for way in ways) / len(ways)

    assert as_extreme(FEWEST_PROBLEMS - 1) > LEVEL > as_extreme(FEWEST_PROBLEMS)
