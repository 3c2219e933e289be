"""Sweeps in waves: what stops, what it rests on, and that it is a prefix of what the whole sweep makes."""

import shutil
from dataclasses import replace
from types import SimpleNamespace

import pandas as pd
import pytest

from backtracking.artifacts import phase2 as files
from backtracking.config.phase2 import Subset
from backtracking.config.schema import DetectionConfig
from backtracking.engine.generate import SamplingParams
from backtracking.figures.waves import plot_waves
from backtracking.interventions import BASELINE_ARM, Arm, Condition
from backtracking.measurements.events import EventReader
from backtracking.measurements.looks import Looks, planned
from backtracking.model.arms import subset_arms
from backtracking.run.paths import RunPaths
from backtracking.run.progress import Quiet
from backtracking.stages.phase2.job import publish_waves
from backtracking.sweeps.sweep import arm_path, read_arm, run_arms
from backtracking.sweeps.waves import run_waves, settled_at, wave_order
from backtracking.text.tokenization import TokenMap
from tests.phase2 import world
from tests.phase2.planted import planted
from tests.phase2.test_survival import CutOffError, StopAfter
from tests.report.big_study import waves_table
from tests.report.tables import event_rows

LOOKS = Looks((12, 24, 36))
SUBSETS = {"chain": Subset(components=[["mlp", 0]]), "idle": Subset(components=[["mlp", 1]])}
"""Without the first block there is no text; the second writes nothing."""


def swept(folder, **changes):
    model = planted()
    gold = dict.fromkeys((prompt.example_id for prompt in world.prompts(36)), "7")
    reader = EventReader(DetectionConfig(), world.PROMPTING, TokenMap(model.tokenizer), gold)
    settings = {"looks": LOOKS, "order": wave_order(36), "problems": 36, "samples": 2}
    sampling = SamplingParams(max_new_tokens=64, temperature=1.0)
    job = world.job(model, folder, reader=reader, sampling=sampling, **(settings | changes))
    return job, [BASELINE_ARM, *subset_arms(SUBSETS, 0.0, job.resources)]


def kept(folder, arm):
    return {(row.example_id, row.sample_id): row.completion_ids for row in read_arm(folder, arm)}


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stopped")
    return folder, run_arms(*swept(folder))


def test_an_arm_that_breaks_the_model_stops_and_says_on_what_its_verdict_rests(stopped):
    _, result = stopped
    table = result.table.set_index("arm")
    assert table.loc["chain_x0", "verdict"] == "destructive"
    assert table.loc["chain_x0", "problems"] < 36 == table.loc["chain_x0", "problems_in_full"]
    assert table.loc["chain_x0", "total"] == 2 * table.loc["chain_x0", "problems"]
    assert table.loc["chain_x0", "nominal_level"] < table.loc["baseline", "nominal_level"] < 0.05
    last = result.waves[result.waves["stopped"]]
    assert "chain_x0" in set(last["arm"])
    assert result.waves["rows_spent"].max() == len(result.events) < result.waves["rows_in_full"].iloc[0]
    assert "completions" in str(plot_waves(result.waves).caption)


def test_rows_of_a_stopped_arm_begin_the_whole_sweeps_and_turning_it_off_finishes_them(stopped, tmp_path):
    folder, result = stopped
    job, arms = swept(tmp_path)
    whole = run_arms(replace(job, looks=None), arms)
    order = [job.prompts[place].example_id for place in job.order]
    for arm in arms:
        rows, problems = (
            kept(folder, arm.name),
            int((result.table.set_index("arm")).loc[arm.name, "problems"]),
        )
        assert rows.items() <= kept(tmp_path, arm.name).items()
        assert {problem for problem, _ in rows} == set(order[:problems])
    shutil.copytree(folder, tmp_path / "again")
    again, _ = swept(tmp_path / "again")
    finished = run_arms(replace(again, looks=None), arms)
    assert finished.generated == 3 * 72 - len(result.events)
    for arm in arms:
        assert kept(again.folder, arm.name) == kept(tmp_path, arm.name)
    pd.testing.assert_frame_equal(finished.table, whole.table)
    pd.testing.assert_frame_equal(finished.events, whole.events)


@pytest.mark.parametrize("rows", [40, 100])
def test_a_sweep_that_is_killed_in_a_wave_ends_with_the_same_rows_and_decisions(stopped, tmp_path, rows):
    folder, whole = stopped
    job, arms = swept(tmp_path)
    with pytest.raises(CutOffError):
        run_arms(replace(job, reporter=StopAfter(rows)), arms)
    resumed = run_arms(job, arms)
    for arm in arms:
        assert arm_path(tmp_path, arm.name).read_bytes() == arm_path(folder, arm.name).read_bytes()
    pd.testing.assert_frame_equal(resumed.waves, whole.waves)
    pd.testing.assert_frame_equal(resumed.table, whole.table)


def test_what_arms_are_picked_by_comes_first():
    order = wave_order(40)
    assert sorted(order) == list(range(40))
    assert order[:20] == sorted(order[:20])
    assert all(len({place // 2 for place in part}) == 20 for part in (order[:20], order[20:]))


def arm(name):
    return Arm(name, name, None, (Condition(name=name),))


def in_memory(rates, problems, seed):
    """Arms as (onset rate, accuracy), grown from tables in memory."""
    parts = {
        name: event_rows(name, onsets, accuracy, problems=problems, seed=seed + k).assign(
            arm=name, subset_name=name, scale=None, num_components=1,
            kind="baseline" if name == "baseline" else "intervention",
        )
        for k, (name, (onsets, accuracy)) in enumerate(rates.items())
    }  # fmt: skip
    ids = list(dict.fromkeys(parts["baseline"]["example_id"]))

    def grow(some, count):
        return pd.concat([parts[one.name][parts[one.name]["example_id"].isin(ids[:count])] for one in some])

    return [arm(name) for name in rates], grow


def test_clear_arms_stop_and_near_ones_get_every_problem():
    rates = {"baseline": (0.6, 0.9), "broken": (0.5, 0.5), "near": (0.45, 0.86), "silent": (0.0, 0.9)}
    arms, grow = in_memory(rates, 120, seed=5)
    course = run_waves(planned(120), arms, grow, settled_at(0.05), Quiet())
    assert course.settled["broken"] == "destructive"
    assert course.problems["broken"] < 60
    assert "near" not in course.settled
    assert course.problems["near"] == course.problems["baseline"] == 120


def test_waves_of_an_earlier_sweep_do_not_outlive_it(tmp_path):
    """A sweep that is finished without stopping has no waves to show."""
    run = RunPaths(tmp_path, "run")
    ctx = SimpleNamespace(paths=run, phase2=SimpleNamespace(stop_early=True))
    publish_waves(ctx, files.SUBSET_WAVES, SimpleNamespace(waves=waves_table()))
    shown = [files.SUBSET_WAVES.path(run), files.SUBSET_WAVES_FIGURE.path(run)]
    assert all(path.exists() for path in shown)
    ctx.phase2.stop_early = False
    publish_waves(ctx, files.SUBSET_WAVES, SimpleNamespace(waves=pd.DataFrame()))
    assert not [path for path in tmp_path.rglob("*waves*") if path.is_file()]
