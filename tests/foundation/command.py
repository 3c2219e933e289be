"""Runs the command line inside the test process, as a person would type it."""

import sys
from dataclasses import dataclass

import pytest

from backtracking.cli import main


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str


class CommandLine:
    """`cli("run", "-c", path)` gives exit code and what was printed."""

    def __init__(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self._capsys, self._monkeypatch = capsys, monkeypatch

    def __call__(self, *arguments: object) -> Outcome:
        self._monkeypatch.setattr(sys, "argv", ["backtracking", *map(str, arguments)])
        self._capsys.readouterr()
        code = 0
        try:
            main()
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else int(bool(stop.code))
        captured = self._capsys.readouterr()
        return Outcome(code, captured.out, captured.err)


def assert_one_clear_message(outcome: Outcome, *words: str) -> None:
    """A user's mistake: exit code 2, one `error:`, no traceback, and the words that help."""
    text = outcome.out + outcome.err
    assert outcome.code == 2, text
    assert text.count("error:") == 1, text
    assert "Traceback" not in text
    for word in words:
        assert word in text, f"{word!r} not in:\n{text}"
