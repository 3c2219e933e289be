"""Runs stages: checks what they need, skips what is fresh, keeps the record in meta.json."""

import json
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from backtracking.artifacts.kinds import card_of, with_beside
from backtracking.errors import NotTestable, UserError, disk_trouble
from backtracking.run import provenance
from backtracking.run.inputs import Input, watching
from backtracking.run.lock import is_locked
from backtracking.run.meta import StageRecord, told_left_out
from backtracking.run.rowfile import set_aside_and_say
from backtracking.stages import digests
from backtracking.stages.base import RunContext, Stage
from backtracking.stages.origin import (
    made_elsewhere,
    other_variant,
    speaking_foreign,
    tables_of_other_variants,
    why_not_made,
)
from backtracking.stages.vouched import checking

StageState = Literal[
    "done", "not testable", "missing", "made elsewhere", "stale", "running", "interrupted", "failed"
]


_REASON_LENGTH = 300


@dataclass(frozen=True)
class Status:
    """Where a stage stands, and why."""

    state: StageState
    reason: str = ""
    other_code: str = ""
    """The code that made the result, where that is not the code of now; it does not make it stale."""

    @property
    def is_settled(self) -> bool:
        """Whether the result stands, be it that the question is not testable."""
        return self.state in ("done", "not testable")


@dataclass(frozen=True)
class Executed:
    """What `execute` did."""

    skipped: bool
    seconds: float = 0.0
    rows: int | None = None
    not_testable: str = ""
    """Why the stage's question is not testable, where it is not."""
    other_code: str = ""
    """The code that made a result that was kept, where that is not the code of now."""


def status_of(stage: Stage, ctx: RunContext) -> Status:
    """Compare what the stage was run on with what is there now."""
    record = ctx.meta.stages.get(stage.key)
    if record is None:
        if foreign := speaking_foreign(stage, ctx):
            return Status("made elsewhere", f"{foreign[0].name} was not made by this run")
        return Status("missing", "not run yet")
    if record.outcome not in ("done", "not testable"):
        if record.outcome == "started" and is_locked(ctx.paths.lock):
            return Status("running")
        began = f"started {record.started}"
        return (
            Status("failed", record.reason or began)
            if record.outcome == "failed"
            else Status("interrupted", began)
        )
    return _status_of_result(stage, ctx, record, record.outcome)


def _status_of_result(
    stage: Stage, ctx: RunContext, record: StageRecord, outcome: Literal["done", "not testable"]
) -> Status:
    if outcome == "done" and (lost := _lost(stage, ctx, record)):
        return Status("missing", f"{lost} is gone")
    if reason := _why_stale(stage, ctx, record):
        return Status("stale", reason)
    return Status(outcome, record.reason or _what_lacks(record), _other_code(record))


def _what_lacks(record: StageRecord) -> str:
    """What a result was made without."""
    left_out = record.notes.get("left_out")  # other stages count problems under this name
    return "; ".join(told_left_out(left_out)) if isinstance(left_out, dict) else ""


def stale_results(ctx: RunContext, beside: Stage) -> dict[str, str]:
    """Results of the pipeline that no longer follow from what they were made of, or are gone, and why."""
    with watching():  # what is only compared is not read for a result
        statuses = {stage.key: status_of(stage, ctx) for stage in ctx.pipeline if stage != beside}
    stale = {
        key: status
        for key, status in statuses.items()
        if status.state == "stale" or (status.state == "missing" and key in ctx.meta.stages)
    }
    return {key: status.reason for key, status in stale.items()}


def _lost(stage: Stage, ctx: RunContext, record: StageRecord) -> str:
    """An output that is not there any more; what a stage kept for itself may go."""
    spared = {digests.relative(path, ctx) for path in stage.work_files(ctx)}
    recorded = [name for name in digests.recorded_outputs(stage, ctx, record) if name not in spared]
    made = [*stage.outputs(ctx), *(digests.at(name, ctx).path for name in recorded)]
    return next((path.name for path in made if not path.exists() and not _is_said_away(path)), "")


def _is_said_away(output: Path) -> bool:
    """Whether it is a figure that would be empty: it is not drawn, and its card says why."""
    return output.suffix == ".png" and card_of(output).exists()


def _why_stale(stage: Stage, ctx: RunContext, record: StageRecord) -> str:
    if differences := _differences(record.config, stage.config_values(ctx)):
        more = f" and {len(differences) - 2} more" if len(differences) > 2 else ""
        return f"config changed: {', '.join(differences[:2])}{more}"
    recorded = {name: digests.digest_now(name, ctx) for name in record.inputs}
    if changed := _changed(record.inputs, digests.of_needs(stage, ctx) | recorded):
        return f"{changed} changed"
    for name, made in digests.recorded_outputs(stage, ctx, record).items():
        if reason := _why_not_as_made(stage, name, made, ctx):
            return reason
    there = next((name for name in record.not_made if digests.at(name, ctx).path.exists()), "")
    return f"{digests.shown_name(there)} is not from this run" if there else ""


def _why_not_as_made(stage: Stage, name: str, made: str, ctx: RunContext) -> str:
    """Why an output is no longer this stage's; other stages may add to it, for the same prompt format."""
    now = digests.digest_now(name, ctx)
    if now in ("", made):
        return ""
    makers = [key for key, other in ctx.meta.stages.items() if other.outputs.get(name) == now]
    if not makers:
        return f"{digests.shown_name(name)} was changed after it was made"
    other = other_variant(stage, makers)
    return f"its tables now hold {other}" if other else ""


def _other_code(record: StageRecord) -> str:
    return "" if record.source in (None, provenance.source_digest()) else record.code


