"""Reports show the verdicts that lie beside them, from almost nothing and from much."""

import json
import re

import pandas as pd
import pytest

from backtracking.artifacts.phase1 import CLAIMS
from backtracking.config.phase2 import ContinuationConfig, Phase2Config, ScaleSweepConfig
from backtracking.config.schema import ExperimentConfig
from backtracking.reports.write import write_phase1_report, write_phase2_report
from tests.claims.planted import FOUND, random_sets, stepped
from tests.report.tables import event_rows, run_paths, sweep_table

CONFIG = ExperimentConfig(
    phase2=Phase2Config(
        scale_sweep=ScaleSweepConfig(enabled=False),
        continuation_ablation=ContinuationConfig(enabled=False),
    )
)


def phase1(folder, **tables):
    paths = run_paths(folder, **tables)
    return paths, write_phase1_report(paths, CONFIG, {"generate[x]": "selected_layers.json changed"})


def phase2(folder, **tables):
    paths = run_paths(folder, **tables)
    return paths, write_phase2_report(paths, None, CONFIG, {})


@pytest.mark.parametrize("write", [phase1, phase2])
def test_reports_are_written_from_almost_nothing(tmp_path, write):
    _, (markdown, page) = write(tmp_path, backtracking_events=event_rows("baseline", 0.6, 0.85))
    text = markdown.read_text()
    assert "not testable" in text
    assert "Missing:" in text
    assert not re.search(r"\bnan\b|\bNone\b", text)
    assert page.read_text().startswith("<!doctype html>")


@pytest.mark.parametrize("write", [phase1, phase2])
def test_the_report_shows_the_verdicts_of_claims_json(tmp_path, write):
    events = pd.concat([stepped("baseline", 0.8), stepped("targeted_ablation", 0.1), random_sets(0.8)])
    paths, (markdown, _) = write(
        tmp_path,
        backtracking_events=events,
        ablation_importance=FOUND.assign(n_events=50),
        subset_sweep_results=sweep_table({"baseline": (0.6, 0.85), "good": (0.3, 0.85)}, 0.1),
    )
    text, data = markdown.read_text(), json.loads((paths.root / CLAIMS.name).read_text())
    assert len({found["key"] for found in data["verdicts"]}) == len(data["verdicts"]) >= 4
    for found in data["verdicts"]:
        line = next(row for row in text.splitlines() if row.startswith(f"| {found['claim']} |"))
        assert f"**{found['outcome']}**" in line and found["because"].replace("|", "\\|") in line
        assert f"**{found['claim']}** {found['rule']}" in text


def test_findings_come_first_and_name_what_is_out_of_date(tmp_path):
    scan = FOUND.assign(selectivity_p_holm=None, effect=[2.0, 0.1, 0.1], effect_p_holm=[0.001, 0.9, 0.9])
    paths = run_paths(tmp_path, backtracking_events=event_rows("baseline", 0.6, 0.85))
    paths.table("ablation_selection.json").write_text('{"rule": "effect"}')
    _, (markdown, _) = phase1(
        tmp_path, backtracking_events=stepped("baseline", 0.8), ablation_importance=scan
    )
    text = markdown.read_text()
    headings = [line for line in text.splitlines() if line.startswith("## ")]
    assert headings[:2] == ["## Findings", "## Audit"]
    assert "p (Holm, by effect)" in text and "0.900" in text
    assert "Out of date" in text and "selected_layers.json changed" in text


def test_where_settled_arms_stop_the_report_says_what_verdicts_rest_on(tmp_path):
    table = sweep_table({"baseline": (0.6, 0.85), "early": (0.3, 0.4), "whole": (0.5, 0.85)}, 0.1)
    table = table.assign(problems=[100, 32, 100])
    _, (markdown, _) = phase2(tmp_path / "without", subset_sweep_results=table)
    assert "stop_early" not in markdown.read_text()
    _, (markdown, _) = phase2(tmp_path / "with", subset_sweep_results=table.assign(problems_in_full=100))
    assert "of 2 arms 1 stopped after 32 of 100 problems" in markdown.read_text()
    nobody = table.assign(problems=100, problems_in_full=100)
    _, (markdown, _) = phase2(tmp_path / "nobody", subset_sweep_results=nobody)
    assert "of 2 arms none stopped, so every verdict rests on all 100 problems" in markdown.read_text()
