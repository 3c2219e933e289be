"""`plan` and `run --dry-run`: what would be done, and what it costs, in words and as JSON."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from backtracking.cli import options as opt
from backtracking.cli.as_json import echo_json
from backtracking.cli.say import say
from backtracking.run.progress import clock

if TYPE_CHECKING:
    from backtracking.config.load import LoadedConfig
    from backtracking.stages.base import RunContext, Stage
    from backtracking.stages.forecast import Forecast, StageForecast

    Outlook = tuple[RunContext, Forecast]

SpeedFigures = dict[str, Any]


def plan(
    config: opt.Config = None,
    run_id: opt.RunId = None,
    phase1_run_id: opt.Phase1RunId = None,
    overrides: opt.Overrides = None,
    seconds: Annotated[
        float, typer.Option("--seconds", min=0.1, help="How long to measure this machine.")
    ] = 10.0,
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
) -> None:
    """Estimate what a run costs: completions, tokens, disk, and time from ten seconds of decoding.

    Example: [cyan]backtracking plan -c configs/demo.yaml[/cyan]
    """
    from backtracking.cli.session import Request, asked_run
    from backtracking.stages.built_on import check_built_on

    request = Request(config, run_id, phase1_run_id, overrides or (), quiet=quiet or as_json)
    ctx = asked_run(request, may_create=True, may_lack_phase1=True)
    check_built_on(ctx, ctx.pipeline)
    phase1 = phase1_to_come(ctx)
    outlooks = _outlooks(ctx, ctx.pipeline, (), phase1)
    speed, why_not = _if_needed(outlooks, lambda at: measured_speed(at, seconds))
    length = speed["tokens_per_row"] if speed else None
    _show([(at, told.with_measured_length(length)) for at, told in outlooks], speed, why_not, as_json=as_json)


def show_dry_run(
    ctx: "RunContext",
    stages: "Sequence[Stage]",
    forced: "Sequence[str]",
    phase1: "RunContext | None",
    *,
    as_json: bool,
) -> None:
    """What `run` would do; the time only where this machine was measured before."""
    outlooks = _outlooks(ctx, stages, forced, phase1)
    speed, why_not = _if_needed(outlooks, recorded_speed)
    _show(outlooks, speed, why_not, as_json=as_json)


def _outlooks(
    ctx: "RunContext", stages: "Sequence[Stage]", forced: "Sequence[str]", phase1: "RunContext | None"
) -> "list[Outlook]":
    """The run with its forecast, after that of the Phase 1 run that has to come before."""
    from backtracking.stages.forecast import forecast

    first = [(phase1, forecast(phase1, phase1.pipeline))] if phase1 else []
    return [*first, (ctx, forecast(ctx, stages, forced))]


def _if_needed(
    outlooks: "Sequence[Outlook]", measure: "Callable[[RunContext], tuple[SpeedFigures | None, str]]"
) -> tuple[SpeedFigures | None, str]:
    """The speed by this measurement; both phases decode with the same model and prompts."""
    return measure(outlooks[0][0]) if any(told.rows for _, told in outlooks) else (None, "")


def _show(outlooks: "Sequence[Outlook]", speed: SpeedFigures | None, why_not: str, *, as_json: bool) -> None:
    *first, (ctx, own) = outlooks
    if as_json:
        phase1 = [plan_as_json(at, told, speed, why_not) for at, told in first]
        echo_json({**plan_as_json(ctx, own, speed, why_not), "phase1": phase1[0] if phase1 else None})
        return
    if first:
        _print_before_phase1(ctx)
    for number, (at, told) in enumerate(outlooks):
        if number:
            _print_between(ctx)
        print_steps(at, told)
        print_cost(told, speed, why_not)


def phase1_to_come(ctx: "RunContext") -> "RunContext | None":
    """The Phase 1 run that a Phase 2 config builds on and that is yet to be made; None where it is there."""
    from backtracking.stages.init_run import new_meta, new_run
    from backtracking.stages.plan import plan as pipeline

    if not ctx.awaits_phase1:
        return None
    parent, run = phase1_config(ctx.loaded), ctx.config.run
    named = run.model_copy(update={"name": parent.config.run.name if parent else run.name})
    loaded = replace(ctx.loaded, config=ctx.config.model_copy(update={"phase2": None, "run": named}))
    paths = ctx.phase1 or new_run(loaded.config)
    meta = new_meta(paths.run_id, loaded)
    phase1 = replace(ctx, loaded=loaded, paths=paths, meta=meta, phase1=None, why_new="")
    phase1.pipeline = pipeline(loaded.config)
    return phase1


def phase1_config(loaded: "LoadedConfig") -> "LoadedConfig | None":
    """The nearest config that this one extends and that asks for Phase 1 alone."""
    from backtracking.config.load import load_config

    while loaded.config.phase2 is not None:
        if loaded.parent is None:
            return None
        loaded = load_config(Path(loaded.parent))
    return loaded


def _print_before_phase1(ctx: "RunContext") -> None:
    """The command that makes the Phase 1 run that has to come before."""
    parent = phase1_config(ctx.loaded)
    named = f" --run-id {ctx.phase1.run_id}" if ctx.phase1 else ""
    missing = f"Phase 1 run {ctx.phase1.run_id!r} does not exist" if ctx.phase1 else "there is no Phase 1 run"
    say(f"{missing}: `run` refuses Phase 2 until it is made. First Phase 1:")
    say(f"  backtracking run -c {parent.source if parent else 'CONFIG'}{named}")


def _print_between(ctx: "RunContext") -> None:
    say("\nthen Phase 2" + ("" if ctx.phase1 else ", with --phase1-run-id and the id of that run") + ":")


def measured_speed(ctx: "RunContext", seconds: float) -> tuple[SpeedFigures | None, str]:
    """A fresh measurement, or why there is none."""
    from backtracking.stages.speed import measure

    if ctx.weights() is None:
        return None, f"not measured: {ctx.config.model.hf_id} is not on this disk yet"
    if ctx.config.generation.engine == "reference":
        return None, "not measured: the reference engine writes one completion at a time"
    return measure(ctx, seconds), ""


def recorded_speed(ctx: "RunContext") -> tuple[SpeedFigures | None, str]:
    """The last measurement of this model on this machine, or how to get one."""
    from backtracking.stages.speed import known_speed

    speed = known_speed(ctx)
    return speed, "" if speed else "not measured here yet: `backtracking plan` does that in ten seconds"


def print_steps(ctx: "RunContext", told: "Forecast") -> None:
    """A line per stage: what would become of it, and the completions it still asks for."""
    from backtracking.run.meta import told_left_out

    if not ctx.paths.meta.exists():
        if ctx.why_new:
            say(f"would be a {ctx.why_new}")
        say(f"{ctx.paths.run_id} would be a new run:")
    for step in told.steps:
        bound = "at most " if step.at_most else ""
        rows = f"  {bound}{step.rows:,} completions" if step.rows else ""
        say(f"  {step.action:<5} {step.stage.key}  ({_reason(step)}){rows}")
        for line in told_left_out(step.left_out):
            say(f"        note: {line}")


def _reason(step: "StageForecast") -> str:
    if step.is_forced:
        return "forced"
    if step.action == "check":
        return "runs if an input changes"
    if step.action == "skip":
        return "up to date" if step.status.state == "done" else step.status.state
    return f"{step.status.state}: {step.status.reason}"


def print_cost(told: "Forecast", speed: SpeedFigures | None, why_not: str) -> None:
    """The sums, each with what it rests on."""
    if not told.rows:
        say("cost: no completions to generate")
        return
    bound = "at most " if told.at_most else ""
    say(f"rows:   {bound}{told.rows:,} completions")
    say(f"tokens: {bound}{_short(told.tokens_expected)} expected, {_short(told.tokens_at_cap)} at the cap")
    say(f"        (length: {told.length.source})")
    say(f"disk:   {bound}about {_size(told.bytes_expected)} of completions")
    print_memory(told)
    if speed is None:
        say(f"time:   {why_not}")
        return
    expected, most = seconds_of(told, speed)
    say(f"time:   {bound}about {clock(expected)}, {clock(most)} if all run to the cap; analyses come on top")
    say(
        f"        ({speed['tokens_per_second']:,.0f} tokens/s, {speed['rows_at_once']} side by side, "
        f"measured for {speed['seconds']:.0f} s on {speed['device']})"
    )
    say("        (rough: long completions decode slower than the first tokens measured, and the last of a")
    say("        stage leave the batch half empty; expect it to be off by a half either way)")


def print_memory(told: "Forecast") -> None:
    """The model's, and what each completion in the making adds."""
    if (took := told.footprint) is None:
        say("memory: not known before the model is on this disk")
        return
    row = _size(took.per_token * told.longest)
    say(f"memory: about {_size(took.weights)} for the model ({took.dtype})")
    say(f"        and up to {row} for each completion in the making ({_size(took.per_token)} per token);")
    say("        generation.batch_size: auto makes as many side by side as fit")


