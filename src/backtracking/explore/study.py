"""What is explored: a run, the Phase 1 run that it builds on, and how their completions are read."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from backtracking.artifacts.phase1 import DATASET, GENERATIONS, SPLIT
from backtracking.artifacts.phase2 import ARM_PREFIX
from backtracking.config.schema import ExperimentConfig
from backtracking.errors import UserError
from backtracking.measurements.events import EventReader
from backtracking.run import io
from backtracking.run.meta import prepared_problems
from backtracking.run.paths import RunPaths
from backtracking.run.records import BASELINE_NAME, GenerationRecord, Problem
from backtracking.text.answers import Answer, extract_answer
from backtracking.text.tokenization import TokenMap, TokenText

_SET_ASIDE = ".previous"
"""In the names of files that a run keeps but no longer counts."""


@dataclass(frozen=True)
class ArmFile:
    """One file of completions: one arm of one prompt format."""

    variant: str
    name: str
    path: Path

    @property
    def is_baseline(self) -> bool:
        """Whether nothing was done to the model in it."""
        return self.name == BASELINE_NAME


@dataclass(frozen=True)
class MeasuredRun:
    """One run with its problems and the reader that measures its completions."""

    paths: RunPaths
    config: ExperimentConfig
    problems: Mapping[str, Problem]
    token_map: TokenMap | None

    @classmethod
    def of(
        cls, paths: RunPaths, config: ExperimentConfig, token_map: TokenMap | None, earlier: RunPaths | None
    ) -> "MeasuredRun":
        """A run's study; where it prepared no problems itself, it is about those of the earlier run."""
        path = prepared_problems(paths) or (prepared_problems(earlier) if earlier else None)
        rows = io.read_jsonl(path, Problem, made_by=DATASET.made_by) if path else ()
        return cls(paths, config, {problem.id: problem for problem in rows}, token_map)

    @property
    def name(self) -> str:
        """The id of the run."""
        return self.paths.run_id

    def arms(self) -> list[ArmFile]:
        """Its files of completions, each prompt format's baseline first."""
        files = [
            ArmFile(path.parent.name, path.stem.removeprefix(ARM_PREFIX), path)
            for path in sorted(self.paths.generations.glob("*/*.jsonl"))
            if _SET_ASIDE not in path.stem and path.parent.name in self.config.prompting.variant_names
        ]
        order = self.config.prompting.variant_names
        return sorted(files, key=lambda arm: (order.index(arm.variant), not arm.is_baseline, arm.name))

    @cached_property
    def reader(self) -> EventReader:
        """Measures completions as detect-events does."""
        gold = {problem.id: problem.answer_value for problem in self.problems.values()}
        return EventReader(
            self.config.detection,
            self.config.prompting,
            self.token_map,
            gold,
            coupled=self.config.analysis.onsets,
        )

    @cached_property
    def close_marks(self) -> Mapping[str, str]:
        """What closes the reasoning, by prompt format."""
        return {variant.name: variant.think_close for variant in self.config.prompting.formatting_variants}

    @cached_property
    def halves(self) -> Mapping[str, str]:
        """By problem the half that it belongs to, where the run has split them."""
        split = SPLIT.read(self.paths) if SPLIT.exists(self.paths) else {}
        return {problem: half for half, problems in split.items() for problem in problems}

    @property
    def parting_variant(self) -> str:
        """The prompt format in which Phase 2 looks at where texts part."""
        return self.config.phase2.subset_sweep.variant if self.config.phase2 else ""

    def answer(self, record: GenerationRecord) -> Answer:
        """The answer of a completion with the characters that it was read from."""
        return extract_answer(
            record.completion,
            think_close=self.close_marks.get(record.variant, ""),
            truncated=record.finish_reason != "stop",
            answer_regex=self.config.detection.answer_regex,
        )

    def tokens(self, record: GenerationRecord) -> TokenText | None:
        """The tokens over the completion's text; none for a row that came without them."""
        if self.token_map is None or not record.completion_ids:
            return None
        return self.token_map(record.completion_ids, record.completion)


@dataclass(frozen=True, slots=True)
class RowPlace:
    """Where a completion stands on disk."""

    study: MeasuredRun
    arm: ArmFile
    start: int

    def read(self) -> GenerationRecord:
        """The row, read now."""
        return io.read_row(self.arm.path, self.start, GenerationRecord, made_by=GENERATIONS.made_by)


def rows_with_places(study: MeasuredRun, arm: ArmFile) -> Iterator[tuple[RowPlace, GenerationRecord]]:
    """The rows of a file, each with its place."""
    starts = io.line_starts(arm.path)
    rows = io.read_jsonl(arm.path, GenerationRecord, made_by=GENERATIONS.made_by, grows=True)
    for start, record in zip(starts, rows, strict=False):
        yield RowPlace(study, arm, start), record


def require_rows(studies: Sequence[MeasuredRun]) -> None:
    """Refuse runs without a single completion."""
    if not any(study.arms() for study in studies):
        last = studies[-1].paths
        raise UserError(
            f"run {last.run_id} has no completions to read",
            f"{last.generations} holds none; runs of the earlier implementation kept only their tables",
            "run: backtracking generate --condition baseline",
        )


def arms_named(study: MeasuredRun, names: Sequence[str]) -> list[ArmFile]:
    """The arms of these names (of none: all) in every prompt format; a run without completions is refused."""
    require_rows([study])
    arms = study.arms()
    known = list(dict.fromkeys(arm.name for arm in arms))
    if unknown := [name for name in names if name not in known]:
        raise UserError(
            f"run {study.name} has no completions of {', '.join(map(repr, unknown))}",
            f"there are: {', '.join(known)}",
        )
    return [arm for arm in arms if not names or arm.name in names]
