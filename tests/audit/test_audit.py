"""The audit of whole runs: an earlier study's tables unaided, hostile folders, terminal, reports."""

import json
import re
import runpy
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from backtracking.claims.audit.check import CHECK_OUTCOMES
from backtracking.claims.audit.checks import CHECKS, audit
from backtracking.claims.evidence import Evidence
from tests.audit.folders import arms, events, write_run
from tests.foundation.command import CommandLine, assert_one_clear_message
from tests.report import earlier

ROOT = Path(__file__).parents[2]
EARLIER_CONFIG = """
run: {name: earlier, notes: by hand}
model: {hf_id: bundled, torch_dtype: bfloat16}
dataset: {name: gsm8k}
generation: {num_samples_per_prompt: 4, max_new_tokens: 64, temperature: 0.6}
ablation_generation: {enabled: true, random_control_seed: 1234}
"""
EARLIER_META = {"git_commit": "abc1234", "run_id": "earlier", "created_at": "2025-01-01"}
UNAIDED = ("rows_cut", "random_draws", "prompts_equal", "accuracy_at_chance")


@pytest.fixture
def cli(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    return CommandLine(capsys, monkeypatch)


def write_earlier_study(root, *, spoiled):
    """Tables as an earlier implementation left them: contract columns, a sweep of rates, no completions."""
    table = events(problems=120).drop(columns="draw")
    sweep = arms(("baseline", None, 0.6, 0.68), ("late", 0.0, 0.1, 0.3), total=480)
    config = EARLIER_CONFIG
    if spoiled:
        generator = np.random.default_rng(0)
        cut = generator.random(len(table)) < 0.99
        table["completion_tokens"] = table["completion_tokens"].where(~cut, 64)
        table["is_correct"] &= ~cut | (generator.random(len(table)) < 0.25)
        table["prompt_tokens"] = 20 + table["example_id"].str[1:].astype(int)
        sweep = arms(("baseline", None, 0.6, 0.012), ("late", 0.0, 0.1, 0.006), total=480)
    else:
        config = config.replace("random_control_seed: 1234", "random_draws: 20")
    tables = {"backtracking_events": table, "subset_sweep_results": sweep}
    return write_run(root, tables, config=config, meta=EARLIER_META, run_id="earlier")


def test_an_earlier_study_is_found_out_by_its_tables_alone(tmp_path):
    found = {check.name: check for check in audit(write_earlier_study(tmp_path, spoiled=True))}
    assert {name: found[name].outcome for name in UNAIDED} == dict.fromkeys(UNAIDED, "fail") | {
        "prompts_equal": "warn"  # lengths alone do not show that prompts are the same
    }
    assert "99." in found["rows_cut"].found and found["rows_cut"].number > 0.98
    assert "1 random set" in found["random_draws"].found
    assert "120 problems" in found["prompts_equal"].found
    assert "subset_sweep_results.csv" in " ".join(found["accuracy_at_chance"].details)
    assert found["baselines_disagree"].outcome == "fail"


def test_the_same_study_without_its_faults_has_none_of_them(tmp_path):
    found = {check.name: check.outcome for check in audit(write_earlier_study(tmp_path, spoiled=False))}
    assert {name: found[name] for name in UNAIDED} == dict.fromkeys(UNAIDED, "pass")
    assert "fail" not in found.values()


def test_a_column_that_is_not_there_is_no_claim(tmp_path):
    """Every table of the earlier study, with its contract columns alone, one after the other left out."""
    earlier.write_phase1(tmp_path)
    paths = earlier.write_phase2(tmp_path)
    for absent in (None, *(path.name for path in paths.analysis.iterdir())):
        if absent is not None:
            paths.table(absent).rename(paths.table(absent).with_suffix(".aside"))
        checks = audit(Evidence(paths), Evidence(earlier.RunPaths(tmp_path / "runs", "earlier")))
        unknown = {check.name for check in checks if check.outcome == "not applicable"}
        assert {"rows_cut", "regrade_disagreement", "prompts_equal", "selection_collateral"} <= unknown
        if absent is not None:
            paths.table(absent).with_suffix(".aside").rename(paths.table(absent))


def huge(table):
    return table.assign(
        **{name: 1e308 for name in table.columns if pd.api.types.is_numeric_dtype(table[name])}
    )


HOSTILE = {
    "NaN everywhere": lambda table: table.assign(**dict.fromkeys(table.columns, np.nan)),
    "NaN but the keys": lambda table: table.assign(
        **{name: np.nan for name in table.columns if name not in ("example_id", "subset_name", "variant")}
    ),
    "one row": lambda table: table.head(1),
    "a header": lambda table: table.head(0),
    "nothing": lambda _: "",
    "only a blank line": lambda _: "\n",
    "huge": huge,
    "infinite": lambda table: huge(table).replace(1e308, np.inf),
    "words": lambda table: table.assign(**dict.fromkeys(table.columns, "nonsense | <b>`x`\x1b[31m")),
    "half of the columns": lambda table: table[table.columns[::2]],
}


RATES = ("subset_sweep_results", "scale_sweep_results", "confirm_results", "tradeoff_search")


def all_tables():
    completions = events()
    swept = completions.assign(
        arm=completions["condition"], kind="random control", subset_name="late", scale=0.5
    )
    rates = arms(("baseline", None, 0.6, 0.5), ("late", 0.0, 0.1, 0.4), ("random_late", 0.5, 0.5, 0.4))
    rates = rates.assign(
        verdict="non-destructive", kind="intervention", role="winner", truncation_rate=0.1,
        backtracking_diff=-0.1, backtracking_diff_low=-0.2, backtracking_diff_high=0.0,
    )  # fmt: skip
    compared = pd.DataFrame({"variant": "a", "condition": ["baseline", "random_ablation"], "total": 4})
    return {
        "backtracking_events": completions,
        **dict.fromkeys(("subset_sweep_events", "scale_sweep_events", "confirm_events"), swept),
        **dict.fromkeys(RATES, rates),
        "condition_comparison": compared,
        "formatting_summary": compared.assign(truncation_rate=0.5),
        "random_draws": pd.DataFrame({"draw": [0, 1], "components": ["attn 1", "attn 2"]}),
        "ablation_importance": pd.DataFrame({"component": ["attn"], "layer": [5], "kl_control": [0.1]}),
        "controls": pd.DataFrame(
            {"control_kind": "matched_row", "matching": "same_problem", "pred_pos": range(8),
             "example_id": "p00", "sample_id": 0, "control_example_id": "p00", "control_sample_id": 1,
             "control_pos": range(8)}
        ),
        "continuation_ablation_results": pd.DataFrame(
            {"subset_name": "late", "scale": [1.0] * 6, "onset_prob": 0.5, "example_id": "p00"}
        ),
    }  # fmt: skip


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_tables_get_an_answer_from_every_check(tmp_path, kind):
    tables = {name: HOSTILE[kind](table) for name, table in all_tables().items()}
    data = {
        "selected_layers": {"attn": [5], "mlp": "all", "x": [[1]]},
        "token_families": {"wait": ["Wait"], "but wait": {"1": 7}},
        "hook_debug": {"total_calls": "many", "by_condition": {"a": 3, "b": {"attn_1": {"total_calls": 1}}}},
        "problem_split": {"search": None},
    }
    run = write_run(tmp_path, tables, data, config="detection: [1, 2]\n")
    phase1 = write_run(tmp_path, tables, data, config=":\n- not yaml: [", run_id="two")
    for checks in (audit(run), audit(run, phase1)):
        assert [check.name for check in checks] == [check.name for check in CHECKS]
        assert all(check.outcome in CHECK_OUTCOMES and check.found for check in checks)
        json.dumps([check.number for check in checks], allow_nan=False)
        assert not any("\x1b" in text for check in checks for text in (check.found, *check.details))


def test_an_empty_folder_has_nothing_to_audit(tmp_path):
    outcomes = {check.name: check.outcome for check in audit(write_run(tmp_path, config=""))}
    assert outcomes.pop("code_revision") == "warn"
    assert set(outcomes.values()) == {"not applicable"}


@pytest.mark.parametrize(("answer", "is_right"), [(2**80 + 1, True), (2**80, False)])
def test_numbers_that_a_float_cannot_hold_are_graded_as_they_stand(tmp_path, answer, is_right):
    """Answers are text: 2**80 + 1 is not 2**80, and a gap in the column changes nothing."""
    table = events()
    table["predicted_answer"] = [str(answer)] * (len(table) - 1) + [None]
    table["is_correct"] = is_right
    run = write_run(tmp_path, {"backtracking_events": table})
    lines = [{"id": f"p{k:02}", "answer_value": str(2**80 + 1)} for k in range(12)]
    run.paths.dataset.write_text("".join(json.dumps(line) + "\n" for line in lines))
    found = {check.name: check.outcome for check in audit(run)}
    assert found["regrade_disagreement"] == "pass"
    assert found["gold_in_wrong_answers"] == ("not applicable" if is_right else "pass")


@pytest.mark.parametrize(
    "content", [b"a,b\n1,2,3\n4,5,6,7\n", b"\xff\xfe\x00,\xba\n1,2\n"], ids=["ragged", "binary"]
)
def test_a_file_that_is_no_table_is_named(cli, tmp_path, content):
    paths = write_run(tmp_path, config="run: {}\n").paths
    paths.table("backtracking_events.csv").write_bytes(content)
    assert_one_clear_message(cli("audit", "one"), "backtracking_events.csv", "not a table")


@pytest.mark.parametrize("columns", [80, 100])
def test_the_terminal_shows_a_check_to_a_line_and_then_what_to_do(cli, tmp_path, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    write_earlier_study(tmp_path, spoiled=True)
    shown = cli("audit", "earlier")
    assert shown.code == 0
    lines = shown.out.splitlines()
    assert max(map(len, lines)) <= columns and "\x1b" not in shown.out
    for check in CHECKS:
        assert sum(bool(re.match(rf"(FAIL|warn|pass|-)\s+{check.name}\b", line)) for line in lines) == 1
    first = [line.split()[0] for line in lines if re.match(r"(FAIL|warn|pass|-)\s+\w+", line)]
    assert first == sorted(first, key=("FAIL", "warn", "pass", "-").index)
    below = shown.out.partition("rows_cut (fail)")[2]
    assert "Raise generation.max_new_tokens" in re.sub(r"\s+", " ", below)


def test_audit_json_is_kept_and_nothing_else_of_the_run_is_touched(cli, tmp_path):
    paths = write_earlier_study(tmp_path, spoiled=True).paths
    before = {path: path.read_bytes() for path in paths.root.rglob("*") if path.is_file()}
    told = json.loads(cli("audit", "earlier", "--json").out)
    kept = paths.table("audit.json")
    assert json.loads(kept.read_text()) == told
    assert set(told["checks"][0]) == {"name", "outcome", "found", "why", "what_to_do", "number", "details"}
    assert sum(told["counts"].values()) == len(told["checks"]) == len(CHECKS)
    after = {path: path.read_bytes() for path in paths.root.rglob("*") if path.is_file() and path != kept}
    assert after == before


def test_strict_fails_where_a_check_does(cli, tmp_path):
    write_earlier_study(tmp_path, spoiled=True)
    assert cli("audit", "--run-id", "earlier", "--strict").code == 1
    assert cli("audit", "runs/earlier", "--strict", "--json").code == 1
    write_earlier_study(tmp_path / "clean", spoiled=False)
    assert cli("audit", tmp_path / "clean/runs/earlier", "--strict").code == 0


def test_mistakes_are_told_plainly(cli, tmp_path):
    write_earlier_study(tmp_path, spoiled=True)
    assert_one_clear_message(cli("audit", "nowhere"), "nowhere", "earlier")
    assert_one_clear_message(cli("audit", "earlier", "--run-id", "other"), "two runs")
    assert_one_clear_message(cli("audit", "earlier", "--phase1-run-id", "nowhere"), "nowhere")
    assert_one_clear_message(cli("audit"), ".current_run_id")


def test_a_phase2_run_is_audited_beside_the_phase1_run_that_it_names(cli, tmp_path):
    earlier.write_phase1(tmp_path)
    earlier.write_phase2(tmp_path, earlier.PHASE2_CONFIG + "  phase1_run_id: earlier\n")
    told = {
        check["name"]: check for check in json.loads(cli("audit", "earlier-phase2", "--json").out)["checks"]
    }
    assert "Phase 1's" in told["baselines_disagree"]["found"]


def test_reports_show_what_is_wrong_right_behind_the_findings(cli, tmp_path):
    paths = write_earlier_study(tmp_path, spoiled=True).paths
    assert cli("audit", "earlier").code == 0
    assert cli("make-report", "--run-id", "earlier").code == 0
    (page,) = paths.root.glob("reports/*.md")
    findings, _, after = page.read_text().partition("\n## Audit")
    audited, _, rest = after.partition("\n## ")
    assert rest and "\n## Findings" in findings
    for name in UNAIDED:
        grade = "warn" if name == "prompts_equal" else "fail"  # lengths alone are equal
        assert f"- **{grade}**, `{name}`: " in audited
    assert "`bfloat16_divergence`" not in audited, "what passes or has nothing to look at is a count"
    assert not list(paths.analysis.glob("audit.previous*")), "the command's own file is written over"


def test_metrics_v2_says_how_the_run_that_it_reads_stands(cli, tmp_path):
    earlier.write_phase1(tmp_path)
    paths = earlier.write_phase2(tmp_path)
    done = cli("metrics-v2", "--run-id", "earlier-phase2", "--phase1-run-id", "earlier")
    assert done.code == 0, done.err
    assert "audit of earlier:" in done.out + done.err
    assert json.loads(paths.table("audit_phase1.json").read_text())["run_id"] == "earlier"


def test_the_page_is_current():
    render = runpy.run_path(str(ROOT / "scripts/write_audit_docs.py"))["render"]
    assert (ROOT / "docs/audit.md").read_text(encoding="utf-8") == render(), "run `make docs`"


def test_every_check_says_what_it_is():
    names = [check.name for check in CHECKS]
    assert len(set(names)) == len(names) >= 20
    for check in CHECKS:
        for text in (check.about, check.bounds, check.why, check.what_to_do):
            assert text.endswith(".") and "\n" not in text and "  " not in text
