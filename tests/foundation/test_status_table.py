"""`status` at every width: stage names whole, one state to a line, reasons below."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from backtracking.cli.status_table import RunHeading, show_stages, terminal
from backtracking.run.meta import StageRecord
from backtracking.stages.execute import Status

LONGEST = "generate[baseline_think_newline/targeted_ablation]"
REASON = "config changed: generation.temperature 0.6 -> 0.7, generation.top_p 0.95 -> 1.0 and 3 more"
HEADING = RunHeading(
    "demo-phase2", True, "study", "demo_phase2.yaml", "0123456789abcdef", "bundled", phase1_run_id="demo"
)


def shown(width):
    record = StageRecord(
        "done", "2031-01-02T03:04:05+00:00", "", {}, {},
        finished="2031-01-02T05:06:07+00:00", seconds=7384.2, rows=14880,
    )  # fmt: skip
    stages = {
        LONGEST: Status("done"),
        "detect-events": Status("stale", REASON),
        "direction": Status("made elsewhere", "by an earlier implementation"),
        "make-report": Status("missing", "not run yet"),
    }
    page = io.StringIO()
    console = Console(file=page, width=width, highlight=False)
    show_stages(console, HEADING, stages, {LONGEST: record, "detect-events": record})
    return [line.rstrip() for line in page.getvalue().splitlines()]


@pytest.mark.parametrize("width", [80, 100, 140])
def test_names_and_numbers_are_whole(width):
    lines = shown(width)
    assert max(map(len, lines)) <= width
    (longest,) = [line for line in lines if LONGEST in line]
    assert longest.split()[:4] == ["done", LONGEST, "14,880", "2:03:04"]
    assert ("2031-01-02 05:06" in longest) == (width > 100)
    assert REASON in " ".join(" ".join(lines).split())
    assert lines[:3] == [
        "run demo-phase2 (the current run), built on Phase 1 run demo",
        "config: demo_phase2.yaml (0123456789ab)",
        "model: bundled",
    ]
    headings = ["state", "stage", "count", "time", *(["finished"] if width > 100 else [])]
    assert lines[3].split() == headings
    ends = lines[3].index("count") + len("count")
    assert longest[:ends].endswith(" 14,880"), "a heading ends above its numbers"
    assert lines[-1] == "missing        make-report"


def test_a_failed_stage_says_what_it_failed_on(cli, small_config, monkeypatch):
    assert cli("prepare-data", "-c", small_config).code == 0
    Path("dataset.jsonl").write_text("{}")
    setting = ("--set", "dataset.path=dataset.jsonl")
    refused = cli("prepare-data", "-c", small_config, *setting)
    assert refused.code == 2
    monkeypatch.setenv("COLUMNS", "400")
    told = cli("status", "--run-id", "small").out
    assert "failed" in told
    assert "dataset.jsonl, row 1: no question and no answer" in " ".join(told.split())
    told = cli("status", "-c", small_config).out
    assert f"config: {small_config}" in told and "run small (the current run)" in told


@pytest.mark.parametrize(("columns", "width"), [("80", 80), (None, 140)])
def test_a_pipe_is_as_wide_as_it_is_told(columns, width, monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    if columns:
        monkeypatch.setenv("COLUMNS", columns)
    assert terminal().width == width
