"""The simulation of stopping sweeps judges as sweeps do, and naive testing after every wave fails in it."""

import numpy as np
import pandas as pd
import pytest
from benchmarks import search, sequential

from backtracking.interventions import Arm, Condition
from backtracking.measurements.bounded import values_by_problem
from backtracking.measurements.looks import planned
from backtracking.measurements.statistics import difference_within, paired_difference
from backtracking.run.progress import Quiet
from backtracking.sweeps.waves import run_waves, settled_at

NAMES = {
    sequential.OPEN: "",
    sequential.DESTRUCTIVE: "destructive",
    sequential.NO_EFFECT: "no effect",
    sequential.HELD: "non-destructive",
}
MIX = sequential.MIXES["the demo's two sweeps"][1]


@pytest.fixture(scope="module")
def sums():
    return sequential.simulate(MIX, 3, np.random.default_rng(0))


def test_differences_and_bounds_are_those_of_the_tables(sums):
    totals = np.full(sequential.PROBLEMS, float(sequential.SAMPLES))
    changes = (sums.right_answers[:, 1:] - sums.right_answers[:, :1]) / sequential.SAMPLES
    accuracy, exact = sequential.accuracy_change(sums), sequential.exact_p(changes, -0.05)
    within = sequential.change_within(sums.after_wrong, sums.wrong)
    for sweep in range(3):
        for arm in range(len(MIX)):
            answers = (sums.right_answers[sweep, arm + 1], totals), (sums.right_answers[sweep, 0], totals)
            known = paired_difference(*answers)
            assert accuracy.value[sweep, arm] == pytest.approx(known.value)
            assert accuracy.error[sweep, arm] == pytest.approx(known.error)
            assert exact[sweep, arm] == pytest.approx(values_by_problem(*answers).p_at_most(-0.05), abs=1e-6)
            steps = [(sums.after_wrong[sweep, k], sums.wrong[sweep, k]) for k in (arm + 1, 0)]
            known = difference_within(*steps, level=0.003)
            assert within.value[sweep, arm] == pytest.approx(known.value)
            low, high = within.ends(0.003)
            assert (low[sweep, arm], high[sweep, arm]) == pytest.approx((known.low, known.high))


def test_arms_stop_where_sweeps_stop_them(sums):
    ended = sequential.stopping(sums, MIX, planned(sequential.PROBLEMS))
    parts = search.as_tables(sums, 0)
    arms = [Arm(name, name, None, (Condition(name=name),)) for name in parts]

    def grow(some, count):
        wanted = {f"p{j}" for j in range(count)}
        return pd.concat([part[part["example_id"].isin(wanted)] for part in (parts[a.name] for a in some)])

    course = run_waves(planned(sequential.PROBLEMS), arms, grow, settled_at(sequential.MARGIN), Quiet())
    for k, name in enumerate(list(parts)[1:]):
        assert course.problems[name] == ended.problems[0, k]
        if ended.problems[0, k] < sequential.PROBLEMS:
            assert course.settled[name] == NAMES[ended.verdict[0, k]]


def test_few_false_verdicts_most_rows_spared_and_naive_testing_is_caught():
    demo = sequential.measure(sequential.MIXES["the demo's two sweeps"], 40, np.random.default_rng(1))
    assert demo.false <= 0.05
    assert demo.agreement >= 0.95
    assert demo.rows <= 0.5
    assert demo.covered >= 0.95
    edge = (sequential.Truth(lost=0.05, after_wrong=-0.2),) * 9
    line = sequential.measure([edge], 100, np.random.default_rng(2))
    assert line.false_stop <= 0.08
    near = sequential.measure(sequential.MIXES["arms at the margin"], 60, np.random.default_rng(3))
    assert near.false_naive > 0.5 > 2 * near.false_stop


def test_arms_of_a_search_stop_where_searches_stop_them():
    """All at once, and one by one with the package's own waves, table and contest."""
    generator, looks = np.random.default_rng(3), planned(30)
    truths = [*search.drawn_arms(generator)[0][:10], search.BEST]
    each = [sequential.simulate(truths, 1, generator, search.SAMPLES).first(30) for _ in range(2)]
    sums = search.joined(each)
    reached, picks = search.searches(sums, looks)
    assert (reached < 30).any()
    for k in range(len(each)):
        whole = search.as_tables(sums, k)
        kept = search.stopped(whole, sequential.MARGIN, looks)
        problems = [kept[f"arm{arm + 1}"]["example_id"].nunique() for arm in range(len(truths))]
        assert problems == reached[k].tolist()
        assert search.picked(kept, sequential.MARGIN, looks) == f"arm{picks[k] + 1}"


def test_a_search_in_waves_picks_as_the_whole_one_from_fewer_rows():
    generator, count = np.random.default_rng(5), 60
    drawn = [search.drawn_arms(generator)[0] for _ in range(count)]
    sums = search.joined(
        [sequential.simulate(truths, 1, generator, search.SAMPLES).first(30) for truths in drawn]
    )
    reached, ours = search.searches(sums, planned(30))
    whole = search.nobody(count)
    search.first_of(sums, None, np.ones(reached.shape, bool), whole)
    assert (ours == whole.arm).mean() >= 0.95
    assert reached.mean() / 30 <= 0.8
