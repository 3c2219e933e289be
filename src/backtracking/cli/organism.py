"""Commands about the bundled reasoner."""

from typing import Annotated

import typer

organism_app = typer.Typer(help="The bundled tiny reasoner: measure it against what it must show.")


def register(app: typer.Typer) -> None:
    """Add these commands to the application."""
    app.add_typer(organism_app, name="organism", rich_help_panel="Bundled reasoner")


@organism_app.callback()
def _root() -> None:
    pass


