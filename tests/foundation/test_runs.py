"""Which run a command means, what begins a new one, and what a failed start leaves behind: nothing."""

import json
from pathlib import Path

import pytest

from tests.foundation.command import assert_one_clear_message

TINY = "dataset: {name: tiny_arithmetic, max_examples: 4}\n"


@pytest.fixture
def study(workdir):
    """Writes the config of a study that can prepare its data at once."""

    def write(name: str, text: str = "") -> Path:
        path = workdir / f"{name}.yaml"
        path.write_text(f"run: {{name: {name}}}\n{TINY}{text}")
        return path

    return write


def current() -> str:
    return Path("runs/.current_run_id").read_text().strip()


def runs() -> list[str]:
    return sorted(path.name for path in Path("runs").glob("[!.]*"))


def meta(run_id: str) -> dict:
    return json.loads(Path("runs", run_id, "meta.json").read_text())


def prepare(cli, config: Path, *extra: str):
    outcome = cli("prepare-data", "-c", config, *extra)
    assert outcome.code == 0, outcome.err
    return outcome


def test_the_same_study_goes_on_in_the_current_run(cli, study):
    prepare(cli, study("one"))
    first = current()
    outcome = prepare(cli, study("one"), "--set", "run.seed=3", "--set", "dataset.max_examples=5")
    assert current() == first
    assert runs() == [first]
    assert "new run" not in outcome.err


CHANGES = {
    "name": ("run.name=other", "run.name"),
    "model": ("model.hf_id=elsewhere/model", "model.hf_id"),
    "problems": ("dataset.split=train", "dataset.split"),
    "phase": ("phase2={scale_sweep: {enabled: false}, continuation_ablation: {enabled: false}}", "phase"),
}


@pytest.mark.parametrize("case", CHANGES)
def test_another_study_begins_a_new_run_and_says_so_in_one_line(case, cli, study):
    change, key = CHANGES[case]
    prepare(cli, study("one"))
    first = current()
    outcome = prepare(cli, study("one"), "--set", change)
    said = [line for line in outcome.err.splitlines() if "another study" in line]
    assert len(said) == 1
    assert said[0].startswith(
        f"new run {current()}: the current run {first} belongs to another study: its {key} "
    )
    assert runs() == sorted([first, current()])
    assert first != current()
    assert prepare(cli, study("one"), "--set", change).err.count("new run") == 0


def test_the_line_names_the_run_of_this_study_that_could_go_on(cli, study):
    prepare(cli, study("one"))
    first = current()
    prepare(cli, study("two"))
    outcome = prepare(cli, study("one"))
    assert f"--run-id {first}" in outcome.err
    resumed = prepare(cli, study("one"), "--run-id", first)
    assert "up to date" in resumed.err
    assert len(runs()) == 3


def test_only_a_typed_run_id_of_another_study_is_a_mistake(cli, study):
    prepare(cli, study("one"))
    first = current()
    for command in ("prepare-data", "run", "init-run"):
        outcome = cli(command, "-c", study("two"), "--run-id", first)
        assert_one_clear_message(
            outcome, f"run '{first}' belongs to another study", "run.name is one, not two"
        )
    assert meta(first)["name"] == "one"
    assert runs() == [first]


def test_a_run_id_in_a_config_does_not_let_two_studies_share_a_folder(cli, study):
    named = "run: {name: one, run_id: mine}\n" + TINY
    study("one").write_text(named)
    prepare(cli, Path("one.yaml"))
    Path("two.yaml").write_text(named.replace("one", "two"))
    outcome = prepare(cli, Path("two.yaml"))
    assert "run mine (run.run_id) belongs to another study" in outcome.err
    assert meta("mine")["name"] == "one"
    assert current() != "mine"
    second = current()
    assert "up to date" in prepare(cli, Path("two.yaml")).err
    assert current() == second


def test_a_config_that_was_read_from_a_run_means_that_run(cli, study):
    prepare(cli, study("one"))
    outcome = cli("prepare-data", "--set", "dataset.split=train")
    assert outcome.code == 0, outcome.err
    assert len(runs()) == 1
    assert meta(current())["study"]["dataset.split"] == "train"


FAILED = {
    "data that is not there": ["run", "--set", "dataset.path=nowhere.jsonl"],
    "a stage that is not there": ["run", "--from", "nowhere"],
    "a forced stage that is not there": ["run", "--force", "nowhere"],
    "a variant that is not there": ["generate", "--variant", "nope"],
    "no problems yet": ["generate"],
    "no Phase 1 run": ["run", "--phase1-run-id", "nope"],
    "a Phase 2 command": ["phase2-subset-sweep"],
    "a dry run": ["run", "--dry-run", "--from", "nowhere"],
}


@pytest.mark.parametrize("case", FAILED)
def test_a_failed_start_leaves_no_run_and_the_current_one_as_it_was(case, cli, study):
    command, *extra = FAILED[case]
    assert cli(command, "-c", study("one"), *extra).code == 2
    assert not Path("runs").exists()
    prepare(cli, study("two"))
    before = current()
    assert cli(command, "-c", study("one"), *extra).code == 2
    assert runs() == [before]
    assert current() == before


def test_a_failure_after_something_was_made_keeps_the_run(cli, study):
    prepare(cli, study("one"))
    first = current()
    assert cli("generate", "--set", "model.hf_id=/nowhere/at/all").code == 2
    assert runs() == [first]
    assert (Path("runs") / first / "dataset.jsonl").exists()


def test_a_folder_that_was_there_before_stays_when_the_start_fails(cli, study):
    Path("runs/mine").mkdir(parents=True)
    Path("runs/mine/.keep").touch()
    assert cli("run", "-c", study("one"), "--run-id", "mine", "--set", "dataset.path=nowhere").code == 2
    assert Path("runs/mine/.keep").exists()


def test_a_dry_run_of_a_new_run_makes_nothing(cli, study):
    outcome = cli("run", "-c", study("one"), "--dry-run")
    assert outcome.code == 0, outcome.err
    assert "would be a new run" in outcome.out
    assert "run   prepare-data" in outcome.out
    assert not Path("runs").exists()


def test_status_of_a_study_without_a_run_says_how_to_begin(cli, study):
    assert_one_clear_message(cli("status", "-c", study("one")), "no run of this study", "backtracking run")
