"""Intervals from their definitions: ends are tried out where they can be, and else worked out plainly."""

import math

import numpy as np
import pytest
from scipy import optimize, stats

from backtracking.measurements import statistics as st
from backtracking.measurements.bounded import (
    ProblemValues,
    exact_difference,
    no_worse_p,
    problems_to_exclude,
    values_by_problem,
)

NONE = pytest.approx([math.nan] * 2, nan_ok=True)


def wilson(counts, totals, level):
    """Korn and Graubard's interval for clustered data, with a quarter of a problem that is the worst."""
    kept = [(c, t) for c, t in zip(counts, totals, strict=True) if t]
    size, problems, share = sum(t for _, t in kept), len(kept), sum(c for c, _ in kept) / sum(totals)
    worst = sum(t * t for _, t in kept) / size
    effect = worst
    if 0 < share < 1:
        spread = problems / (problems - 1) * sum((c - share * t) ** 2 for c, t in kept)
        seen = sum((c if share < 0.5 else t - c) > 0 for c, t in kept)
        clear = spread / size / (share * (1 - share))
        effect = min((seen * clear + 0.25 * worst) / (seen + 0.25), worst)
    effective, z = size / effect, stats.t.ppf(1 - level / 2, problems - 1)
    ends = [
        (share + z**2 / (2 * effective) + sign * z * math.sqrt(share * (1 - share) / effective
         + z**2 / (4 * effective**2))) / (1 + z**2 / effective)
        for sign in (-1, 1)
    ]  # fmt: skip
    return share, max(0.0, ends[0]), min(1.0, ends[1])


@pytest.mark.parametrize(
    ("counts", "totals"),
    [
        ([0, 3, 5, 6, 2], [6, 6, 6, 6, 4]),
        ([4, 2, 1, 1], [4, 4, 4, 4]),
        ([1, 0, 0, 0, 0, 0], [2, 2, 2, 2, 2, 2]),
        ([2, 2, 2, 2, 1], [2, 2, 2, 2, 2]),
        ([4, 0], [4, 4]),
        ([2, 3, 0, 0], [4, 4, 4, 0]),
        ([0, 0, 0], [5, 1, 2]),
        ([3, 3], [3, 3]),
        ([1, 0, 1], [1, 1, 3]),
    ],
)
@pytest.mark.parametrize("level", [0.05, 0.01])
def test_a_share_of_clustered_completions(counts, totals, level):
    found = st.rate(counts, totals, level)
    assert (found.value, found.low, found.high) == pytest.approx(wilson(counts, totals, level))


def test_a_ratio_at_another_level():
    wide, narrow = (st.ratio([3.0, 5, 1], [2, 2, 1], level) for level in (0.01, 0.05))
    quantiles = stats.t.ppf(0.995, 2) / stats.t.ppf(0.975, 2)
    assert math.log(wide.high / wide.value) == pytest.approx(quantiles * math.log(narrow.high / narrow.value))
    assert math.log(wide.value / wide.low) == pytest.approx(math.log(wide.high / wide.value))


def test_what_too_few_problems_say():
    one = st.ratio([2.0], [4.0])
    assert one.value == 0.5
    assert [one.low, one.high] == NONE
    two = st.ratio([2.0, 1.0], [4.0, 4.0])
    assert two.low < two.value < two.high
    assert math.isnan(st.ratio([0.0], [0.0]).value)
    assert math.isnan(st.ratio([2.0, 1.0], [0.0, 0.0]).value)
    found = st.Interval(0.5, 0.4, 0.6)
    assert st.unless_few(found, 6) is found
    few = st.unless_few(found, 5)
    assert few.value == 0.5
    assert [few.low, few.high] == NONE


def test_an_interval_ends_where_its_quantity_ends():
    assert st.at_most(st.Interval(0.5, -0.2, 1.3), 0.0, 1.0) == st.Interval(0.5, 0.0, 1.0)
    inside = st.Interval(0.5, 0.2, 0.7)
    assert st.at_most(inside, 0.0, 1.0) == inside
    wide = st.Difference(0.1, -1.4, 1.6, 0.5, 0.7, 3)
    assert st.of_shares(wide) == st.Difference(0.1, -1.0, 1.0, 0.5, 0.7, 3)
    assert st.estimate_columns("x", inside) == {"x": 0.5, "x_low": 0.2, "x_high": 0.7}


