"""Looks at growing data: published boundaries, a naive reference, and what naive looking does instead."""

import numpy as np
import pytest
from scipy import stats

from backtracking.measurements.looks import Looks, nominal_levels, planned


@pytest.fixture(autouse=True)
def computed_anew():
    """Levels are kept from call to call; here each test works them out."""
    nominal_levels.cache_clear()


FIFTHS = (0.2, 0.4, 0.6, 0.8, 1.0)


def obrien_fleming(level, share):
    return 2 * stats.norm.sf(stats.norm.isf(level / 2) / np.sqrt(share))


def pocock(level, share):
    return level * np.log(1 + (np.e - 1) * share)


@pytest.mark.parametrize(
    ("spending", "published"),
    [
        (obrien_fleming, (4.8769, 3.3570, 2.6803, 2.2898, 2.0310)),
        (pocock, (2.4380, 2.4268, 2.4101, 2.3966, 2.3859)),
    ],
)
def test_boundaries_are_the_published_ones(spending, published):
    spent = tuple(float(spending(0.025, share)) for share in FIFTHS)
    assert stats.norm.isf(nominal_levels(FIFTHS, spent)) == pytest.approx(published, abs=1e-4)


def paths(ends, sweeps, seed):
    """Standardised means of independent problems without an effect, at every look."""
    values = np.random.default_rng(seed).normal(size=(sweeps, ends[-1]))
    return values.cumsum(1)[:, np.array(ends) - 1] / np.sqrt(ends)


def test_intervals_over_all_looks_miss_in_one_of_twenty_and_naive_ones_do_not():
    looks = planned(120)
    means = np.abs(paths(looks.ends, 40_000, seed=1))
    levels = np.array([looks.level(end) for end in looks.ends])
    missed = (means > stats.norm.isf(levels / 2)).any(1).mean()
    naive = (means > stats.norm.isf(0.025)).any(1).mean()
    assert missed == pytest.approx(0.05, abs=0.004)
    assert naive > 0.15


def test_what_is_spent_by_each_look_follows_the_share_seen():
    looks = planned(120)
    means = paths(looks.ends, 200_000, seed=2)
    bounds = stats.norm.isf([looks.level(end) / 2 for end in looks.ends])
    by_look = (means > bounds).cumsum(1).astype(bool).mean(0)
    shares = np.array(looks.ends) / 120
    assert by_look == pytest.approx(0.025 * shares, abs=0.0015)


def test_p_over_all_looks_is_the_level_that_is_reached():
    looks = planned(120)
    for end in looks.ends:
        level = looks.level(end)
        assert looks.overall(level, end) == pytest.approx(0.05, rel=1e-3)
        assert looks.overall(level * 0.99, end) < 0.05 < looks.overall(level * 1.01, end)
    assert looks.overall(1.0, 60) == 1.0
    assert np.isnan(looks.overall(float("nan"), 60))


def test_p_over_all_looks_is_as_small_by_chance_as_it_says():
    looks = planned(60)
    means = paths(looks.ends, 4_000, seed=3)
    smallest = [
        min(
            looks.overall(2 * stats.norm.sf(abs(mean)), end)
            for mean, end in zip(row, looks.ends, strict=True)
        )
        for row in means[:1000]
    ]
    for level in (0.05, 0.2):
        assert (np.array(smallest) < level).mean() < level + 3 * np.sqrt(level * (1 - level) / 1000)


@pytest.mark.parametrize("problems", [1, 2, 11, 17, 18, 24, 30, 60, 119, 120, 121, 1319])
def test_waves_end_with_all_problems_and_are_large_enough(problems):
    ends = planned(problems).ends
    assert ends[-1] == problems
    sizes = np.diff((0, *ends))
    assert (sizes >= min(problems, 4)).all()
    assert len(ends) <= 16


def test_one_look_is_the_usual_interval_and_sharing_divides_the_level():
    assert Looks((50,)).level(50) == pytest.approx(0.05)
    assert Looks((50,), sharing=5).level(50) == pytest.approx(0.01)
    assert planned(120).within(60).ends == (8, 16, 24, 32, 40, 48, 56, 60)
    assert planned(120).level(23) == planned(120).level(24)  # a problem whose rows all failed


@pytest.mark.parametrize(
    ("problems", "ends"),
    [
        (1, (1,)),
        (11, (11,)),
        (12, (12,)),
        (13, (8, 13)),
        (16, (8, 16)),
        (20, (8, 20)),
        (21, (8, 16, 21)),
        (160, (11, 22, 33, 44, 55, 66, 77, 88, 99, 110, 121, 132, 143, 154, 160)),
    ],
)
def test_where_waves_end(problems, ends):
    """Eight problems or a fifteenth of them; the last wave takes what is less than half of one along."""
    assert planned(problems).ends == ends


def test_looks_of_a_part_and_of_several_arms():
    looks = Looks((10, 20, 30), sharing=3)
    assert looks.within(25) == Looks((10, 20, 25), 3)
    assert looks.within(20) == Looks((10, 20), 3)
    assert looks.shared_by(2) == Looks((10, 20, 30), 2)
    assert [looks.level(problems) for problems in (1, 11, 31)] == [
        looks.level(problems) for problems in (10, 20, 30)
    ]


def test_p_at_the_only_look_is_p():
    for p in (1e-6, 0.03, 0.5):
        assert float(Looks((50,)).overall(p, 50)) == pytest.approx(p, rel=1e-6)
    assert float(Looks((50,)).overall(0.0, 50)) < 1e-8


def test_two_looks_by_the_normal_distribution():
    """Half of the level is spent at half of the data; the rest at the end, by integration."""
    looks = Looks((50, 100))
    first = stats.norm.isf(0.0125)
    assert looks.level(50) == pytest.approx(0.025)
    second = stats.norm.isf(looks.level(100) / 2)
    places = np.linspace(-10, first, 200_001)
    passes = stats.norm.sf((second - np.sqrt(0.5) * places) / np.sqrt(0.5)) * stats.norm.pdf(places)
    assert np.trapezoid(passes, places) == pytest.approx(0.0125, abs=1e-7)
