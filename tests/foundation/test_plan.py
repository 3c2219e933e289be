"""What `plan` and `run --dry-run` promise is what the run then does: rows and tokens at the cap, exactly."""

import json

import pytest

from tests.foundation.command import assert_one_clear_message

PHASE2 = """
extends: small.yaml
run: {name: two, run_id: two}
phase2:
  max_examples: 6
  num_samples_per_prompt: 2
  phase1_run_id: small
  compute_baseline_only_metrics: false
  subset_sweep:
    subsets:
      last: [[mlp, 3]]
      first: [[attn, 0]]
      record: [{component: mlp, layer: 1, strength: 0.5}]
      random: {random_like: last, draws: 2}
      suppressed: {suppress_triggers: true}
  scale_sweep: {subset_name: last, scales: [0.0, 0.5, 0.9]}
  continuation_ablation: {enabled: false}
  confirm: {enabled: false}
"""
CAP = 24


def told(cli, *arguments):
    outcome = cli(*arguments, "--json")
    assert outcome.code == 0, outcome.err
    return json.loads(outcome.out)


def by_stage(plan):
    return {step["stage"]: step for step in plan["stages"]}


def lines(folder, pattern):
    return sum(len(path.read_text().splitlines()) for path in folder.glob(pattern))


def test_phase1_generates_the_rows_that_were_promised(cli, small_config, workdir):
    before = told(cli, "run", "-c", small_config, "--dry-run")
    assert before["is_new"]
    assert not (workdir / "runs/small").exists()
    for variant in ("baseline_think_newline", "think_same_line"):
        step = by_stage(before)[f"generate[{variant}/baseline]"]
        assert (step["action"], step["rows"], step["tokens_at_cap"]) == ("run", 16, 16 * CAP)
    kept = [step for name, step in by_stage(before).items() if name.startswith("generate")]
    assert sum(step.get("rows") or 0 for step in kept) == 6 * 16
    assert sum(step.get("tokens_at_cap") or 0 for step in kept) == 6 * 16 * CAP
    assert before["cost"]["rows"] > 6 * 16 and before["cost"]["rows_at_most"], "some rows are not kept"

    assert cli("prepare-data", "-c", small_config).code == 0
    assert cli("generate", "-c", small_config, "--variant", "think_same_line").code == 0
    assert lines(workdir / "runs/small", "generations/*/*.jsonl") == 16
    after = told(cli, "run", "-c", small_config, "--dry-run")
    assert by_stage(after)["generate[think_same_line/baseline]"]["rows"] == 0
    assert after["cost"]["rows"] == before["cost"]["rows"] - 16


def test_completions_behind_fixed_prefixes_are_promised_at_most(cli, small_config):
    """An injected and a right beginning each, under baseline, target, its parts alone and two random sets."""
    plan = told(cli, "run", "-c", small_config, "--dry-run", "--set", "ablation_generation.fixed_prefixes=3")
    assert by_stage(plan)["fixed-prefixes[baseline_think_newline]"]["rows"] == 2 * 3 * 6
    assert plan["cost"]["rows_at_most"]


def test_finished_rows_of_a_stopped_run_are_not_counted_again(cli, small_config, workdir):
    cli("prepare-data", "-c", small_config)
    cli("generate", "-c", small_config, "--variant", "no_think_tags")
    path = workdir / "runs/small/generations/no_think_tags/baseline.jsonl"
    kept = path.read_text().splitlines(keepends=True)
    path.write_text("".join(kept[:5]) + kept[5][:40])
    meta = workdir / "runs/small/meta.json"
    record = json.loads(meta.read_text())
    record["stages"]["generate[no_think_tags/baseline]"]["outcome"] = "interrupted"
    meta.write_text(json.dumps(record))
    step = by_stage(told(cli, "run", "-c", small_config, "--dry-run"))["generate[no_think_tags/baseline]"]
    assert (step["state"], step["rows"]) == ("interrupted", 11)


