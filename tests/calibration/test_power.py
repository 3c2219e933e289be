"""Power in closed form against studies that are simulated and judged by the pipeline's own interval."""

import math

import numpy as np
import pytest

from backtracking.calibration.power import (
    ENOUGH,
    Plan,
    likeness_of,
    power,
    power_to_hold,
    problems_for_power,
    smallest_effect,
    standard_error,
)
from backtracking.measurements.statistics import paired_difference

STUDIES = 1500


def rates(rng, plan, size):
    """Rates of problems, with the plan's mean and variance."""
    if plan.likeness == 0:
        return np.full(size, plan.rate)
    strength = 1 / plan.likeness - 1
    return rng.beta(plan.rate * strength, (1 - plan.rate) * strength, size)


def simulate(plan, effect, seed=0):
    """Paired differences of simulated studies."""
    rng = np.random.default_rng(seed)
    base = rates(rng, plan, (STUDIES, plan.problems))
    arm = base * (1 - effect / plan.rate) if effect >= 0 else 1 - (1 - base) * (1 + effect / (1 - plan.rate))
    cases = np.full(plan.problems, plan.samples)
    hits, base_hits = (rng.binomial(plan.samples, chance) for chance in (arm, base))
    return [paired_difference((a, cases), (b, cases)) for a, b in zip(hits, base_hits, strict=True)]


@pytest.mark.parametrize(
    ("plan", "effect"),
    [
        (Plan(200, 6, 0.65, 0.2), 0.05),
        (Plan(60, 4, 0.65, 0.0), 0.1),
        (Plan(40, 3, 0.3, 0.5), 0.15),
        (Plan(40, 3, 0.7, 0.3), -0.15),
        (Plan(25, 8, 0.9, 0.1), 0.06),
    ],
)
def test_power_and_error_are_those_of_simulated_studies(plan, effect):
    found = simulate(plan, effect)
    values = np.array([difference.value for difference in found])
    assert values.std() == pytest.approx(standard_error(plan, effect), rel=0.06)
    seen = np.mean([d.high < 0 if effect > 0 else d.low > 0 for d in found])
    # Where problems differ much, large falls come with large errors, and a little more is seen.
    assert seen == pytest.approx(power(plan, effect), abs=0.06)


@pytest.mark.parametrize(("plan", "margin"), [(Plan(200, 6, 0.9, 0.3), 0.05), (Plan(80, 4, 0.8, 0.2), 0.1)])
def test_an_unchanged_rate_is_called_held_as_often_as_said(plan, margin):
    held = np.mean([difference.low > -margin for difference in simulate(plan, 0.0, seed=1)])
    assert held == pytest.approx(power_to_hold(plan, margin), abs=0.045)


def test_the_smallest_effect_and_the_problems_needed_are_where_power_is_enough():
    plan = Plan(200, 6, 0.65, 0.2)
    smallest = smallest_effect(plan)
    assert power(plan, smallest) >= ENOUGH > power(plan, smallest - 0.002)
    needed = problems_for_power(plan, 0.05)
    assert power(Plan(needed, 6, 0.65, 0.2), 0.05) >= ENOUGH
    assert power(Plan(needed - 1, 6, 0.65, 0.2), 0.05) < ENOUGH
    assert math.isnan(smallest_effect(Plan(2, 1, 0.1, 0.0)))


def test_likeness_is_read_off_sums_by_problem():
    rng = np.random.default_rng(3)
    for truth in (0.0, 0.2, 0.6):
        plan = Plan(4000, 6, 0.6, truth)
        cases = rng.integers(2, 8, plan.problems).astype(float)
        hits = rng.binomial(cases.astype(int), rates(rng, plan, plan.problems)).astype(float)
        assert likeness_of(hits, cases) == pytest.approx(truth, abs=0.03)
    assert likeness_of(np.array([1.0]), np.array([3.0])) == 0.0
