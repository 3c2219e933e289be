"""What a stage reads is held against the record of the stage that made it."""

from collections.abc import Iterator
from pathlib import Path

from backtracking.errors import UserError
from backtracking.run.inputs import FirstRows, Input, Verifier, Whole
from backtracking.run.meta import RunMeta
from backtracking.run.paths import RunPaths
from backtracking.stages import digests
from backtracking.stages.base import RunContext, Stage
from backtracking.stages.origin import run_records


def checking(stage: Stage, ctx: RunContext) -> Verifier:
    """A check that refuses a file which is not what its maker wrote.

    Files that a stopped stage may have written in, and those that nobody's record knows, are taken as they
    are: foreign runs have none, and rows carry digests of their own.
    """
    runs = [
        (run, meta) for run, meta in run_records(ctx) if not (stage.says_what_is_stale and run == ctx.paths)
    ]
    in_flux = set(_unfinished_outputs(stage, ctx))
    checked: set[Path] = set()

    def check(item: Input) -> None:
        if item.path in checked or item.path in in_flux or isinstance(item, FirstRows):
            return
        checked.add(item.path)
        for run, meta in runs:
            makers = _makers(item.path, run, meta)
            if makers and Whole(item.path).digest() not in makers.values():
                raise _changed(item.path, run, next(iter(makers)))

    return check


def rows_vouched(ctx: RunContext, path: Path) -> int:
    """How many first rows of a file stand in it as a stage of the run has recorded them."""
    names = ((name, made) for record in ctx.meta.stages.values() for name, made in record.outputs.items())
    recorded = [(item, made) for name, made in names if (item := digests.at(name, ctx)).path == path]
    kept = [item.count for item, made in recorded if isinstance(item, FirstRows) and item.digest() == made]
    return max(kept, default=0)


def _unfinished_outputs(stage: Stage, ctx: RunContext) -> Iterator[Path]:
    """What this stage writes, and what those that were stopped may have begun to write."""
    for other in (stage, *ctx.pipeline):
        record = ctx.meta.stages.get(other.key)
        if record is not None and record.outcome not in ("done", "not testable"):
            yield from other.outputs(ctx)


def _makers(path: Path, run: RunPaths, meta: RunMeta) -> dict[str, str]:
    """The stages of a run that made a file, each with the digest of what it wrote."""
    inside = digests.path_inside(path, run)
    names = (inside, path.name) if inside else (str(digests.plain_path(path)),)
    if path == run.config:
        return {"init-run": meta.config_digest} if meta.config_digest else {}
    recorded = ((key, record.outputs.get(name)) for key, record in meta.stages.items() for name in names)
    return {key: digest for key, digest in recorded if digest is not None}


def _changed(path: Path, run: RunPaths, maker: str) -> UserError:
    return UserError(
        f"{path} was changed after it was made",
        f"{maker} wrote something else, and what is computed from it would not follow from the run",
        f"restore it from a copy, or make it again with: backtracking run --run-id {run.run_id}",
    )
