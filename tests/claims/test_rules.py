"""The page of rules is what the code judges by."""

import importlib.util
from pathlib import Path

import pytest

from backtracking.claims import phase1, phase2
from backtracking.claims.audit.checks import audit
from backtracking.claims.evidence import Evidence
from backtracking.claims.rules import PHASE1, PHASE2
from backtracking.run.paths import RunPaths
from tests.report.tables import MAIN

ROOT = Path(__file__).parents[2]


@pytest.fixture
def page():
    spec = importlib.util.spec_from_file_location("claims_docs", ROOT / "scripts/write_claims_docs.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_written_from_the_claims(page):
    assert page.PAGE.read_text(encoding="utf-8") == page.render(), "run: make docs"
    for claim in (*PHASE1, *PHASE2):
        assert f"### `{claim.key}`" in page.render() and claim.rule in page.render()


def test_every_claim_that_is_judged_stands_on_the_page_in_the_order_of_the_report(tmp_path):
    nothing = Evidence(RunPaths(tmp_path, "none"))
    for judged, claims in (
        (phase1.phase1_verdicts(nothing, MAIN), PHASE1),
        (phase2.phase2_verdicts(nothing, 0.05), PHASE2),
    ):
        found = [(verdict.key, verdict.rule) for verdict in judged]
        assert found == [(claim.key, claim.rule) for claim in claims]


def test_a_rule_is_a_screen_and_its_checks_exist(tmp_path):
    names = {check.name for check in audit(Evidence(RunPaths(tmp_path, "none")))}
    for claim in (*PHASE1, *PHASE2):
        assert set(claim.depends_on) <= names, f"{claim.key}: {set(claim.depends_on) - names}"
        assert len(claim.rule.split()) <= 300 and "{" not in claim.rule
        assert claim.disputable and claim.depends_on
