"""The command that opens the trace explorer, or writes it as one page."""

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from backtracking.cli import options as opt
from backtracking.cli.say import say
from backtracking.errors import UserError
from backtracking.explore.links import PORT

if TYPE_CHECKING:
    from backtracking.explore.explorer import Explorer

PANEL = "Runs"


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("explore", rich_help_panel=PANEL)(explore)


def explore(
    run: opt.RunArgument = None,
    port: Annotated[
        int, typer.Option("--port", min=1, max=65535, help="Where to serve, on this machine.")
    ] = PORT,
    export: Annotated[
        Path | None,
        typer.Option("--export", metavar="FILE", help="Write one page that opens from disk instead."),
    ] = None,
    rows: Annotated[
        str,
        typer.Option(
            "--rows", metavar="LINK", help="Which completions to export: a filter, as in the address bar."
        ),
    ] = "",
    quiet: opt.Quiet = False,
) -> None:
    """Read a run's completions: filter them, see an arm beside its baseline, inspect an onset.

    Example: [cyan]backtracking explore demo --export demo.html --rows "#rows?answer=wrong"[/cyan]
    """
    if export is not None:
        with closing(_open(run, quiet)) as explorer:
            _export(explorer, export, rows)
        return
    from backtracking.explore.server import listen, require_server, serve

    require_server()
    bound = listen(port)
    with closing(_open(run, quiet)) as explorer:
        say(f"{len(explorer.index):,} completions at http://127.0.0.1:{port}/ (Ctrl-C ends)")
        serve(explorer, bound)


def _open(name: str | None, quiet: bool) -> "Explorer":
    from backtracking.api.runs import open_run
    from backtracking.cli.session import current_id, prepare_libraries
    from backtracking.explore.explorer import Explorer
    from backtracking.run.progress import reporter

    prepare_libraries()
    return Explorer(open_run(name or current_id()).studies(), reporter(quiet))


def _export(explorer: "Explorer", path: Path, link: str) -> None:
    from backtracking.explore.export import export
    from backtracking.explore.queries import Query, matching_rows

    query = Query.parse(link, explorer.index)
    having = explorer.texts.having(query.text) if query.text else None
    chosen = matching_rows(explorer.index, query, having)
    if not chosen:
        raise UserError(
            "no completion passes this filter", f"--rows {link!r}", "look at the counts in the explorer"
        )
    done = export(explorer, path, chosen)
    told = f"{done.path}: {done.rows:,} completions, {done.size / 1e6:.1f} MB"
    say(told + (f", a sample of {done.chosen:,}" if done.rows < done.chosen else ""))
