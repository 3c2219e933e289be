"""The search in waves: the same winner from fewer rows, which are the first of those of the whole search."""

import shutil

import numpy as np
import pandas as pd
import pytest

from backtracking.config.phase2 import SearchConfig
from backtracking.config.schema import DetectionConfig
from backtracking.engine.generate import SamplingParams
from backtracking.measurements.events import EventReader
from backtracking.measurements.looks import planned
from backtracking.measurements.outcome import ways
from backtracking.measurements.tallies import contributions
from backtracking.measurements.tradeoff import find_best_tradeoff, seems_best, summarize_arms
from backtracking.sweeps.contest import Contest, surely_leaves_more
from backtracking.sweeps.search import search_arms
from backtracking.sweeps.sweep import arm_path
from backtracking.text.tokenization import TokenMap
from tests.phase2 import world
from tests.phase2.planted import planted
from tests.phase2.test_survival import CutOffError, StopAfter
from tests.report.tables import event_rows

PROBLEMS, SAMPLES, MARGIN = 24, 2, 0.2
ROWS = PROBLEMS * SAMPLES
CONFIG = SearchConfig(budget_rows=9 * ROWS, scales=[0.0], trials_at_once=2)
CANDIDATES = [("mlp", 2), ("mlp", 0), ("mlp", 1)]
"""Writes the trigger; writes the text; writes nothing. Seven arms in all."""


def searched(folder, **changes):
    model = planted()
    gold = dict.fromkeys((prompt.example_id for prompt in world.prompts(PROBLEMS)), "7")
    reader = EventReader(DetectionConfig(), world.PROMPTING, TokenMap(model.tokenizer), gold)
    sampling = SamplingParams(max_new_tokens=64, temperature=1.0)
    settings = {"looks": planned(PROBLEMS), "order": range(PROBLEMS), "margin": MARGIN}
    settings |= {"reader": reader, "sampling": sampling, "problems": PROBLEMS, "samples": SAMPLES}
    job = world.job(model, folder, **(settings | changes))
    return job, search_arms(job, CANDIDATES, CONFIG, seed=0)


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    return searched(tmp_path_factory.mktemp("stopped"))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return searched(tmp_path_factory.mktemp("whole"), looks=None, order=())


def winner(job, found):
    return find_best_tradeoff(summarize_arms(found.events, MARGIN, job.looks))["arm"]


def test_the_planted_writer_wins_either_way_and_hopeless_arms_stop(stopped, whole):
    assert winner(*stopped) == winner(*whole)
    assert "mlp2" in winner(*stopped) and "mlp0" not in winner(*stopped)
    assert set(stopped[1].trials["arm"]) == set(whole[1].trials["arm"])
    assert len(stopped[1].events) < 0.7 * len(whole[1].events)
    arms = stopped[1].trials.drop_duplicates("arm").set_index("arm")
    assert (arms["problems"] < PROBLEMS).equals(arms["why_stopped"] != "")
    broken = arms.loc["search_mlp0_x0"]
    assert broken["problems"] < PROBLEMS and broken["why_stopped"] == "destructive"
    assert arms.loc["search_mlp1_x0", "problems"] < PROBLEMS, "what does nothing is no winner"


def test_the_budget_holds(stopped):
    _, found = stopped
    assert found.generated == len(found.events) <= CONFIG.budget_rows


def test_rows_kept_begin_those_of_the_whole_search_and_turning_it_off_finishes_them(stopped, whole, tmp_path):
    ours, theirs = stopped[0], whole[0]
    arms = set(whole[1].trials["arm"])
    for arm in arms:
        kept = arm_path(ours.folder, arm).read_bytes()
        assert arm_path(theirs.folder, arm).read_bytes().startswith(kept)
    shutil.copytree(ours.folder, tmp_path / "again")
    again, finished = searched(tmp_path / "again", looks=None, order=())
    assert finished.generated == len(whole[1].events) - len(stopped[1].events)
    pd.testing.assert_frame_equal(finished.trials, whole[1].trials)
    pd.testing.assert_frame_equal(finished.events, whole[1].events)
    for arm in arms:
        assert arm_path(again.folder, arm).read_bytes() == arm_path(theirs.folder, arm).read_bytes()


def test_a_search_that_is_killed_in_a_wave_walks_the_same_path_again(stopped, tmp_path):
    job, found = stopped
    with pytest.raises(CutOffError):
        searched(tmp_path, reporter=StopAfter(130))
    again, resumed = searched(tmp_path)
    pd.testing.assert_frame_equal(resumed.trials, found.trials)
    pd.testing.assert_frame_equal(resumed.events, found.events)
    for arm in set(found.trials["arm"]):
        assert arm_path(again.folder, arm).read_bytes() == arm_path(job.folder, arm).read_bytes()


def evenly(share, count):
    """As many of so many rows, spread over the problems."""
    return np.arange(count) * 37 % count < share * count


def arm_rows(name, onsets, accuracy, problems=30):
    """An arm with exactly these rates."""
    rows = event_rows(name, onsets, accuracy, problems=problems)
    count = len(rows)
    return rows.assign(
        has_backtracking_strict=evenly(onsets, count), is_correct=evenly(accuracy, count),
        arm=name, subset_name=name, scale=None, num_components=1,
        kind="baseline" if name == "baseline" else "intervention",
    )  # fmt: skip


BASELINE = arm_rows("baseline", 0.6, 0.9)


@pytest.fixture
def contest():
    rows = pd.concat([BASELINE, arm_rows("best", 0.05, 0.9)], ignore_index=True)
    found = Contest(0.05, ways(contributions(BASELINE)))
    found.enter(rows, planned(30))
    assert found.best["arm"].iloc[0] == "best"
    return found


@pytest.mark.parametrize(
    ("onsets", "accuracy", "leaves"), [(0.55, 0.88, True), (0.08, 0.88, False), (0.55, 0.99, False)]
)
def test_an_arm_is_beaten_where_it_surely_leaves_more_and_keeps_no_more_accuracy(
    contest, onsets, accuracy, leaves
):
    """The best of 30 problems is so by estimates alone: 30 without a loss leave 11.6 points possible."""
    assert not contest.is_held
    rows = pd.concat([BASELINE, arm_rows("arm", onsets, accuracy)])
    assert ("arm" in contest.leaving(rows, planned(30))) is leaves
    contest.is_held = True
    assert ("arm" in contest.leaving(rows, planned(30))) is (onsets > 0.5)


def test_what_loses_accuracy_does_not_seem_best():
    rows = [BASELINE, arm_rows("silent", 0.0, 0.5), arm_rows("fewer", 0.4, 0.87)]
    assert seems_best(summarize_arms(pd.concat(rows[:2]), 0.05), 0.05) is None
    assert seems_best(summarize_arms(pd.concat(rows), 0.05), 0.05)["arm"] == "fewer"


def test_equal_arms_rarely_seem_surely_different():
    """Looks at pairs of the same kind, each at the level that they share over all looks."""
    looks, wrong = planned(48), 0
    for seed in range(40):
        one, other = (event_rows("arm", 0.3, 0.9, problems=48, seed=2 * seed + k) for k in (0, 1))
        judged_by = ways(contributions(one))
        ids = list(dict.fromkeys(one["example_id"]))
        first = [(part[part["example_id"].isin(ids[:end])] for part in (one, other)) for end in looks.ends]
        found = [
            surely_leaves_more(*map(contributions, pair), judged_by, looks.level(end))
            for pair, end in zip(first, looks.ends, strict=True)
        ]
        wrong += any(found)
    assert wrong <= 4
