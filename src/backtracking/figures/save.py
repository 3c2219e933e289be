"""Figures into the run: at both widths, in every format that pages and papers take, with their words."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from backtracking.artifacts import kinds
from backtracking.figures.caption import NothingToShow
from backtracking.figures.gallery import write_index
from backtracking.figures.style import COLUMN, PAGE, Drawing, style
from backtracking.figures.svg import as_svg
from backtracking.run.io import atomic_path, write_json, write_text
from backtracking.run.paths import RunPaths

Draw = Callable[[float], Drawing]
"""Draws a figure at a width in inches."""
_is_drawn = ContextVar("is_drawn", default=True)


@contextmanager
def undrawn() -> Iterator[None]:
    """For runs whose pictures nobody looks at, drawing is half of a small study's time."""
    token = _is_drawn.set(False)
    try:
        yield
    finally:
        _is_drawn.reset(token)


def save(paths: RunPaths, made: kinds.Figure, draw: Draw) -> None:
    """Write a figure and its caption into the run, or why there is nothing to show.

    A copy of the picture lies in the folder of all runs' figures.
    """
    try:
        if not _is_drawn.get():
            raise NothingToShow("the run was made without pictures")
        wide, narrow = draw(PAGE), draw(COLUMN)
    except NothingToShow as why:
        _take_away(paths, made)
        write_json(made.card(paths), {"nothing": str(why)})
    else:
        _write(paths, made, wide, narrow)
    write_index(paths.gallery)


def _write(paths: RunPaths, made: kinds.Figure, wide: Drawing, narrow: Drawing) -> None:
    with style(), atomic_path(made.path(paths)) as temporary:
        wide.savefig(temporary, metadata={"Software": None})
    with atomic_path(paths.proposal_figure(made.stem)) as temporary:
        shutil.copyfile(made.path(paths), temporary)
    title, said = wide.caption.title, str(wide.caption)
    with style():
        write_text(made.svg(paths), as_svg(wide, made.stem, title, said))
        write_text(made.narrow(paths), as_svg(narrow, f"{made.stem}-narrow", title, said))
    write_json(made.card(paths), wide.caption.as_json())


def _take_away(paths: RunPaths, made: kinds.Figure) -> None:
    """Pictures of an earlier result would pass for this one's."""
    for path in (made.path(paths), made.svg(paths), made.narrow(paths), paths.proposal_figure(made.stem)):
        path.unlink(missing_ok=True)
