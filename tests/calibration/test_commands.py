"""What `power` says at the terminal."""

import random

import pandas as pd
import pytest

from backtracking.artifacts.phase1 import EVENTS
from backtracking.calibration.power import Plan, power
from backtracking.cli.calibration import _plans_like
from backtracking.errors import UserError
from backtracking.run.paths import RunPaths
from tests.foundation.command import CommandLine, assert_one_clear_message


@pytest.fixture
def cli(capsys, monkeypatch):
    return CommandLine(capsys, monkeypatch)


def test_a_plan_is_said_in_plain_words(cli):
    said = cli("power", "--effect", "0.05", "--problems", "60", "--samples", "4").out
    assert f"is seen with a power of {power(Plan(60, 4, 0.65, 0.2), 0.05):.0%}" in said
    assert "held within 5.0 points" in said


def test_more_than_all_cannot_be_lost(cli):
    assert_one_clear_message(cli("power", "--effect", "0.8"), "a rate of 65.0% cannot fall by 80.0%")


def write_baseline(folder, chance):
    rng = random.Random(0)
    paths = RunPaths(folder / "runs", "before")
    EVENTS.path(paths).parent.mkdir(parents=True)
    pd.DataFrame(
        {
            "example_id": f"p{problem}",
            "sample_id": sample,
            "variant": "main",
            "condition": "baseline",
            "has_backtracking_strict": rng.random() < chance(problem),
            "has_backtracking_relaxed": False,
            "is_correct": rng.random() < 0.8,
            "completion_tokens": 10,
        }
        for problem in range(200)
        for sample in range(5)
    ).to_csv(EVENTS.path(paths), index=False)


def test_rates_and_likeness_come_from_a_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_baseline(tmp_path, lambda problem: 0.2 + 0.6 * (problem % 2))
    onsets, answers = _plans_like("before", 50, 3)
    assert (onsets.problems, onsets.samples) == (50, 3)
    assert onsets.rate == pytest.approx(0.5, abs=0.05)
    assert onsets.likeness == pytest.approx(0.09 / 0.25, abs=0.08)
    assert answers.rate == pytest.approx(0.8, abs=0.05)
    assert answers.likeness < 0.1


def test_a_run_without_variation_plans_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_baseline(tmp_path, lambda _: 0.0)
    with pytest.raises(UserError, match="shows no variation"):
        _plans_like("before", 50, 3)
