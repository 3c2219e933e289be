"""Sweeps that were cut off, edited or mixed up end as if nothing had happened, and say what did."""

import json
from dataclasses import replace

import pytest
import torch

from backtracking.config.phase2 import Subset
from backtracking.engine.batched import Batch
from backtracking.errors import UserError
from backtracking.interventions import BASELINE_ARM, Intervention
from backtracking.measurements.hook_debug import add_start
from backtracking.model.arms import subset_arms
from backtracking.sweeps.sweep import is_current, load_arm, read_arm, run_arms, run_subset_sweep
from tests.phase2 import world
from tests.phase2.test_sweeps import SUBSETS, Said

ONE = {"one": SUBSETS["one"]}


class CutOffError(Exception):
    """Whatever cuts a run off."""


class StopAfter(Said):
    """A reporter whose bar cuts the run off after some rows."""

    def __init__(self, rows):
        super().__init__()
        self.left = rows

    def bar(self, *_, **__):
        return self

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def advance(self, *_, **__):
        self.left -= 1
        if self.left < 0:
            raise CutOffError


def edit(path, change):
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps(change(k, row)) + "\n" for k, row in enumerate(rows)))


def test_edited_rows_of_an_arm_are_made_again(tmp_path):
    model, said = world.random_model(), Said()
    before = run_subset_sweep(world.job(model, tmp_path), ONE)
    edit(
        tmp_path / "phase2_one_x0.jsonl",
        lambda k, row: row | {"completion": row["completion"].replace(" ", "", 1)} if k % 3 else row,
    )
    with pytest.raises(UserError, match="changed after it was written"):
        list(read_arm(tmp_path, "one_x0"))
    again = run_subset_sweep(world.job(model, tmp_path, reporter=said), ONE)
    assert again.generated == 5
    assert any("5 changed after they were written" in line for line in said.lines)
    assert again.table.equals(before.table)


def test_rows_of_another_arm_are_not_taken_in(tmp_path):
    model = world.random_model()
    before = run_subset_sweep(world.job(model, tmp_path), SUBSETS)
    foreign = json.loads((tmp_path / "phase2_two_x0.jsonl").read_text().splitlines()[0])
    edit(tmp_path / "phase2_one_x0.jsonl", lambda k, row: foreign if k == 0 else row)
    again = run_subset_sweep(world.job(model, tmp_path), SUBSETS)
    assert again.generated == 1
    assert again.table.equals(before.table)


def test_an_edited_card_is_noticed(tmp_path):
    job = world.job(world.random_model(), tmp_path)
    run_subset_sweep(job, ONE)
    card = tmp_path / "phase2_one_x0.arm.json"
    (arm,) = subset_arms(ONE, 0.0, job.resources)
    assert is_current(job, arm) and load_arm(tmp_path, "one_x0") == arm
    card.write_text(card.read_text().replace('"layer": 1', '"layer": 2'))
    assert not is_current(job, arm)
    with pytest.raises(UserError, match="changed after it was written"):
        load_arm(tmp_path, "one_x0")
    assert run_subset_sweep(job, ONE).generated == 8
    assert load_arm(tmp_path, "one_x0") == arm


def test_another_direction_under_the_same_name_makes_the_arm_anew(tmp_path):
    """The vector is part of what an arm is, though the arm names it only."""
    record = Intervention(component="resid", layer=1, mode="add", strength=4.0, vector="v")
    model, generator = world.random_model(), torch.Generator().manual_seed(0)
    one, other = torch.randn(2, 32, generator=generator)
    job = world.job(model, tmp_path, vectors={"v": one})
    (arm,) = subset_arms({"push": Subset(components=[record])}, 0.0, job.resources)
    first = run_arms(job, [BASELINE_ARM, arm])
    assert run_arms(job, [BASELINE_ARM, arm]).generated == 0
    second = run_arms(replace(job, vectors={"v": other}), [BASELINE_ARM, arm])
    assert second.generated == 8
    assert not second.events.equals(first.events)


@pytest.mark.parametrize("engine", ["batched", "reference"])
def test_hook_counts_hold_what_interrupted_starts_did(tmp_path, engine):
    model, kept = world.random_model(), {}

    def note(start):
        kept.update(add_start(dict(kept), start))

    whole = add_start({}, run_subset_sweep(world.job(model, tmp_path / "whole"), SUBSETS).hook_debug)
    job = world.job(model, tmp_path / "parts", engine=engine, note_hooks=note)
    for rows in (5, 9):
        with pytest.raises(CutOffError):
            run_subset_sweep(replace(job, reporter=StopAfter(rows)), SUBSETS)
    assert kept["matches_schedule"], kept["differences"]
    run_subset_sweep(job, SUBSETS)
    not_by_arm = {"seq_len_distribution": None}
    assert kept | not_by_arm == whole | not_by_arm


def test_long_rows_of_an_interrupted_sweep_go_on_in_the_middle(tmp_path, monkeypatch):
    """Same rows, same counts of the hooks, and fewer turns; an arm that was whole leaves nothing behind."""
    model = world.random_model()
    whole = run_subset_sweep(world.job(model, tmp_path / "whole"), SUBSETS)
    turn, turns = Batch.turn, []

    def counted(self, queue):
        turns.append(None)
        if len(turns) == 10:
            raise CutOffError
        return turn(self, queue)

    monkeypatch.setattr(Batch, "turn", counted)
    monkeypatch.setattr("backtracking.engine.generate.KEPT_EVERY", 3)
    job = world.job(model, tmp_path / "parts")
    with pytest.raises(CutOffError):
        run_subset_sweep(job, SUBSETS)
    begun = list(job.folder.glob("*.unfinished/*.json"))
    assert begun
    result = run_subset_sweep(job, SUBSETS)
    assert result.table.equals(whole.table)
    assert result.hook_debug["matches_schedule"], result.hook_debug["differences"]
    assert not list(job.folder.glob("*.unfinished"))


def test_rows_of_a_killed_start_are_missed_in_the_counts(tmp_path):
    """What never wrote its counts cannot be vouched for, and hook_debug.json says so."""
    model, kept = world.random_model(), {}
    job = world.job(model, tmp_path)
    with pytest.raises(CutOffError):
        run_subset_sweep(replace(job, reporter=StopAfter(10)), ONE)
    run_subset_sweep(replace(job, note_hooks=lambda start: kept.update(add_start({}, start))), ONE)
    assert kept["matches_schedule"] is False
    uncounted = 16 - sum(kept["rows_generated"].values())
    assert sum(int(line.split()[1]) for line in kept["differences"]) == uncounted > 0


def test_arms_of_another_sweep_are_shared_and_those_cut_off_are_resumed(tmp_path):
    model, said = world.random_model(), Said()
    run_subset_sweep(world.job(model, tmp_path), ONE)
    run_subset_sweep(world.job(model, tmp_path, reporter=said), SUBSETS)
    assert said.lines == ["  on disk already: baseline, one_x0"]
    again = Said()
    path = tmp_path / "phase2_two_x0.jsonl"
    rows = path.read_text().splitlines(keepends=True)
    path.write_text("".join(rows[:3]))
    run_subset_sweep(world.job(model, tmp_path, reporter=again), SUBSETS)
    assert f"  resuming: 3 of {len(rows)} completions done" in again.lines
