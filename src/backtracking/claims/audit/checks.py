"""The audit of a run: every check, in one list."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from backtracking.artifacts.kinds import Data
from backtracking.claims.audit import answers, arms, chance, components, conditions, onsets, provenance, rows
from backtracking.claims.audit.audited import AuditedRun
from backtracking.claims.audit.check import (
    CHECK_OUTCOMES,
    FAIL,
    NOT_APPLICABLE,
    PASS,
    WARN,
    Check,
    RegisteredCheck,
)
from backtracking.claims.evidence import Evidence
from backtracking.run.paths import RunPaths

CHECKS: tuple[RegisteredCheck, ...] = (
    *rows.CHECKS,
    *answers.CHECKS,
    *chance.CHECKS,
    *conditions.CHECKS,
    *components.CHECKS,
    *onsets.CHECKS,
    *arms.CHECKS,
    *provenance.CHECKS,
)


def audit(evidence: Evidence, phase1: Evidence | None = None) -> list[Check]:
    """Every check of a run; `phase1` is the run that a Phase 2 run is built on."""
    earlier = AuditedRun(phase1) if phase1 is not None else None
    run = AuditedRun(evidence, earlier)
    return [check(run) for check in CHECKS]


def audit_into(
    kept: Data, paths: RunPaths, evidence: Evidence, phase1: Evidence | None = None
) -> list[Check]:
    """Audit a run, and keep what came out in a folder that may be another run's."""
    checks = audit(evidence, phase1)
    kept.write(paths, audit_as_json(evidence.paths.run_id, checks))
    return checks


def in_short(checks: Sequence[Check]) -> str:
    """How many checks came out how: `16 pass, 1 warn, 0 fail, 3 not applicable`."""
    counts = Counter(check.outcome for check in checks)
    return ", ".join(f"{counts[outcome]} {outcome}" for outcome in CHECK_OUTCOMES)


def worst_first(checks: Sequence[Check]) -> list[Check]:
    """Failed checks, then warnings, then what passed, then what had nothing to look at."""
    order = (FAIL, WARN, PASS, NOT_APPLICABLE)
    return sorted(checks, key=lambda check: order.index(check.outcome))


def audit_as_json(run_id: str, checks: Sequence[Check]) -> dict[str, Any]:
    """An audit as JSON."""
    counts = Counter(check.outcome for check in checks)
    return {
        "run_id": run_id,
        "counts": {outcome: counts[outcome] for outcome in CHECK_OUTCOMES},
        "checks": [asdict(check) for check in checks],
    }
