"""The commands of the earlier study, typed one after the other, word for word, on tiny settings."""

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from tests.foundation.command import assert_one_clear_message

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("no_pictures")]

ROOT = Path(__file__).parents[2]
CONFIGS = ROOT / "configs"
TINY = """
run: {{name: {name}}}
model: {{hf_id: bundled, torch_dtype: float32}}
dataset: {{name: tiny_arithmetic, max_examples: 12}}
prompting: {{template: "{{question}}"}}
generation: {{num_samples_per_prompt: 2, max_new_tokens: 128, temperature: 1.0, top_p: 1.0}}
analysis: {{max_events: 16, control_samples: 16, topk_layers_for_generation: 1, ablation_modes: [mean, zero]}}
ablation_generation: {{scale: 0.5, random_draws: 2}}
"""
PHASE2 = """
phase2:
  max_examples: 8
  num_samples_per_prompt: 2
  subset_sweep:
    subsets:
      mlp_27_only: [[mlp, 5]]
      attn_27_only: [[attn, 5]]
      attn_no_early: [[attn, 3], [attn, 5]]
      mlp_late_cluster: [[mlp, 4], [mlp, 5]]
      phase1_full: [[attn, 5], [mlp, 5]]
  scale_sweep: {scales: [0.0, 0.5]}
  continuation_ablation: {max_events: 12}
"""
SEQUENCE_1 = """
init-run -c C
prepare-data
generate --condition baseline
detect-events
logit-lens --variant V
ablation-scan --variant V
generate --condition targeted_ablation --variant V
generate --condition random_ablation --variant V
detect-events
compare-conditions --variant V
formatting-sweep
make-report
"""
SEQUENCE_2 = """
init-run -c C2
metrics-v2 --phase1-run-id P
phase2-subset-sweep
phase2-scale-sweep
phase2-continuation-ablation --phase1-run-id P
make-report-phase2 --phase1-run-id P
"""
VARIANTS = ("baseline_think_newline", "think_same_line", "no_think_tags")


def type_in(cli, sequence: str, **names: str) -> list[str]:
    """Every command as it is written, with the capital letters filled in."""
    said = []
    for line in sequence.strip().splitlines():
        outcome = cli(*(names.get(word, word) for word in shlex.split(line)))
        assert outcome.code == 0, f"{line}\n{outcome.err}"
        said.append(outcome.err)
    return said


def current() -> Path:
    return Path("runs") / Path("runs/.current_run_id").read_text().strip()


@pytest.fixture
def configs(workdir):
    real = CONFIGS / "backtracking_state_transition.yaml"
    Path("C.yaml").write_text(f"extends: {real}\n" + TINY.format(name="tiny"))
    phase2 = CONFIGS / "backtracking_state_transition_phase2.yaml"
    Path("C2.yaml").write_text(f"extends: {phase2}\n" + TINY.format(name="tiny_phase2") + PHASE2)
    return {"C": "C.yaml", "C2": "C2.yaml", "V": VARIANTS[0]}


def test_the_commands_of_the_earlier_study_word_for_word(cli, configs):
    type_in(cli, SEQUENCE_1, **configs)
    phase1 = current()
    formats = pd.read_csv(phase1 / "analysis/formatting_summary.csv")
    assert tuple(formats["variant"]) == VARIANTS
    conditions = pd.read_csv(phase1 / "analysis/condition_comparison.csv")
    assert set(conditions["condition"]) == {"baseline", "targeted_ablation", "random_ablation"}
    assert (phase1 / "reports/backtracking_state_transition_report.md").exists()

    type_in(cli, SEQUENCE_2, P=phase1.name, **configs)
    phase2 = current()
    assert phase2 != phase1
    assert (phase2 / "reports/backtracking_phase2_report.md").exists()
    assert not (phase2 / "dataset.jsonl").exists(), "the problems are Phase 1's"
    assert json.loads((phase2 / "meta.json").read_text())["phase1_run_id"] == phase1.name
    problems = {json.loads(line)["id"] for line in (phase1 / "dataset.jsonl").read_text().splitlines()}
    swept = pd.read_csv(phase2 / "analysis/subset_sweep_events.csv")
    assert set(swept["example_id"]) <= problems
    assert swept["example_id"].nunique() == 8
    assert "up to date" in type_in(cli, "phase2-scale-sweep")[0]

    outcome = cli("run", "-c", "C2.yaml", "--dry-run")
    assert "prepare-data" not in outcome.out
    for stage in ("metrics-v2", "phase2-subset-sweep", "phase2-scale-sweep"):
        assert f"skip  {stage}  (up to date)" in outcome.out

    assert_one_clear_message(cli("make-report-phase2", "--run-id", phase1.name), "Phase 1 run")