def in_words(other_code: Sequence[str]) -> str:
    """What is said, once, of results that other code has made."""
    results = "1 result was" if len(other_code) == 1 else f"{len(other_code)} results were"
    return f"{results} made by other code ({', '.join(sorted(set(other_code)))}); --force makes them again"


def _differences(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """Each value that is not what it was, in words."""
    keys = [key for key in {**before, **now} if before.get(key) != now.get(key)]
    return [f"{key} {_short(before.get(key))} -> {_short(now.get(key))}" for key in keys]


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 30 else f"{text[:27]}..."


def _changed(before: dict[str, str], now: dict[str, str]) -> str:
    for name in sorted({*before, *now}):
        if before.get(name, "") != now.get(name, ""):
            return digests.shown_name(name)
    return ""


def execute(stage: Stage, ctx: RunContext, *, force: bool = False) -> Executed:
    """Run one stage unless its result is fresh. That its question is not testable is a result as well."""
    if not (blocked := _blocked(stage, ctx)):
        for item in stage.inputs(ctx):
            item.require()
    status = status_of(stage, ctx)
    if not force and status.is_settled:
        record = ctx.meta.stages[stage.key]
        return Executed(
            skipped=True, rows=record.rows, not_testable=record.reason, other_code=status.other_code
        )
    if not blocked:
        stage.check(ctx)
    _make_room(stage, ctx, force)
    record = _begin(stage, ctx)
    start = time.perf_counter()
    made: Sequence[Input] = ()
    try:
        with watching(checking(stage, ctx)) as reads:
            if blocked:
                raise NotTestable(blocked, cause=blocked)
            result = stage.run(ctx)
        record.outcome, record.rows, record.notes, made = "done", result.rows, result.notes, result.made
    except NotTestable as why:
        _note_not_testable(stage, ctx, record, why)
    except BaseException as error:
        is_interrupt = isinstance(error, KeyboardInterrupt)
        record.outcome = "interrupted" if is_interrupt else "failed"
        record.reason = "" if is_interrupt else _in_a_line(error)
        _note_executors(ctx, record)
        record.seconds = round(time.perf_counter() - start, 3)
        _save_quietly(ctx)
        raise
    record.outputs = digests.of_outputs(stage, ctx, made)
    record.inputs |= digests.of_reads(reads, ctx, own=record.outputs)
    if digests.WEIGHTS in record.inputs:
        # Weights that were fetched only now have an identity only now.
        record.inputs[digests.WEIGHTS] = record.inputs[digests.WEIGHTS] or ctx.weights() or ""
    _note_executors(ctx, record)
    record.finished = provenance.now()
    record.seconds = round(time.perf_counter() - start, 3)
    ctx.meta.save(ctx.paths.meta)
    return Executed(skipped=False, seconds=record.seconds, rows=record.rows, not_testable=record.reason)


def _blocked(stage: Stage, ctx: RunContext) -> str:
    """Why an input is missing for good: the stage that makes it was not testable."""
    paths = [item.path for item in stage.inputs(ctx)]
    return next((reason for path in paths if (reason := why_not_made(path, ctx))), "")


def _make_room(stage: Stage, ctx: RunContext, force: bool) -> None:
    """Set aside what a forced run must not resume from, and what others made or made for another variant."""
    resumed = stage.resumes_from(ctx)
    spared = {*resumed, *stage.rewrites(ctx)}
    foreign = [path for path in made_elsewhere(stage, ctx) if path not in spared]
    for path in [*(resumed if force else ()), *foreign]:
        set_aside_and_say(path, ctx.reporter)
    for path in tables_of_other_variants(stage, ctx):
        set_aside_and_say(path, ctx.reporter, copy=True)


def _begin(stage: Stage, ctx: RunContext) -> StageRecord:
    """The record of a stage that starts now, saved before it does anything."""
    record = StageRecord(
        outcome="started",
        started=provenance.now(),
        config=stage.config_values(ctx),
        code=provenance.code_version(),
        source=provenance.source_digest(),
        inputs=digests.of_needs(stage, ctx),
    )
    previous = ctx.meta.stages.get(stage.key)
    if previous is not None:
        record.notes = dict(previous.notes)
        record.executors = {} if previous.outcome in ("done", "not testable") else previous.executors
    ctx.meta.stages[stage.key] = record
    ctx.meta.save(ctx.paths.meta)
    return record


def _note_not_testable(stage: Stage, ctx: RunContext, record: StageRecord, why: NotTestable) -> None:
    """Record why, and set aside what an earlier run made, lest it pass for this one's result."""
    made = with_beside(stage.outputs(ctx))
    own = [path for path in made if not digests.is_of_others(path, stage, ctx)]
    for path in own:
        set_aside_and_say(path, ctx.reporter)
    record.outcome, record.reason, record.cause, record.notes = "not testable", str(why), why.cause, {}
    record.not_made = [digests.relative(path, ctx) for path in own]


def _note_executors(ctx: RunContext, record: StageRecord) -> None:
    """Add who has worked on the model in this start, and how much."""
    record.executors = dict(Counter(record.executors) + Counter(ctx.take_results()))


def _in_a_line(error: BaseException) -> str:
    """What went wrong, for the list of stages; the whole of it was shown when it happened."""
    if isinstance(error, UserError):
        said = [error.what, *filter(None, [error.why])]
    elif trouble := disk_trouble(error):
        said = [trouble[0]]
    else:
        said = [type(error).__name__, *str(error).splitlines()[:1]]
    line = " ".join(": ".join(said).split())
    return line if len(line) <= _REASON_LENGTH else f"{line[: _REASON_LENGTH - 3]}..."


def _save_quietly(ctx: RunContext) -> None:
    """On the way out of a failure, a full disk must not hide the failure itself."""
    try:
        ctx.meta.save(ctx.paths.meta)
    except (OSError, UserError):
        return
