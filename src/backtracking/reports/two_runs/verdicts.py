"""The verdicts of two runs, claim by claim."""

from collections.abc import Mapping
from typing import Any

from backtracking.artifacts.phase1 import CLAIMS, EVENTS
from backtracking.artifacts.phase2 import REPORT
from backtracking.reports.two_runs.side import ComparedRun


def compared_verdicts(a: ComparedRun, b: ComparedRun) -> list[dict[str, Any]]:
    """Every claim that either run judged; null where it did not."""
    ours, theirs = _judged(a), _judged(b)
    keys = list(dict.fromkeys([*ours, *theirs]))
    return [
        {
            "key": key,
            "claim": (ours.get(key) or theirs[key]).get("claim", key),
            "a": _short(ours.get(key)),
            "b": _short(theirs.get(key)),
        }
        for key in keys
    ]


def _judged(side: ComparedRun) -> dict[str, Mapping[str, Any]]:
    judged = side.evidence.data(CLAIMS).get("verdicts")
    if not isinstance(judged, list):
        maker = REPORT.maker if side.evidence.table(EVENTS) is None else CLAIMS.maker
        side.lacks(f"verdicts: run backtracking {maker} --run-id {side.paths.run_id}")
        return {}
    return {str(verdict.get("key")): verdict for verdict in judged if isinstance(verdict, Mapping)}


def _short(verdict: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return None if verdict is None else {name: verdict.get(name) for name in ("outcome", "because")}
