"""The command that holds two runs side by side."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from backtracking.cli import complete
from backtracking.cli import options as opt
from backtracking.cli.as_json import echo_json
from backtracking.cli.say import say
from backtracking.run.terminal import disarmed

if TYPE_CHECKING:
    from rich.console import RenderableType

    from backtracking.reports.document import Document
    from backtracking.run.paths import RunPaths

PANEL = "Runs"

OneRun = Annotated[
    str, typer.Argument(autocompletion=complete.run_ids, help="Run id or folder.", metavar="RUN_A")
]
OtherRun = Annotated[
    str, typer.Argument(autocompletion=complete.run_ids, help="Run id or folder.", metavar="RUN_B")
]


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("compare", rich_help_panel=PANEL)(compare)


def compare(
    run_a: OneRun,
    run_b: OtherRun,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write one HTML page instead.")
    ] = None,
    as_json: opt.Json = False,
) -> None:
    """Compare two runs: settings, code, verdicts, rates with their differences, selected components.

    Example: [cyan]backtracking compare demo demo-2[/cyan]
    """
    from backtracking.reports.render import as_page
    from backtracking.reports.two_runs.comparison import compared
    from backtracking.reports.two_runs.page import page
    from backtracking.run.io import write_text

    data = compared(_opened(run_a), _opened(run_b))
    if as_json:
        echo_json(data)
        return
    document = page(data)
    if html is not None:
        write_text(html, as_page(document, html.parent))
        say(str(html))
        return
    from backtracking.cli.status_table import terminal

    console = terminal()
    for shown in _shown(document):
        console.print(shown)


def _opened(name: str) -> "RunPaths":
    from backtracking.api.runs import open_run

    return open_run(name).paths


def _shown(document: "Document") -> "Iterator[RenderableType]":
    """The blocks of a page for a terminal; nothing in their text is markup."""
    from rich.table import Table as Grid
    from rich.text import Text

    from backtracking.reports.document import Bullets, Heading, Paragraph, ReportTable

    yield Text(_plain(document.title), style="bold")
    for block in document.blocks:
        if isinstance(block, Heading):
            yield Text(f"\n{_plain(block.text)}", style="bold")
        elif isinstance(block, Paragraph):
            yield Text(_plain(block.text))
        elif isinstance(block, Bullets):
            yield Text("\n".join(f"- {_plain(item)}" for item in block.items))
        elif isinstance(block, ReportTable):
            heads = (_plain(column.head) for column in block.columns)
            grid = Grid(*heads, box=None, pad_edge=False, header_style="dim")
            for row in zip(*(column.cells for column in block.columns), strict=True):
                grid.add_row(*(Text(_plain(cell.text)) for cell in row))
            yield grid


def _plain(text: str) -> str:
    """Without the marks of running text."""
    return disarmed(text.replace("`", "").replace("**", ""))
