"""Runs stages: checks what they need, skips what is fresh, keeps the record in meta.json."""

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from backtracking.errors import NotTestable, UserError
from backtracking.run import io, provenance
from backtracking.run.meta import StageRecord
from backtracking.run.rowfile import set_aside
from backtracking.stages.base import FileInput, RunContext, Stage
from backtracking.stages.origin import made_elsewhere, why_not_made

State = Literal["done", "not testable", "missing", "made elsewhere", "stale", "running", "interrupted"]


@dataclass(frozen=True)
class Status:
    """Where a stage stands, and why."""

    state: State
    reason: str = ""

    @property
    def is_settled(self) -> bool:
        """Whether the result stands, be it that the question is not testable."""
        return self.state in ("done", "not testable")


@dataclass(frozen=True)
class Outcome:
    """What `execute` did."""

    skipped: bool
    seconds: float = 0.0
    rows: int | None = None
    not_testable: str = ""
    """Why the stage's question is not testable, where it is not."""


def status_of(stage: Stage, ctx: RunContext) -> Status:
    """Compare what the stage was run on with what is there now."""
    record = ctx.meta.stages.get(stage.key)
    if record is None:
        if foreign := made_elsewhere(stage, ctx):
            return Status("made elsewhere", f"{foreign[0].name} was not made by this run")
        return Status("missing", "not run yet")
    if record.outcome not in ("done", "not testable"):
        if record.outcome == "started" and io.is_locked(ctx.paths.lock):
            return Status("running")
        return Status("interrupted", f"{record.outcome} at {record.started}")
    lost = [path.name for path in stage.outputs(ctx) if not path.exists()]
    if lost and record.outcome == "done":
        return Status("missing", f"{lost[0]} is gone")
    reason = _why_stale(stage, ctx, record)
    return Status("stale", reason) if reason else Status(record.outcome, record.reason)


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
    """Run one stage unless its result is fresh. That its question is not testable is a result as well."""
    if not (blocked := _blocked(stage, ctx)):
        for item in stage.inputs(ctx):
            item.require()
    if not force and status_of(stage, ctx).is_settled:
        record = ctx.meta.stages[stage.key]
        return Outcome(skipped=True, rows=record.rows, not_testable=record.reason)
    _make_room(stage, ctx, force)
    record = _begin(stage, ctx)
    start = time.perf_counter()
    try:
        if blocked:
            raise NotTestable(blocked)
        result = stage.run(ctx)
        record.outcome, record.rows, record.notes = "done", result.rows, result.notes
    except NotTestable as found:
        _note_not_testable(stage, ctx, record, str(found))
    except BaseException as error:
        record.outcome = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
        record.seconds = round(time.perf_counter() - start, 3)
        _save_quietly(ctx)
        raise
    # Weights that were fetched only now have an identity only now.
    for name, digest in _input_digests(stage, ctx).items():
        record.inputs[name] = record.inputs.get(name) or digest
    record.finished = provenance.now()
    record.seconds = round(time.perf_counter() - start, 3)
    record.outputs = _output_digests(stage, ctx)
    ctx.meta.save(ctx.paths.meta)
    return Outcome(skipped=False, seconds=record.seconds, rows=record.rows, not_testable=record.reason)


def _blocked(stage: Stage, ctx: RunContext) -> str:
    """Why an input is missing for good: the stage that makes it was not testable."""
    paths = [item.path for item in stage.inputs(ctx) if isinstance(item, FileInput)]
    return next((reason for path in paths if (reason := why_not_made(path, ctx))), "")


def _make_room(stage: Stage, ctx: RunContext, force: bool) -> None:
    """Set aside what a forced run must not resume from, and files that somebody else put there."""
    resumed = stage.resumes_from(ctx)
    foreign = [path for path in made_elsewhere(stage, ctx) if path not in resumed]
    for path in [*(resumed if force else ()), *foreign]:
        set_aside(path, ctx.reporter)


def _begin(stage: Stage, ctx: RunContext) -> StageRecord:
    """The record of a stage that starts now, saved before it does anything."""
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
    return record


def _note_not_testable(stage: Stage, ctx: RunContext, record: StageRecord, reason: str) -> None:
    """Record why, and set aside what an earlier run made, lest it pass for this one's result."""
    for path in stage.outputs(ctx):
        set_aside(path, ctx.reporter)
    record.outcome, record.reason, record.notes = "not testable", reason, {}
    record.not_made = [str(path.relative_to(ctx.paths.root)) for path in stage.outputs(ctx)]


def _save_quietly(ctx: RunContext) -> None:
    """On the way out of a failure, a full disk must not hide the failure itself."""
    try:
        ctx.meta.save(ctx.paths.meta)
    except (OSError, UserError):
        return
