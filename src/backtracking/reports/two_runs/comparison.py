"""Everything that two runs are compared on, as data."""

import math
from typing import Any

from backtracking.reports.two_runs.completions import shared_completions
from backtracking.reports.two_runs.components import compared_components, rules
from backtracking.reports.two_runs.rates import rates
from backtracking.reports.two_runs.settings import made_with, packages, settings
from backtracking.reports.two_runs.side import ComparedRun
from backtracking.reports.two_runs.verdicts import compared_verdicts
from backtracking.run.paths import RunPaths


def compared(one: RunPaths, other: RunPaths) -> dict[str, Any]:
    """Run A beside run B; a number that is not defined is null."""
    a, b = _sides(one, other)
    compared_rates = rates(a, b)
    groups = dict.fromkeys((line["variant"], line["condition"]) for line in compared_rates)
    data = {
        "a": {"run_id": one.run_id, "name": a.name},
        "b": {"run_id": other.run_id, "name": b.name},
        "settings": settings(a, b),
        "made_with": made_with(a, b),
        "packages": packages(a, b),
        "verdicts": compared_verdicts(a, b),
        "rates": compared_rates,
        "completions": shared_completions(a, b, groups),
        "components": compared_components(a, b),
        "selected_by": dict(zip("ab", rules(a, b), strict=True)),
    }
    lacking = {"a": a.lacking, "b": b.lacking}
    defined: dict[str, Any] = _defined(data | {"lacking": lacking})
    return defined


def _sides(one: RunPaths, other: RunPaths) -> tuple[ComparedRun, ComparedRun]:
    names = (one.run_id, other.run_id)
    if names[0] == names[1]:
        names = (str(one.root), str(other.root))
    return ComparedRun(one, names[0]), ComparedRun(other, names[1])


def _defined(data: Any) -> Any:
    if isinstance(data, dict):
        return {key: _defined(value) for key, value in data.items()}
    if isinstance(data, list):
        return [_defined(value) for value in data]
    return None if isinstance(data, float) and not math.isfinite(data) else data
