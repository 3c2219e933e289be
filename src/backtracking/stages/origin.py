"""Where a file of a run comes from: a stage of this record, someone else, or nobody, for want of data."""

from collections.abc import Iterator
from pathlib import Path

from backtracking.run import io
from backtracking.run.meta import RunMeta
from backtracking.run.paths import RunPaths
from backtracking.run.provenance import file_digest
from backtracking.stages.base import RunContext, Stage
from backtracking.stages.digests import relative


def made_elsewhere(stage: Stage, ctx: RunContext) -> list[Path]:
    """Outputs of a stage that never ran which lie in the run folder all the same, made by no other stage."""
    if stage.key in ctx.meta.stages:
        return []
    inside = (path for path in stage.outputs(ctx) if path.is_file() and path.is_relative_to(ctx.paths.root))
    return [path for path in inside if not _is_recorded(path, ctx)]


def speaking_foreign(stage: Stage, ctx: RunContext) -> list[Path]:
    """Those of them that tell of this stage; a file that several stages add to tells of the first alone."""
    before = ctx.pipeline[: ctx.pipeline.index(stage)] if stage in ctx.pipeline else ()
    shared = {path for other in before for path in other.outputs(ctx)}
    return [path for path in made_elsewhere(stage, ctx) if path not in shared]


def _is_recorded(path: Path, ctx: RunContext) -> bool:
    """Whether some stage recorded the file as it is now; two stages may share one."""
    present, names = file_digest(path), (relative(path, ctx), path.name)
    return any(record.outputs.get(name) == present for record in ctx.meta.stages.values() for name in names)


def why_not_made(path: Path, ctx: RunContext) -> str:
    """Why this run, or its Phase 1 run, has no such file to offer; empty when it has or may yet.

    That is the first stage that was not testable: those in between have the same reason.
    """
    if io.exists(path):
        return ""
    for paths, meta in run_records(ctx):
        for key, record in meta.stages.items():
            if path in (paths.root / name for name in record.not_made):
                return record.cause or f"{key} is not testable: {record.reason}"
    return ""


def run_records(ctx: RunContext) -> Iterator[tuple[RunPaths, RunMeta]]:
    """The run's record, and that of its Phase 1 run."""
    yield ctx.paths, ctx.meta
    if ctx.phase1 is not None and ctx.phase1.meta.exists():
        yield ctx.phase1, RunMeta.load(ctx.phase1.meta)
