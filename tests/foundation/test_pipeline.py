"""Both phases end to end on the bundled reasoner: artifacts, freshness, provenance, damage."""

import json
import shutil

import pandas as pd
import pytest

from tests.foundation.command import assert_one_clear_message
from tests.foundation.study import CONFIGS, SMALL, SMALL_PHASE2, sets
from tests.foundation.test_artifacts import PHASE1_FIGURES, PHASE2_FIGURES

pytestmark = pytest.mark.slow

COLUMNS = {
    "backtracking_events.csv": "example_id sample_id variant condition has_backtracking_strict "
    "has_backtracking_relaxed onset_phrase onset_char onset_token_in_completion onset_token_in_full "
    "onset_token_id onset_token_text pred_pos_in_full predicted_answer is_correct prompt_tokens "
    "completion_tokens",
    "logit_lens.csv": "layer mean_target_logit_bt mean_target_logit_control std_bt std_control n_bt "
    "n_control control_matching",
    "ablation_importance.csv": "layer component delta_wait_logit_mean delta_wait_logit_std n_events",
    "condition_comparison.csv": "variant condition total backtracking_count backtracking_rate accuracy",
    "formatting_summary.csv": "variant total backtracking_count backtracking_rate accuracy",
}
COLUMNS_PHASE2 = {
    "subset_sweep_results.csv": "total backtracking_count backtracking_rate correct_count accuracy "
    "subset_name num_components",
    "scale_sweep_results.csv": "total backtracking_count backtracking_rate correct_count accuracy "
    "subset_name scale num_components",
    "continuation_ablation_results.csv": "example_id sample_id variant pred_pos onset_token_id "
    "onset_token_text subset_name scale num_components onset_prob onset_logit",
}


def again(cli, *extra, config="demo.yaml", small=SMALL):
    return cli("run", "-c", CONFIGS / config, *sets(*small), *extra)


@pytest.mark.parametrize("name", COLUMNS)
def test_phase1_tables_keep_the_public_columns(finished, name):
    table = pd.read_csv(finished / "runs/demo/analysis" / name)
    wanted = COLUMNS[name].split()
    assert list(table.columns[: len(wanted)]) == wanted
    assert len(table)


@pytest.mark.parametrize("name", COLUMNS_PHASE2)
def test_phase2_tables_keep_the_public_columns(finished, name):
    table = pd.read_csv(finished / "runs/demo-phase2/analysis" / name)
    wanted = COLUMNS_PHASE2[name].split()
    assert list(table.columns[: len(wanted)]) == wanted
    assert len(table)


def test_random_draws_add_up_to_their_pool(finished):
    folder = finished / "runs/demo/analysis"
    draws, pool = pd.read_csv(folder / "random_draws.csv"), pd.read_csv(folder / "condition_comparison.csv")
    pooled = pool.set_index("condition").loc["random_ablation"]
    assert draws["draw"].tolist() == [0, 1]
    for count in ("total", "backtracking_count", "correct_count"):
        assert draws[count].sum() == pooled[count]


def test_every_json_artifact_and_figure_is_there(finished):
    one, two = finished / "runs/demo", finished / "runs/demo-phase2"
    selected = json.loads((one / "analysis/selected_layers.json").read_text())
    assert selected["attn"] or selected["mlp"]
    metrics = json.loads((two / "analysis/metrics_v2.json").read_text())
    assert {
        "baseline_only_summary",
        "backtracking_vs_accuracy",
        "formatting_effect",
        "variant_specific",
    } <= set(metrics)
    debug = json.loads((two / "analysis/hook_debug.json").read_text())
    assert {"total_calls", "ablation_calls", "skipped_calls", "seq_len_distribution", "by_layer"} <= set(
        debug
    )
    assert debug["total_calls"] == debug["ablation_calls"] + debug["skipped_calls"] > 0
    for root, names in ((one, PHASE1_FIGURES), (two, PHASE2_FIGURES)):
        for name in names:
            assert (root / f"figures/{name}.png").read_bytes()[:4] == b"\x89PNG", name
            assert (finished / f"figures/{root.name}/{name}.png").exists(), name


