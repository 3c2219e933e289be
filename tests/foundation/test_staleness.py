"""Whatever a result was made of, changed afterwards, makes it stale, and nothing else does."""

import json

import pytest

from backtracking.config.generation import SamplingConfig
from backtracking.run import provenance
from backtracking.stages.phase2.continuation_ablation import Phase2ContinuationAblation
from tests.foundation.study import CONFIGS, SMALL, SMALL_PHASE2, not_done, sets

pytestmark = pytest.mark.slow

ONE, TWO = "demo", "demo-phase2"
ARM = f"{TWO}/generations/baseline_think_newline/phase2_no_direction"
BASELINE = f"{ONE}/generations/baseline_think_newline/baseline.jsonl"


def drop_last_line(text):
    return "".join(text.splitlines(keepends=True)[:-1])


def cut_one_row(text):
    """One row's finish_reason is another."""
    row, rest = text.split("\n", 1)
    return row.replace('"finish_reason":"stop"', '"finish_reason":"length"') + "\n" + rest


def add_a_blank(text):
    return text + " "


def swap_digits(text):
    return text.replace("0.1", "0.3", 1)


CHANGES = {
    "directions": (
        f"{ONE}/analysis/directions.safetensors",
        None,
        {"phase2-subset-sweep", "phase2-specificity", "phase2-confirm"},
    ),
    "an arm's rows": (f"{ARM}.jsonl", drop_last_line, {"phase2-subset-sweep", "phase2-specificity"}),
    "an arm's row": (f"{ARM}.jsonl", cut_one_row, {"phase2-subset-sweep", "phase2-specificity"}),
    "an arm's card": (
        f"{ARM}.arm.json",
        add_a_blank,
        {"phase2-subset-sweep", "phase2-specificity", "phase2-confirm"},
    ),
    "a baseline row of Phase 1": (BASELINE, cut_one_row, {"phase2-continuation-ablation"}),
    "onsets": (f"{ONE}/analysis/onsets.csv", drop_last_line, set()),
    "the cap of Phase 1": (
        f"{ONE}/config_resolved.yaml",
        lambda text: text.replace("max_new_tokens: 128", "max_new_tokens: 127"),
        {"metrics-v2"},
    ),
    "the split": (
        f"{TWO}/analysis/problem_split.json",
        add_a_blank,
        {"phase2-confirm", "make-report-phase2"},
    ),
    "the search": (
        f"{TWO}/analysis/search_results.csv",
        swap_digits,
        {"phase2-search", "make-report-phase2"},
    ),
    "the hooks' record": (
        f"{TWO}/analysis/hook_debug.json",
        add_a_blank,
        {"phase2-subset-sweep", "make-report-phase2"},
    ),
    "a figure": (f"{TWO}/figures/phase2_choice.svg", None, {"phase2-confirm", "make-report-phase2"}),
    "the scan of Phase 1": (f"{ONE}/analysis/ablation_importance.csv", swap_digits, {"phase2-search"}),
}


@pytest.mark.parametrize("case", CHANGES)
def test_a_changed_file_makes_its_readers_stale(case, run):
    name, edit, expected = CHANGES[case]
    assert not_done(TWO) == set(), "all is done before"
    path = run / "runs" / name
    if edit is None:
        path.write_bytes(path.read_bytes()[:-1] + b"\x01")
    else:
        text = path.read_bytes().decode()
        changed = edit(text)
        assert changed != text
        path.write_bytes(changed.encode())
    found = not_done(TWO)
    assert expected <= found
    assert len(found) <= len(expected) + 3, "what did not read it stays done"


CHANGED_KEYS = {
    "analysis.max_events=11": {"phase2-subset-sweep", "phase2-scale-sweep", "phase2-confirm"},
    "generation.top_k=7": {"phase2-subset-sweep", "phase2-continuation-ablation"},
    "phase2.decode_only=false": {"phase2-subset-sweep", "phase2-continuation-ablation"},
    "generation.batch_size=5": set(),
}