def test_expected_tokens_come_from_the_rows_that_are_there(cli, small_config, workdir):
    cli("prepare-data", "-c", small_config)
    guess = told(cli, "run", "-c", small_config, "--dry-run")["cost"]
    assert "a guess" in guess["length_source"]
    cli("generate", "-c", small_config, "--variant", "no_think_tags")
    path = workdir / "runs/small/generations/no_think_tags/baseline.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    mean = sum(row["completion_tokens"] for row in rows) / len(rows)
    plan = told(cli, "run", "-c", small_config, "--dry-run")
    cost, steps = plan["cost"], by_stage(plan).items()
    assert cost["length_source"] == "the mean of 16 completions of this run"
    assert mean == CAP, "so that the rows of other stages are as long as they may get"
    others = sum(step.get("tokens_at_cap") or 0 for name, step in steps if not name.startswith("generate"))
    assert cost["tokens_expected"] == round(80 * mean) + others
    assert cost["rows"] > 80, "rows that are measured and not kept take time, and no room"
    assert cost["bytes_expected"] == pytest.approx(5 * path.stat().st_size, rel=0.05)


def test_sweeps_generate_the_rows_that_were_promised(cli, small_config, workdir):
    """Arms that both sweeps name are generated once, and counted once."""
    config = workdir / "two.yaml"
    config.write_text(PHASE2)
    cli("prepare-data", "-c", small_config)
    before = by_stage(told(cli, "run", "-c", config, "--dry-run"))
    assert before["phase2-subset-sweep"]["rows"] == 6 * 12
    assert before["phase2-scale-sweep"]["rows"] == 2 * 12
    for command, generated in (("phase2-subset-sweep", 72), ("phase2-scale-sweep", 96)):
        assert cli(command, "-c", config).code == 0
        assert lines(workdir / "runs/two", "generations/*/phase2_*.jsonl") == generated


def test_a_measurement_is_kept_for_later_plans(cli, small_config, workdir):
    plan = told(cli, "plan", "-c", small_config, "--seconds", "0.5")
    speed = plan["cost"]["speed"]
    assert speed["tokens_per_second"] > 0
    assert 0 < plan["cost"]["seconds_expected"] <= plan["cost"]["seconds_at_cap"]
    assert not (workdir / "runs/small").exists()
    later = told(cli, "run", "-c", small_config, "--dry-run")["cost"]
    assert later["speed"] == speed
    shown = cli("run", "-c", small_config, "--dry-run").out
    assert f"rows:   at most {plan['cost']['rows']:,} completions" in shown
    for step in plan["stages"]:
        bound = "at most " if step["rows_at_most"] else ""
        assert not step["rows"] or f")  {bound}{step['rows']:,} completions\n" in shown
    assert "tokens/s" in shown
    other = told(cli, "run", "-c", small_config, "--dry-run", "--set", "generation.batch_size=3")["cost"]
    assert other["speed"] is None
    assert "backtracking plan" in other["not_measured"]


def test_a_model_that_is_not_on_this_disk_costs_rows_and_tokens(cli, small_config):
    plan = told(cli, "plan", "-c", small_config, "--set", "model.hf_id=nobody/absent-model")
    assert plan["cost"]["rows"] > 80
    assert plan["cost"]["seconds_expected"] is None
    assert "nobody/absent-model is not on this disk" in plan["cost"]["not_measured"]
    assert plan["cost"]["memory"] is None
    shown = cli("run", "-c", small_config, "--dry-run", "--set", "model.hf_id=nobody/absent-model").out
    assert "memory: not known before the model is on this disk" in shown


@pytest.mark.parametrize("hf_id", ["bundled", "the random one"])
def test_memory_is_that_of_the_weights_and_of_keys_and_values(hf_id, cli, small_config, random_reasoner):
    """Against the model as it is loaded: its parameters, and the cache after a pass over ten tokens."""
    import torch
    from transformers import AutoModelForCausalLM

    from backtracking.run.bundled import bundled_folder

    folder = bundled_folder(hf_id) or random_reasoner
    command = ["run", "-c", small_config, "--dry-run", "--set", f"model.hf_id={folder}"]
    memory = told(cli, *command)["cost"]["memory"]
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    with torch.no_grad():
        cache = model(torch.arange(10)[None]).past_key_values
    kept = sum(part.numel() * 4 for layer in cache.layers for part in (layer.keys, layer.values))
    assert memory["bytes_per_token"] == kept / 10
    assert memory["bytes_per_row_at_cap"] == CAP * kept / 10
    weights = sum(part.numel() * 4 for part in model.parameters())
    assert weights <= memory["model_bytes"] <= 1.02 * weights
    half = told(cli, *command, "--set", "model.torch_dtype=bfloat16")["cost"]["memory"]
    assert half["dtype"] == "bfloat16"
    assert half["bytes_per_token"] == memory["bytes_per_token"] / 2
    assert half["model_bytes"] == memory["model_bytes"] // 2


