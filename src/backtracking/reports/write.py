"""The written results of both phases, computed from a run's tables."""

from collections.abc import Mapping
from pathlib import Path

from backtracking.artifacts.phase1 import AUDIT, CLAIMS
from backtracking.claims.audit.check import by_name
from backtracking.claims.audit.checks import audit_into
from backtracking.claims.evidence import Evidence
from backtracking.claims.phase1 import phase1_verdicts
from backtracking.claims.phase2 import phase2_verdicts
from backtracking.claims.verdict import as_data
from backtracking.config.phase2 import Phase2Config
from backtracking.config.schema import ExperimentConfig
from backtracking.reports.document import Document
from backtracking.reports.phase1 import phase1_report
from backtracking.reports.phase2 import phase2_report
from backtracking.reports.render import as_markdown, as_page
from backtracking.run import io
from backtracking.run.paths import RunPaths


def write_phase1_report(paths: RunPaths, config: ExperimentConfig, stale: Mapping[str, str]) -> list[Path]:
    """The verdicts as data; Markdown, and the same as one self-contained HTML page beside it."""
    target = paths.inside(config.report.report_path, "report.report_path")
    evidence = Evidence(paths)
    checks = audit_into(AUDIT, paths, evidence)
    judged = phase1_verdicts(evidence, config.prompting.variant_names[0], by_name(checks))
    CLAIMS.write(paths, as_data(judged))
    return _write(phase1_report(evidence, config, target, stale, checks, judged), target)


def write_phase2_report(
    paths: RunPaths, built_on: RunPaths | None, config: ExperimentConfig, stale: Mapping[str, str]
) -> list[Path]:
    """The verdicts as data; Markdown, and the same as one self-contained HTML page beside it."""
    asked = config.phase2 or Phase2Config()
    target = paths.inside(asked.report.report_path, "phase2.report.report_path")
    evidence, earlier = Evidence(paths), Evidence(built_on) if built_on is not None else None
    checks = audit_into(AUDIT, paths, evidence, earlier)
    built = None if earlier is None else (earlier, config.prompting.variant_names[0])
    judged = phase2_verdicts(evidence, asked.accuracy_margin, by_name(checks), built)
    CLAIMS.write(paths, as_data(judged))
    return _write(phase2_report(evidence, earlier, config, target, stale, checks, judged), target)


def report_files(target: Path) -> list[Path]:
    """The report and its HTML twin."""
    return [target, target.with_suffix(".html")]


def _write(document: Document, target: Path) -> list[Path]:
    markdown, page = report_files(target)
    io.write_text(markdown, as_markdown(document))
    io.write_text(page, as_page(document, target.parent))
    return [markdown, page]