def test_event_positions_point_at_the_onset_token(finished):
    root = finished / "runs/demo"
    rows = {}
    for path in root.glob("generations/*/*.jsonl"):
        for line in path.read_text().splitlines():
            row = json.loads(line)
            rows[row["example_id"], row["sample_id"], row["variant"], row["condition"]] = row
    events = pd.read_csv(root / "analysis/backtracking_events.csv", keep_default_na=False)
    assert len(events) == len(rows)
    found = events[events["onset_token_in_completion"] >= 0]
    assert len(found)
    for event in found.itertuples():
        row = rows[event.example_id, event.sample_id, event.variant, event.condition]
        full = row["prompt_ids"] + row["completion_ids"]
        assert full[event.onset_token_in_full] == event.onset_token_id
        assert event.pred_pos_in_full == event.onset_token_in_full - 1
        assert event.onset_token_in_full == len(row["prompt_ids"]) + event.onset_token_in_completion
        said = row["completion"][event.onset_char :].lower()
        assert said.startswith(event.onset_phrase)


def test_meta_says_where_everything_came_from(finished):
    meta = json.loads((finished / "runs/demo/meta.json").read_text())
    assert meta["model"]["hf_id"] == "bundled"
    assert meta["environment"]["packages"]["torch"].startswith("2.")
    assert {"sha", "dirty"} == set(meta["environment"]["git"])
    assert meta["dataset"]["problems"] == 12
    assert meta["seeds"]["run"] == 0
    draws = meta["stages"]["generate[baseline_think_newline/random_ablation]"]["notes"]["draws"]
    assert len(draws) == 2
    for key, record in meta["stages"].items():
        alone = "single_ablation" in key  # one component stands out: alone and together are the same
        assert record["outcome"] == ("not testable" if alone else "done"), key
        assert record["seconds"] >= 0
        assert record["outputs"] or alone


def test_a_second_run_does_nothing_and_says_so(run, cli):
    outcome = again(cli)
    assert outcome.code == 0, outcome.err
    assert "nothing to do" in outcome.out
    outcome = again(cli, config="demo_phase2.yaml", small=[*SMALL, *SMALL_PHASE2])
    assert "nothing to do" in outcome.out


def executed(text):
    """Stages that really ran, from the progress lines."""
    lines = text.splitlines()
    return [
        line.split("] ", 1)[1]
        for number, line in enumerate(lines)
        if line.startswith("[") and not lines[number + 1].startswith("  up to date")
    ]


def test_a_changed_key_runs_only_what_depends_on_it(run, cli, no_pictures):
    outcome = again(cli, *sets("analysis.control_samples=12"))
    assert outcome.code == 0, outcome.err
    ran = executed(outcome.err)
    assert not any(stage.startswith(("prepare-data", "generate[think", "generate[no_think")) for stage in ran)
    assert any(stage.startswith("logit-lens") for stage in ran)
    assert not any(stage.startswith("formatting-sweep") for stage in ran)


def test_a_changed_trigger_list_leaves_generations_alone(run, cli, no_pictures):
    outcome = again(cli, *sets("detection.triggers_relaxed=[hmm]"))
    assert outcome.code == 0, outcome.err
    ran = executed(outcome.err)
    assert "detect-events" in ran
    assert not any(stage.startswith("generate[think_same_line") for stage in ran)


def test_dry_run_and_status_tell_and_touch_nothing(run, cli):
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*") if path.is_file()}
    outcome = again(cli, "--dry-run", *sets("detection.triggers_relaxed=[hmm]"))
    assert "run   detect-events" in outcome.out
    assert "skip  prepare-data" in outcome.out
    shown = cli("status", "--run-id", "demo").out
    assert shown.count("done") >= 10
    (run / "runs/demo/generations/no_think_tags/baseline.jsonl").touch()
    after = {path: path.stat().st_mtime_ns for path in run.rglob("*") if path.is_file() and path in before}
    changed = [path.name for path in before if after[path] != before[path]]
    assert changed == ["baseline.jsonl"]


