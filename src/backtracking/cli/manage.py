"""Commands about runs as a whole: init-run, run, status, doctor, config."""

import shutil
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from backtracking.cli import options as opt
from backtracking.cli.as_json import described_config, echo_json
from backtracking.cli.plan import phase1_to_come, plan, show_dry_run
from backtracking.cli.say import say
from backtracking.cli.session import Request, asked_config, asked_run, find_run, run_stages, why_new
from backtracking.errors import UserError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backtracking.cli.doctor import Diagnosis
    from backtracking.stages.base import RunContext, Stage

PANEL = "Runs"
config_app = typer.Typer(help="List, copy, show and check configs.")


def register(app: typer.Typer) -> None:
    """Add these commands to the application."""
    for name, function in (
        ("run", run),
        ("plan", plan),
        ("status", status),
        ("init-run", init_run),
        ("doctor", doctor),
    ):
        app.command(name, rich_help_panel=PANEL)(function)
    app.add_typer(config_app, name="config", rich_help_panel=PANEL)


def run(
    config: opt.Config = None,
    run_id: opt.RunId = None,
    phase1_run_id: opt.Phase1RunId = None,
    overrides: opt.Overrides = None,
    address: opt.Address = None,
    start: Annotated[
        str | None,
        typer.Option("--from", metavar="STAGE", help="Start at this stage, and run it from scratch."),
    ] = None,
    force: Annotated[
        list[str] | None,
        typer.Option("--force", metavar="STAGE", help="Run this stage from scratch; repeatable."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be done, why, and what it costs.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="With --dry-run: JSON on standard output, and nothing else there.")
    ] = False,
    quiet: opt.Quiet = False,
    verbose: opt.Verbose = False,
) -> None:
    """Run the whole pipeline of a config; what is up to date is skipped.

    Example: [cyan]backtracking run -c demo[/cyan]
    """
    from backtracking.stages.built_on import check_built_on
    from backtracking.stages.preflight import check_can_run

    if as_json and not dry_run:
        raise UserError("--json needs --dry-run", next_step="add --dry-run, or look with: status --json")
    request = Request(
        config, run_id, phase1_run_id, overrides or (), address=address, quiet=quiet, verbose=verbose
    )
    ctx = asked_run(request, may_create=True, may_lack_phase1=dry_run and phase1_run_id is None)
    forced = [*(force or []), *([start] if start else [])]
    _check_stage_names(forced, ctx.pipeline)
    stages = _from(start, ctx) if start else ctx.pipeline
    phase1 = phase1_to_come(ctx)
    check_built_on(ctx, stages)
    check_can_run(ctx, phase1_comes_first=phase1 is not None)
    if dry_run:
        show_dry_run(ctx, stages, forced, phase1, as_json=as_json)
        return
    if not ctx.paths.meta.exists():
        ctx.tokenizer()  # a model that cannot be had ends the start before it leaves a run
    worked = run_stages(ctx, stages, request, forced)
    if not quiet:
        state = "finished" if worked else "nothing to do: everything is up to date"
        say(f"{ctx.paths.run_id}: {state}")
        for path in stages[-1].outputs(ctx):
            if path.suffix in (".md", ".html"):
                say(f"report: {path}")


def _from(start: str, ctx: "RunContext") -> "Sequence[Stage]":
    """The stages from this one on; what lies before is built on as it is, and that is said."""
    from backtracking.stages.execute import status_of

    stages = ctx.pipeline
    first = next(number for number, stage in enumerate(stages) if start in (stage.name, stage.key))
    skipped = dict.fromkeys(stages[:first])
    if unfinished := [stage.key for stage in skipped if not status_of(stage, ctx).is_settled]:
        ctx.reporter.say(f"  note: not up to date, and left as they are: {', '.join(unfinished)}")
    return stages[first:]


def _check_stage_names(names: "Sequence[str]", stages: "Sequence[Stage]") -> None:
    known = {stage.name for stage in stages} | {stage.key for stage in stages}
    for name in names:
        if name not in known:
            listed = ", ".join(dict.fromkeys(stage.key for stage in stages))
            hint = did_you_mean(name, sorted(known))
            raise UserError(f"no stage {name!r} in this pipeline", next_step=f"{hint}choose one of: {listed}")


