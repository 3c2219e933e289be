"""The components that the scans of two runs selected, with what the removal of each took."""

from collections.abc import Mapping
from typing import Any

from backtracking.artifacts.readings import IMPORTANCE, SELECTED, SELECTION
from backtracking.claims.evidence import Evidence
from backtracking.claims.wording import lines_of, number
from backtracking.reports.two_runs.side import ComparedRun

LOST = "delta_trigger_log_odds"
_EARLIER = "delta_wait_logit_mean"
"""The same question in tables of an earlier implementation: the onset's logit."""
EFFECTS = {LOST: "change of the triggers' log-odds", _EARLIER: "change of the onset token's logit"}
"""What pages call them."""


def compared_components(a: ComparedRun, b: ComparedRun) -> list[dict[str, Any]]:
    """Every component that either run selected, and how it fared in both."""
    ours, theirs = _selected(a), _selected(b)
    if ours is None or theirs is None:
        return []
    effects = [_effects(side) for side in (a, b)]
    both = sorted({*ours, *theirs})
    return [
        {
            "component": component,
            "layer": layer,
            "selected_a": (component, layer) in ours,
            "selected_b": (component, layer) in theirs,
            "a": effects[0].get((component, layer)),
            "b": effects[1].get((component, layer)),
        }
        for component, layer in both
    ]


def rules(a: ComparedRun, b: ComparedRun) -> list[str]:
    """By which score each run selected."""
    return [_scanned(side).scan_rule if _scanned(side).data(SELECTION) else "unknown" for side in (a, b)]


def _scanned(side: ComparedRun) -> Evidence:
    """Where a run's scan lies: in its own folder, else in that of its Phase 1 run."""
    own = side.evidence
    return own if SELECTED.exists(own.paths) or side.phase1 is None else side.phase1


def _selected(side: ComparedRun) -> set[tuple[str, int]] | None:
    evidence = _scanned(side)
    if not SELECTED.exists(evidence.paths):
        side.lacks(f"selected components: {evidence.lack(SELECTED)}")
        return None
    listed = evidence.data(SELECTED)
    return {(kind, int(layer)) for kind in ("attn", "mlp") for layer in listed.get(kind, ())}


def _effects(side: ComparedRun) -> Mapping[tuple[str, int], dict[str, Any]]:
    """What the removal of each component did to the onset, with the interval."""
    table = _scanned(side).table(IMPORTANCE)
    if table is None:
        side.lacks(f"effects of components: {_scanned(side).lack(IMPORTANCE)}")
        return {}
    column = LOST if LOST in table else _EARLIER
    return {
        (str(line["component"]), int(line["layer"])): {
            "measure": column,
            **{end: number(line, f"{column}{suffix}") for end, suffix in _ENDS.items()},
        }
        for line in lines_of(table)
    }


_ENDS = {"value": "", "low": "_low", "high": "_high"}
