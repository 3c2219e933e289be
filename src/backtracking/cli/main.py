"""The application object, and how mistakes, interrupts and bugs end the program."""

import atexit
import errno
import gc
import os
import sys
from functools import cache
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperGroup

from backtracking import __version__
from backtracking.cli.say import say
from backtracking.errors import UserError, disk_trouble, is_out_of_memory
from backtracking.run.terminal import disarmed

USER_ERROR, INTERRUPTED = 2, 130
_MISPLACED = (errno.EEXIST, errno.EISDIR, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG)


class SpeaksPlainly(TyperGroup):
    """Turns the user's mistakes into one clear message; anything else is a bug and keeps its traceback."""

    def invoke(self, ctx: Any) -> Any:
        """Runs the command and turns what ended it into words and an exit code."""
        try:
            return super().invoke(ctx)
        except UserError as error:
            _complain(str(error))
            raise typer.Exit(USER_ERROR) from None
        except KeyboardInterrupt:
            _complain(
                "interrupted",
                "  kept: every finished completion and every finished stage",
                "  next: run the same command again, without --force: it resumes where it stopped",
            )
            raise typer.Exit(INTERRUPTED) from None
        except OSError as error:
            if error.errno in _MISPLACED or _dangles(error):
                _complain(
                    # Of a renaming the second path is the one that could not be taken.
                    f"{error.filename2 or error.filename or 'a path'}: {error.strerror}",
                    "  why:  a file or a link that leads nowhere stands where a folder or a file is needed",
                    "  next: move it away and run the same command again",
                )
                raise typer.Exit(USER_ERROR) from None
            trouble = disk_trouble(error)
            if trouble is None:
                raise
            what, remedy = trouble
            _complain(
                what,
                "  kept: every finished completion; nothing is left half-written",
                f"  next: {remedy} and run the same command again",
            )
            raise typer.Exit(USER_ERROR) from None
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            _complain(
                f"out of memory: {next(iter(str(error).splitlines()), 'none was left')}",
                "  kept: every finished completion and every finished stage",
                "  next: lower analysis.batch_tokens or generation.batch_size, or free memory, and run the "
                "same command again",
            )
            raise typer.Exit(USER_ERROR) from None


app = typer.Typer(
    name="backtracking",
    cls=SpeaksPlainly,
    help='Find where in a reasoning model the word "Wait" comes from, and whether it can be turned down.\n\n'
    "New here? [bold]backtracking run -c demo[/bold] runs the whole first phase on the bundled "
    "reasoner; [bold]backtracking status[/bold] shows where a run stands.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _dangles(error: OSError) -> bool:
    """Whether a path could not be opened because a link on it leads nowhere."""
    if error.errno != errno.ENOENT or not isinstance(error.filename, str):
        return False
    path = Path(error.filename)
    return any(step.is_symlink() and not step.exists() for step in (path, *path.parents))


def _version(wanted: bool) -> None:
    if wanted:
        say(f"backtracking {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Show the version."
    ),
) -> None:
    pass


def main() -> None:
    """Run the command line."""
    atexit.register(gc.freeze)  # or the last collection goes through all of torch, for a second and a half
    try:
        _register_commands()
        app()
    except KeyboardInterrupt:  # before a command began
        sys.exit(INTERRUPTED)


@cache
def _register_commands() -> None:
    """Add every command to the application, once per process."""
    from backtracking.cli import (
        audit,
        calibration,
        compare,
        configs,
        explore,
        export,
        figures,
        manage,
        measurement,
        organism,
        scorer,
        stage_commands,
        traces,
    )

    for module in (
        manage,
        audit,
        compare,
        explore,
        export,
        figures,
        stage_commands,
        measurement,
        calibration,
        traces,
        scorer,
        organism,
    ):
        module.register(app)
    configs.register(manage.config_app)


def _complain(first: str, *more: str) -> None:
    """One clear message on stderr, coloured only for a terminal that wants colour."""
    colour = sys.stderr.isatty() and "NO_COLOR" not in os.environ
    label = "\033[1;31merror:\033[0m" if colour else "error:"
    text = "\n".join([first, *more])
    sys.stderr.write(f"{label} {disarmed(text)}\n")