DEMO = """
extends: {config}
run: {{name: {name}, run_id: null}}
dataset: {{max_examples: 12}}
generation: {{num_samples_per_prompt: 2}}
analysis: {{max_events: 16, control_samples: 16, ablation_modes: [mean, zero]}}
ablation_generation: {{random_draws: 2}}
"""
DEMO_PHASE2 = """
phase2:
  max_examples: 4
  num_samples_per_prompt: 2
  phase1_run_id: null
  continuation_ablation: {max_events: 12}
"""
NO_DIRECTION = "no direction was made in Phase 1; to make it, run: backtracking direction --run-id"


def test_the_demo_config_in_the_commands_of_the_earlier_study_which_make_no_direction(cli, workdir):
    Path("C.yaml").write_text(DEMO.format(config=CONFIGS / "demo.yaml", name="first"))
    second = DEMO.format(config=CONFIGS / "demo_phase2.yaml", name="second") + DEMO_PHASE2
    Path("C2.yaml").write_text(second)
    names = {"C": "C.yaml", "C2": "C2.yaml", "V": VARIANTS[0]}
    type_in(cli, SEQUENCE_1, **names)
    phase1 = current().name
    note = f"arms no_direction, random_direction left out: {NO_DIRECTION} {phase1}"
    dry = ("run", "-c", "C2.yaml", "--phase1-run-id", phase1, "--dry-run")
    assert note in " ".join(cli(*dry).out.split()), "told before the night begins"
    foretold = {stage["stage"]: stage for stage in json.loads(cli(*dry, "--json").out)["stages"]}
    said = type_in(cli, SEQUENCE_2, P=phase1, **names)
    assert sum(note in " ".join(lines.split()) for lines in said) == 1
    rows = pd.read_csv(current() / "analysis/subset_sweep_events.csv")
    assert foretold["phase2-subset-sweep"]["rows"] == len(rows)
    debug = json.loads((current() / "analysis/hook_debug.json").read_text())
    assert debug["left_out"] == foretold["phase2-subset-sweep"]["left_out"]
    assert set(debug["left_out"]) == {"no_direction", "random_direction"}
    swept = current() / "analysis/subset_sweep_results.csv"
    assert "no_direction" not in set(pd.read_csv(swept)["subset_name"])
    assert note in " ".join(cli("status").out.split())
    assert NO_DIRECTION in (current() / "reports/backtracking_phase2_report.md").read_text()

    assert cli("direction", "--run-id", phase1).code == 0
    told = json.loads(cli("status", "--run-id", current().name, "--json").out)
    standing = {stage["stage"]: stage for stage in told["stages"]}
    assert standing["phase2-subset-sweep"]["state"] == "stale"
    assert standing["phase2-subset-sweep"]["reason"] == "directions.safetensors changed"
    again = type_in(cli, "phase2-subset-sweep")[0]
    assert "left out" not in again
    assert "on disk already" in again, "what was there is kept"
    assert {"no_direction", "random_direction"} <= set(pd.read_csv(swept)["subset_name"])
    assert json.loads((current() / "analysis/hook_debug.json").read_text())["left_out"] == {}


