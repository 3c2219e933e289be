"""Bounds for few and for sparse losses: exact where that is known, and right as often as they say."""

import numpy as np
import pytest
from scipy import stats

from backtracking.measurements.bounded import (
    deciding_problems,
    exact_difference,
    no_worse_p,
    problems_to_exclude,
    values_by_problem,
)
from backtracking.measurements.floors import allowed_loss
from backtracking.measurements.statistics import paired_difference


def lost(problems, of):
    """All samples right in the baseline, and in the arm all but those of the first problems."""
    totals = np.full(problems, 4.0)
    return (np.where(np.arange(problems) < of, 0.0, 4.0), totals), (totals, totals)


@pytest.mark.parametrize(("problems", "of"), [(2, 0), (20, 0), (20, 1), (72, 0), (73, 2), (200, 3), (5, 4)])
def test_whole_problems_lost_are_clopper_and_pearsons_interval(problems, of):
    found = exact_difference(*lost(problems, of))
    assert found.low == pytest.approx(-stats.beta.ppf(0.975, of + 1, problems - of), abs=1e-4)
    if of:
        assert no_worse_p(*lost(problems, of), 0.3) == pytest.approx(
            stats.binom.cdf(of, problems, 0.3), abs=1e-6
        )


def test_the_weighted_sum_is_what_random_weights_make_of_it():
    generator = np.random.default_rng(0)
    totals = np.full(60, 4.0)
    one, other = generator.binomial(4, 0.6, 60), generator.binomial(4, 0.7, 60)
    each = np.append((one - other) / 4, -1.0)
    weights = generator.exponential(size=(100_000, 61))
    drawn = weights @ each / weights.sum(1)
    found = exact_difference((one, totals), (other, totals))
    assert found.low == pytest.approx(np.quantile(drawn, 0.025), abs=2e-3)
    assert found.value == pytest.approx((one - other).mean() / 4)


def test_bounds_hold_student_within_a_little_where_student_is_right():
    generator = np.random.default_rng(1)
    totals = np.full(400, 6.0)
    one, other = ((generator.binomial(6, rate, 400), totals) for rate in (0.5, 0.55))
    exact, plain = exact_difference(one, other), paired_difference(one, other)
    assert exact.low <= plain.low and exact.high >= plain.high
    assert exact.high - exact.low < 1.15 * (plain.high - plain.low)
    assert exact.p == pytest.approx(plain.p, abs=0.05)


def test_unequal_numbers_of_samples_leave_the_difference_of_shares():
    generator = np.random.default_rng(2)
    totals = generator.integers(1, 7, 50).astype(float)
    one, other = ((generator.binomial(totals.astype(int), rate), totals) for rate in (0.4, 0.8))
    found = exact_difference(one, other)
    assert found.value == pytest.approx(values_by_problem(one, other).each.mean())
    assert found.low < found.value < found.high


@pytest.mark.parametrize(
    ("accuracy", "problems", "is_sparse"),
    [(0.99, 20, True), (0.99, 60, True), (0.6, 40, False), (0.2, 40, True)],
)
def test_a_loss_of_what_is_allowed_is_hardly_ever_called_held(accuracy, problems, is_sparse):
    """At most 2.5% of studies; Student's interval is near that only where losses are spread."""
    generator = np.random.default_rng(3)
    loss, totals = allowed_loss(0.05, accuracy), np.full(problems, 4.0)
    share, hits = loss / accuracy, 0
    for _ in range(400):
        rates = generator.beta(2 * accuracy, 2 * (1 - accuracy), problems)
        kept = generator.random(problems) >= share if is_sparse else 1 - share
        arm, base = generator.binomial(4, rates * kept), generator.binomial(4, rates)
        hits += no_worse_p((arm, totals), (base, totals), loss) < 0.025
    assert hits <= 20, "2.5% of 400 are 10; twice that is beyond three standard errors"


def test_so_many_problems_would_decide():
    """With no loss seen it takes 72 problems to exclude five points, whatever number showed none."""
    for problems in (20, 40):
        assert problems_to_exclude(values_by_problem(*lost(problems, 0)), -0.05) == pytest.approx(72, abs=1)
    assert deciding_problems(*lost(40, 0), 0.05) == pytest.approx(72, abs=1)
    assert problems_to_exclude(values_by_problem(*lost(20, 1)), -0.05) == np.inf
    assert 20 < problems_to_exclude(values_by_problem(*lost(20, 4)), -0.05) < 200


def test_without_data_nothing_is_bounded():
    one = (np.array([1.0]), np.array([2.0]))
    assert np.isnan(exact_difference(one, one).low)
    assert no_worse_p(one, one, 0.5) == 1.0
    assert np.isnan(deciding_problems(one, one, 0.05))
