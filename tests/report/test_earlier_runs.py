"""Runs of the earlier implementation: commands that need tables only work, keep theirs, and claim nothing."""

import json
import re
from pathlib import Path

import pandas as pd
import pytest

from backtracking.figures import phase1 as plots
from backtracking.figures import phase2 as plots_phase2
from backtracking.figures.arms import verdict
from tests.foundation.command import CommandLine
from tests.report import earlier

DEMO_PHASE2 = Path(__file__).parents[2] / "configs" / "demo_phase2.yaml"
TABLES = (
    "backtracking_events.csv",
    "condition_comparison.csv",
    "formatting_summary.csv",
    "logit_lens.csv",
    "ablation_importance.csv",
    "selected_layers.json",
    "summary_metrics.json",
)
TABLES_PHASE2 = (
    "subset_sweep_results.csv",
    "scale_sweep_results.csv",
    "continuation_ablation_results.csv",
    "metrics_v2.json",
    "hook_debug.json",
)
CLAIMS_WITHOUT_GROUNDS = (
    "at no layer",
    "differ from",
    "agree with",
    "not supported",
    "no arm",
    "none of",
    "none lowers",
    "No arm qualified",
    " 0 onsets",
    "unanswered completion as wrong",
)


@pytest.fixture
def cli(capsys, monkeypatch):
    return CommandLine(capsys, monkeypatch)


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def done(outcome):
    assert outcome.code == 0, outcome.err
    return outcome


def report_text(paths):
    (page,) = paths.root.glob("reports/*.md")
    text = page.read_text()
    assert not re.search(r"\bnan\b|\bNone\b|\b(Table|Json|Figure|Rows)\(", text)
    assert page.with_suffix(".html").exists()
    return text


def assert_claims_nothing(text):
    assert "supported**" not in text
    assert "**not testable**" in text
    _, rules, after = text.partition("The rules, fixed")
    concluded = after.partition("\n## Audit")[2].partition("\n## ")[2]
    assert rules and concluded
    for words in CLAIMS_WITHOUT_GROUNDS:
        assert words not in concluded, words


@pytest.mark.parametrize(
    "without", [(), *((name,) for name in TABLES), TABLES], ids=lambda names: "+".join(names) or "all"
)
def test_phase1_report_of_what_there_is(cli, root, without):
    paths = earlier.write_phase1(root, without)
    done(cli("make-report", "--run-id", "earlier"))
    text = report_text(paths)
    assert_claims_nothing(text)
    for name in without:
        if name.endswith(".csv") and name != "backtracking_events.csv":
            assert f"Missing: {name}" in text
    if not without:
        assert "Where the family's log-mass separates is not in this table." in text
        assert "how unanswered completions count in the accuracies there is not recorded" in text
        assert "20 onsets, 20 controls" in text
        assert "recorded no model (the config names `bundled`)" in text


@pytest.mark.parametrize(
    ("config", "phase1"),
    [
        (earlier.PHASE2_CONFIG, ()),
        (earlier.PHASE1_CONFIG, ()),
        (earlier.PHASE2_CONFIG, ("--phase1-run-id", "earlier")),
        (earlier.PHASE1_CONFIG, ("-c", DEMO_PHASE2, "--phase1-run-id", "earlier")),
    ],
    ids=["its config", "a config without phase2", "with Phase 1", "another config"],
)
def test_phase2_report_with_and_without_a_config(cli, root, config, phase1):
    earlier.write_phase1(root)
    paths = earlier.write_phase2(root, config)
    done(cli("make-report-phase2", "--run-id", "earlier-phase2", *phase1))
    text = report_text(paths)
    assert_claims_nothing(text)
    assert "mlp_late_cluster_x0.5" in text
    assert re.search(r"\| 25\.0% \|.*\| 48 \|", text)
    assert "Whether the counts are what the schedule says is not in hook_debug.json" in text
    assert "Not in this table (subset_sweep_results.csv): intervals" in text


@pytest.mark.parametrize("without", [*((name,) for name in TABLES_PHASE2), TABLES_PHASE2], ids="+".join)
def test_phase2_report_of_what_there_is(cli, root, without):
    paths = earlier.write_phase2(root, without=without)
    done(cli("make-report-phase2", "--run-id", "earlier-phase2"))
    assert_claims_nothing(report_text(paths))


def test_no_report_of_phase2_is_written_over_that_of_a_phase1_run(cli, root):
    paths = earlier.write_phase1(root)
    done(cli("make-report", "--run-id", "earlier"))
    before = {path: path.read_bytes() for path in paths.root.rglob("*") if path.is_file()}
    refused = cli("make-report-phase2", "--run-id", "earlier")
    assert refused.code == 2
    assert "run earlier is a Phase 1 run" in refused.err
    assert {path: path.read_bytes() for path in paths.root.rglob("*") if path.is_file()} == before


