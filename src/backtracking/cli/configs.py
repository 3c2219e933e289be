"""Commands about the configs that come with the package."""

from pathlib import Path
from typing import Annotated

import typer

from backtracking.cli import complete
from backtracking.cli.say import say
from backtracking.config.shipped import shipped_config, shipped_names, starting_copy, summary
from backtracking.errors import UserError, did_you_mean
from backtracking.run.io import write_text

Shipped = Annotated[
    str,
    typer.Argument(autocompletion=complete.shipped, help="Which one; `backtracking config list` names them."),
]


def register(app: typer.Typer) -> None:
    """Add these commands to the group of config commands."""
    for name, function in (("list", config_list), ("init", config_init)):
        app.command(name)(function)


def config_list() -> None:
    """List the configs that come with the package; `-c NAME` takes them by name.

    Example: [cyan]backtracking config list[/cyan]
    """
    width = max(map(len, shipped_names()))
    for file in filter(None, map(shipped_config, shipped_names())):
        say(f"{file.label:<{width}}  {summary(file)}")


def config_init(name: Shipped = "demo") -> None:
    """Write one of the configs that come with the package into this folder, to edit.

    Example: [cyan]backtracking config init r1_gsm8k[/cyan]
    """
    file = shipped_config(name)
    if file is None:
        raise UserError(
            f"no config {name!r} comes with the package",
            next_step=did_you_mean(name, shipped_names()) + f"choose one of: {', '.join(shipped_names())}",
        )
    path = Path(f"{name}.yaml")
    if path.exists() or path.is_symlink():
        raise UserError(
            f"{path} already exists",
            "it would be overwritten",
            "move it away, or work in another folder",
        )
    write_text(path, starting_copy(file))
    say(f"wrote {path}; edit it, then run: backtracking run -c {path}")
