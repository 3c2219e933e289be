"""`plan` and `run --dry-run`: what would be done, and what it costs, in words and as JSON."""

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from backtracking.cli import options as opt
from backtracking.cli.as_json import echo_json
from backtracking.run.progress import clock

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backtracking.stages.base import RunContext, Stage
    from backtracking.stages.forecast import Forecast, Step

Measured = dict[str, Any]


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
    """Say what a run will cost: completions, tokens, disk, and time from ten seconds of decoding.

    Example: [cyan]backtracking plan -c configs/demo.yaml[/cyan]
    """
    from backtracking.cli.session import Request, open_run
    from backtracking.stages.forecast import forecast

    request = Request(config, run_id, phase1_run_id, overrides or (), quiet=quiet or as_json)
    ctx = open_run(request, may_create=True, may_lack_phase1=True)
    told = forecast(ctx, ctx.pipeline)
    speed, why_not = measured_speed(ctx, seconds) if told.rows else (None, "")
    told = told.with_measured_length(speed["tokens_per_row"] if speed else None)
    if as_json:
        echo_json(described(ctx, told, speed, why_not))
        return
    print_steps(ctx, told)
    print_cost(told, speed, why_not)


def show_dry_run(
    ctx: "RunContext", stages: "Sequence[Stage]", forced: "Sequence[str]", *, as_json: bool
) -> None:
    """What `run` would do; the time only where this machine was measured before."""
    from backtracking.stages.forecast import forecast

    told = forecast(ctx, stages, forced)
    speed, why_not = recorded_speed(ctx) if told.rows else (None, "")
    if as_json:
        echo_json(described(ctx, told, speed, why_not))
        return
    print_steps(ctx, told)
    print_cost(told, speed, why_not)


def phase1_to_come(ctx: "RunContext") -> "RunContext | None":
    """The Phase 1 run that a Phase 2 config builds on and that is yet to be made; None where it is there."""
    from backtracking.stages.init_run import new_meta, new_run
    from backtracking.stages.plan import plan as pipeline

    if ctx.config.phase2 is None or (ctx.phase1 is not None and ctx.phase1.root.is_dir()):
        return None
    loaded = replace(ctx.loaded, config=ctx.config.model_copy(update={"phase2": None}))
    paths = ctx.phase1 or new_run(loaded.config)
    phase1 = replace(ctx, loaded=loaded, paths=paths, meta=new_meta(paths.run_id, loaded), phase1=None)
    phase1.pipeline = pipeline(loaded.config)
    return phase1


def show_phase1_first(phase1: "RunContext", ctx: "RunContext") -> None:
    """The plan of the Phase 1 run that has to come before, and the command that makes it."""
    config, named = ctx.loaded.parent or "CONFIG", ctx.phase1
    typer.echo("first Phase 1, which there is no run of yet:")
    typer.echo(f"  backtracking run -c {config}" + (f" --run-id {named.run_id}" if named else ""))
    show_dry_run(phase1, phase1.pipeline, (), as_json=False)
    typer.echo("\nthen Phase 2" + ("" if named else ", with --phase1-run-id and the id of that run") + ":")


def measured_speed(ctx: "RunContext", seconds: float) -> tuple[Measured | None, str]:
    """A fresh measurement, or why there is none."""
    from backtracking.stages.speed import measure

    if ctx.weights() is None:
        return None, f"not measured: {ctx.config.model.hf_id} is not on this disk yet"
    if ctx.config.generation.engine == "reference":
        return None, "not measured: the reference engine goes row by row"
    return measure(ctx, seconds), ""


def recorded_speed(ctx: "RunContext") -> tuple[Measured | None, str]:
    """The last measurement of this model on this machine, or how to get one."""
    from backtracking.stages.speed import known_speed

    speed = known_speed(ctx)
    return speed, "" if speed else "not measured here yet: `backtracking plan` does that in ten seconds"


def print_steps(ctx: "RunContext", told: "Forecast") -> None:
    """A line per stage: what would become of it, and the completions it still asks for."""
    if not ctx.paths.meta.exists():
        typer.echo(f"{ctx.paths.run_id} would be a new run:")
    for step in told.steps:
        rows = f"  {step.rows:,} rows" if step.rows else ""
        typer.echo(f"  {step.action:<5} {step.stage.key}  ({_reason(step)}){rows}")


def _reason(step: "Step") -> str:
    if step.is_forced:
        return "forced"
    if step.action == "check":
        return "runs if an input changes"
    if step.action == "skip":
        return "up to date" if step.status.state == "done" else step.status.state
    return f"{step.status.state}: {step.status.reason}"


def print_cost(told: "Forecast", speed: Measured | None, why_not: str) -> None:
    """The sums, each with what it rests on."""
    if not told.rows:
        typer.echo("cost: no completions to generate")
        return
    bound = "at most " if told.at_most else ""
    typer.echo(f"rows:   {bound}{told.rows:,} completions")
    typer.echo(f"tokens: {_short(told.tokens_expected)} expected, {_short(told.tokens_at_cap)} at the cap")
    typer.echo(f"        (length: {told.length.source})")
    typer.echo(f"disk:   about {_size(told.bytes_expected)} of completions")
    if speed is None:
        typer.echo(f"time:   {why_not}")
        return
    expected, most = seconds_of(told, speed)
    typer.echo(
        f"time:   about {clock(expected)}, {clock(most)} if every row runs to the cap; analyses come on top"
    )
    typer.echo(
        f"        ({speed['tokens_per_second']:,.0f} tokens/s, {speed['rows_at_once']} rows side by side, "
        f"measured for {speed['seconds']:.0f} s on {speed['device']})"
    )
    typer.echo(
        "        (rough: long rows decode slower than the first tokens measured, and the last rows of a"
    )
    typer.echo("        stage leave the batch half empty; expect it to be off by a half either way)")


def seconds_of(told: "Forecast", speed: Measured) -> tuple[float, float]:
    """Time at the expected length, and with every row at the cap."""
    reading = told.rows * speed["seconds_per_prompt"]
    rate = speed["tokens_per_second"]
    return reading + told.tokens_expected / rate, reading + told.tokens_at_cap / rate


def described(ctx: "RunContext", told: "Forecast", speed: Measured | None, why_not: str) -> dict[str, Any]:
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
            "seconds_expected": expected,
            "seconds_at_cap": most,
            "speed": speed,
            "not_measured": why_not or None,
        },
    }


def _step(step: "Step", told: "Forecast") -> dict[str, Any]:
    return {
        "stage": step.stage.key,
        "action": step.action,
        "state": step.status.state,
        "reason": _reason(step),
        "rows": step.rows,
        "rows_at_most": step.at_most,
        "tokens_expected": round(step.rows * told.length.within(step.cap)),
        "tokens_at_cap": step.tokens_at_cap,
    }


def _short(count: float) -> str:
    for size, unit in ((1e9, "billion"), (1e6, "million")):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count:,.0f}"


def _size(count: float) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{max(count / 1e6, 0.1):.1f} MB"
