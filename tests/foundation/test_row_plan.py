"""The rows that `generate` is asked for take no memory until somebody looks at one."""

import tracemalloc

import pytest

from backtracking.engine.rows import Prompt
from backtracking.interventions import BASELINE_ARM, Arm, Condition
from backtracking.run.records import Problem
from backtracking.stages.phase1.row_plan import RowPlan

MEMBERS = tuple(Condition(name="random_ablation", draw=draw) for draw in range(3))
DRAWS = Arm("random_ablation", "random_ablation", 0.0, MEMBERS)


def problem(number: int) -> Problem:
    return Problem(id=f"p{number}", question=f"{number}?", answer="1", answer_value="1")


def prompt(asked: Problem) -> Prompt:
    return Prompt(asked.id, "v", asked.question * 100, tuple(range(1000, 1100)))


@pytest.mark.parametrize("arm", [BASELINE_ARM, DRAWS])
def test_rows_stand_problem_by_problem_and_each_knows_its_place(arm):
    plan = RowPlan([problem(k) for k in range(4)], 3, arm, prompt)
    rows = list(plan.without(()))
    assert [row.id for row in rows] == [(f"p{k}", sample) for k in range(4) for sample in range(3)]
    assert [row.condition for row in rows] == [
        arm.for_row(k, sample) for k in range(4) for sample in range(3)
    ]
    assert [plan.place(row.id) for row in rows] == list(range(12))
    assert [plan[place] for place in range(12)] == rows
    assert [plan.place(row) for row in (("p9", 0), ("p1", 3), ("p1", -1))] == [None] * 3


def test_rows_that_are_done_are_left_out_each_time_they_are_asked_for():
    plan = RowPlan([problem(k) for k in range(4)], 2, BASELINE_ARM, prompt)
    left = plan.without({("p0", 1), ("p2", 0)})
    for _ in range(2):
        assert [row.id for row in left] == [("p0", 0), ("p1", 0), ("p1", 1), ("p2", 1), ("p3", 0), ("p3", 1)]
    assert len(left) == 6


def test_a_plan_is_a_few_bytes_per_row():
    problems = [problem(k) for k in range(2_000)]
    tracemalloc.start()
    left = RowPlan(problems, 6, BASELINE_ARM, prompt).without(())
    assert sum(len(row.prompt.ids) > 0 for row in left) == 12_000
    taken, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert taken / 12_000 < 50
    assert most / 12_000 < 80
