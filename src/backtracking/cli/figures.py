"""The command that writes a run's figures for papers."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from backtracking.cli import options as opt
from backtracking.cli.say import say
from backtracking.errors import UserError

if TYPE_CHECKING:
    from backtracking.run.paths import RunPaths

PANEL = "Runs"
NARROWEST, WIDEST = 2.5, 20.0


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("figures", rich_help_panel=PANEL)(figures)


def figures(
    run: opt.RunArgument = None,
    form: Annotated[Literal["pdf", "png", "svg"], typer.Option("--format", help="What to write.")] = "pdf",
    width: Annotated[
        float,
        typer.Option("--width", min=NARROWEST, max=WIDEST, help="In inches, as the page will show it."),
    ] = 3.25,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="DIR",
            help="Folder to write to. Default: figures/RUN/, in a folder of this form and width.",
        ),
    ] = None,
    quiet: opt.Quiet = False,
) -> None:
    """Redraw a run's figures for a paper, at its column width and one text size, with captions.

    Example: [cyan]backtracking figures demo --format pdf --width 3.25 --out paper/figures[/cyan]
    """
    from backtracking.claims.wording import counted
    from backtracking.figures.papers import CAPTIONS, write_figures

    paths = _run(run)
    folder = out or paths.proposal_figures / f"{form}_{width:g}in"
    written = write_figures(paths, folder, form, width)
    if not written.files and not written.empty:
        raise UserError(
            f"{paths.root} has no results to draw",
            "figures are drawn from the tables in its analysis/",
            f"look where the run stands: backtracking status --run-id {paths.run_id}",
        )
    if quiet:
        return
    for stem, why in written.empty.items():
        say(f"{stem}: not drawn: {why}")
    made = counted(len(written.files), "figure")
    say(f"{folder}: {made}, {width:g} in wide; their captions: {CAPTIONS}")


def _run(name: str | None) -> "RunPaths":
    from backtracking.api.runs import open_run
    from backtracking.cli.session import current_id, prepare_libraries

    prepare_libraries()
    return open_run(name or current_id()).paths
