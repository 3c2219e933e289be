"""Numbers lead to the rows that they count, or nowhere."""

import json
import re

import pandas as pd
import pytest

from backtracking.claims.evidence import Evidence
from backtracking.measurements.metrics import BY_NAME
from backtracking.reports.document import Document
from backtracking.reports.mechanism import write_lens, write_scan
from backtracking.reports.page import Page
from backtracking.reports.render import as_markdown, as_page
from backtracking.reports.rows_behind import FILTERS, ArmsByName, RowsBehind
from backtracking.run import io
from tests.report.tables import MAIN, run_paths


@pytest.fixture
def run(tmp_path):
    """A run that has completions of two arms."""
    paths = run_paths(tmp_path)
    for arm in ("baseline", "phase2_late_x0.5"):
        path = paths.generations / MAIN / f"{arm}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}\n")
    return paths


def test_a_metric_whose_rows_no_filter_finds_has_no_link(run):
    behind = RowsBehind(run, lambda row: (MAIN, str(row["arm"])))
    line = {"arm": "late_x0.5"}
    assert behind("accuracy")(line).endswith("answer=right")
    for without in ("empty_rate", "non_ascii_rate"):
        assert behind(without)(line) == ""


def test_the_link_of_a_share_filters_and_not_only_sorts():
    shares = {name: chosen for name, chosen in FILTERS.items() if name in BY_NAME and BY_NAME[name].is_share}
    assert len(shares) > 5
    assert all(set(chosen) - {"sort"} for chosen in shares.values())


def test_a_number_of_onsets_is_no_link_to_the_completions_of_all_analyses(run):
    lens = {"layer": [0, 1], "n_bt": 120, "n_control": 90, "control_matching": "matched_row"}
    scan = {"layer": [0, 1], "component": "attn", "n_events": 120, "delta_wait_logit_mean": [-1.0, 0.0]}
    logits = {"mean_target_logit_bt": 1.0, "mean_target_logit_control": 0.0}
    io.write_csv(run.table("logit_lens.csv"), pd.DataFrame(lens | logits))
    io.write_csv(run.table("ablation_importance.csv"), pd.DataFrame(scan))
    page = Page("Inside", evidence=Evidence(run), path=run.root / "reports" / "x.md")
    write_lens(page)
    write_scan(page)
    written = as_markdown(page)
    assert written.count("120 onsets") == 2
    assert not re.search(r"\[[^]]*\d+ onsets?\]\(", written)
    assert re.search(r"any analysis of the run looked into: \[in the explorer\]\(\S+studied=yes\)", written)


def test_arms_that_running_text_names_lead_to_their_rows(run, tmp_path):
    document = Document("Names", rows_named=ArmsByName(run, MAIN))
    document.section("Of `baseline`")
    document.say("nearest is `late_x0.5`, not `gone` and not `../../late_x0.5` or `https://x.y/z`")
    document.bullets(["beside `baseline`"])
    written = as_page(document, tmp_path)
    assert re.findall(r'<a href="([^"]+)"><code>', written) == [
        f"http://127.0.0.1:8377/#rows?run=test&amp;variant={MAIN}&amp;arm={arm}"
        for arm in ("late_x0.5", "baseline")
    ]


def test_a_figure_that_no_section_shows_is_shown_with_its_words_and_a_foreign_one_is_named(run):
    run.figures.mkdir(parents=True)
    card = {"title": "The choice", "sees": "None qualified."}
    (run.figures / "phase2_choice.json").write_text(json.dumps(card))
    for name in ("phase2_choice", "of_my_own"):
        (run.figures / f"{name}.png").write_bytes(b"")
    page = Page("Others", evidence=Evidence(run), path=run.root / "reports" / "x.md")
    page.name_other_figures()
    written = as_markdown(page)
    assert "![The choice](../figures/phase2_choice.png)\n\nNone qualified." in written
    assert "[of_my_own](../figures/of_my_own.png)" in written and "[phase2_choice]" not in written