@pytest.mark.parametrize("change", CHANGED_KEYS)
def test_a_changed_key_makes_what_depends_on_it_stale(change, run):
    found = not_done(TWO, change)
    assert CHANGED_KEYS[change] <= found
    assert found if CHANGED_KEYS[change] else not found


def test_every_sampling_key_there_is_or_will_be_counts_for_the_onset_step(run):
    keys = {name for values in [_config_of_step()] for name in values}
    fields = set(SamplingConfig.model_fields) - {"num_samples_per_prompt", "batch_size"}
    assert {f"generation.{name}" for name in fields} <= keys


def _config_of_step():
    from backtracking.cli.session import Request, asked_run

    request = Request(config=CONFIGS / "demo_phase2.yaml", overrides=[*SMALL, *SMALL_PHASE2], quiet=True)
    return Phase2ContinuationAblation().config_values(asked_run(request))


def test_work_files_are_outputs_that_may_go(run):
    work = sorted((run / "runs/demo/work").glob("logit-lens-*.jsonl"))[-1]
    text = work.read_text()
    work.write_text(text.replace("0.1", "0.2", 1))
    assert not_done(ONE) >= {"logit-lens"}
    work.unlink()
    assert not_done(ONE) == set()


@pytest.mark.parametrize("how", ["edited", "gone"])
def test_a_report_says_what_is_out_of_date(run, cli, how):
    if how == "edited":
        path = run / "runs/demo-phase2/analysis/subset_sweep_events.csv"
        path.write_bytes(drop_last_line(path.read_bytes().decode()).encode())
    else:
        (run / "runs/demo-phase2/analysis/confirm_results.csv").unlink()
    assert (
        cli(
            "make-report-phase2", "--force", "-c", CONFIGS / "demo_phase2.yaml", *sets(*SMALL, *SMALL_PHASE2)
        ).code
        == 0
    )
    text = (run / "runs/demo-phase2/reports/backtracking_phase2_report.md").read_text()
    assert "Out of date" in text
    assert "phase2-confirm" in text
    assert ("confirm_results.csv is gone" in text) == (how == "gone")


def test_other_code_is_said_and_does_not_force(run, cli, monkeypatch):
    monkeypatch.setattr(provenance, "source_digest", lambda: "of another version")
    assert not_done(ONE) == set()
    shown = cli("run", "-c", CONFIGS / "demo.yaml", *sets(*SMALL))
    assert shown.err.count("made by other code") == 1
    assert cli("status", "--run-id", ONE).out.count("made by other code") == 1
    assert "nothing to do" in shown.out


@pytest.mark.parametrize("forced", ["phase2-subset-sweep", "phase2-scale-sweep"])
def test_a_forced_sweep_makes_its_own_arms_again_and_leaves_the_others(forced, run, cli):
    folder = run / "runs/demo-phase2/generations/baseline_think_newline"
    before = {path.name: (path.stat().st_ino, path.read_bytes()) for path in folder.glob("phase2_*.jsonl")}
    again = cli("run", "-c", CONFIGS / "demo_phase2.yaml", *sets(*SMALL, *SMALL_PHASE2), "--force", forced)
    assert again.code == 0, again.err
    made_again = {name for name, (inode, _) in before.items() if (folder / name).stat().st_ino != inode}
    assert "phase2_baseline.jsonl" in made_again
    assert set() < before.keys() - made_again
    assert all((folder / name).read_bytes() == data for name, (_, data) in before.items())
    assert not_done(TWO) == set()


def test_runs_may_be_moved(run):
    records = json.loads((run / "runs/demo/meta.json").read_text())["stages"]
    assert not any(name.startswith("/") for stage in records.values() for name in stage["inputs"])
    (run / "runs").rename(run / "elsewhere")
    (run / "runs").mkdir()
    (run / "elsewhere/demo").rename(run / "runs/demo")
    assert not_done(ONE) == set()
