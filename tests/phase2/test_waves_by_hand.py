"""Which arms go on after each wave, with looks, rows and decisions written out."""

import pandas as pd
import pytest

from backtracking.interventions import Arm, Condition
from backtracking.measurements.halves import half_of
from backtracking.measurements.looks import Looks
from backtracking.measurements.tradeoff import DESTRUCTIVE, HELD, NO_EFFECT, NOT_TESTABLE
from backtracking.run.progress import Quiet
from backtracking.sweeps.waves import Course, _is_settled, run_waves, wave_order

LOOKS = Looks((10, 20, 30))


class Told(Quiet):
    """Keeps what is said."""

    def __init__(self):
        self.lines = []

    def say(self, message):
        self.lines.append(message)


def ran(*decisions, looks=LOOKS, arms=("baseline", "a", "b")):
    """A sweep whose arms stop as decided after each wave: the course, what was grown, how it was judged."""
    grown, judged, reporter = [], [], Told()
    left = iter(decisions)

    def grow(some, end):
        grown.append(([arm.name for arm in some], end))
        return pd.DataFrame()

    def leaving(_, seen):
        judged.append((seen.ends, seen.sharing))
        return next(left)

    given = [Arm(name, name, None, (Condition(name=name),)) for name in arms]
    return run_waves(looks, given, grow, leaving, reporter), grown, judged, reporter.lines


def test_an_arm_that_is_settled_gets_no_more_and_the_others_share_the_level():
    course, grown, judged, lines = ran({"a": DESTRUCTIVE}, {})
    assert grown == [(["baseline", "a", "b"], 10), (["baseline", "b"], 20), (["baseline", "b"], 30)]
    assert judged == [(LOOKS.ends, 2), (LOOKS.ends, 1)], "the last wave decides nothing"
    assert (dict(course.problems), dict(course.settled)) == (
        {"baseline": 30, "a": 10, "b": 30},
        {"a": DESTRUCTIVE},
    )
    assert lines == ["  a stops after 10 of 30 problems: destructive"]


def test_a_baseline_alone_is_not_grown():
    course, grown, _, _ = ran({"a": HELD, "b": NO_EFFECT})
    assert grown == [(["baseline", "a", "b"], 10)]
    assert dict(course.problems) == {"baseline": 10, "a": 10, "b": 10}


def test_with_nothing_to_judge_one_wave_is_enough():
    course, grown, judged, _ = ran(arms=("baseline",))
    assert (grown, judged, dict(course.problems)) == ([(["baseline"], 10)], [], {"baseline": 10})


def test_a_single_look_judges_nothing_early():
    course, grown, judged, _ = ran(looks=Looks((7,)))
    assert (grown, judged) == ([(["baseline", "a", "b"], 7)], [])
    assert not course.settled


def test_the_half_that_arms_are_picked_on_comes_first():
    halves = [half_of(place) for place in wave_order(41)]
    assert halves == sorted(halves, key=["search", "confirm"].index)
    assert halves[0] == "search" and halves[-1] == "confirm"
    assert sorted(wave_order(41)) == list(range(41))


def test_the_table_of_waves():
    course = Course({"baseline": 20, "a": 10, "b": 20}, {"a": DESTRUCTIVE})
    arms = pd.DataFrame({"arm": ["baseline", "a", "b"], "verdict": ["", DESTRUCTIVE, HELD]})
    table = course.table(LOOKS, 2, arms)
    assert table.to_dict("list") == {
        "wave": [1, 1, 1, 2, 2],
        "arm": ["baseline", "a", "b", "baseline", "b"],
        "problems": [10, 10, 10, 20, 20],
        "rows_spent": [60, 60, 60, 100, 100],
        "rows_in_full": [180] * 5,
        "verdict": ["", DESTRUCTIVE, "", "", HELD],
        "stopped": [False, True, False, False, False],
    }


SURE = {
    "verdict": NO_EFFECT, "accuracy": 0.78, "accuracy_diff": -0.02, "accuracy_diff_high": 0.02,
    **{f"{what}_diff{end}": 0.0 for what in ("truncation", "loop", "empty") for end in ("", "_low")},
}  # fmt: skip

LOST = {"verdict": DESTRUCTIVE}


@pytest.mark.parametrize(
    ("row", "settled"),
    [
        ({}, True),
        (LOST, True),
        ({"verdict": HELD}, True),
        ({"verdict": "inconclusive"}, False),
        ({"verdict": NOT_TESTABLE}, False),
        ({"verdict": ""}, False),
        # Half of the baseline's 80% is lost by the estimate, but not surely.
        (LOST | {"accuracy": 0.35, "accuracy_diff": -0.45, "accuracy_diff_high": -0.3}, False),
        (LOST | {"accuracy": 0.35, "accuracy_diff": -0.45, "accuracy_diff_high": -0.41}, True),
        (LOST | {"accuracy": 0.4, "accuracy_diff": -0.4, "accuracy_diff_high": -0.3}, True),
        (LOST | {"accuracy": 0.5, "accuracy_diff": -0.3, "accuracy_diff_high": -0.2}, True),
        # Half of the text falls apart by the estimate, but not surely.
        (LOST | {"loop_diff": 0.6, "loop_diff_low": 0.4}, False),
        (LOST | {"loop_diff": 0.6, "loop_diff_low": 0.5}, True),
        (LOST | {"empty_diff": 0.4, "empty_diff_low": 0.3}, True),
    ],
)  # fmt: skip
def test_what_is_settled(row, settled):
    assert _is_settled(SURE | row) == settled
