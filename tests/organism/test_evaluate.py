"""The evaluation: right on planted traces, and the bundled reasoner passes it."""

import math
import random

import numpy as np
import pytest

from backtracking.organism.design import DESIGNS, DOUBTER, MAIN
from backtracking.organism.evaluate import (
    SILENCED,
    SUPPRESSED,
    Property,
    behaviour,
    bootstrap,
    count_planned,
    evaluate,
    tally_completions,
)
from backtracking.organism.sampling import SampledText
from backtracking.organism.table import cells, evaluation_table
from backtracking.organism.task import tiny_problems
from backtracking.organism.traces import read_statements, write_trace

PROBLEMS, SAMPLES = 500, 4


def planted(design, variant, chosen, seed):
    rng = random.Random(seed)
    texts = (write_trace(p, variant, rng, design).text for p in chosen for _ in range(SAMPLES))
    return tally_completions(chosen, [SampledText(text, True) for text in texts], design)


@pytest.mark.parametrize("design", DESIGNS.values(), ids=DESIGNS)
def test_planted_traces_give_back_the_designed_truth(design):
    chosen = tiny_problems("test", PROBLEMS, seed=2)
    arms = {v: planted(design, v, chosen, seed) for seed, v in enumerate(design.formats)}
    arms[SUPPRESSED] = tally_completions(
        chosen, [SampledText("Final: 99", True)] * PROBLEMS * SAMPLES, design
    )
    if design.doubt:
        arms[SILENCED] = planted(design.calm, MAIN, chosen, 4)
    lines = {item.name: item for item in behaviour(arms, design, PROBLEMS, seed=0)}
    assert [item.name for item in lines.values() if not item.met] == []
    form = design.formats[MAIN]
    truth = {
        "backtracking rate, main variant": design.rate(MAIN),
        "P(trigger | own wrong step)": form.trigger,
        "unfinished at the cap": 0.0,
        "statements that follow the problem": 1.0,
    }
    for name, value in truth.items():
        assert lines[name].value == pytest.approx(value, abs=0.025), name
    accuracy = lines["accuracy"].value
    assert lines["accuracy lost when triggers are suppressed"].value == pytest.approx(accuracy)
    for variant in set(design.formats) - {MAIN}:
        low, high = lines[f"format effect: backtracking above {variant}"].interval
        assert low < design.rate(MAIN) - design.rate(variant) < high


def test_needless_checks_are_told_from_corrections():
    chosen = tiny_problems("test", PROBLEMS, seed=2)
    arms = {variant: planted(DOUBTER, variant, chosen, 3) for variant in DOUBTER.formats}
    arms[SUPPRESSED] = arms[SILENCED] = arms[MAIN]
    lines = {item.name: item for item in behaviour(arms, DOUBTER, PROBLEMS, seed=0)}
    assert lines["P(trigger | own fresh right step with -)"].value == pytest.approx(
        DOUBTER.doubt.rate, abs=0.03
    )
    assert lines["P(trigger | any other fresh right step)"].value < 0.04
    assert lines["triggers that follow a right step"].value == pytest.approx(0.5, abs=0.05)
    assert not lines["backtracking lost without the graft"].met, "nothing is lost where nothing is silenced"


def test_statements_that_leave_the_problem_are_seen():
    problem = next(p for p in tiny_problems("test", 50, seed=2) if len(p.steps) == 2)
    first, second = problem.steps
    good = read_statements(f"{first}. Wait, {first}. {second}.")
    assert count_planned(problem, good) == 3
    strayed = read_statements(f"{first}. {second.left} {second.operation} {second.right + 1} = 3.")
    assert count_planned(problem, strayed) == 1


def test_the_interval_of_single_samples_is_the_binomial_one():
    hits = (np.arange(400) < 120).astype(float)
    low, high = bootstrap(lambda w: float(w @ hits / w.sum()), 400, seed=0)
    spread = 1.96 * (0.3 * 0.7 / 400) ** 0.5
    assert (low, high) == pytest.approx((0.3 - spread, 0.3 + spread), abs=0.01)


def test_samples_of_one_problem_that_agree_do_not_narrow_the_interval():
    hits = (np.arange(100) < 30).astype(float)
    once = bootstrap(lambda w: float(w @ hits / w.sum()), 100, seed=0)
    fourfold = bootstrap(lambda w: float(w @ (4 * hits) / (4 * w.sum())), 100, seed=0)
    assert once == fourfold


def test_a_missed_bar_is_a_missed_bar():
    assert not Property("x", 0.4, None, (0.5, 0.8)).met
    assert Property("x", 0.5, None, (0.5, 0.8)).met
    assert Property("x", 0.1, None, None).met


@pytest.mark.slow
@pytest.mark.parametrize("name", DESIGNS)
def test_no_bar_is_out_of_reach_of_a_small_sample_of_what_ships(name):
    evaluation = evaluate(design=DESIGNS[name], problems=200, samples=1, seed=0)
    for item in evaluation.properties:
        if item.bar is not None and item.interval is not None:
            assert item.interval[1] >= item.bar[0] and item.interval[0] <= item.bar[1], item
    assert "| accuracy |" in evaluation_table(evaluation)


@pytest.mark.parametrize(
    ("value", "interval", "shown"),
    [
        (0.125, (0.05, 0.25), ("12.5%", "5.0% to 25.0%")),
        (0.125, (math.nan, math.nan), ("12.5%", "too few problems")),
        (math.nan, (math.nan, math.nan), ("no case", "")),
    ],
)
def test_an_interval_is_shown_where_there_is_one(value, interval, shown):
    assert cells(Property("a rate", value, interval, None))[1:3] == shown
