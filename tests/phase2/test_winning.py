"""What may win a sweep: only an intervention whose accuracy is provably held, by its whole interval."""

import itertools

import numpy as np
import pandas as pd
import pytest

from backtracking.measurements.tradeoff import HELD, find_best_tradeoff, summarize_arms

PROBLEMS, SAMPLES = 80, 6


def rows(arm, kind, backtracks, right):
    """Completions of an arm; both arguments say for (problem, sample) whether it does so."""
    lines = []
    for problem, sample in itertools.product(range(PROBLEMS), range(SAMPLES)):
        lines.append(
            {
                "example_id": f"p{problem}",
                "sample_id": sample,
                "arm": arm,
                "subset_name": arm,
                "scale": np.nan,
                "num_components": 0 if kind == "baseline" else 1,
                "kind": kind,
                "has_backtracking_strict": backtracks(problem, sample),
                "is_correct": right(problem, sample),
                "finish_reason": "stop",
                "completion_tokens": 50,
                "n_onsets_strict": int(backtracks(problem, sample)),
                "is_loop": False,
                "is_empty": False,
                "predicted_answer": "1",
                "non_ascii_burst": False,
                "distinct_3": 0.9,
            }
        )
    return pd.DataFrame(lines)


def often(_, sample):
    return sample < 4


def seldom(_, sample):
    return sample < 1


def mostly(problem, _):
    return problem % 4 > 0


BASELINE = rows("baseline", "baseline", often, mostly)


def table(*arms, margin=0.05):
    return summarize_arms(pd.concat([BASELINE, *arms]), margin).set_index("arm", drop=False)


def as_many_others(problem, _):
    """As many problems right, but not the same ones: no loss on average, much change from one to the next."""
    return problem % 4 != 1


def test_a_small_loss_that_might_be_a_large_one_is_not_held():
    """The estimate alone lies inside the margin; its interval reaches past it."""
    line = table(rows("shaky", "intervention", seldom, as_many_others)).loc["shaky"]
    assert line["accuracy_diff"] > -0.05, "the case must be one that a point estimate would let pass"
    assert line["accuracy_diff_low"] < -0.05
    assert line["verdict"] == "inconclusive"
    assert find_best_tradeoff(table(rows("shaky", "intervention", seldom, as_many_others))) is None


def test_an_arm_that_changes_no_answer_is_held():
    found = table(rows("clean", "intervention", seldom, mostly))
    assert found.loc["clean", "verdict"] == HELD
    assert find_best_tradeoff(found)["arm"] == "clean"


@pytest.mark.parametrize("kind", ["random control", "suppression"])
def test_controls_never_win(kind):
    """However well they do: they are what interventions are measured against."""
    best = rows("control", kind, lambda *_: False, mostly)
    found = table(best, rows("plain", "intervention", seldom, mostly))
    assert found.loc["control", "verdict"] == HELD
    assert found.loc["control", "backtracking_rate"] < found.loc["plain", "backtracking_rate"]
    assert find_best_tradeoff(found)["arm"] == "plain"
    assert find_best_tradeoff(table(best)) is None