def test_an_edited_artifact_is_noticed(run, cli):
    path = run / "runs/demo/analysis/selected_layers.json"
    path.write_text(path.read_text() + " ")
    assert "changed after it was made" in again(cli, "--dry-run").out


DAMAGE = {
    "events without generations": ("generations", ["logit-lens", "--run-id", "demo", "--force"], "generate"),
    "no events": (
        "analysis/backtracking_events.csv",
        ["formatting-sweep", "--run-id", "demo"],
        "detect-events",
    ),
    "no dataset": ("dataset.jsonl", ["detect-events", "--run-id", "demo"], "prepare-data"),
    "no meta": ("meta.json", ["status", "--run-id", "demo"], "init-run"),
    "no config": ("config_resolved.yaml", ["detect-events", "--run-id", "demo"], "--config"),
    "no selection": (
        "analysis/selected_layers.json",
        ["generate", "--run-id", "demo", "--condition", "targeted_ablation"],
        "ablation-scan",
    ),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_a_missing_artifact_names_the_command_that_makes_it(case, run, cli):
    lost, command, expected = DAMAGE[case]
    path = run / "runs/demo" / lost
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert_one_clear_message(cli(*command), expected)


GARBLED = {
    "meta": ("meta.json", "{", ["detect-events", "--run-id", "demo"], "meta.json"),
    "meta of something else": (
        "meta.json",
        '{"schema": 1}',
        ["detect-events", "--run-id", "demo"],
        "meta.json",
    ),
    "meta of the future": (
        "meta.json",
        '{"schema": 99, "stages": {}}',
        ["status", "--run-id", "demo"],
        "newer",
    ),
    "selection": (
        "analysis/selected_layers.json",
        '{"attn": "x"}',
        ["generate", "--run-id", "demo", "--condition", "targeted_ablation"],
        "selected_layers.json was changed after it was made",
    ),
    "selection beyond the model": (
        "analysis/selected_layers.json",
        '{"attn": [99], "mlp": []}',
        ["generate", "--run-id", "demo", "--condition", "targeted_ablation"],
        "selected_layers.json was changed after it was made",
    ),
    "dataset": ("dataset.jsonl", "{broken}\n", ["detect-events", "--run-id", "demo"], "line 1"),
    "generations": (
        "generations/no_think_tags/baseline.jsonl",
        "{broken}\n{}\n",
        ["detect-events", "--run-id", "demo"],
        "line 1",
    ),
    "events": (
        "analysis/backtracking_events.csv",
        "garb,age\n",
        ["compare-conditions", "--run-id", "demo", "--force"],
        "is not an events table",
    ),
    "config": (
        "config_resolved.yaml",
        "run: [",
        ["detect-events", "--run-id", "demo"],
        "config_resolved.yaml was changed",
    ),
}


@pytest.mark.parametrize("case", GARBLED)
def test_a_garbled_file_is_named(case, run, cli):
    name, text, command, expected = GARBLED[case]
    (run / "runs/demo" / name).write_text(text)
    assert_one_clear_message(cli(*command), expected)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["metrics-v2", "-c", CONFIGS / "demo_phase2.yaml", "--phase1-run-id", "nope"], "runs there"),
        (["phase2-subset-sweep", "-c", CONFIGS / "demo.yaml"], "phase2 section"),
        (
            ["phase2-subset-sweep", "-c", CONFIGS / "demo_phase2.yaml", "--set",
             "phase2.subset_sweep.subsets={beyond: [[mlp, 77]]}",
             "--set", "phase2.scale_sweep.subset_name=beyond",
             "--set", "phase2.continuation_ablation.subset_name=beyond"],
            "77",
        ),
        (["run", "-c", CONFIGS / "demo.yaml", "--from", "nowhere"], "detect-events"),
        (["run", "-c", CONFIGS / "demo.yaml", "--force", "nowhere"], "detect-events"),
    ],
)  # fmt: skip
def test_mistakes_between_phases(arguments, expected, run, cli):
    assert_one_clear_message(cli(*arguments), expected)