def test_the_smallest_difference_that_would_have_been_seen():
    known = st.Difference(0.1, 0.0, 0.2, 0.05, error=0.04, problems=11)
    assert known.minimum_detectable == pytest.approx(0.04 * (stats.t.ppf(0.975, 10) + stats.t.ppf(0.8, 10)))
    assert math.isnan(st.Difference(0.0, 0.0, 0.0, 1.0, error=0.0, problems=11).minimum_detectable)
    assert math.isnan(st.NO_DIFFERENCE.minimum_detectable)


ONE, OTHER = ([3, 1, 2, 9, 0], [4, 4, 3, 9, 0]), ([1, 1, 0, 0, 2], [4, 2, 4, 0, 3])
"""Sums of five problems; the last two have completions on one side alone."""
BOTH = range(3)


def test_a_difference_of_shares_and_its_error():
    share, other = 6 / 11, 2 / 10
    influence = [
        (ONE[0][k] - share * ONE[1][k]) / 11 - (OTHER[0][k] - other * OTHER[1][k]) / 10 for k in BOTH
    ]
    error = math.sqrt(3 / 2 * sum(one**2 for one in influence))
    found = st.paired_difference(ONE, OTHER)
    assert (found.value, found.error, found.problems) == pytest.approx((share - other, error, 3))
    assert found.p == pytest.approx(2 * stats.t.sf(found.value / error, 2))
    reach = stats.t.ppf(0.975, 2) * error
    assert (found.low, found.high) == pytest.approx((found.value - reach, found.value + reach))


def test_a_difference_inside_problems_and_its_error():
    def mean(kept):
        weights = [ONE[1][k] * OTHER[1][k] / (ONE[1][k] + OTHER[1][k]) for k in kept]
        gaps = [ONE[0][k] / ONE[1][k] - OTHER[0][k] / OTHER[1][k] for k in kept]
        return np.average(gaps, weights=weights)

    found = st.difference_within(ONE, OTHER)
    without = [mean([k for k in BOTH if k != left]) for left in BOTH]
    error = math.sqrt(3 / 2 * sum((one - mean(BOTH)) ** 2 for one in without))
    assert (found.value, found.error, found.problems) == pytest.approx((mean(BOTH), error, 3))


@pytest.mark.parametrize("difference", [st.paired_difference, st.difference_within])
def test_differences_of_few_problems_and_of_none(difference):
    assert difference(([], []), ([], [])) is st.NO_DIFFERENCE
    assert difference(([1, 0], [1, 0]), ([0, 1], [0, 1])) is st.NO_DIFFERENCE
    one = difference(([1], [2]), ([0], [2]))
    assert (one.value, one.problems) == (0.5, 1)
    assert [one.low, one.p] == NONE
    same = difference(([2, 2], [4, 4]), ([2, 2], [4, 4]))
    step = 1 / 8 + 1 / 8
    assert (same.value, same.p) == (0.0, 1.0)
    assert same.error == pytest.approx(step / math.sqrt(2) * math.sqrt(2))
    assert same.high == pytest.approx(stats.t.ppf(0.975, 1) * step)


@pytest.mark.parametrize("difference", [st.paired_difference, st.difference_within])
@pytest.mark.parametrize("problems", [3, 400])
def test_at_a_look_a_difference_is_never_narrower_than_no_step_would_leave_it(difference, problems):
    """Of few problems Student's reach is the larger one, of 400 with hardly a difference the other is."""
    totals = np.full(problems, 2.0)
    ours = np.ones(problems)
    ours[0] = 2.0
    level = 1e-4
    found = difference((ours, totals), (np.ones(problems), totals), level=level)
    students = stats.t.ppf(1 - level / 2, problems - 1) * found.error
    least = math.log(2 / level) * (1 / totals.sum() + 1 / totals.sum()) / 2
    assert (students > least) == (problems == 3)
    assert found.high - found.value == pytest.approx(max(students, least))
    assert found.value - found.low == pytest.approx(max(students, least))


def test_a_difference_of_what_has_nothing_in_common():
    found = st.difference_of_independent(st.Interval(0.7, 0.6, 0.75), st.Interval(0.5, 0.3, 0.52))
    assert found.value == pytest.approx(0.2)
    assert found.low == pytest.approx(0.2 - math.hypot(0.1, 0.02))
    assert found.high == pytest.approx(0.2 + math.hypot(0.05, 0.2))