@pytest.mark.parametrize("logprobs", ["false", "true", "with_entropy"])
def test_the_disk_that_is_guessed_is_about_what_rows_take(logprobs, cli, small_config, workdir):
    settings = ["--set", f"generation.logprobs={logprobs}", "--set", "generation.max_new_tokens=200"]
    plan = told(cli, "run", "-c", small_config, "--dry-run", *settings)
    assert "guess, 25%" in plan["cost"]["length_source"]
    kept = sum(step["rows"] for name, step in by_stage(plan).items() if name.startswith("generate"))
    per_token = (plan["cost"]["bytes_expected"] / kept - 1000) / 50
    cli("prepare-data", "-c", small_config, *settings)
    assert cli("generate", "-c", small_config, *settings).code == 0
    file = workdir / "runs/small/generations/baseline_think_newline/baseline.jsonl"
    tokens = [json.loads(line)["completion_tokens"] for line in file.read_text().splitlines()]
    assert 0.7 < sum(1000 + count * per_token for count in tokens) / file.stat().st_size < 1.5


HEADING_KEYS = {"run_id", "is_current", "study", "config", "config_hash", "model", "phase1_run_id"}
STAGE_KEYS = {"stage", "state", "reason", "other_code", "rows", "started", "finished", "seconds", "executors"}
STEP_KEYS = {
    "stage", "action", "state", "reason", "rows", "rows_at_most", "left_out", "tokens_expected",
    "tokens_at_cap",
}  # fmt: skip
COST_KEYS = {
    "rows", "rows_at_most", "tokens_expected", "tokens_at_cap", "length_source", "bytes_expected",
    "memory", "seconds_expected", "seconds_at_cap", "speed", "not_measured",
}  # fmt: skip


def test_json_has_the_documented_keys_and_nothing_beside_it(cli, small_config, workdir):
    cli("prepare-data", "-c", small_config)
    plan = told(cli, "run", "-c", small_config, "--dry-run")
    assert set(plan) == {"run_id", "is_new", "stages", "cost", "phase1"}
    assert plan["phase1"] is None
    assert set(plan["cost"]) == COST_KEYS
    assert all(set(step) == STEP_KEYS for step in plan["stages"])
    status = told(cli, "status", "--run-id", "small")
    assert set(status) == {*HEADING_KEYS, "stages"}
    assert (status["is_current"], status["phase1_run_id"]) == (True, None)
    assert all(set(stage) == STAGE_KEYS for stage in status["stages"])
    prepared = by_stage(status)["prepare-data"]
    assert (prepared["state"], prepared["rows"]) == ("done", 8)
    shown = told(cli, "config", "show", "-c", small_config)
    assert set(shown) == {"source", "hash", "config", "origins"}
    assert shown["config"]["generation"]["max_new_tokens"] == CAP
    assert shown["origins"]["generation.max_new_tokens"].startswith(str(small_config))
    assert shown["origins"]["generation.top_k"] == "default"
    keys = told(cli, "config", "show", "--explain")["keys"]
    assert {"key", "kind", "default", "text"} == set(keys[0])
    found = told(cli, "doctor")
    assert set(found) == {"ok", "findings"}
    assert all(set(finding) == {"subject", "grade", "text"} for finding in found["findings"])


def test_documented_keys_are_those_that_are_said():
    from tests.docs.fences import ROOT

    page = (ROOT / "docs/commands.md").read_text()
    for key in (*HEADING_KEYS, *STAGE_KEYS, *STEP_KEYS, *COST_KEYS, "origins", "findings", "is_new"):
        assert f"`{key}`" in page, key


def test_json_of_a_run_goes_with_a_dry_run(cli, small_config):
    assert_one_clear_message(cli("run", "-c", small_config, "--json"), "--dry-run")
