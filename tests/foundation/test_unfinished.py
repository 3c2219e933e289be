"""A start that is stopped in the middle of long rows is followed by one that goes on there."""

import shutil

import pytest

from backtracking.engine import generate
from backtracking.engine.batched import Batch
from backtracking.run.unfinished import Unfinished, UnfinishedRow

ROWS = "runs/small/generations/baseline_think_newline/baseline.jsonl"
BEGUN = "runs/small/generations/baseline_think_newline/baseline.unfinished"
COMMAND = ("generate", "--set", "generation.max_new_tokens=100", "--set", "generation.logprobs=true", "-c")


@pytest.fixture
def turns(monkeypatch):
    """Rows are kept every 8 tokens; counts the engine's turns, and interrupts the start at one of them."""
    turn, seen = Batch.turn, {"done": 0, "stop": None}

    def counted(batch, queue):
        if seen["done"] == seen["stop"]:
            raise KeyboardInterrupt
        seen["done"] += 1
        return turn(batch, queue)

    monkeypatch.setattr(Batch, "turn", counted)
    monkeypatch.setattr(generate, "KEPT_EVERY", 8)
    return seen


@pytest.fixture
def stopped(cli, small_config, workdir, turns):
    """A run that was stopped after 60 turns, and the rows of one that was not."""
    assert cli("prepare-data", "-c", small_config).code == 0
    assert cli(*COMMAND, small_config).code == 0
    whole, needed = (workdir / ROWS).read_bytes(), turns["done"]
    shutil.rmtree(workdir / "runs")
    assert cli("prepare-data", "-c", small_config).code == 0
    turns.update(done=0, stop=60)
    assert cli(*COMMAND, small_config).code == 130
    turns.update(done=0, stop=None)
    return whole, needed


def test_rows_go_on_where_they_stood(stopped, cli, small_config, workdir, turns):
    whole, needed = stopped
    begun = list((workdir / BEGUN).iterdir())
    assert len(begun) > 3
    assert {len(UnfinishedRow.model_validate_json(file.read_bytes()).completion_ids) for file in begun} == {
        56
    }
    assert cli(*COMMAND, small_config).code == 0
    assert (workdir / ROWS).read_bytes() == whole
    assert turns["done"] <= needed - 55
    assert not (workdir / BEGUN).exists()


def test_what_does_not_read_as_it_was_written_is_made_from_the_beginning(stopped, cli, small_config, workdir):
    whole, _ = stopped
    for number, file in enumerate(sorted((workdir / BEGUN).iterdir())):
        text = file.read_bytes()
        broken = (text[:40], text.replace(b"[", b"[1,", 1), b"", text.replace(b'"digest"', b'"d"'))
        file.write_bytes(broken[number % len(broken)])
    assert cli(*COMMAND, small_config).code == 0
    assert (workdir / ROWS).read_bytes() == whole


def test_a_row_that_lies_under_the_name_of_another_is_not_taken_up(stopped, cli, small_config, workdir):
    whole, _ = stopped
    one, other, *_ = sorted((workdir / BEGUN).iterdir())
    texts = one.read_bytes(), other.read_bytes()
    other.write_bytes(texts[0])
    one.write_bytes(texts[1])
    assert cli(*COMMAND, small_config).code == 0
    assert (workdir / ROWS).read_bytes() == whole


def test_other_settings_and_force_begin_anew(stopped, cli, small_config, workdir, turns):
    whole, needed = stopped
    assert cli(*COMMAND, small_config, "--set", "generation.temperature=0.9").code == 0
    assert turns["done"] > needed - 30
    assert (workdir / ROWS).read_bytes() != whole
    assert not (workdir / BEGUN).exists()
    turns.update(done=0, stop=60)
    assert cli(*COMMAND, small_config).code == 130
    turns.update(done=0, stop=None)
    assert cli(*COMMAND, small_config, "--force").code == 0
    assert turns["done"] == needed
    assert (workdir / ROWS).read_bytes() == whole


def test_a_row_is_found_by_what_it_is_and_by_what_it_was_made_with(tmp_path):
    kept = Unfinished(tmp_path / "baseline.jsonl", "these settings")
    begun = UnfinishedRow(completion_ids=[5, 6], logprobs=[-0.5, -1.25])
    kept.keep(("variant", "a", 0), begun)
    assert kept.find(("variant", "a", 0)).completion_ids == [5, 6]
    assert kept.find(("variant", "a", 1)) is None
    assert Unfinished(kept.path, "others").find(("variant", "a", 0)) is None
    kept.keep(("variant", "a", 1), begun)
    kept.drop(("variant", "a", 0))
    assert kept.find(("variant", "a", 0)) is None
    assert kept.find(("variant", "a", 1)) is not None
    kept.drop(("variant", "a", 1))
    assert not kept.folder.exists()