@pytest.mark.parametrize("sizes", [np.ones(8), np.array([1.0, 3, 2, 2, 5, 1, 4, 2])])
def test_the_ends_of_a_missing_share_are_where_a_t_test_gives_in(sizes):
    """Were the kept share what an end leaves, the residuals' sum would lie just at the quantile."""
    whole = np.array([2.0, 3.5, 1.0, 4.0, 6.0, 2.5, 3.0, 1.5])
    kept = np.array([1.5, 1.0, 0.9, 1.0, 3.0, 0.5, 2.0, -0.2])
    found = st.removed_share(kept, whole, sizes)
    assert found.value == pytest.approx(1 - kept.sum() / whole.sum())
    assert found.low < found.value < found.high
    for end in (found.low, found.high):
        gaps = kept - (1 - end) * whole
        residuals = gaps - gaps.sum() * sizes / sizes.sum()
        t = gaps.sum() / math.sqrt(8 / 7 * (residuals**2).sum())
        assert abs(t) == pytest.approx(stats.t.ppf(0.975, 7))
        if sizes.max() == 1:
            assert stats.ttest_1samp(gaps, 0).pvalue == pytest.approx(0.05)


def test_a_share_that_is_missing_everywhere_alike_has_an_interval():
    """As if two problems of five differed by one: n ÷ (n − 1) × 2 = 2.5 is added to the variance."""
    whole = np.array([4.0, 6.0, 5.0, 6.0, 4.0])
    found = st.removed_share(whole / 2, whole, np.ones(5))
    spread = 5 / 4 * ((whole - 5) ** 2).sum()

    def excess(share):
        gap = 12.5 - share * 25
        return gap**2 - stats.t.ppf(0.975, 4) ** 2 * ((0.5 - share) ** 2 * spread + 2.5)

    assert found.value == 0.5
    assert 1 - found.high == pytest.approx(optimize.brentq(excess, -2, 0.5))
    assert 1 - found.low == pytest.approx(optimize.brentq(excess, 0.5, 3))


def test_a_whole_that_may_be_nothing_has_no_missing_share():
    unclear = st.removed_share([1.0, -0.5, 0.2], [4.0, -3.0, 0.5], np.ones(3))
    assert unclear.value == pytest.approx(1 - 0.7 / 1.5)
    assert [unclear.low, unclear.high] == NONE
    assert math.isnan(st.removed_share([1.0, 2.0], [1.0, -1.0], np.ones(2)).value)
    one = st.removed_share([1.0], [4.0], [1.0])
    assert one.value == 0.75
    assert [one.low, one.high] == NONE
    two = st.removed_share([1.0, 1.01], [4.0, 4.0], [1.0, 1.0])
    assert two.low < two.value < two.high


def test_corrected_p_values():
    assert st.holm([0.01, 0.04, math.nan, 0.03]).tolist() == pytest.approx(
        [0.03, 0.06, math.nan, 0.06], nan_ok=True
    )
    assert st.holm([0.9, 0.8]).tolist() == [1.0, 1.0]


def test_odds_over_problems_against_the_classic_test():
    tables = np.array([[[4, 1], [2, 3]], [[3, 2], [1, 4]], [[0, 3], [0, 2]]], dtype=float)
    found = st.mantel_haenszel(tables)
    expected = sum(t[0].sum() * t[:, 0].sum() / t.sum() for t in tables[:2])
    spread = sum(t.sum(0).prod() * t.sum(1).prod() / (t.sum() ** 2 * (t.sum() - 1)) for t in tables[:2])
    assert found.p == pytest.approx(stats.chi2.sf((7 - expected) ** 2 / spread, 1))
    assert found.informative == 2


@pytest.mark.parametrize("problems", [1, 2, 3])
def test_problems_that_are_all_alike_have_odds_and_no_interval(problems):
    """How much others would differ from them cannot be known; 4 × 3 ÷ 2 × 1."""
    found = st.clustered_odds([[[4, 1], [2, 3]]] * problems)
    assert found.informative == problems
    assert [found.low, found.high] == NONE
    assert math.isnan(found.p)
    assert found.odds_ratio == pytest.approx(6.0)


