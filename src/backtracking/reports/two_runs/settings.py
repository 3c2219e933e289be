"""How two runs were made: settings, code, model, data and packages that differ."""

from collections.abc import Iterable, Mapping
from typing import Any

from backtracking.reports.provenance import facts
from backtracking.reports.two_runs.side import ComparedRun

OWN = ("run.name", "run.run_id", "run.output_dir")
"""What any two runs differ in."""
_MADE_WITH = (
    "code",
    "model",
    "model revision",
    "device and dtype",
    "data",
    "data SHA-256",
    "problems",
    "seeds",
)

RECORDED = ("code", "model", "data")

Differences = list[dict[str, Any]]


def settings(a: ComparedRun, b: ComparedRun) -> Differences:
    """Keys whose values differ; a section that only one run has is one line, null in the other."""
    for side in (a, b):
        if side.is_earlier:
            side.lacks("settings: only those that an earlier implementation recorded are compared")
    ours, theirs = a.settings, b.settings
    shared = [key for key in ours if key in theirs and key not in OWN]
    differing = _differing(shared, ours, theirs)
    if a.is_earlier or b.is_earlier:
        return differing
    only_a = [{"key": key, "a": value, "b": None} for key, value in _alone(ours, theirs).items()]
    only_b = [{"key": key, "a": None, "b": value} for key, value in _alone(theirs, ours).items()]
    return [*differing, *only_a, *only_b]


def _alone(settings: Mapping[str, Any], others: Mapping[str, Any]) -> dict[str, Any]:
    """Settings that the others lack, under the shortest part of their key that is in none of the others."""
    known = {part for key in others for part in _beginnings(key)}
    alone: dict[str, Any] = {}
    for key, value in settings.items():
        if key not in known:
            top = next(part for part in _beginnings(key) if part not in known)
            rest = key.removeprefix(top).removeprefix(".")
            alone[top] = (alone.get(top) or {}) | {rest: value} if rest else value
    return alone


def _beginnings(key: str) -> list[str]:
    parts = key.split(".")
    return [".".join(parts[:count]) for count in range(1, len(parts) + 1)]


def made_with(a: ComparedRun, b: ComparedRun) -> Differences:
    """Code, model and data, where they are not the same in both."""
    ours, theirs = _facts(a), _facts(b)
    for side, known in ((a, ours), (b, theirs)):
        if missing := [name for name in RECORDED if name not in known]:
            side.lacks(lacking_record(missing))
    return _differing(_MADE_WITH, ours, theirs)


def lacking_record(missing: Iterable[str]) -> str:
    """What a run lacks whose record says nothing of these."""
    return f"its record of {', '.join(missing)}"


def packages(a: ComparedRun, b: ComparedRun) -> Differences:
    """Packages whose versions differ."""
    ours, theirs = _packages(a), _packages(b)
    return _differing([name for name in ours if name in theirs], ours, theirs)


def _facts(side: ComparedRun) -> dict[str, str]:
    """What its record says; a Phase 2 run has its Phase 1 run's problems."""
    earlier = facts(side.phase1.meta) if side.phase1 else ()
    data = [(name, value) for name, value in earlier if name.startswith("data") or name == "problems"]
    return {name: value.strip("`") for name, value in (*data, *facts(side.evidence.meta)) if value}


def _packages(side: ComparedRun) -> Mapping[str, Any]:
    environment = side.evidence.meta.get("environment")
    listed = environment.get("packages") if isinstance(environment, Mapping) else None
    return listed if isinstance(listed, Mapping) else {}


def _differing(keys: Iterable[str], ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> Differences:
    pairs = ((key, ours.get(key), theirs.get(key)) for key in keys)
    return [{"key": key, "a": one, "b": other} for key, one, other in pairs if one != other]
