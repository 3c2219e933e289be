"""Commands about the bundled reasoners."""

from pathlib import Path
from typing import Annotated

import typer

from backtracking.cli.say import say
from backtracking.cli.session import prepare_libraries
from backtracking.errors import UserError

organism_app = typer.Typer(help="The bundled tiny reasoners: measure them against what they must show.")


def register(app: typer.Typer) -> None:
    """Add these commands to the application."""
    app.add_typer(organism_app, name="organism", rich_help_panel="Bundled reasoner")


@organism_app.callback()
def _group() -> None:
    """Keeps `evaluate` a subcommand while it is the only one."""


@organism_app.command("evaluate")
def evaluate(
    folder: Annotated[
        Path | None, typer.Option("--model", help="A trained reasoner's folder. Default: the bundled one.")
    ] = None,
    design: Annotated[
        str, typer.Option("--design", help="What it was trained to show: reasoner or doubter.")
    ] = "reasoner",
    problems: Annotated[int, typer.Option("--problems", min=2, help="Held-out problems.")] = 1000,
    samples: Annotated[int, typer.Option("--samples", min=1, help="Completions per problem.")] = 4,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seeds problems and sampling.")] = 0,
) -> None:
    """Sample from a reasoner and print what it shows; exit code 1 when it misses a target.

    Example: [cyan]backtracking organism evaluate --problems 200[/cyan]
    """
    prepare_libraries()
    from backtracking.organism.design import DESIGNS
    from backtracking.organism.evaluate import evaluate as measure
    from backtracking.organism.table import cells

    if folder is not None and not folder.is_dir():
        raise UserError(f"--model: no folder {folder}", next_step="give the --out folder of a training")
    if design not in DESIGNS:
        raise UserError(f"--design: there is no {design}", next_step=f"give one of {', '.join(DESIGNS)}")
    table = measure(folder, DESIGNS[design], problems=problems, samples=samples, seed=seed)
    rows = [("property", "measured", "95% interval", "bar", "met"), *map(cells, table.properties)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        say("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    say(
        f"{table.problems} held-out problems x {table.samples} samples "
        f"at temperature {table.design.temperature}"
    )
    if not table.met:
        raise typer.Exit(1)