def test_a_phase1_run_that_is_named_later_is_reported(cli, root):
    earlier.write_phase1(root)
    paths = earlier.write_phase2(root)
    done(cli("make-report-phase2", "--run-id", "earlier-phase2"))
    alone = report_text(paths)
    named = done(cli("make-report-phase2", "--run-id", "earlier-phase2", "--phase1-run-id", "earlier"))
    assert "up to date" not in named.err
    assert report_text(paths) != alone
    again = done(cli("make-report-phase2", "--run-id", "earlier-phase2", "--phase1-run-id", "earlier"))
    assert "up to date" in again.err


def test_their_tables_are_kept_and_known(cli, root):
    paths = earlier.write_phase1(root)
    theirs = {path.name: path.read_bytes() for path in paths.analysis.iterdir()}
    done(cli("formatting-sweep", "--run-id", "earlier"))
    for variant in earlier.VARIANTS[:2]:
        done(cli("compare-conditions", "--run-id", "earlier", "--variant", variant))
    done(cli("make-report", "--run-id", "earlier"))
    for name in ("formatting_summary", "condition_comparison"):
        assert paths.table(f"{name}.previous.csv").read_bytes() == theirs[f"{name}.csv"]
        is_made_twice = name == "condition_comparison"  # once for each of two prompt formats
        assert paths.table(f"{name}.previous1.csv").exists() == is_made_twice
        assert "truncation_rate" in pd.read_csv(paths.table(f"{name}.csv"))
    for name in ("logit_lens.csv", "ablation_importance.csv", "backtracking_events.csv"):
        assert paths.table(name).read_bytes() == theirs[name]
    assert "Accuracy counts an unanswered completion as wrong" in report_text(paths)


def test_metrics_keep_theirs_and_need_the_events_only(cli, root):
    earlier.write_phase1(root, TABLES[1:])
    paths = earlier.write_phase2(root)
    theirs = paths.table("metrics_v2.json").read_bytes()
    done(cli("metrics-v2", "--run-id", "earlier-phase2", "--phase1-run-id", "earlier"))
    assert paths.table("metrics_v2.previous.json").read_bytes() == theirs
    done(cli("make-report-phase2", "--run-id", "earlier-phase2", "--phase1-run-id", "earlier"))
    assert earlier.VARIANTS[0] in report_text(paths)


@pytest.mark.parametrize("without", [(), ("logit_lens.csv",), TABLES[1:]], ids=["all", "one", "events only"])
def test_status_tells_what_was_made_elsewhere(cli, root, without):
    earlier.write_phase1(root, without)
    lines = done(cli("status", "--run-id", "earlier")).out.splitlines()
    foreign = [line for line in lines if line.startswith("made elsewhere")]
    made = {
        "logit_lens.csv": "logit-lens",
        "formatting_summary.csv": "formatting-sweep",
        "none": "detect-events",
    }
    for name, stage in made.items():
        assert any(stage in line for line in foreign) == (name not in without), stage
    assert any("model: not recorded" in line for line in lines)


def test_a_file_that_sweeps_share_speaks_for_the_first_of_them_alone(cli, root):
    earlier.write_phase2(root)
    told = json.loads(done(cli("status", "--run-id", "earlier-phase2", "--json")).out)
    states = {stage["stage"]: stage["state"] for stage in told["stages"]}
    assert states["phase2-subset-sweep"] == states["phase2-scale-sweep"] == "made elsewhere"
    assert states["phase2-confirm"] == "missing", "hook_debug.json is no result of its own"
    assert told["model"] is None


def test_figures_of_their_tables_judge_nothing(root):
    sweep = pd.read_csv(earlier.write_phase2(root).table("scale_sweep_results.csv"))
    subset = pd.read_csv(root / "runs/earlier-phase2/analysis/subset_sweep_results.csv")
    assert verdict(subset.to_dict("records")[1]) == "not judged"
    for figure in (
        plots_phase2.plot_subset_sweep_comparison(subset),
        plots_phase2.plot_scale_tradeoff_curve(sweep),
        plots_phase2.plot_baseline_only_summary({"backtracking_rate": 0.5, "accuracy": 0.2, "total": 36}),
    ):
        texts = [text.get_text() for axes in figure.axes for text in (*axes.texts, axes.title)]
        assert not any("no arms" in text or "holds no" in text for text in texts)
    conditions = pd.read_csv(earlier.write_phase1(root).table("condition_comparison.csv"))
    plots.plot_backtracking_rate_by_condition(conditions)
