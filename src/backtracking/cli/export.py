"""Commands that write a run as files for other tools."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from backtracking.cli import complete
from backtracking.cli import options as opt
from backtracking.cli.say import say

if TYPE_CHECKING:
    from backtracking.doors.completions import OnCounted
    from backtracking.explore.study import ArmFile, MeasuredRun

PANEL = "Runs"
export_app = typer.Typer(help="Write a run as files that other tools open.", no_args_is_help=True)

Out = Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="A new folder to write into.")]
Arms = Annotated[
    list[str] | None,
    typer.Option(
        "--arm",
        autocompletion=complete.arms,
        metavar="NAME",
        help="Only this condition or arm; repeatable. Default: all.",
    ),
]


def register(app: typer.Typer) -> None:
    """Add the group of commands to the application."""
    for function in (inspect, hf, parquet, vector, arm):
        export_app.command(function.__name__)(function)
    app.add_typer(export_app, name="export", rich_help_panel=PANEL)


def inspect(run: opt.RunArgument = None, *, out: Out, arms: Arms = None, quiet: opt.Quiet = False) -> None:
    """Logs for Inspect: a task per prompt format and arm, the reasoning apart, scores explained.

    Example: [cyan]backtracking export inspect demo --out logs && inspect view --log-dir logs[/cyan]
    """
    from backtracking.doors.inspect_logs import export_inspect

    _export(export_inspect, run, out, arms, quiet)


def hf(run: opt.RunArgument = None, *, out: Out, arms: Arms = None, quiet: opt.Quiet = False) -> None:
    """A folder for Hugging Face datasets, with a card: a config per prompt format, a split per arm.

    Example: [cyan]backtracking export hf demo --out demo-rows[/cyan]
    """
    from backtracking.doors.datasets_folder import export_datasets

    _export(export_datasets, run, out, arms, quiet)


def parquet(run: opt.RunArgument = None, *, out: Out, arms: Arms = None, quiet: opt.Quiet = False) -> None:
    """Parquet files: typed completions, partitioned by prompt format and arm, and all tables.

    Example: [cyan]backtracking export parquet demo --out demo-parquet[/cyan]
    """
    from backtracking.doors.parquet import export_parquet

    _export(export_parquet, run, out, arms, quiet)


def vector(
    run: opt.RunArgument = None,
    *,
    out: Out,
    names: Annotated[
        list[str] | None,
        typer.Option(
            "--name",
            autocompletion=complete.directions,
            metavar="NAME",
            help="Only this direction; repeatable. Default: all.",
        ),
    ] = None,
) -> None:
    """The run's directions as safetensors, with a card: layer, norm, position, convention.

    Example: [cyan]backtracking export vector demo --name onset_deciding_4 --out vectors[/cyan]
    """
    from backtracking.api.runs import open_run
    from backtracking.claims.evidence import Evidence
    from backtracking.claims.wording import counted
    from backtracking.cli.session import current_id
    from backtracking.doors.vectors import export_vectors

    written = export_vectors(Evidence(open_run(run or current_id()).paths), names or (), out)
    say(f"{out}: {counted(len(written), 'vector')}")


def arm(
    run: opt.RunArgument = None,
    *,
    name: Annotated[
        str,
        typer.Option("--arm", autocompletion=complete.arms, metavar="NAME", help="Which condition or arm."),
    ],
    out: Out,
    variant: opt.Variant = None,
    draw: Annotated[
        int | None, typer.Option("--draw", min=0, help="Which draw, of a random control.")
    ] = None,
    quiet: opt.Quiet = False,
) -> None:
    """An arm for plain transformers: what it changes, its vectors, and the code that applies it.

    Example: [cyan]backtracking export arm demo-phase2 --arm attn_last_x0.5 --out arm[/cyan]
    """
    from backtracking.claims.wording import counted
    from backtracking.cli.session import Request, asked_run, current_id
    from backtracking.doors.arms import export_arm, member_of
    from backtracking.run.paths import run_folder
    from backtracking.stages.arm import find_arm

    ctx = asked_run(Request(run_id=run_folder(run or current_id()).run_id, quiet=quiet))
    form = ctx.check_variant(variant or ctx.config.prompting.variant_names[0])
    made = find_arm(ctx, form, name)
    member = member_of(made.arm, draw)
    export_arm(member, ctx.model(), made.vectors, made.onset_phrases, out)
    if not quiet:
        say(f"{out}: {name}, {counted(len(member.interventions), 'change')}")


def _export(
    write: "Callable[[MeasuredRun, Sequence[ArmFile], Path, OnCounted], int]",
    run: str | None,
    out: Path,
    names: Sequence[str] | None,
    quiet: bool,
) -> None:
    from backtracking.api.runs import open_run
    from backtracking.claims.wording import counted
    from backtracking.cli.session import current_id, prepare_libraries
    from backtracking.explore.study import arms_named

    prepare_libraries()
    study = open_run(run or current_id()).studies()[-1]
    arms = arms_named(study, names or ())

    def told(arm: "ArmFile", rows: int) -> None:
        if not quiet:
            say(f"  {arm.variant} {arm.name}: {rows:,} completions")

    rows = write(study, arms, out, told)
    if not quiet:
        names_written, formats = ({one.name for one in arms}, {one.variant for one in arms})
        within = f" in {len(formats)} prompt formats" if len(formats) > 1 else ""
        say(f"{out}: {counted(rows, 'completion')} of {counted(len(names_written), 'arm')}{within}")
