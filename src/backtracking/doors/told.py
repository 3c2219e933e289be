"""What trackers are told of a stage: its numbers, its tables and its figures."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backtracking.run.meta import StageRecord


@dataclass(frozen=True)
class Told:
    """What a tracker is told of a stage."""

    stage: str
    metrics: Mapping[str, float]
    tables: Sequence[Path]
    figures: Sequence[Path]


def told_of(stage: str, record: StageRecord, root: Path) -> Told:
    """Rows, seconds and the numbers in the JSON that a stage made; its tables and figures."""
    made = [path for name in record.outputs if (path := root / name).is_file()]
    measured = {"rows": record.rows, "seconds": record.seconds}
    metrics = {name: float(value) for name, value in measured.items() if value is not None}
    for path in made:
        if path.suffix == ".json":
            metrics |= numbers_by_place(path)
    tables, figures = ([path for path in made if path.suffix == ending] for ending in (".csv", ".png"))
    return Told(stage, metrics, tables, figures)


def numbers_by_place(path: Path) -> dict[str, float]:
    """The numbers of a JSON file by their place in it; what stands in lists is left out."""
    values: dict[str, float] = {}

    def walk(data: Any, name: str) -> None:
        if isinstance(data, Mapping):
            for key, value in data.items():
                walk(value, f"{name}/{key}")
        elif isinstance(data, int | float) and not isinstance(data, bool):
            values[name] = float(data)

    walk(json.loads(path.read_text(encoding="utf-8")), path.stem)
    return values
