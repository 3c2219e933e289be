"""One of two runs that are compared: what is known of it, and in words what is lacking."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from backtracking.artifacts.phase1 import DATASET
from backtracking.claims.evidence import Evidence
from backtracking.config.load import load_config
from backtracking.config.reading import flatten
from backtracking.config.schema import ExperimentConfig
from backtracking.run import io
from backtracking.run.inputs import yaml_data
from backtracking.run.meta import RunMeta, prepared_problems
from backtracking.run.paths import RunPaths
from backtracking.run.records import Problem


@dataclass
class ComparedRun:
    """A run, read only."""

    paths: RunPaths
    name: str
    """What it is called beside the other: runs of two folders may have one id."""
    lacking: list[str] = field(default_factory=list)

    def lacks(self, what: str) -> None:
        """Note something that the comparison would have shown."""
        if what not in self.lacking:
            self.lacking.append(what)

    @cached_property
    def evidence(self) -> Evidence:
        """Its tables, as claims and reports read them."""
        return Evidence(self.paths)

    @cached_property
    def is_earlier(self) -> bool:
        """Whether an earlier implementation wrote it."""
        return RunMeta.load(self.paths.meta).earlier is not None

    @cached_property
    def config(self) -> ExperimentConfig:
        """What the run was asked to do; unknown keys of an earlier study's run are passed over."""
        return load_config(self.paths.config, [], skip_unknown=self.is_earlier).config

    @cached_property
    def settings(self) -> dict[str, Any]:
        """Every setting by its dotted key; of an earlier implementation those alone that it wrote down."""
        known = flatten(self.config.model_dump(mode="json"))
        if not self.is_earlier:
            return known
        written = flatten(yaml_data(self.paths.config.read_text(encoding="utf-8")) or {})
        return {key: value for key, value in known.items() if key in written}

    @cached_property
    def phase1(self) -> Evidence | None:
        """The Phase 1 run that it builds on, where that is still there."""
        named = self.evidence.meta.get("phase1_run_id")
        if not isinstance(named, str) or named == self.paths.run_id:
            return None
        built_on = RunPaths(self.paths.output_dir, named)
        return Evidence(built_on) if built_on.root.is_dir() else None

    @cached_property
    def questions(self) -> Mapping[str, str] | None:
        """The problems' texts by id; none where the run kept none."""
        path = prepared_problems(self.paths)
        if path is None and self.phase1 is not None:
            path = prepared_problems(self.phase1.paths)
        if path is None:
            return None
        rows = io.read_jsonl(path, Problem, made_by=DATASET.made_by)
        return {problem.id: problem.question for problem in rows}
