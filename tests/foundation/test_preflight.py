"""What would stop a pipeline is told before it begins, and a plan covers both phases."""

import json
from pathlib import Path

import datasets
import huggingface_hub
import pytest
import transformers
from huggingface_hub.errors import RepositoryNotFoundError

from backtracking.config.schema import DatasetConfig, ModelConfig
from backtracking.errors import UserError
from backtracking.model.loading import load_tokenizer
from backtracking.sources.problems import load_problems
from backtracking.sources.rows import read_rows
from tests.foundation.command import assert_one_clear_message

PHASE2 = """extends: demo_phase2.yaml
run: {name: second, run_id: second}
phase2:
  subset_sweep:
    subsets: {beyond: [[attn, 99]], beyond_head: [{component: attn, layer: 1, head: 77, mode: zero}]}
"""


@pytest.fixture
def phase1(cli, workdir):
    """A Phase 1 run whose scan is yet to come."""
    assert cli("prepare-data", "-c", "demo", "--set", "dataset.max_examples=4").code == 0


@pytest.mark.parametrize("extra", [("--dry-run",), ()])
def test_components_beyond_the_model_are_all_told_before_anything_is_made(extra, cli, phase1, workdir):
    Path("second.yaml").write_text(PHASE2)
    outcome = cli("run", "-c", "second.yaml", *extra)
    assert_one_clear_message(outcome, "attn 99", "head 77 of attn 1", "layers 0 to 5", "selected_layers.json")
    assert outcome.err.count("has layers 0 to 5") == 1, "what the model has is said once"
    assert "correct phase2.subset_sweep.subsets, and finish the Phase 1 run" in outcome.err
    assert not Path("runs/second").exists()


def test_a_missing_choice_of_layers_names_the_command_that_makes_it(cli, phase1):
    outcome = cli("run", "-c", "demo_phase2", "--dry-run")
    assert_one_clear_message(outcome, "selected_layers.json", "backtracking ablation-scan --run-id demo")
    assert "correct phase2" not in outcome.err


def test_layers_beyond_the_model_do_not_ask_for_phase1(cli, phase1):
    beyond = 'phase2.subset_sweep.subsets={"attn_last": [["attn", 99]]}'
    outcome = cli("run", "-c", "demo_phase2", "--dry-run", "--set", beyond)
    assert_one_clear_message(outcome, "attn 99", "next: correct phase2.subset_sweep.subsets (nothing")
    assert "another study" not in outcome.err, "no new run is announced that is not made"


def test_what_a_phase2_run_lacks_is_told_as_such(cli, phase1):
    assert cli("init-run", "-c", "demo_phase2", "--run-id", "second").code == 0
    report = cli("make-report", "--run-id", "second")
    assert_one_clear_message(report, "second is a Phase 2 run", "make-report-phase2 --run-id second")
    arms = Path("runs/second/generations/baseline_think_newline")
    arms.mkdir(parents=True)
    (arms / "phase2_mild.jsonl").write_text("")
    (arms / "phase2_mild.previous.jsonl").write_text("")
    arm = cli("export", "arm", "second", "--arm", "nope", "--out", "arm")
    assert_one_clear_message(arm, "run second has no arm 'nope'", "there are: mild\n")


def test_an_option_is_blamed_for_a_key_that_it_names(cli, workdir):
    outcome = cli("config", "show", "-c", "demo", "--set", "a.b=1")
    assert_one_clear_message(outcome, "why:  a: ")


@pytest.mark.parametrize("command", [("run", "--dry-run"), ("run",), ("phase2-subset-sweep",), ("plan",)])
def test_a_phase1_run_of_another_model_is_refused_at_the_start(command, cli, phase1):
    outcome = cli(*command, "-c", "demo_doubter_phase2", "--phase1-run-id", "demo")
    assert_one_clear_message(
        outcome, "'demo' studied another model", "ran on bundled;", "asks for bundled:doubter"
    )
    assert {path.name for path in Path("runs").glob("[!.]*")} == {"demo"}


def test_a_phase1_run_of_other_prompts_is_refused_with_what_differs(cli, phase1):
    outcome = cli("run", "-c", "demo_phase2", "--dry-run", "--set", "prompting.template=Think. {question}")
    assert_one_clear_message(
        outcome, "other prompts", "prompting.template: '{question}' there, 'Think. {question}' here"
    )
    opened = '[{"name": "baseline_think_newline", "think_open": "<think>So"}, {"name": "mine"}]'
    outcome = cli("run", "-c", "demo_phase2", "--dry-run", "--set", f"prompting.formatting_variants={opened}")
    assert_one_clear_message(
        outcome, "baseline_think_newline opens with '<think>\\n' there, '<think>So' here"
    )


REAL = "backtracking_state_transition"