def test_a_bootstrap_of_hardly_anything():
    def share(sums):
        return sums[:, 0] / sums[:, 1]

    assert math.isnan(st.cluster_bootstrap(np.zeros((0, 2)), share, seed=0).value)
    one = st.cluster_bootstrap([[1.0, 2.0]], share, seed=0)
    assert one.value == 0.5
    assert [one.low, one.high] == NONE
    undefined = st.cluster_bootstrap(np.zeros((3, 2)), share, seed=0)
    assert [undefined.low, undefined.high] == NONE
    two = st.cluster_bootstrap([[1.0, 2.0], [2.0, 2.0]], share, seed=0)
    assert (two.value, two.low, two.high) == (0.75, 0.5, 1.0)


# Bounds for few and for sparse losses


def lost(problems, of):
    """All four samples of each problem right in the baseline, and none of the first ones' in the arm."""
    totals = np.full(problems, 4.0)
    return (np.where(np.arange(problems) < of, 0.0, 4.0), totals), (totals, totals)


@pytest.mark.parametrize("lost_of_all", [1, 3, 5, 6])
def test_the_chance_that_all_problems_lean_to_one_side(lost_of_all):
    """A coin for each: 2 ÷ 2ⁿ, or 1."""
    found = exact_difference(*lost(20, lost_of_all))
    assert found.p == pytest.approx(2 / 2**lost_of_all, abs=1e-6)


def test_a_p_value_of_problems_that_lean_to_both_sides():
    """Five lost and one won, beside one worst problem: five of six coins before the second of the others."""
    totals = np.full(20, 4.0)
    one = np.array([0.0] * 5 + [4.0] + [4.0] * 14)
    other = np.array([4.0] * 5 + [0.0] + [4.0] * 14)
    found = exact_difference((one, totals), (other, totals))
    assert found.p == pytest.approx(2 * 7 / 64, abs=1e-6)
    back = exact_difference((other, totals), (one, totals))
    assert back.p == pytest.approx(found.p)
    assert (back.low, back.high) == pytest.approx((-found.high, -found.low), abs=1e-5)


def test_bounds_at_another_level():
    found = exact_difference(*lost(30, 2), level=0.01)
    assert found.low == pytest.approx(-stats.beta.ppf(0.995, 3, 28), abs=1e-4)


def test_a_mean_beyond_what_is_possible_has_no_chance():
    values = values_by_problem(*lost(20, 3))
    assert values.p_at_most(-1.0) == 0.0
    assert values.p_at_most(0.0) == 1.0
    assert no_worse_p(*lost(20, 3), 1.0) == 0.0


def test_a_problem_with_more_completions_weighs_more():
    """Shares of 2/3 and 5/6; what a problem lies above its side's share counts by its part of completions."""
    values = values_by_problem(([2, 2, 9], [4, 2, 0]), ([4, 1, 9], [4, 2, 9]))
    assert values.most == pytest.approx(2 * 4 / 6)
    ours = [2 / 3 + 2 * 4 / 6 * (2 / 4 - 2 / 3), 2 / 3 + 2 * 2 / 6 * (2 / 2 - 2 / 3)]
    theirs = [5 / 6 + 2 * 4 / 6 * (4 / 4 - 5 / 6), 5 / 6 + 2 * 2 / 6 * (1 / 2 - 5 / 6)]
    assert values.each.tolist() == pytest.approx([ours[0] - theirs[0], ours[1] - theirs[1]])


@pytest.mark.parametrize(("problems", "of", "threshold"), [(40, 1, -0.1), (400, 4, -0.1), (20, 2, -0.15)])
def test_so_many_problems_exclude_a_loss(problems, of, threshold):
    """Clopper and Pearson's end for as many problems, and what chance makes of the mean with 80% power."""
    values = values_by_problem(*lost(problems, of))
    spread = math.sqrt(of * (problems - of) / (problems * (problems - 1)))

    def excess(count):
        losses = of / problems * count
        end = stats.beta.ppf(0.975, losses + 1, count - losses)
        return threshold + end + stats.norm.ppf(0.8) * spread / math.sqrt(count)

    expected = optimize.brentq(excess, 5, 5000)
    assert problems_to_exclude(values, threshold) == pytest.approx(expected, rel=0.011)
    assert problems_to_exclude(values.negated(), -threshold) == pytest.approx(expected, rel=0.011)


def test_what_equals_the_threshold_is_never_excluded():
    assert problems_to_exclude(ProblemValues(np.array([-0.5, 0.0, -0.25]), 1.0), -0.25) == math.inf
    near = ProblemValues(np.array([0.5, -0.5 + 1e-3] * 5), 1.0)
    assert problems_to_exclude(near, 0.0) == math.inf
