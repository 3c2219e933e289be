"""Statistics against other libraries, closed forms, naive loops and planted truths."""

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.contingency_tables import StratifiedTable
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

from backtracking.measurements import statistics as st


def clustered(generator, problems, samples, share, correlation, repeats=1):
    """Counts of successes per problem, [repeats, problems], beta-binomial."""
    if correlation:
        size = 1 / correlation - 1
        share = generator.beta(share * size, (1 - share) * size, (repeats, problems))
    return generator.binomial(samples, share, (repeats, problems)).astype(float)


class TestRate:
    def test_one_sample_per_problem_is_wilsons_interval(self):
        counts = np.zeros(5000)
        counts[:1200] = 1
        found = st.rate(counts, np.ones(5000))
        low, high = proportion_confint(1200, 5000, method="wilson")
        assert (found.value, found.low, found.high) == pytest.approx((0.24, low, high), abs=2e-4)

    def test_copies_of_the_same_samples_add_no_precision(self):
        counts, totals = np.array([0, 1, 2, 3, 3, 1.0]), np.array([3, 3, 3, 3, 3, 2.0])
        once, copied = st.rate(counts, totals), st.rate(7 * counts, 7 * totals)
        assert (copied.low, copied.high) == pytest.approx((once.low, once.high))

    def test_mirror_images(self):
        counts, totals = np.array([0, 1, 2, 3, 3, 1.0]), np.array([3, 3, 3, 3, 3, 2.0])
        found, mirror = st.rate(counts, totals), st.rate(totals - counts, totals)
        assert (1 - mirror.high, 1 - mirror.low) == pytest.approx((found.low, found.high))

    def test_agrees_with_a_bootstrap_of_many_problems(self):
        counts = clustered(np.random.default_rng(0), 600, 4, 0.4, 0.4)[0]
        totals = np.full(600, 4.0)
        found = st.rate(counts, totals)
        drawn = st.cluster_bootstrap(np.stack([counts, totals], 1), lambda s: s[:, 0] / s[:, 1], seed=1)
        assert (found.low, found.high) == pytest.approx((drawn.low, drawn.high), abs=0.006)

    def test_nothing_seen_is_not_zero_for_sure(self):
        found = st.rate(np.zeros(20), np.full(20, 6.0))
        quantile = stats.t.ppf(0.975, 19) ** 2
        assert (found.value, found.low) == (0.0, 0.0)
        assert found.high == pytest.approx(quantile / 20 / (1 + quantile / 20))

    def test_undefined_cases(self):
        assert np.isnan(st.rate([], []).value)
        assert np.isnan(st.rate([0.0], [0.0]).value)
        single = st.rate([1.0], [2.0])
        assert single.value == 0.5
        assert np.isnan([single.low, single.high]).all()

    @pytest.mark.parametrize(
        ("problems", "samples", "correlation"), [(20, 4, 0.3), (60, 2, 0.6), (30, 6, 0.0)]
    )
    def test_coverage(self, problems, samples, correlation):
        drawn = clustered(np.random.default_rng(3), problems, samples, 0.3, correlation, repeats=1500)
        totals = np.full(problems, float(samples))
        ends = [st.rate(counts, totals) for counts in drawn]
        assert 0.93 <= np.mean([found.low <= 0.3 <= found.high for found in ends]) <= 0.98


class TestRatio:
    def test_agrees_with_a_bootstrap(self):
        generator = np.random.default_rng(0)
        tokens = generator.gamma(3, 100, 400)
        onsets = generator.poisson(tokens / 80 * generator.gamma(4, 0.25, 400)).astype(float)
        found = st.ratio(onsets, tokens)
        drawn = st.cluster_bootstrap(np.stack([onsets, tokens], 1), lambda s: s[:, 0] / s[:, 1], seed=1)
        assert (found.low, found.high) == pytest.approx((drawn.low, drawn.high), rel=0.02)

    def test_scales_with_its_units(self):
        one, other = st.ratio([1, 2, 3.0], [5, 5, 9.0]), st.ratio([1000, 2000, 3000.0], [5, 5, 9.0])
        assert (other.value, other.low, other.high) == pytest.approx(
            tuple(1000 * x for x in (one.value, one.low, one.high))
        )

    def test_zero_has_no_upper_end(self):
        assert st.ratio([0, 0.0], [5, 5.0]).value == 0
        assert np.isnan(st.ratio([0, 0.0], [5, 5.0]).high)