@pytest.mark.parametrize(
    ("config", "first", "run"),
    [("demo_phase2", "demo", "demo"), ("r1_gsm8k_phase2", REAL, f"{REAL}-2"), ("mine.yaml", "demo", "demo")],
)
@pytest.mark.parametrize("command", [("run", "--dry-run"), ("plan", "--seconds", "0.1")])
def test_before_phase1_exists_both_phases_are_planned(command, config, first, run, cli, workdir):
    Path("mine.yaml").write_text("extends: demo_phase2.yaml\nrun: {name: mine, run_id: mine}\n")
    outcome = cli(*command, "-c", config)
    assert outcome.code == 0, outcome.err
    before, then, after = outcome.out.partition("then Phase 2")
    assert f"backtracking run -c {first}" in before
    assert f"\n{run}" in before
    assert "ablation-scan" in before
    assert "phase2-subset-sweep" not in before
    assert "phase2-subset-sweep" in then + after
    assert "prepare-data" not in after, "the problems are Phase 1's"
    assert not list(Path("runs").glob("[!.]*"))
    named = cli(*command, "-c", config, "--phase1-run-id", "to-come")
    if command[0] == "run":  # which would be refused, so its dry run is
        assert_one_clear_message(named, "there is no Phase 1 run 'to-come'")
    else:
        assert named.code == 0, named.err
        assert f"backtracking run -c {first} --run-id to-come" in named.out
    phase1 = json.loads(cli(*command, "-c", config, "--json").out)["phase1"]
    assert phase1["run_id"].startswith(run)
    assert "ablation-scan[baseline_think_newline]" in [stage["stage"] for stage in phase1["stages"]]


@pytest.mark.parametrize("folder", ["/nowhere/at/all", "./nowhere", "models/not/here", "~/model"])
def test_a_model_folder_that_is_not_there_is_called_one(folder, cli, workdir):
    outcome = cli("run", "-c", "demo", "--set", f"model.hf_id={folder}")
    assert_one_clear_message(outcome, f"there is no folder {folder}")
    assert not Path("runs").exists()


@pytest.mark.parametrize("command", [["run"], ["init-run"]])
def test_a_missing_model_leaves_no_run(command, cli, workdir):
    """Also where the name could be a hub's: what the hub lacks is found out before anything is made."""
    name = "nobody/nomodel" if command == ["run"] else "./nomodel"
    outcome = cli(*command, "-c", "demo", "--set", f"model.hf_id={name}")
    assert_one_clear_message(outcome, "model.hf_id")
    assert not list(Path().glob("runs/[!.]*"))
    assert not Path("runs/.current_run_id").exists()


class Hub:
    """A hub that gives this answer when it is asked for a dataset or a model."""

    def __init__(self, answer: Exception) -> None:
        self.answer = answer

    def dataset_info(self, *_: object, **__: object) -> None:
        raise self.answer

    model_info = dataset_info


def test_a_misspelt_dataset_is_told_from_a_hub_out_of_reach(monkeypatch):
    unknown = RepositoryNotFoundError.__new__(RepositoryNotFoundError)
    monkeypatch.setattr(huggingface_hub, "HfApi", lambda: Hub(unknown))
    with pytest.raises(UserError, match="the hub has no dataset 'gsm9k'"):
        load_problems(DatasetConfig(name="gsm9k"))
    with pytest.raises(UserError, match="the hub has no dataset 'me/traces'"):
        list(read_rows("me/traces"))
    asked = []

    def load_dataset(*_: object, **__: object) -> None:
        asked.append(huggingface_hub.constants.HF_HUB_OFFLINE and datasets.config.HF_HUB_OFFLINE)
        raise ConnectionError

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    monkeypatch.setattr(huggingface_hub, "HfApi", lambda: Hub(ConnectionError()))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    with pytest.raises(UserError) as caught:
        load_problems(DatasetConfig(name="gsm9k"))
    assert "not within reach" in caught.value.why
    assert asked == [True], "only the cache is looked into"
    assert huggingface_hub.constants.HF_HUB_OFFLINE is False


def test_a_run_keeps_the_phase1_run_that_was_typed_when_it_was_made(cli, workdir):
    for run in ("demo", "other"):
        assert cli("init-run", "-c", "demo", "--run-id", run).code == 0
    assert cli("init-run", "-c", "demo_phase2", "--run-id", "two").code == 0
    report = ("make-report-phase2", "--run-id", "two")
    assert cli(*report, "--phase1-run-id", "other").code == 0
    again = cli(*report)
    assert "up to date" in again.err, "the config says demo, and other was typed"
    assert json.loads(Path("runs/two/meta.json").read_text())["phase1_run_id"] == "other"
    assert_one_clear_message(cli("run", "-c", "demo_phase2", "--phase1-run-id", "nowhere"), "'nowhere'")
    outcome = cli("status", "--run-id", "two", "--set", "phase2.phase1_run_id=nowhere")
    assert_one_clear_message(outcome, "there is no Phase 1 run 'nowhere'", "run Phase 1 first")


def test_a_misspelt_model_is_asked_for_once_and_a_hub_out_of_reach_not_at_all(monkeypatch):
    """No retries of the hub's client: it is not even called for a name that the hub does not know."""
    config = ModelConfig(hf_id="nobody/nomodel")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    asked = []

    def from_pretrained(*_: object, **__: object) -> None:
        asked.append(huggingface_hub.constants.HF_HUB_OFFLINE)
        raise OSError("couldn't connect")

    monkeypatch.setattr(transformers.AutoTokenizer, "from_pretrained", from_pretrained)
    unknown = RepositoryNotFoundError.__new__(RepositoryNotFoundError)
    monkeypatch.setattr(huggingface_hub, "HfApi", lambda: Hub(unknown))
    with pytest.raises(UserError, match="the hub has no model 'nobody/nomodel'"):
        load_tokenizer(config)
    assert asked == []
    monkeypatch.setattr(huggingface_hub, "HfApi", lambda: Hub(ConnectionError()))
    with pytest.raises(UserError, match="could not be loaded"):
        load_tokenizer(config)
    assert asked == [True], "only the cache is looked into"
    assert huggingface_hub.constants.HF_HUB_OFFLINE is False