def status(
    config: opt.Config = None,
    run_id: opt.RunId = None,
    phase1_run_id: opt.Phase1RunId = None,
    overrides: opt.Overrides = None,
    as_json: opt.Json = False,
) -> None:
    """Show where each stage of a run stands: done, missing, stale, failed, running.

    Example: [cyan]backtracking status --run-id demo[/cyan]
    """
    from backtracking.cli.status_table import RunHeading, show_stages, status_as_json, terminal
    from backtracking.stages.execute import status_of
    from backtracking.stages.origin import with_other_variants

    request = Request(config, run_id, phase1_run_id, overrides or (), quiet=True)
    ctx = asked_run(request)
    if not ctx.paths.meta.exists():
        raise UserError(
            "there is no run of this study yet",
            next_step=f"begin one with: backtracking run --config {ctx.loaded.source}",
        )
    statuses = {stage.key: status_of(stage, ctx) for stage in with_other_variants(ctx)}
    heading = RunHeading.of(ctx)
    if as_json:
        echo_json(status_as_json(heading, ctx.meta, statuses))
        return
    show_stages(terminal(), heading, statuses, ctx.meta.stages)


def init_run(
    config: opt.Config = None,
    run_id: opt.RunId = None,
    overrides: opt.Overrides = None,
) -> None:
    """Make a run folder for a config (or reopen one) and make it the current run.

    Example: [cyan]backtracking init-run -c demo --run-id first-look[/cyan]
    """
    from backtracking.model.source import check_source
    from backtracking.run.progress import reporter
    from backtracking.stages.init_run import ChosenRun, new_run
    from backtracking.stages.init_run import init_run as make_or_take_up

    request = Request(config, run_id, None, overrides or ())
    loaded = asked_config(request)
    is_named = run_id or loaded.config.run.run_id or config is None
    choice = find_run(request, loaded) if is_named else ChosenRun(new_run(loaded.config))
    if not choice.paths.meta.exists():
        check_source(loaded.config.model)
    if new := why_new(choice, loaded):
        reporter().say(new)
    make_or_take_up(loaded, choice.paths)
    say(choice.paths.root)


def doctor(config: opt.Config = None, as_json: opt.Json = False) -> None:
    """Check the installation: packages, device, disk, the bundled reasoner, access to the hub.

    Example: [cyan]backtracking doctor[/cyan]
    """
    from backtracking.cli.doctor import examine

    findings = examine(Path(asked_config(Request(config)).config.run.output_dir) if config else Path("runs"))
    if as_json:
        is_fine = all(finding.grade != "problem" for finding in findings)
        echo_json({"ok": is_fine, "findings": [asdict(finding) for finding in findings]})
    else:
        _print_findings(findings)
    if any(finding.grade == "problem" for finding in findings):
        raise typer.Exit(1)


def _print_findings(findings: "Sequence[Diagnosis]") -> None:
    width = max(len(finding.subject) for finding in findings)
    marks = {"ok": "ok  ", "note": "note", "problem": "FAIL"}
    for finding in findings:
        say(f"{marks[finding.grade]}  {finding.subject:<{width}}  {finding.text}")


@config_app.command("show")
def config_show(
    config: opt.Config = None,
    overrides: opt.Overrides = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Every key with its type, default and meaning.")
    ] = False,
    as_json: opt.Json = False,
) -> None:
    """Print the resolved config, each value with where it came from.

    Example: [cyan]backtracking config show -c demo --set run.seed=7[/cyan]
    """
    from backtracking.config.show import dump_resolved, key_docs

    if not explain:
        loaded = asked_config(Request(config, overrides=overrides or ()))
        if as_json:
            echo_json(described_config(loaded))
        else:
            say(dump_resolved(loaded), end="")
        return
    if as_json:
        echo_json({"keys": [asdict(doc) for doc in key_docs()]})
        return
    width = min(shutil.get_terminal_size((100, 24)).columns, 110)
    for doc in key_docs():
        head = f"{doc.key}" if doc.kind == "section" else f"{doc.key}: {doc.kind} (default {doc.default})"
        say(head)
        say(_wrapped(doc.text, width))


def _wrapped(text: str, width: int) -> str:
    import textwrap

    return textwrap.fill(text, width, initial_indent="    ", subsequent_indent="    ")


@config_app.command("check")
def config_check(
    configs: Annotated[list[Path] | None, typer.Argument(help="Config files.")] = None,
    config: opt.Config = None,
    overrides: opt.Overrides = None,
) -> None:
    """Check config files and report all mistakes at once.

    Example: [cyan]backtracking config check my_study.yaml[/cyan]
    """
    from backtracking.config.load import load_config

    paths = [*(configs or []), *([config] if config else [])]
    if not paths:
        raise UserError("no config file given", next_step="e.g. backtracking config check demo")
    for path in paths:
        loaded = load_config(path, overrides or [])
        say(f"{path}: ok ({loaded.hash[:12]})")
