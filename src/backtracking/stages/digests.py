"""What a stage's record holds of inputs and outputs: names from the run folder on, each with a digest."""

import os
from collections.abc import Iterable
from pathlib import Path

from backtracking.artifacts.kinds import with_beside
from backtracking.run.inputs import Input, Whole, parse
from backtracking.run.meta import StageRecord
from backtracking.run.paths import RunPaths
from backtracking.stages.base import RunContext, Stage

WEIGHTS = "weights"
PHASE1 = "phase 1: "

Digests = dict[str, str]


def name_in_run(item: Input, ctx: RunContext) -> str:
    """An input as the record of a run names it, wherever the run lies."""
    return relative(item.path, ctx) + (f"[{item.part}]" if item.part else "")


def relative(path: Path, ctx: RunContext) -> str:
    """Named from the run folder on, so that a run may be moved, renamed or copied."""
    for prefix, run in (("", ctx.paths), (PHASE1, ctx.phase1)):
        if run is not None and (name := path_inside(path, run)):
            return prefix + name
    return str(plain_path(path))


def path_inside(path: Path, run: RunPaths) -> str:
    """A path from a run's folder on; empty if it lies elsewhere."""
    place, root = plain_path(path), plain_path(run.root)
    return place.relative_to(root).as_posix() if place.is_relative_to(root) else ""


def plain_path(path: Path) -> Path:
    """An absolute path without detours; links stay as they are."""
    return Path(os.path.normpath(path.absolute()))


def at(name: str, ctx: RunContext) -> Input:
    """The input that a name in a record means."""
    if name.startswith(PHASE1):
        root = ctx.phase1.root if ctx.phase1 is not None else Path("no Phase 1 run given")
        return parse(str(root / name.removeprefix(PHASE1)))
    return parse(str(ctx.paths.root / name))


def digest_now(name: str, ctx: RunContext) -> str:
    """The digest of a recorded input as it is at present."""
    return ctx.weights() or "" if name == WEIGHTS else at(name, ctx).digest()


def of_needs(stage: Stage, ctx: RunContext) -> Digests:
    """What a stage says it needs, as it is now."""
    needs = {name_in_run(item, ctx): item.digest() for item in stage.inputs(ctx)}
    if "model" in stage.config_keys:
        needs[WEIGHTS] = ctx.weights() or ""
    return needs


def of_reads(reads: dict[Input, str], ctx: RunContext, own: Iterable[str]) -> Digests:
    """What was read for a result, without what the stage itself had made."""
    made = {name.partition("[")[0] for name in own}
    named = {item: relative(item.path, ctx) for item in reads}
    return {name_in_run(item, ctx): digest for item, digest in reads.items() if named[item] not in made}


def of_outputs(stage: Stage, ctx: RunContext, made: Iterable[Input] = ()) -> Digests:
    """Digests of all that a stage made."""
    own = [*with_beside(stage.outputs(ctx)), *stage.work_files(ctx)]
    files = [Whole(path) for path in own if path.is_file()]
    return {name_in_run(item, ctx): item.digest() for item in [*files, *made]}


def recorded_outputs(stage: Stage, ctx: RunContext, record: StageRecord) -> Digests:
    """A stage's outputs by their names in the run; records of earlier versions hold the bare file names."""
    known = {path.name: relative(path, ctx) for path in stage.outputs(ctx)}
    return {name if "/" in name else known.get(name, name): made for name, made in record.outputs.items()}


def is_of_others(path: Path, stage: Stage, ctx: RunContext) -> bool:
    """Whether another stage of the run counts a file among its outputs as well."""
    name = relative(path, ctx)
    return any(name in record.outputs for key, record in ctx.meta.stages.items() if key != stage.key)


def shown_name(name: str) -> str:
    """The file's own name, and which part of it."""
    path, bracket, part = name.partition("[")
    return f"{Path(path).name}{bracket}{part}"
