"""The one way from a command to standard output: no text of others acts on the terminal."""

import typer

from backtracking.run.terminal import disarmed


def say(line: object = "", *, err: bool = False, end: str = "\n") -> None:
    """Print a line; what would act on the terminal is shown instead."""
    typer.echo(disarmed(str(line)) + end, nl=False, err=err)