class TestPairedDifference:
    def test_equal_sample_counts_give_the_paired_t_test(self):
        generator = np.random.default_rng(0)
        one, other = generator.binomial(4, 0.6, 30), generator.binomial(4, 0.4, 30)
        totals = np.full(30, 4)
        found = st.paired_difference((one, totals), (other, totals))
        test = stats.ttest_rel(one / 4, other / 4)
        interval = test.confidence_interval(0.95)
        assert found.value == pytest.approx(np.mean(one / 4 - other / 4))
        assert found.p == pytest.approx(test.pvalue)
        assert (found.low, found.high) == pytest.approx((interval.low, interval.high))

    def test_problems_that_one_side_lacks_do_not_count(self):
        found = st.paired_difference(([1, 1, 0, 5], [2, 2, 2, 5]), ([0, 1, 1, 0], [2, 2, 2, 0]))
        assert found.problems == 3
        assert found.value == pytest.approx(0.0)

    def test_no_difference_anywhere_still_has_width(self):
        found = st.paired_difference((np.ones(20), np.ones(20)), (np.ones(20), np.ones(20)))
        assert (found.value, found.p) == (0.0, 1.0)
        assert found.high == -found.low
        assert 0.1 < found.high < 0.2

    def test_antisymmetry(self):
        one, other = ([3, 1, 2], [4, 4, 3]), ([1, 1, 0], [4, 2, 4])
        forth, back = st.paired_difference(one, other), st.paired_difference(other, one)
        assert (forth.value, forth.low, forth.p) == pytest.approx((-back.value, -back.high, back.p))

    def test_minimum_detectable_effect_is_found_four_times_in_five(self):
        generator = np.random.default_rng(0)
        noise = generator.normal(0, 0.3, (3000, 40))
        typical = st.paired_difference(
            (1 + noise[0] * 0.3 / noise[0].std(ddof=1), np.ones(40)), (np.ones(40), np.ones(40))
        )
        shifted = 1 + noise + typical.minimum_detectable
        found = [
            st.paired_difference((row, np.ones(40)), (np.ones(40), np.ones(40))).p < 0.05 for row in shifted
        ]
        assert 0.75 < np.mean(found) < 0.85


