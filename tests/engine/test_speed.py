"""The measured speed is that of the turns it was measured on."""

import itertools

import pytest

from backtracking.engine.rows import Row
from backtracking.engine.sampling import SamplingParams
from backtracking.engine.speed import _Tally, measure_speed
from backtracking.interventions import BASELINE
from tests.engine.tiny import prompt, tiny

JOIN, DECODE = 0.5, 0.1


def planted(turns):
    """A batch in which each joining row costs `JOIN` and each decoding turn `DECODE`."""
    tally, active = _Tally(), 0
    for joined, ended in turns:
        active += joined - len(ended)
        tally.add(joined * JOIN + DECODE, active, list(ended))
    return tally.speed(0.0)


def test_reading_and_decoding_are_told_apart():
    speed = planted([(8, ()), *[(0, ())] * 20, (2, ()), *[(0, ())] * 5])
    assert speed.rows_at_once == 10
    assert speed.seconds_per_prompt == pytest.approx(JOIN)
    assert speed.tokens_per_second == pytest.approx((20 * 8 + 5 * 10) / (25 * DECODE))
    assert speed.tokens_per_row is None


def test_turns_of_a_batch_that_runs_empty_do_not_count():
    full = planted([(8, ()), *[(0, ())] * 10])
    emptying = planted([(8, ()), *[(0, ())] * 10, (0, [20] * 5), *[(0, ())] * 50])
    assert emptying.tokens_per_second == pytest.approx(full.tokens_per_second, rel=0.05)


def test_lengths_are_told_once_many_rows_have_ended():
    turns = [(8, ()), *[(0, [30] * 8), (8, ())] * 4, (0, ())]
    assert planted(turns).tokens_per_row == 30
    assert planted(turns[:3]).tokens_per_row is None


def test_nothing_decoded_is_no_speed():
    assert _Tally().speed(1.0) is None


def test_the_engine_is_stopped_when_the_time_is_over():
    """With a clock that goes one second per turn, a full batch of four rows makes four tokens a second."""
    taken = []

    def rows():
        for example in itertools.count():
            taken.append(example)
            yield Row(prompt=prompt(example), sample_id=0, condition=BASELINE)

    seconds = itertools.count()
    model = tiny("qwen2")
    speed = measure_speed(
        model, rows(), SamplingParams(max_new_tokens=200, temperature=1.0),
        seed=0, slots=4, seconds=12.0, clock=lambda: float(next(seconds)),
    )  # fmt: skip
    assert speed.rows_at_once == 4
    assert speed.seconds == 12.0
    assert speed.tokens_per_second == 4.0
    assert speed.seconds_per_prompt == 0.0
    assert len(taken) < 40
    assert not model.blocks[0].attn._forward_hooks
