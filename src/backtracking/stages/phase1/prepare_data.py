"""prepare-data: the problems of a run, as JSONL with gold answers and stable ids."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import ValidationError

from backtracking.errors import UserError
from backtracking.run import io
from backtracking.run.inputs import Input, Whole
from backtracking.run.provenance import file_digest
from backtracking.run.records import Problem
from backtracking.sources.problems import load_problems
from backtracking.stages.base import Result, RunContext, Stage


@dataclass(frozen=True)
class PrepareData(Stage):
    """The problems of a run."""

    name: ClassVar[str] = "prepare-data"
    phase: ClassVar[Literal[1, 2]] = 1
    unit: ClassVar[str] = "problem"
    config_keys: ClassVar[tuple[str, ...]] = ("dataset",)

    def inputs(self, ctx: RunContext) -> Sequence[Input]:
        """The local file of problems; none from the hub or made on the spot."""
        path = ctx.config.dataset.path
        if path is None or not Path(path).exists():
            return []
        return [Whole(Path(path))]

    def outputs(self, ctx: RunContext) -> Sequence[Path]:
        """The file of problems in the one record shape."""
        return [ctx.own_dataset_path]

    def run(self, ctx: RunContext) -> Result:
        """Loads the problems and writes them with ids and right answers."""
        problems = load_problems(ctx.config.dataset)
        path = ctx.own_dataset_path
        _refuse_foreign_file(path)
        count = io.write_jsonl(path, problems)
        asked = ctx.config.dataset.max_examples
        if count < asked:
            ctx.reporter.say(f"  note: {count} problems found, {asked} asked for (dataset.max_examples)")
        ctx.meta.dataset = {
            "name": ctx.config.dataset.name,
            "source": ctx.config.dataset.path or ctx.config.dataset.name,
            "path": str(path),
            "sha256": file_digest(path),
            "problems": count,
        }
        return Result(rows=count)


def read_problems(ctx: RunContext) -> list[Problem]:
    """The prepared problems, in their order."""
    problems = list(io.read_jsonl(ctx.dataset_path, Problem, made_by=dataset_input(ctx).made_by))
    if not problems:
        raise UserError(f"{ctx.dataset_path} holds no problems", next_step="run: backtracking prepare-data")
    return problems


def _refuse_foreign_file(path: Path) -> None:
    """What lies there may only be replaced if it is a set of prepared problems."""
    if not path.exists():
        return
    with path.open("rb") as file:
        first = file.readline()
    try:
        Problem.model_validate_json(first or b"{}")
    except ValidationError:
        if first:
            raise UserError(
                f"dataset.save_path: {path} is there and does not hold prepared problems",
                "it would be overwritten",
                "name another file, or move that one away",
            ) from None


def dataset_input(ctx: RunContext) -> Whole:
    """The prepared problems, with what makes them."""
    made_by = "backtracking prepare-data"
    if ctx.config.phase2 is not None and ctx.phase1 is None:
        made_by += ", or take a Phase 1 run's problems: add --phase1-run-id ID, or set phase2.phase1_run_id"
    return Whole(ctx.dataset_path, made_by=made_by)
