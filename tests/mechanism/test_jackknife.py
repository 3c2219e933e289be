"""Intervals and tests over problems: against the t-test where it applies, by simulation elsewhere."""

import numpy as np
import pytest
from scipy import stats

from backtracking.config.schema import AnalysisConfig
from backtracking.measurements.jackknife import jackknife, means
from backtracking.mechanism.ablation_scan import CHANGES, Removal, ScanResult
from backtracking.mechanism.passes import Site
from backtracking.mechanism.selection import score


def test_one_event_per_problem_is_the_t_test():
    values = np.random.default_rng(0).normal(0.3, 1.0, size=(25, 4))
    found = means([str(k) for k in range(25)], values)
    reference = stats.ttest_1samp(values, 0.0)
    interval = reference.confidence_interval(0.95)
    np.testing.assert_allclose(found.p, reference.pvalue)
    np.testing.assert_allclose([found.low, found.high], [interval.low, interval.high])


def test_missing_events_and_problems_do_not_count():
    values = np.array([[1.0], [3.0], [np.nan], [5.0], [np.nan]])
    found = means(["a", "a", "b", "c", "d"], values)
    same = means(["a", "a", "c"], values[[0, 1, 3]])
    assert found.value[0] == pytest.approx(3.0)
    assert (found.low[0], found.high[0], found.p[0]) == pytest.approx((same.low[0], same.high[0], same.p[0]))
    assert np.isnan(means(["a", "b"], np.full((2, 1), np.nan)).value).all()


def test_values_that_never_vary_are_certain_or_nothing():
    assert means(["a", "b", "c"], np.full((3, 1), 2.0)).p[0] == 0.0
    assert means(["a", "b", "c"], np.zeros((3, 1))).p[0] == 1.0


def test_what_hangs_on_one_problem_has_no_test():
    """A mean over one problem's events is a number, but nothing says how sure it is."""
    values = np.full((4, 2), 1.5)
    values[1:, 0] = np.nan
    values[:, 1] += np.arange(4)
    found = means(list("abcd"), values)
    assert found.value[0] == 1.5
    assert np.isnan([found.low[0], found.high[0], found.p[0], found.p_above()[0]]).all()
    assert found.p[1] < 0.05 and found.p_above()[1] == found.p[1] / 2


def _clustered(rng, problems):
    """Events of problems that differ in size and in level."""
    sizes = rng.integers(1, 6, size=problems)
    labels = np.repeat(np.arange(problems), sizes).astype(str)
    levels = np.repeat(rng.normal(size=problems), sizes)
    return labels, levels


@pytest.mark.parametrize("problems", [15, 60])
def test_intervals_of_means_cover(problems):
    rng = np.random.default_rng(problems)
    covered = []
    for _ in range(400):
        labels, levels = _clustered(rng, problems)
        found = means(labels, (1.0 + levels + rng.normal(size=len(labels)))[:, None])
        covered.append(found.low[0] <= 1.0 <= found.high[0])
    assert 0.92 <= np.mean(covered) <= 0.975


def test_intervals_of_ratios_cover():
    rng = np.random.default_rng(1)
    covered = []
    for _ in range(400):
        labels, levels = _clustered(rng, 40)
        numerator = 2.0 + 0.5 * levels + rng.normal(size=len(labels))
        denominator = np.exp(0.4 * levels + 0.3 * rng.normal(size=len(labels)))
        truth = 2.0 / np.exp(0.5 * (0.4**2 + 0.3**2))
        found = jackknife(labels, np.stack([numerator, denominator], 1)[:, :, None], lambda s: s[0] / s[1])
        covered.append(found.low[0] <= truth <= found.high[0])
    assert 0.91 <= np.mean(covered) <= 0.975


def _result(lost, damage):
    """A scan of blocks with given mean losses and damages, in 40 problems of one event each."""
    rng = np.random.default_rng(3)
    removals = [Removal(Site(kind, layer)) for layer in range(len(lost) // 2) for kind in ("attn", "mlp")]
    shape = (40, len(removals))
    onset = {name: -np.array(lost) + 0.02 * rng.normal(size=shape) for name in CHANGES}
    # Damage is heavy-tailed: a few positions carry most of it.
    control = {name: np.array(damage) * rng.lognormal(-2.0, 2.0, size=shape) for name in CHANGES}
    return ScanResult(tuple(removals), [str(k) for k in range(40)], onset, control)


def test_strong_components_do_not_hide_each_other_and_traces_do_not_stand_out():
    lost = [0.0] * 8 + [2.0, 1.0, 0.03, 0.6]
    damage = [0.05] * 8 + [0.1, 0.2, 0.001, 5.0]
    p = score(_result(lost, damage), "selectivity", AnalysisConfig()).p_holm
    assert (p[8:10] < 0.05).all(), "strong ones, the first with a ratio that varies wildly"
    assert (p[:8] > 0.5).all() and p[10] > 0.5, "none, or a trace that costs nothing"
    assert np.isnan(p[11]), "one that breaks everything cannot be selected"


def test_a_scan_without_an_ensemble_tests_nothing():
    assert np.isnan(score(_result([2.0, 0.0], [0.1, 0.1]), "effect", AnalysisConfig()).p_holm).all()


@pytest.mark.parametrize("rule", ["selectivity", "effect"])
def test_alike_components_are_rarely_called_outstanding(rule):
    """Family-wise: in a scan of twelve equal components one stands out in about 5% of studies at most."""
    rng = np.random.default_rng(2)
    removals = [Removal(Site(kind, layer)) for kind in ("attn", "mlp") for layer in range(6)]
    alarms = 0
    for _ in range(120):
        labels, levels = _clustered(rng, 30)
        shape = (len(labels), len(removals))
        changes = {name: levels[:, None] - 0.5 + rng.normal(size=shape) for name in CHANGES}
        damage = {name: rng.gamma(2.0, 0.1, size=shape) for name in CHANGES}
        result = ScanResult(tuple(removals), list(labels), changes, damage)
        alarms += bool((score(result, rule, AnalysisConfig()).p_holm < 0.05).any())
    assert alarms / 120 < 0.1
