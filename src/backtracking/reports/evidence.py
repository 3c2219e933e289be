"""What a report is computed from: a run's tables, each of which may be absent."""

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from backtracking.run import io
from backtracking.run.paths import RunPaths


@dataclass
class Evidence:
    """The artifacts of one run, read when first asked for."""

    paths: RunPaths
    _tables: dict[str, pd.DataFrame | None] = field(default_factory=dict)

    def table(self, name: str) -> pd.DataFrame | None:
        """A table under `analysis/`; none when the run has none or it is empty."""
        if name not in self._tables:
            self._tables[name] = _read(self.paths.table(name))
        return self._tables[name]

    def data(self, name: str) -> dict[str, Any]:
        """A JSON artifact; empty when there is none."""
        path = self.paths.table(name)
        return _as_dict(io.read_json(path, made_by="the stage that makes it")) if path.exists() else {}

    @property
    def scan_rule(self) -> str:
        """By which of its scores the ablation scan ranked and tested components."""
        return str(self.data("ablation_selection.json").get("rule", "selectivity"))

    @property
    def meta(self) -> dict[str, Any]:
        """meta.json as it stands; also runs of an earlier implementation have one, of another shape."""
        try:
            return _as_dict(json.loads(self.paths.meta.read_text(encoding="utf-8")))
        except (OSError, json.JSONDecodeError):
            return {}

    def figures_beside(self, used: Iterable[str]) -> list[str]:
        """Names of the run's figures that a report has not shown yet."""
        drawn = {path.stem for path in self.paths.figures.glob("*.png")}
        return sorted(drawn - set(used))

    def figure(self, name: str, report: Path) -> str | None:
        """A figure's path relative to the report; none when it was not drawn."""
        path = self.paths.figure(name)
        return Path(os.path.relpath(path, report.parent)).as_posix() if path.exists() else None


def _read(path: Path) -> pd.DataFrame | None:
    if not path.exists():
        return None
    try:
        table = io.read_csv(path)
    except pd.errors.EmptyDataError:
        return None
    return None if table.empty else table


def _as_dict(data: Any) -> dict[str, Any]:
    return data if isinstance(data, dict) else {}
