"""A worker's inside: items come while others are in the making, and errors travel as what they are."""

import pytest

from backtracking.engine.executor.feed import Failure, Session
from backtracking.engine.executor.work import Underway
from backtracking.engine.generate import Completing, Prompt, Row, SamplingParams, generate_rows
from backtracking.errors import UserError
from tests.engine.tiny import tiny


class Doubling:
    """Works on several items at once, as the engine does: it takes what is there before it finishes one."""

    ahead = 3

    def __call__(self, model, items):
        begun = []
        for numbered in items:
            if numbered is not None:
                begun.append(numbered)
                continue
            place, item = begun.pop()
            if item == "mistake":
                raise UserError("what", "why", "next")
            yield place, 2 * item
        yield from ((place, 2 * item) for place, item in begun)


def through(session, items):
    """Everything through a session, a few at a time."""
    waiting, results = list(enumerate(items)), {}
    report = session.exchange([], may_ask=True, patience=5.0)
    while len(results) < len(items) and report.failure is None:
        given, waiting = waiting[: report.wants], waiting[report.wants :]
        report = session.exchange(given, may_ask=bool(given), patience=5.0)
        results |= dict(report.results)
    return results, report.failure


def test_results_come_while_items_are_given():
    session = Session(Doubling(), None)
    results, failure = through(session, range(50))
    assert failure is None
    assert results == {place: 2 * place for place in range(50)}
    assert session.end(5.0)


def test_what_is_underway_is_told_and_stays_in_the_making():
    class Slowly(Doubling):
        def __call__(self, model, items):
            for place, result in super().__call__(model, items):
                yield place, Underway(result)
                yield place, result

    session = Session(Slowly(), None)
    results = session.exchange([(0, 1)], may_ask=False, patience=5.0).results
    if len(results) < 2:
        results += session.exchange([], may_ask=False, patience=5.0).results
    assert results == [(0, Underway(2)), (0, 2)]
    assert session._in_the_making == 0
    assert session.end(5.0)


def test_a_mistake_in_a_worker_is_the_same_mistake_outside():
    _, failure = through(Session(Doubling(), None), ["a", "mistake", "b"])
    error = failure.error()
    assert isinstance(error, UserError)
    assert (error.what, error.why, error.next_step) == ("what", "why", "next")


def test_a_bug_keeps_its_traceback():
    _, failure = through(Session(Doubling(), None), [None])
    with pytest.raises(RuntimeError, match=r"(?s)TypeError.*yield place, 2 \* item"):
        raise failure.error()
    assert Failure.of(ValueError("x")).error().args[0].startswith("a worker failed: ValueError: x")


def test_rows_that_trickle_in_are_the_same_rows():
    model = tiny("qwen2")
    sampling = SamplingParams(max_new_tokens=12, temperature=1.0, top_p=1.0)
    rows = [
        Row(Prompt(f"p{number}", "v", "", (5 + number, 6, 7)), sample)
        for number in range(6)
        for sample in range(3)
    ]
    alone = {record.id: record for record in generate_rows(model, rows, sampling, seed=3)}
    work = Completing(sampling, 3, slots=4)
    results, failure = through(Session(work, model), rows)
    assert failure is None
    assert [results[place].record for place in range(len(rows))] == [alone[row.id] for row in rows]
