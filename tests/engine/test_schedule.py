"""When an intervention acts, counted by hand on one short row."""

import numpy as np
import pytest

from backtracking.errors import UserError
from backtracking.interventions import When
from backtracking.model.schedule import (
    Positions,
    active,
    acts_on_prompt,
    check_when,
    ends_with_onset,
    onset_seen,
    times_active,
)

PROMPT, FED, ONSET = (5, 7, 5), (7, 9, 5, 7), (9, 5)
"""The onset's second token is the third that is fed back."""


@pytest.mark.parametrize(
    ("when", "times"),
    [
        (When(phase="decode"), 4),
        (When(phase="prefill"), 1),
        (When(phase="all"), 5),
        (When(phase="all", steps=(0, 2)), 2),
        (When(phase="decode", steps=(0, 2)), 1),
        (When(phase="prefill", steps=(0, 2)), 1),
        (When(phase="all", after_tokens=frozenset({7})), 3),
        (When(phase="decode", after_tokens=frozenset({7})), 2),
        (When(phase="decode", after_tokens=frozenset({9, 5})), 2),
        (When(phase="all", after_tokens=frozenset({9})), 1),
        (When(phase="decode", onset="from_first"), 2),
        (When(phase="decode", onset="until_first"), 2),
        (When(phase="all", onset="from_first"), 2),
        (When(phase="all", onset="until_first"), 3),
        (When(phase="decode", onset="from_first", after_tokens=frozenset({7})), 1),
        (When(phase="decode", onset="until_first", after_tokens=frozenset({7}), steps=(1, 4)), 1),
    ],
)
def test_how_often_a_schedule_holds(when, times):
    assert times_active(when, PROMPT, FED, {ONSET}) == times


def test_without_phrases_no_onset_is_ever_seen():
    assert times_active(When(phase="all", onset="until_first"), PROMPT, FED) == 5
    assert times_active(When(phase="all", onset="from_first"), PROMPT, FED) == 0


def test_where_it_holds():
    at = Positions.of_prompt(PROMPT)
    assert active(When(phase="all", after_tokens=frozenset({5})), at).tolist() == [[True, False, True]]
    assert not active(When(phase="all", onset="from_first"), at).any()
    two_rows = Positions(np.array([[7], [9]]), np.array([[3], [1]]), np.array([[True], [False]]))
    assert active(When(phase="decode", steps=(3,)), two_rows).tolist() == [[True], [False]]
    assert active(When(phase="decode", onset="until_first"), two_rows).tolist() == [[False], [True]]
    assert active(When(phase="prefill"), two_rows).tolist() == [[False], [False]]


def test_an_onset_is_seen_from_its_last_token_on():
    assert onset_seen(FED, {ONSET}).tolist() == [False, False, True, True]
    assert onset_seen(FED, {ONSET, (7,)}).tolist() == [True] * 4
    assert onset_seen(FED, {(5, 9)}).tolist() == [False] * 4
    assert [ends_with_onset(FED[:length], {ONSET}) for length in (0, 1, 2, 3, 4)] == [
        False, False, False, True, False,
    ]  # fmt: skip
    assert ends_with_onset((5,), {(5,)}) and not ends_with_onset((5,), {ONSET})


@pytest.mark.parametrize(
    ("when", "acts"),
    [
        (When(phase="decode"), False),
        (When(phase="prefill"), True),
        (When(phase="all"), True),
        (When(phase="all", steps=(0, 3)), True),
        (When(phase="all", steps=(1, 3)), False),
        (When(phase="all", onset="from_first"), False),
        (When(phase="all", onset="until_first"), True),
    ],
)
def test_whether_a_prompt_depends_on_it(when, acts):
    assert acts_on_prompt(when) == acts
    assert bool(active(when, Positions.of_prompt(PROMPT)).any()) == acts


@pytest.mark.parametrize(
    ("when", "has_onsets", "says"),
    [
        (When(phase="decode", steps=(0,)), True, "never acts"),
        (When(phase="prefill", steps=(1, 2)), True, "never acts"),
        (When(phase="decode", after_tokens=frozenset({10, 99})), True, "never acts"),
        (When(phase="prefill", onset="from_first"), True, "never acts"),
        (When(phase="decode", onset="from_first"), False, "waits for an onset"),
        (When(phase="all", onset="until_first"), False, "waits for an onset"),
    ],
)
def test_what_can_never_hold_is_refused(when, has_onsets, says):
    with pytest.raises(UserError, match=says):
        check_when(when, has_onsets, vocab_size=10)


@pytest.mark.parametrize(
    "when",
    [
        When(phase="decode", steps=(0, 1)),
        When(phase="decode", steps=(10**6,)),
        When(phase="prefill", steps=(0,)),
        When(phase="all", steps=(0,)),
        When(phase="decode", after_tokens=frozenset({0})),
        When(phase="decode", after_tokens=frozenset({9, 99})),
        When(phase="all", onset="from_first"),
        When(phase="prefill", onset="until_first"),
    ],
)
def test_what_may_hold_is_not(when):
    check_when(when, has_onsets=True, vocab_size=10)


def test_without_onset_phrases_other_schedules_are_fine():
    check_when(When(phase="decode"), has_onsets=False, vocab_size=10)
