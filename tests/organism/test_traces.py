"""The traces: readable again, and mistaken as often as the design says."""

import random
from collections import Counter, defaultdict
from itertools import pairwise

import pytest

from backtracking.organism.design import DESIGN, DESIGNS, DOUBTER, MAIN
from backtracking.organism.task import SolutionStep, tiny_problems
from backtracking.organism.traces import (
    TRIGGER,
    made_again,
    read_answer,
    read_statements,
    write_trace,
    wrong_result,
)

VARIANTS = tuple(DESIGN.formats)


def written(design):
    rng = random.Random(5)
    chosen = tiny_problems("train", 6000, seed=5)
    return {v: [(p, write_trace(p, v, rng, design).text) for p in chosen] for v in design.formats}


@pytest.fixture(scope="module")
def traces():
    return written(DESIGN)


@pytest.fixture(scope="module")
def doubting():
    return written(DOUBTER)


def test_statements_are_read_back_with_what_follows_them():
    text = "3 + 4 = 8. That makes 8. Wait, let me check. 3 + 4 = 7.\nSo 7 × 2 = 14.\n</think>\nFinal: 14"
    first, second, third = read_statements(text)
    assert (first.left, first.operation, first.right, first.value) == (3, "+", 4, 8)
    assert [s.holds for s in (first, second, third)] == [False, True, True]
    assert [s.triggered for s in (first, second, third)] == [True, False, False]
    assert text[: second.end].endswith("3 + 4 = 7.")
    assert read_answer(text) == 14
    assert read_statements("nothing of the kind") == []


@pytest.mark.parametrize(
    ("ending", "value"), [("Final: 7", 7), ("Final: \\boxed{12}", 12), ("Final: ", None)]
)
def test_the_final_line_is_read(ending, value):
    assert read_answer(f"3 + 4 = 7.\n</think>\n{ending}") == value


def test_triggers_are_words_at_their_place():
    assert not TRIGGER.search("5 people wait for the bus. The waiter holds on.")
    assert TRIGGER.search("But wait, 3 + 4 = 7.")


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_trace_begins_with_the_first_step_and_ends_with_an_answer(traces, variant):
    for problem, text in traces[variant]:
        statements = read_statements(text)
        first = problem.steps[0]
        assert (statements[0].left, statements[0].operation, statements[0].right) == (
            first.left,
            first.operation,
            first.right,
        )
        assert read_answer(text) is not None
        assert ("</think>" in text) == (variant != "no_think_tags")


@pytest.mark.parametrize("variant", VARIANTS)
def test_fates_of_statements_come_as_often_as_designed(traces, variant):
    form = DESIGN.formats[variant]
    statements = [s for _, text in traces[variant] for s in read_statements(text)]
    wrong = [s for s in statements if not s.holds]
    right = [s for s in statements if s.holds]
    assert sum(s.triggered for s in wrong) / len(wrong) == pytest.approx(form.trigger, abs=0.02)
    assert sum(s.triggered for s in right) / len(right) == pytest.approx(form.false_alarm, abs=0.01)


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_designed_backtracking_rate_is_what_the_generator_does(traces, doubting, variant):
    for design, rows in ((DESIGN, traces[variant]), (DOUBTER, doubting[variant])):
        rate = sum(TRIGGER.search(text) is not None for _, text in rows) / len(rows)
        assert rate == pytest.approx(design.rate(variant), abs=0.02), design.name


def test_the_doubter_checks_right_steps_by_their_kind_and_once(doubting):
    triggered = defaultdict(list)
    for _, text in (row for rows in doubting.values() for row in rows):
        statements = read_statements(text)
        for statement, again in zip(statements, made_again(statements), strict=True):
            kind = "again" if again else "-" if statement.operation == "-" else "other"
            triggered[statement.holds, kind].append(statement.triggered)
    form = DOUBTER.formats[MAIN]
    for (holds, kind), found in triggered.items():
        doubted = DOUBTER.doubt.rate if kind == "-" else form.false_alarm
        expected = doubted if holds else form.trigger
        assert sum(found) / len(found) == pytest.approx(expected, abs=0.03), (holds, kind)
    right = triggered[True, "-"] + triggered[True, "other"]
    assert 0.3 < sum(right) / len(right) < 0.4
    every = [(holds, hit) for (holds, _), found in triggered.items() for hit in found if hit]
    assert 0.45 < sum(holds for holds, _ in every) / len(every) < 0.55


def test_formatting_changes_nothing_about_the_doubter():
    assert len({DOUBTER.rate(variant) for variant in DOUBTER.formats}) == 1
    assert DOUBTER.rate(MAIN) - DOUBTER.calm.rate(MAIN) > 0.2


@pytest.mark.parametrize("design", DESIGNS.values(), ids=DESIGNS)
def test_what_follows_a_wrong_statement_adds_up(design):
    for form in design.formats.values():
        assert form.trigger + form.silent + form.unnoticed == pytest.approx(1)


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_format_does_not_change_how_often_a_mistake_is_kept(traces, variant):
    right = sum(read_answer(text) == problem.value for problem, text in traces[variant]) / len(
        traces[variant]
    )
    steps = sum(len(problem.steps) for problem, _ in traces[variant]) / len(traces[variant])
    kept = DESIGN.formats[variant].unnoticed * DESIGN.wrong * steps
    assert right == pytest.approx(1 - kept, abs=0.01)


def test_triggers_and_kinds_of_mistake_come_in_their_shares(traces):
    found = Counter(match[0] for _, text in traces[MAIN] for match in TRIGGER.finditer(text))
    for name, share in DESIGN.triggers.items():
        assert found[name] / found.total() == pytest.approx(share, abs=0.03)
    rng = random.Random(0)
    step = SolutionStep(9, "+", 5)
    gaps = Counter(abs(wrong_result(rng, step) - step.result) for _ in range(4000))
    assert gaps[0] == 0
    assert gaps[1] / 4000 == pytest.approx(DESIGN.error_kinds["near"], abs=0.03)
    assert gaps[2] / 4000 == pytest.approx(DESIGN.error_kinds["two"], abs=0.03)


def test_a_kept_mistake_is_carried_on():
    chosen = tiny_problems("train", 3000, seed=9)
    rng = random.Random(1)
    carried = 0
    for problem in chosen:
        statements = read_statements(write_trace(problem, MAIN, rng).text)
        for one, after in pairwise(statements):
            again = (one.left, one.operation, one.right) == (after.left, after.operation, after.right)
            if not one.holds and not again and not one.triggered:
                assert after.left == one.value
                carried += 1
    assert carried > 20
