"""The calibration itself: planted truths, null studies and the partial analyst, on several processes."""

import json
import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import pandas as pd
from pydantic import Field

from backtracking.artifacts.phase1 import EVENTS
from backtracking.calibration.nulls import Desk, Outcomes, null_study
from backtracking.calibration.second_nulls import second_null, swept_rows
from backtracking.calibration.studies import (
    SMALL,
    SecondSize,
    Size,
    outcomes,
    run_second,
    run_study,
)
from backtracking.calibration.truths import BY_NAME, NULL, SECOND, TRUTHS
from backtracking.run import io
from backtracking.run.paths import RunPaths
from backtracking.run.records import Record

TEMPLATES = ("one writer", NULL.name)
"""Finished studies whose rows make null studies: with components that stand out in the scan, and without."""
FEW_SETS = 2
"""Random sets of a study that is large for its accuracy's sake."""
VARIANTS = ("baseline_think_newline", "think_same_line", "no_think_tags")
StudyKind = Literal["truth", "null", "relabelled", "analyst", "second", "mixed", "second analyst"]
"""Studies of planted models and of null models, null studies made of rows, those of an analyst; then the same
of Phase 2, whose null studies mix the rows of arms."""


class PlantedStudy(Record):
    """One study of the calibration, and what each claim came out as in it."""

    kind: StudyKind
    truth: str
    architecture: str
    seed: int
    size: dict[str, int]
    outcomes: dict[str, str] = Field(default_factory=dict)
    ever: list[str] = Field(default_factory=list)
    """Claims that some analysis supported, where many were tried."""

    @property
    def name(self) -> str:
        """What tells it from the others."""
        return f"{self.kind}/{self.truth}/{self.architecture}/{self.seed}".replace(" ", "_")


@dataclass(frozen=True)
class Scope:
    """How much is calibrated."""

    size: Size = field(default_factory=Size)
    seeds: int = 1
    """Planted models per truth and architecture."""
    nulls: int = 60
    """Null models studied by the whole first phase."""
    relabelled: int = 200
    """Null studies made of the rows of each template."""
    analysts: int = 10
    """Null studies of each template that are analysed in every way."""
    reasoner_seeds: int = 3
    """Studies of either phase of each reasoner that ships with the package."""
    second_problems: int | None = None
    """Problems of those of Phase 2; none: as many as leave the model's verdicts hardly ever open."""
    prefixes: int = 60
    """Fixed prefixes of each."""
    large: bool = True
    """Whether truths that take many problems are studied as well."""

    def first(self) -> list[PlantedStudy]:
        """Studies of models."""
        planted = [
            self._study("truth", truth.name, architecture, seed)
            for truth in TRUTHS
            if self.large or not truth.problems
            for architecture in truth.architectures
            for seed in range(self.reasoner_seeds if truth.bundled else self.seeds)
        ]
        kinds = NULL.architectures
        reduced = [
            self._second("second", truth.name, seed)
            for truth in SECOND
            for seed in range(self.reasoner_seeds)
        ]
        return [*planted, *reduced] + [
            self._study("null", NULL.name, kinds[number % len(kinds)], 1000 + number)
            for number in range(self.nulls)
        ]

    def second(self) -> list[PlantedStudy]:
        """Studies made of the rows of finished ones."""
        return [
            self._study(kind, name, "qwen2", seed)
            for name in (TEMPLATES if self.seeds else ())
            for kind, count in self._made_of_rows("relabelled", "analyst")
            for seed in range(count)
        ] + [
            self._second(kind, truth.name, seed)
            for truth in (SECOND if self.reasoner_seeds else ())
            for kind, count in self._made_of_rows("mixed", "second analyst")
            for seed in range(count)
        ]

    def _made_of_rows(self, planned: StudyKind, partial: StudyKind) -> tuple[tuple[StudyKind, int], ...]:
        return (planned, self.relabelled), (partial, self.analysts)

    def _second(self, kind: StudyKind, truth: str, seed: int) -> PlantedStudy:
        problems = self.second_problems or BY_NAME[truth].problems
        size = asdict(SecondSize(problems, prefixes=self.prefixes))
        return PlantedStudy(kind=kind, truth=truth, architecture="qwen2", seed=seed, size=size)

    def _study(self, kind: StudyKind, truth: str, architecture: str, seed: int) -> PlantedStudy:
        problems = BY_NAME[truth].problems
        size = replace(self.size, problems=problems, sets=FEW_SETS) if problems else self.size
        return PlantedStudy(kind=kind, truth=truth, architecture=architecture, seed=seed, size=asdict(size))