class TestCorrections:
    P = (0.01, 0.04, 0.03, float("nan"), 0.005)

    @pytest.mark.parametrize("count", [1, 2, 7, 40])
    def test_holm_agrees_with_statsmodels(self, count):
        p = np.random.default_rng(count).beta(0.3, 1.0, count)
        p[:: max(count // 3, 1)] = p[0]
        assert st.holm(p).tolist() == multipletests(p, method="holm")[1].tolist()

    def test_undefined_tests_do_not_count(self):
        found = st.holm(self.P)
        assert np.isnan(found[3])
        assert np.delete(found, 3).tolist() == st.holm(np.delete(self.P, 3)).tolist()

    def test_no_tests(self):
        assert st.holm([]).size == 0


class TestOdds:
    TABLES = np.array(
        [[[3, 1], [1, 3]], [[2, 2], [1, 3]], [[4, 1], [2, 2]], [[0, 4], [0, 4]], [[5, 0], [0, 0]]], float
    )

    def test_mantel_haenszel_by_hand(self):
        found = st.mantel_haenszel(self.TABLES)
        top = 3 * 3 / 8 + 2 * 3 / 8 + 4 * 2 / 9
        bottom = 1 * 1 / 8 + 2 * 1 / 8 + 1 * 2 / 9
        assert found.odds_ratio == pytest.approx(top / bottom)
        assert found.informative == 3
        assert found.low < found.odds_ratio < found.high

    def test_uninformative_problems_change_nothing(self):
        assert st.mantel_haenszel(self.TABLES) == st.mantel_haenszel(self.TABLES[:3])

    def test_interval_agrees_with_statsmodels(self):
        found = st.mantel_haenszel(self.TABLES[:3])
        low, high = StratifiedTable(list(self.TABLES[:3])).oddsratio_pooled_confint()
        assert (found.low, found.high) == pytest.approx((low, high))

    def test_simpsons_paradox_is_seen_through(self):
        """Hard problems backtrack more and fail more; inside each problem nothing is associated."""
        generator = np.random.default_rng(0)
        hard = np.arange(400) % 2 == 1
        exposed = generator.binomial(20, np.where(hard, 0.8, 0.2))
        right_exposed = generator.binomial(exposed, np.where(hard, 0.2, 0.8))
        right_other = generator.binomial(20 - exposed, np.where(hard, 0.2, 0.8))
        tables = np.stack(
            [right_exposed, exposed - right_exposed, right_other, 20 - exposed - right_other], 1
        ).reshape(-1, 2, 2)
        marginal = tables.sum(0)
        assert marginal[0, 0] * marginal[1, 1] / (marginal[0, 1] * marginal[1, 0]) < 0.4
        for found in (st.mantel_haenszel(tables), st.clustered_odds(tables)):
            assert found.low < 1 < found.high
            assert found.odds_ratio == pytest.approx(1.0, abs=0.15)

    def test_clustered_interval_does_not_shrink_with_copies(self):
        once, copied = st.clustered_odds(self.TABLES), st.clustered_odds(5 * self.TABLES)
        assert (copied.odds_ratio, copied.low, copied.high) == pytest.approx(
            (once.odds_ratio, once.low, once.high)
        )

    def test_clustered_interval_agrees_with_the_classic_one_for_independent_rows(self):
        generator = np.random.default_rng(2)
        cells = generator.multinomial(8, [0.3, 0.2, 0.2, 0.3], 800).reshape(-1, 2, 2)
        classic, clustered_ = st.mantel_haenszel(cells), st.clustered_odds(cells)
        assert clustered_.odds_ratio == pytest.approx(classic.odds_ratio)
        assert (clustered_.low, clustered_.high) == pytest.approx((classic.low, classic.high), rel=0.03)

    def test_no_informative_problem(self):
        assert np.isnan(st.mantel_haenszel(self.TABLES[3:]).odds_ratio)
        assert np.isinf(st.mantel_haenszel([[[2, 0], [0, 2]]]).odds_ratio)
        assert st.clustered_odds([[[0, 2], [2, 0]], [[0, 1], [1, 0]]]).odds_ratio == 0


class TestBootstrap:
    def test_same_seed_same_interval_whatever_the_block(self, monkeypatch):
        sums = np.random.default_rng(0).normal(2, 1, (50, 1))
        whole = st.cluster_bootstrap(sums, lambda s: s[:, 0] / 50, seed=4)
        monkeypatch.setattr(st, "_BLOCK", 500)
        pieces = st.cluster_bootstrap(sums, lambda s: s[:, 0] / 50, seed=4)
        assert whole == pieces

    def test_a_mean_gets_the_t_interval(self):
        values = np.random.default_rng(0).normal(2, 1, 60)
        found = st.cluster_bootstrap(values[:, None], lambda s: s[:, 0] / 60, seed=4, draws=20_000)
        low, high = stats.t.interval(0.95, 59, values.mean(), stats.sem(values))
        assert (found.low, found.high) == pytest.approx((low, high), abs=0.02)

    def test_against_a_naive_loop(self):
        generator = np.random.default_rng(0)
        table = generator.poisson(3, (40, 2)).astype(float)
        found = st.cluster_bootstrap(table, lambda s: s[:, 0] / s[:, 1], seed=0, draws=4000)
        naive = []
        for _ in range(4000):
            rows = table[generator.integers(0, 40, 40)].sum(0)
            naive.append(rows[0] / rows[1])
        tail = stats.norm.cdf(np.sqrt(40 / 39) * stats.t.ppf(0.025, 39))
        assert (found.low, found.high) == pytest.approx(tuple(np.quantile(naive, [tail, 1 - tail])), abs=0.02)

    def test_undefined_draws_are_left_out(self):
        table = np.array([[1.0, 0.0], [1.0, 1.0], [0.0, 0.0]])
        found = st.cluster_bootstrap(table, lambda s: s[:, 0] / s[:, 1], seed=0)
        assert found.value == 2.0
        assert np.isfinite([found.low, found.high]).all()


def test_sums_by_problem():
    sums = st.sums_by(["b", "a", "b"], [[1, 10], [2, 20], [3, 30]])
    assert sums.tolist() == [[2, 20], [4, 40]]
