"""Rows that were changed after they were written are noticed, never read, and made again."""

import json

import pytest

from tests.foundation.command import assert_one_clear_message

ROWS = "runs/small/generations/baseline_think_newline/baseline.jsonl"


@pytest.fixture
def finished(generated, workdir):
    return workdir / ROWS


def lines(path):
    return path.read_text(encoding="utf-8").splitlines()


def write(path, changed):
    path.write_text("".join(f"{line}\n" for line in changed), encoding="utf-8")


def cut_a_word(row):
    return row | {"completion": row["completion"][3:]}


def change_a_digit(row):
    ids = row["completion_ids"]
    return row | {"completion_ids": [*ids[:2], (ids[2] + 1) % 50, *ids[3:]]}


def finish_in_time(row):
    return row | {"finish_reason": "stop" if row["finish_reason"] == "length" else "length"}


def another_sample(row):
    return row | {"sample_id": 1 - row["sample_id"]}


@pytest.mark.parametrize("edit", [cut_a_word, change_a_digit, finish_in_time, another_sample])
def test_edited_rows_are_made_again(edit, cli, small_config, finished):
    whole = finished.read_bytes()
    rows = [json.loads(line) for line in lines(finished)]
    write(finished, [json.dumps(edit(row) if k in (1, 4, 7) else row) for k, row in enumerate(rows)])
    assert "stale" in cli("status", "--run-id", "small").out
    outcome = cli("generate", "-c", small_config)
    assert outcome.code == 0, outcome.err
    assert "not kept: 3 changed after they were written" in outcome.err
    made_again = [json.loads(line) for line in lines(finished)]
    assert made_again == rows
    assert len(lines(finished.with_name("baseline.previous.jsonl"))) == len(rows), "the edits are kept aside"
    write(finished, map(json.dumps, rows))
    cli("generate", "-c", small_config, "--force")
    assert finished.read_bytes() == whole


def test_rows_of_another_study_are_not_taken_in(cli, small_config, finished, workdir):
    """Same problems, same prompts, same places: only the sampling was another."""
    whole = finished.read_bytes()
    own = lines(finished)
    other = ["--run-id", "other", "--set", "generation.temperature=0.5"]
    for command in ("init-run", "prepare-data", "generate"):
        assert cli(command, "-c", small_config, *other).code == 0
    foreign = lines(workdir / ROWS.replace("small", "other"))
    assert foreign[5] != own[5]
    write(finished, [*own[:5], foreign[5], *own[6:]])
    outcome = cli("generate", "-c", small_config)
    assert "not kept: 1 made with other prompts or settings" in outcome.err
    assert finished.read_bytes() == whole


def test_rows_without_digests_stay_readable(cli, small_config, finished):
    bare = [json.loads(line) for line in lines(finished)]
    for row in bare:
        del row["digest"], row["made_with"]
    write(finished, [*map(json.dumps, bare[:-2])])
    outcome = cli("generate", "-c", small_config)
    assert "resuming: 14 of 16 completions done" in outcome.err
    assert cli("detect-events", "-c", small_config).code == 0


def test_edited_rows_are_never_measured(cli, small_config, finished):
    rows = [json.loads(line) for line in lines(finished)]
    write(finished, [json.dumps(cut_a_word(row) if k == 2 else row) for k, row in enumerate(rows)])
    assert_one_clear_message(
        cli("detect-events", "-c", small_config), "line 3", "changed after", "run: backtracking generate"
    )


def test_completions_that_were_made_and_are_gone_are_not_left_out_in_silence(cli, finished):
    kept = finished.read_bytes()
    finished.unlink()
    assert_one_clear_message(cli("detect-events", "--run-id", "small", "--force"), "baseline.jsonl")
    finished.write_bytes(kept)
    assert cli("detect-events", "--run-id", "small", "--force").code == 0
