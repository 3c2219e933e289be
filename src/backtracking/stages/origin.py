"""Where a file of a run comes from: a stage of this record, someone else, or nobody, for want of data."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from backtracking.run import io
from backtracking.run.inputs import Whole
from backtracking.run.meta import RunMeta, variant_of
from backtracking.run.paths import RunPaths
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
    present, names = Whole(path).digest(), (relative(path, ctx), path.name)
    return any(record.outputs.get(name) == present for record in ctx.meta.stages.values() for name in names)


def other_variant(stage: Stage, makers: Iterable[str]) -> str:
    """The prompt format of the stages that made a file, where that is not the stage's own."""
    own, made_for = variant_of(stage.key), {variant_of(key) for key in makers} - {""}
    return min(made_for) if own and made_for and own not in made_for else ""


def tables_of_other_variants(stage: Stage, ctx: RunContext) -> list[Path]:
    """Tables that a stage is about to write over with those of its own prompt format, not yet kept."""
    return [
        path
        for path in stage.outputs(ctx)
        if path.parent == ctx.paths.analysis
        and path.is_file()
        and other_variant(stage, _makers(path, ctx))
        and not _is_kept(path)
    ]


def _makers(path: Path, ctx: RunContext) -> list[str]:
    """The stages that recorded a file as it is now."""
    present, name = Whole(path).digest(), relative(path, ctx)
    return [key for key, record in ctx.meta.stages.items() if record.outputs.get(name) == present]


def _is_kept(path: Path) -> bool:
    """Whether the file as it is now was set aside before."""
    present, earlier = Whole(path).digest(), path.parent.glob(f"{path.stem}.previous*{path.suffix}")
    return any(Whole(kept).digest() == present for kept in earlier)


def with_other_variants(ctx: RunContext) -> list[Stage]:
    """The stages of the pipeline, each with those that the record has of it for other prompt formats."""
    stages = list(dict.fromkeys(ctx.pipeline))
    for key in ctx.meta.stages:
        alike = [at for at, stage in enumerate(stages) if key.startswith(f"{stage.name}[")]
        other = _named(key, stages[alike[-1]], ctx) if alike else None
        if other is not None and other not in stages:
            stages.insert(alike[-1] + 1, other)
    return stages


def _named(key: str, like: Stage, ctx: RunContext) -> Stage | None:
    """The stage of that key, for a prompt format that the config still has."""
    if variant_of(key) not in ctx.config.prompting.variant_names:
        return None
    values = key.partition("[")[2].removesuffix("]").split("/")
    parameters: Any = dict(zip(vars(like), values, strict=False))
    named: Stage = replace(cast("Any", like), **parameters)
    return named


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