def test_tables_of_events_work_on_a_run_of_the_earlier_implementation(run, cli):
    old = run / "runs/old"
    (old / "analysis").mkdir(parents=True)
    shutil.copy(run / "runs/demo/analysis/backtracking_events.csv", old / "analysis")
    (old / "meta.json").write_text('{"git_commit": "abc"}')
    (old / "config_resolved.yaml").write_text("model: {name: old}\n")
    for command in ("compare-conditions", "formatting-sweep"):
        outcome = cli(command, "-c", CONFIGS / "demo.yaml", "--run-id", "old")
        assert outcome.code == 0, outcome.err
    assert json.loads((old / "meta.json").read_text())["earlier"] == {"git_commit": "abc"}
    assert (old / "config_earlier.yaml").read_text() == "model: {name: old}\n"


def test_commands_without_options_mean_the_current_run(run, cli):
    (run / "runs/demo").rename(run / "runs/renamed")
    (run / "runs/.current_run_id").write_text("renamed\n")
    shown = cli("status")
    assert shown.code == 0, shown.err
    assert "run renamed" in shown.out
    assert "generate[think_same_line/baseline]" in shown.out


def test_a_refused_run_leaves_nothing_behind(run, cli):
    arguments = ("-c", CONFIGS / "demo_phase2.yaml", "--run-id", "zz", "--phase1-run-id", "nosuch")
    for more in ((), ("--dry-run",)):
        assert_one_clear_message(cli("run", *arguments, *more), "no Phase 1 run 'nosuch'")
    assert not (run / "runs/zz").exists()
    assert not (run / "runs/nosuch").exists()


def test_an_output_folder_that_cannot_be_made_is_named(run, cli):
    outcome = cli("init-run", "-c", CONFIGS / "demo.yaml", "--set", "run.output_dir=/proc/nowhere")
    assert_one_clear_message(outcome, "run.output_dir")


def test_metrics_work_on_a_run_that_holds_only_the_events_table(run, cli):
    old = run / "runs/old"
    (old / "analysis").mkdir(parents=True)
    wanted = COLUMNS["backtracking_events.csv"].split()
    events = pd.read_csv(run / "runs/demo/analysis/backtracking_events.csv", keep_default_na=False)
    events[wanted].to_csv(old / "analysis/backtracking_events.csv", index=False)
    (old / "meta.json").write_text('{"git": "abc"}')
    (old / "config_resolved.yaml").write_text("model: {name: old}\n")
    outcome = cli("metrics-v2", "-c", CONFIGS / "demo_phase2.yaml", "--phase1-run-id", "old")
    assert outcome.code == 0, outcome.err
    metrics = json.loads((run / "runs/demo-phase2/analysis/metrics_v2.json").read_text())
    baseline = events[events["condition"] == "baseline"]
    assert metrics["baseline_only_summary"]["total"] == len(baseline)


def test_refilled_slots_write_the_same_rows_as_a_batch_that_holds_all(workdir, cli):
    """Rows of very different lengths through few slots: refilling must not touch a neighbour."""
    path = workdir / "runs/demo/generations/baseline_think_newline/baseline.jsonl"
    size = sets("dataset.max_examples=60", "generation.num_samples_per_prompt=4")
    cli("prepare-data", "-c", CONFIGS / "demo.yaml", *size)
    generate = ("generate", "-c", CONFIGS / "demo.yaml", "--variant", "baseline_think_newline", *size)
    texts = []
    for slots in (240, 64):
        outcome = cli(*generate, "--force", *sets(f"generation.batch_size={slots}"))
        assert outcome.code == 0, outcome.err
        texts.append(path.read_bytes())
    assert texts[0] == texts[1]
