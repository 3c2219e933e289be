"""A few inputs of each kind; `FUZZ=100000 pytest tests/fuzz` tries so many of each, and times them."""

import os
import time
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, find, given, settings

from backtracking.errors import UserError
from backtracking.sources.rows import read_rows
from backtracking.text.arithmetic import find_steps
from tests.fuzz.targets import ARITHMETIC, TARGETS

COUNT = int(os.environ.get("FUZZ", "0"))
LONGEST_S = 1.0
"""Processor time that one input may take, in the long form."""
SHORT = 40


@pytest.mark.parametrize("name", TARGETS)
def test_hostile_input_is_understood_or_refused(name):
    target = TARGETS[name]

    @settings(
        max_examples=COUNT or SHORT, deadline=None, database=None, derandomize=not COUNT,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(target.inputs)
    def run(data):
        # A slow input is tried again: now and then a second goes into collecting the garbage of all before.
        fast = duration(target, data) < LONGEST_S or duration(target, data) < LONGEST_S
        assert fast or not COUNT

    run()


def duration(target, data):
    """Processor seconds until an input was understood or refused."""
    start = time.process_time()
    with suppress(*target.refuses_with):
        target.run(data)
    return time.process_time() - start


def test_arithmetic_is_among_the_inputs():
    find(ARITHMETIC, lambda text: len(find_steps(text)) > 1)


FOUND = {
    "more digits than Python reads": (".jsonl", b'{"text": ' + b"9" * 5000 + b"}"),
    "a list of more digits": (".json", b"[" + b"9" * 5000 + b"]"),
    "a carriage return in an unquoted cell": (".csv", b"text\n\ra\rb\n"),
    "no archive": (".eval", b"PK\x03\x04\x00"),
}


@pytest.mark.parametrize("case", FOUND)
def test_what_was_found_is_refused_or_read(case, tmp_path):
    suffix, data = FOUND[case]
    path = tmp_path / f"traces{suffix}"
    path.write_bytes(data)
    try:
        assert list(read_rows(str(path))) is not None
    except UserError as error:
        assert path.name in str(error)
