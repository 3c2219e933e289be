"""`status` at every width: stage names whole, one state to a line, reasons below."""

import io

import pytest
from rich.console import Console

from backtracking.cli.status_table import show_stages
from backtracking.run.meta import StageRecord
from backtracking.stages.execute import Status

LONGEST = "generate[baseline_think_newline/targeted_ablation]"
REASON = "config changed: generation.temperature 0.6 -> 0.7, generation.top_p 0.95 -> 1.0 and 3 more"


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
    show_stages(console, "run demo", stages, {LONGEST: record, "detect-events": record})
    return [line.rstrip() for line in page.getvalue().splitlines()]


@pytest.mark.parametrize("width", [80, 100, 140])
def test_names_and_numbers_are_whole(width):
    lines = shown(width)
    assert max(map(len, lines)) <= width
    (longest,) = [line for line in lines if LONGEST in line]
    assert longest.split()[:4] == ["done", LONGEST, "14,880", "2:03:04"]
    assert ("2031-01-02 05:06" in longest) == (width > 100)
    assert REASON in " ".join(" ".join(lines).split())
    assert lines[-1] == "missing        make-report"
