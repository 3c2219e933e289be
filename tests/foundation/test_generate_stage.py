"""Generation survives anything: kills, edits, grown and shrunken requests."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

from tests.foundation.command import assert_one_clear_message

ROWS = "runs/small/generations/baseline_think_newline/baseline.jsonl"


def rows(workdir):
    return [json.loads(line) for line in (workdir / ROWS).read_text().splitlines()]


def test_rows_hold_what_the_model_read_and_wrote(generated, cli, small_config, workdir, random_reasoner):
    from transformers import AutoTokenizer

    found = rows(workdir)
    assert [(row["example_id"], row["sample_id"]) for row in found] == [
        (problem["id"], sample)
        for problem in map(json.loads, (workdir / "runs/small/dataset.jsonl").read_text().splitlines())
        for sample in range(2)
    ]
    tokenizer = AutoTokenizer.from_pretrained(random_reasoner)
    for row in found:
        assert row["prompt_tokens"] == len(row["prompt_ids"])
        assert row["completion_tokens"] == len(row["completion_ids"]) <= 24
        assert row["finish_reason"] in ("stop", "length")
        shown = row["completion_ids"][:-1] if row["finish_reason"] == "stop" else row["completion_ids"]
        assert tokenizer.decode(shown, skip_special_tokens=False) == row["completion"]
        assert row["prompt"].endswith("<think>\n")


def test_second_start_does_nothing_and_says_so(generated, cli, small_config, workdir):
    before = (workdir / ROWS).stat().st_mtime_ns
    outcome = cli("generate", "-c", small_config)
    assert "up to date" in outcome.err
    assert (workdir / ROWS).stat().st_mtime_ns == before


def test_lost_torn_and_doubled_rows_are_made_good(generated, cli, small_config, workdir):
    path = workdir / ROWS
    whole = path.read_bytes()
    lines = whole.splitlines(keepends=True)
    path.write_bytes(b"".join([lines[5], lines[0], lines[0], lines[9]]) + lines[3][:40])
    outcome = cli("generate", "-c", small_config)
    assert outcome.code == 0, outcome.err
    assert "resuming: 3 of 16 completions done" in outcome.err
    assert path.read_bytes() == whole


def test_more_samples_keep_the_rows_that_are_there(generated, cli, small_config, workdir):
    few = rows(workdir)
    outcome = cli("generate", "-c", small_config, "--set", "generation.num_samples_per_prompt=3")
    assert "resuming: 16 of 24 completions done" in outcome.err
    many = rows(workdir)
    assert [row for row in many if row["sample_id"] < 2] == few
    cli("generate", "-c", small_config)
    assert rows(workdir) == few


def test_batch_size_never_matters(generated, cli, small_config, workdir):
    whole = (workdir / ROWS).read_bytes()
    outcome = cli("generate", "-c", small_config, "--set", "generation.batch_size=3")
    assert "up to date" in outcome.err
    cli("generate", "-c", small_config, "--set", "generation.batch_size=3", "--force")
    assert (workdir / ROWS).read_bytes() == whole


def test_a_key_that_changes_the_text_starts_anew_and_keeps_the_old(generated, cli, small_config, workdir):
    old = rows(workdir)
    outcome = cli("generate", "-c", small_config, "--set", "generation.temperature=0.7")
    assert outcome.code == 0, outcome.err
    assert rows(workdir) != old
    kept = (workdir / ROWS).with_suffix(".previous.jsonl")
    assert [json.loads(line) for line in kept.read_text().splitlines()] == old


def test_corrupt_row_in_the_middle_is_told_by_line_and_left_alone(generated, cli, small_config, workdir):
    path = workdir / ROWS
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:4], b"{broken}\n", *lines[5:]]))
    before = path.read_bytes()
    assert_one_clear_message(cli("generate", "-c", small_config), "line 5", "nothing was overwritten")
    assert path.read_bytes() == before


@pytest.mark.slow
def test_killed_and_interrupted_runs_go_on_without_losing_or_doubling_a_row(cli, small_config, workdir):
    cli("prepare-data", "-c", small_config)
    slow = ["--set", "generation.batch_size=1", "--set", "generation.num_samples_per_prompt=6"]
    command = [sys.executable, "-m", "backtracking.cli", "generate", "-c", str(small_config), *slow]
    command += ["--variant", "baseline_think_newline"]
    seen = 0
    # A shell's background jobs ignore SIGINT, and what they start inherits that unless it is handled here.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for stop in (signal.SIGKILL, signal.SIGINT):
        process = subprocess.Popen(command, cwd=workdir, stderr=subprocess.PIPE, text=True)
        deadline = time.monotonic() + 300  # a busy machine takes its time to start Python
        while time.monotonic() < deadline:
            there = (workdir / ROWS).read_bytes().count(b"\n") if (workdir / ROWS).exists() else 0
            if there > seen + 3:
                break
            time.sleep(0.02)
        os.kill(process.pid, stop)
        _, err = process.communicate(timeout=300)
        if stop == signal.SIGINT:
            assert process.returncode == 130, err
            assert "kept:" in err
            assert "run the same command again" in err
        assert there > seen, "the test must stop it in the middle"
        seen = there
    done = cli(*command[3:])
    assert done.code == 0, done.err
    assert "resuming:" in done.err
    resumed = (workdir / ROWS).read_bytes()
    together = [word.replace("batch_size=1", "batch_size=8") for word in command[3:]]
    assert cli(*together, "--force").code == 0
    assert (workdir / ROWS).read_bytes() == resumed
    assert resumed.count(b"\n") == 8 * 6


def test_a_second_writer_is_refused_by_name(generated, cli, small_config, workdir):
    from backtracking.run.lock import run_lock

    with run_lock(workdir / "runs/small/.lock"):
        assert_one_clear_message(cli("generate", "-c", small_config), f"pid {os.getpid()}", "--run-id")


WRONG = {
    "variant": (["generate", "--variant", "nope"], "think_same_line"),
    "condition": (["generate", "--condition", "nope"], "targeted_ablation"),
    "run id": (["generate", "--run-id", "nope"], "runs there: small"),
    "escaping run id": (["generate", "--run-id", "../x"], "not usable"),
    "needs the scan": (["generate", "--condition", "targeted_ablation"], "backtracking ablation-scan"),
    "model": (["generate", "--set", "model.hf_id=/nowhere/at/all"], "/nowhere/at/all"),
    "device": (["generate", "--set", "model.device=cuda"], "cuda"),
    "template": (["generate", "--set", "prompting.use_chat_template=false", "--set",
                  "prompting.template=x"], "{question}"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_mistakes_on_the_command_line(case, cli, small_config, workdir):
    cli("prepare-data", "-c", small_config)
    arguments, expected = WRONG[case]
    assert_one_clear_message(cli(arguments[0], "-c", small_config, *arguments[1:]), expected)


def test_generate_before_prepare_data_names_the_command(cli, small_config):
    assert_one_clear_message(
        cli("generate", "-c", small_config), "dataset.jsonl", "backtracking prepare-data"
    )


def test_neither_config_nor_run(cli, workdir):
    assert_one_clear_message(cli("generate"), "--config")


def test_other_weights_under_the_same_name_start_anew(cli, small_config, workdir, random_reasoner):
    """Rows of two models must never stand in one file."""
    import torch
    from transformers import Qwen2ForCausalLM

    folder = workdir / "model"
    shutil.copytree(random_reasoner, folder)
    model = ["--set", f"model.hf_id={folder}"]
    cli("prepare-data", "-c", small_config)
    assert cli("generate", "-c", small_config, *model).code == 0
    assert "up to date" in cli("generate", "-c", small_config, *model).err
    old = rows(workdir)
    changed = Qwen2ForCausalLM.from_pretrained(folder)
    with torch.no_grad():
        changed.model.layers[1].mlp.down_proj.weight.mul_(3.0)
    changed.save_pretrained(folder)
    lines = (workdir / ROWS).read_bytes().splitlines(keepends=True)
    (workdir / ROWS).write_bytes(b"".join(lines[:5]))
    assert cli("generate", "-c", small_config, *model).code == 0
    assert not any(row in old for row in rows(workdir))


def test_a_smaller_plan_keeps_the_rows_it_leaves_out(generated, cli, small_config, workdir):
    old = (workdir / ROWS).read_bytes()
    outcome = cli("generate", "-c", small_config, "--set", "generation.num_samples_per_prompt=1")
    assert "not kept: 8 not part of this plan" in outcome.err
    assert (workdir / ROWS).with_suffix(".previous.jsonl").read_bytes() == old
    cli("generate", "-c", small_config, "--force")
    assert (workdir / ROWS).with_suffix(".previous.jsonl").read_bytes() == old
    assert (workdir / ROWS).with_suffix(".previous1.jsonl").exists()


def test_interventions_that_went_uncounted_fail_the_stage(cli, small_config, workdir, monkeypatch):
    """The stage asks the ledger when its rows are done: a run that did not do as asked is a bug."""
    from backtracking.model.gates import GateTable

    cli("prepare-data", "-c", small_config)
    (workdir / "runs/small/analysis").mkdir()
    (workdir / "runs/small/analysis/selected_layers.json").write_text('{"attn": [1], "mlp": []}')
    monkeypatch.setattr(GateTable, "count_decode", lambda *_: None)
    with pytest.raises(RuntimeError, match="not applied as scheduled"):
        cli("generate", "-c", small_config, "--condition", "targeted_ablation")


def test_random_controls_and_speed_settings_leave_targeted_rows_alone(generated, cli, small_config, workdir):
    (workdir / "runs/small/analysis").mkdir()
    (workdir / "runs/small/analysis/selected_layers.json").write_text('{"attn": [1], "mlp": [2]}')
    targeted = ["generate", "-c", small_config, "--condition", "targeted_ablation"]
    assert cli(*targeted).code == 0
    for change in ("ablation_generation.random_draws=3", "model.use_cache=false"):
        assert "up to date" in cli(*targeted, "--set", change).err
    outcome = cli("status", "--run-id", "small", "--set", "ablation_generation.scale=0.25")
    assert "ablation_generation.scale" in outcome.out


def test_a_moved_run_stays_up_to_date(generated, cli, small_config, workdir):
    (workdir / "runs").rename(workdir / "elsewhere")
    (workdir / "elsewhere/small").rename(workdir / "elsewhere/moved")
    here = ["--set", "run.output_dir=elsewhere", "--run-id", "moved"]
    outcome = cli("generate", "-c", small_config, *here)
    assert "up to date" in outcome.err, outcome.err


def test_a_data_set_made_smaller_leaves_out_the_rows_of_lost_problems(generated, cli, small_config, workdir):
    assert cli("prepare-data", "-c", small_config, "--set", "dataset.max_examples=5").code == 0
    outcome = cli("detect-events", "-c", small_config)
    assert outcome.code == 0, outcome.err
    assert "no longer in the dataset are left out: 18, of 3 problems" in outcome.err
    events = (workdir / "runs/small/analysis/backtracking_events.csv").read_text()
    assert len(events.splitlines()) == 1 + 5 * 2 * 3
    others = workdir / "others.jsonl"
    others.write_text('{"id": "x", "question": "1 + 1?", "answer": "#### 2"}\n')
    cli("prepare-data", "-c", small_config, "--set", f"dataset.path={others}")
    refused = cli("detect-events", "-c", small_config)
    assert_one_clear_message(refused, "no completion in", "same dataset settings")
    assert (workdir / "runs/small/analysis/backtracking_events.csv").read_text() == events