@pytest.mark.parametrize("vector", ["onset_decidng_4", "onset_deciding_6"])
def test_a_vector_that_no_command_makes_is_a_mistake(cli, workdir, vector):
    arm = f"{{component: resid, layer: 4, mode: add, strength: 1.0, vector: {vector}}}"
    config = CONFIGS / "demo.yaml"
    named = "subset_name: typo"
    subsets = f"phase2: {{subset_sweep: {{subsets: {{typo: [{arm}]}}}}, scale_sweep: {{{named}}}, "
    subsets += f"continuation_ablation: {{{named}}}}}\n"
    Path("C.yaml").write_text(DEMO.format(config=config, name="first"))
    Path("C2.yaml").write_text(DEMO.format(config=config, name="second") + subsets)
    type_in(cli, "init-run -c C\nprepare-data", C="C.yaml")
    type_in(cli, "init-run -c C2", C2="C2.yaml")
    (phase1,) = (path.name for path in Path("runs").iterdir() if path.name.startswith("first"))
    outcome = cli("phase2-subset-sweep", "--phase1-run-id", phase1)
    assert_one_clear_message(outcome, vector, "which does not exist")


def test_a_sweep_that_knows_no_phase1_run_says_what_to_add(cli, configs):
    assert cli("init-run", "-c", "C2.yaml").code == 0
    for command in ("phase2-subset-sweep", "phase2-scale-sweep"):
        assert_one_clear_message(cli(command), "--phase1-run-id ID", "phase2.phase1_run_id", "prepare-data")


def test_a_phase2_run_may_have_problems_of_its_own(cli, configs):
    type_in(cli, "init-run -c C\nprepare-data", **configs)
    phase1 = current().name
    Path(f"runs/{phase1}/analysis").mkdir()
    type_in(cli, "init-run -c C2", **configs)
    Path("C2.yaml").write_text(Path("C2.yaml").read_text() + f"  phase1_run_id: {phase1}\n")
    plan = cli("run", "-c", "C2.yaml", "--dry-run")
    assert "prepare-data" not in plan.out
    type_in(cli, "prepare-data --set dataset.max_examples=6")
    plan = cli("run", "-c", "C2.yaml", "--set", "dataset.max_examples=6", "--dry-run")
    assert "check prepare-data" in plan.out
    assert len((current() / "dataset.jsonl").read_text().splitlines()) == 6


@pytest.fixture
def checkout(workdir):
    """A checkout whose environment is the one that runs the tests."""
    for folder in ("scripts", "configs"):
        shutil.copytree(ROOT / folder, folder)
    environment = Path(".venv/bin")
    environment.mkdir(parents=True)
    (environment / "activate").write_text(f"PATH={workdir}/.venv/bin:$PATH\n")
    program = environment / "backtracking"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -P -m backtracking.cli "$@"\n')
    program.chmod(0o755)
    return workdir


def script(name: str, *arguments: str) -> subprocess.CompletedProcess:
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    command = ["bash", f"scripts/{name}.sh", *arguments]
    return subprocess.run(command, env=environment, check=False, capture_output=True, text=True)


def test_both_scripts_begin_a_run_of_their_own_after_any_other(cli, checkout):
    for config in ("demo", "demo_phase2"):
        assert cli("init-run", "-c", f"configs/{config}.yaml").code == 0
    real = "configs/backtracking_state_transition.yaml"
    phase1 = script("run_backtracking_pipeline", "--dry-run")
    assert phase1.returncode == 0, phase1.stderr
    assert "the current run demo-phase2 belongs to another study" in phase1.stdout
    assert "would be a new run" in phase1.stdout
    assert "new run" not in phase1.stderr, "none is made"
    assert cli("init-run", "-c", real).code == 0
    made = current().name
    Path(f"runs/{made}/analysis").mkdir()
    phase2 = script("run_backtracking_phase2", made, "--dry-run")
    assert phase2.returncode == 0, phase2.stderr
    assert f"the current run {made} belongs to another study" in phase2.stdout
    assert "phase2-subset-sweep" in phase2.stdout
