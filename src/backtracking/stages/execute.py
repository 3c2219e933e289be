"""Runs stages: checks what they need, skips what is fresh, keeps the record in meta.json."""

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from backtracking.errors import UserError
from backtracking.run import io, provenance
from backtracking.run.meta import StageRecord
from backtracking.stages.base import RunContext, Stage, set_aside

State = Literal["done", "missing", "stale", "running", "interrupted"]


@dataclass(frozen=True)
class Status:
    """Where a stage stands, and why."""

    state: State
    reason: str = ""


@dataclass(frozen=True)
class Outcome:
    """What `execute` did."""

    skipped: bool
    seconds: float = 0.0
    rows: int | None = None


def status_of(stage: Stage, ctx: RunContext) -> Status:
    """Compare what the stage was run on with what is there now."""
    record = ctx.meta.stages.get(stage.key)
    if record is None:
        return Status("missing", "not run yet")
    if record.outcome != "done":
        if record.outcome == "started" and io.is_locked(ctx.paths.lock):
            return Status("running")
        return Status("interrupted", f"{record.outcome} at {record.started}")
    if lost := [path.name for path in stage.outputs(ctx) if not path.exists()]:
        return Status("missing", f"{lost[0]} is gone")
    reason = _why_stale(stage, ctx, record)
    return Status("stale", reason) if reason else Status("done")


def _why_stale(stage: Stage, ctx: RunContext, record: StageRecord) -> str:
    if differences := _differences(record.config, stage.config_values(ctx)):
        more = f" and {len(differences) - 2} more" if len(differences) > 2 else ""
        return f"config changed: {', '.join(differences[:2])}{more}"
    if changed := _changed(record.inputs, _input_digests(stage, ctx)):
        return f"{changed} changed"
    if edited := _changed(record.outputs, _output_digests(stage, ctx)):
        return f"{edited} was changed after it was made"
    return ""


def _differences(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """Each value that is not what it was, in words."""
    keys = [key for key in {**before, **now} if before.get(key) != now.get(key)]
    return [f"{key} {_short(before.get(key))} -> {_short(now.get(key))}" for key in keys]


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 30 else f"{text[:27]}..."


def _changed(before: dict[str, str], now: dict[str, str]) -> str:
    for name in sorted({*before, *now}):
        if before.get(name) != now.get(name):
            return Path(name).name
    return ""


def _input_digests(stage: Stage, ctx: RunContext) -> dict[str, str]:
    digests = {_name_in_run(item.name, ctx): item.digest() or "" for item in stage.inputs(ctx)}
    if "model" in stage.config_keys:
        digests["weights"] = ctx.weights() or ""
    return digests


def _name_in_run(name: str, ctx: RunContext) -> str:
    """Named from the run folder on, so that a run may be moved, renamed or copied."""
    if ctx.phase1 is not None and ctx.phase1.root != ctx.paths.root:
        name = name.replace(f"{ctx.phase1.root}/", "phase 1: ", 1)
    return name.removeprefix(f"{ctx.paths.root}/")


def _output_digests(stage: Stage, ctx: RunContext) -> dict[str, str]:
    return {path.name: provenance.file_digest(path) for path in stage.outputs(ctx) if path.is_file()}


def execute(stage: Stage, ctx: RunContext, *, force: bool = False) -> Outcome:
    """Run one stage unless its result is fresh."""
    for item in stage.inputs(ctx):
        item.require()
    if not force and status_of(stage, ctx).state == "done":
        return Outcome(skipped=True, rows=ctx.meta.stages[stage.key].rows)
    for path in stage.resumes_from(ctx) if force else ():
        set_aside(path, ctx.reporter)
    record = StageRecord(
        outcome="started",
        started=provenance.now(),
        config=stage.config_values(ctx),
        code=provenance.code_version(),
        inputs=_input_digests(stage, ctx),
    )
    previous = ctx.meta.stages.get(stage.key)
    if previous is not None:
        record.notes = dict(previous.notes)
    ctx.meta.stages[stage.key] = record
    ctx.meta.save(ctx.paths.meta)
    start = time.perf_counter()
    try:
        result = stage.run(ctx)
    except BaseException as error:
        record.outcome = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
        record.seconds = round(time.perf_counter() - start, 3)
        _save_quietly(ctx)
        raise
    # Weights that were fetched only now have an identity only now.
    for name, found in _input_digests(stage, ctx).items():
        record.inputs[name] = record.inputs.get(name) or found
    record.outcome = "done"
    record.finished = provenance.now()
    record.seconds = round(time.perf_counter() - start, 3)
    record.rows = result.rows
    record.notes = result.notes
    record.outputs = _output_digests(stage, ctx)
    ctx.meta.save(ctx.paths.meta)
    return Outcome(skipped=False, seconds=record.seconds, rows=result.rows)


def _save_quietly(ctx: RunContext) -> None:
    """On the way out of a failure, a full disk must not hide the failure itself."""
    try:
        ctx.meta.save(ctx.paths.meta)
    except (OSError, UserError):
        return