SMALL_SCOPE = Scope(
    SMALL, nulls=1, relabelled=2, analysts=1, reasoner_seeds=1, second_problems=12, prefixes=2, large=False
)
"""For the tests."""


def calibrate(folder: Path, scope: Scope, workers: int, say: Callable[[str], None]) -> list[PlantedStudy]:
    """Every study of the scope, each result kept as it comes; what is there already is not made again."""
    kept = folder / "studies.jsonl"
    known = io.read_jsonl(kept, PlantedStudy, made_by="backtracking calibrate") if kept.exists() else ()
    done = {(study.name, *study.size.values()): study for study in known}
    asked = [*scope.first(), *scope.second()]
    for studies in (scope.first(), scope.second()):
        waiting = [study for study in studies if (study.name, *study.size.values()) not in done]
        with io.JsonlAppender(kept) as file:
            for number, study in enumerate(_results(waiting, folder, workers), 1):
                file.append(study)
                done[(study.name, *study.size.values())] = study
                say(f"{number}/{len(waiting)}  {study.name}")
    return [done[(study.name, *study.size.values())] for study in asked]


def _results(studies: Sequence[PlantedStudy], folder: Path, workers: int) -> Iterator[PlantedStudy]:
    if workers == 1 or len(studies) < 2:
        yield from (do(study, folder) for study in studies)
        return
    # A forked process would share the threads of torch; these begin anew.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, initializer=_one_thread) as pool:
        yield from pool.map(do, studies, [folder] * len(studies))


def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)


def do(study: PlantedStudy, folder: Path) -> PlantedStudy:
    """The study with its outcomes."""
    if study.kind in ("truth", "null"):
        size = Size(**study.size)
        paths = run_study(BY_NAME[study.truth], study.architecture, folder / study.name, size, study.seed)
        return study.model_copy(update={"outcomes": outcomes(paths)})
    if study.kind == "second":
        paths = run_second(BY_NAME[study.truth], folder / study.name, SecondSize(**study.size), study.seed)
        return study.model_copy(update={"outcomes": outcomes(paths)})
    planned, ever = _null(study, folder)
    return study.model_copy(update={"outcomes": dict(planned), "ever": sorted(ever)})


def _null(study: PlantedStudy, folder: Path) -> tuple[Outcomes, set[str]]:
    """A null study made of the rows of a finished one."""
    partial = study.kind in ("analyst", "second analyst")
    kind: StudyKind = "second" if study.kind in ("mixed", "second analyst") else "truth"
    finished = study.model_copy(update={"kind": kind, "seed": 0})
    template = RunPaths(folder / finished.name / "runs", "calibration")
    with TemporaryDirectory() as scratch:
        if kind == "second":
            return second_null(swept_rows(template), Path(scratch), study.seed, partial=partial)
        desk = Desk(template, Path(scratch), VARIANTS)
        return null_study(desk, pd.read_csv(EVENTS.path(template)), study.seed, partial=partial)


def write_results(folder: Path, studies: Sequence[PlantedStudy], table: str) -> None:
    """The results as data, and the table that is shown."""
    data: list[dict[str, Any]] = [study.model_dump(exclude={"schema_version"}) for study in studies]
    io.write_text(folder / "calibration.json", json.dumps(data, indent=1))
    io.write_text(folder / "calibration.md", table)
