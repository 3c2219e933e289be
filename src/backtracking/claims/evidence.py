"""What claims and reports are computed from: a run's tables, each of which may be absent."""

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from backtracking.artifacts import readings
from backtracking.artifacts.kinds import Artifact, Data, Table
from backtracking.measurements.tradeoff import with_arm_names
from backtracking.run import io
from backtracking.run.inputs import Listing, note
from backtracking.run.meta import variant_of
from backtracking.run.paths import RunPaths
from backtracking.run.provenance import file_digest


@dataclass
class Evidence:
    """The artifacts of one run, read when first asked for."""

    paths: RunPaths
    _tables: dict[str, pd.DataFrame | None] = field(default_factory=dict)

    def table(self, table: Table) -> pd.DataFrame | None:
        """A table of the run; none when it has none or it is empty."""
        if table.name not in self._tables:
            held = _read(table.path(self.paths))
            self._tables[table.name] = held if held is None else with_arm_names(held)
        return self._tables[table.name]

    def holds(self, table: Table, *columns: str) -> bool:
        """Whether a table is there with all these columns."""
        held = self.table(table)
        return held is not None and not table.lacks(held, *columns)

    def absence(self, artifact: Artifact) -> str:
        """Why an artifact is not there, as a sentence."""
        if reason := self.why_not_made(artifact):
            return f"Not testable: {reason}."
        if artifact.path(self.paths).exists():
            return f"{artifact.file} holds no rows."
        return f"Missing: {artifact.file}. Run: {artifact.made_by}."

    def lack(self, artifact: Artifact) -> str:
        """The same as a part of a sentence about what a claim needs."""
        about = artifact.about.partition(" (")[0]
        return self.why_not_made(artifact) or f"{about} ({artifact.file}, made by {artifact.maker})"

    def why_not_made(self, artifact: Artifact) -> str:
        """Why the stage that would have made it had nothing to make it of; empty where it was not that."""
        records = (
            record for record in self._records().values() if artifact.name in record.get("not_made", ())
        )
        return next((str(record.get("reason")) for record in records), "")

    def is_own(self, artifact: Artifact) -> bool:
        """Whether a recorded stage of this run made the file; otherwise how it was computed is not known."""
        named = {artifact.name, artifact.file}  # records of earlier versions hold the bare file name
        return any(named & set(record.get("outputs", ())) for record in self._records().values())

    def variants(self, artifact: Artifact) -> set[str]:
        """The prompt formats of the stages that made an artifact as it is now; none where that is unknown."""
        if not (path := artifact.path(self.paths)).is_file():
            return set()
        now = file_digest(path)
        made = (key for key, record in self._records().items() if now == _made(record, artifact))
        return {variant for key in made if (variant := variant_of(key))}

    def notes(self, stage: str) -> dict[str, Any]:
        """What a stage noted when it ran."""
        return _as_dict(self._records().get(stage, {}).get("notes"))

    def _records(self) -> dict[str, dict[str, Any]]:
        stages = _as_dict(self.meta.get("stages"))
        return {key: record for key, record in stages.items() if isinstance(record, dict)}

    def data(self, artifact: Data) -> dict[str, Any]:
        """A JSON artifact; empty when there is none."""
        return _as_dict(artifact.read(self.paths)) if artifact.exists(self.paths) else {}

    @property
    def scan_rule(self) -> str:
        """By which of its scores the ablation scan ranked and tested components."""
        return str(self.data(readings.SELECTION).get("rule", "selectivity"))

    @property
    def meta(self) -> dict[str, Any]:
        """meta.json as it stands; also runs of an earlier implementation have one, of another shape."""
        try:
            return _as_dict(json.loads(self.paths.meta.read_text(encoding="utf-8")))
        except (OSError, json.JSONDecodeError):
            return {}

    def figures_beside(self, used: Iterable[str]) -> list[str]:
        """Names of the run's figures that a report has not shown yet."""
        drawn = Listing(self.paths.figures, "*.png")
        note(drawn)
        names = {path.stem for path in drawn.files() if ".previous" not in path.stem}
        return sorted(names - set(used))

    def figure(self, name: str, report: Path) -> str | None:
        """A figure's path relative to the report; none when it was not drawn."""
        path = self.paths.figure(name)
        return Path(os.path.relpath(path, report.parent)).as_posix() if io.exists(path) else None


def _read(path: Path) -> pd.DataFrame | None:
    if not io.exists(path) or not path.stat().st_size:
        return None
    table = io.read_csv(path)
    return None if table.empty else table


def _made(record: dict[str, Any], artifact: Artifact) -> Any:
    return _as_dict(record.get("outputs")).get(artifact.name)


def _as_dict(data: Any) -> dict[str, Any]:
    return data if isinstance(data, dict) else {}