def seconds_of(told: "Forecast", speed: SpeedFigures) -> tuple[float, float]:
    """Time at the expected length, and with every row at the cap."""
    reading = told.rows * speed["seconds_per_prompt"]
    rate = speed["tokens_per_second"]
    return reading + told.tokens_expected / rate, reading + told.tokens_at_cap / rate


def plan_as_json(
    ctx: "RunContext", told: "Forecast", speed: SpeedFigures | None, why_not: str
) -> dict[str, Any]:
    """The same for programs; the keys are documented in docs/commands.md."""
    expected, most = seconds_of(told, speed) if speed else (None, None)
    return {
        "run_id": ctx.paths.run_id,
        "is_new": not ctx.paths.meta.exists(),
        "stages": [_step(step, told) for step in told.steps],
        "cost": {
            "rows": told.rows,
            "rows_at_most": told.at_most,
            "tokens_expected": round(told.tokens_expected),
            "tokens_at_cap": told.tokens_at_cap,
            "length_source": told.length.source,
            "bytes_expected": round(told.bytes_expected),
            "memory": _memory(told),
            "seconds_expected": expected,
            "seconds_at_cap": most,
            "speed": speed,
            "not_measured": why_not or None,
        },
    }


def _memory(told: "Forecast") -> dict[str, Any] | None:
    if (took := told.footprint) is None:
        return None
    return {
        "model_bytes": took.weights,
        "dtype": took.dtype,
        "bytes_per_token": took.per_token,
        "bytes_per_row_at_cap": took.per_token * told.longest,
    }


def _step(step: "StageForecast", told: "Forecast") -> dict[str, Any]:
    return {
        "stage": step.stage.key,
        "action": step.action,
        "state": step.status.state,
        "reason": _reason(step),
        "rows": step.rows,
        "rows_at_most": step.at_most,
        "left_out": dict(step.left_out),
        "tokens_expected": round(step.rows * told.length.within(step.cap)),
        "tokens_at_cap": step.tokens_at_cap,
    }


def _short(count: float) -> str:
    for size, unit in ((1e9, "billion"), (1e6, "million")):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count:,.0f}"


def _size(count: float) -> str:
    for size, unit in ((1e9, "GB"), (1e5, "MB")):
        if count >= size:
            return f"{count / max(size, 1e6):.1f} {unit}"
    return f"{count / 1e3:.1f} kB"
