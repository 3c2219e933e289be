"""Figures for papers: all of a run's, at the width of a column, each with its caption beside it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from backtracking.artifacts.registry import FIGURES
from backtracking.claims.evidence import Evidence
from backtracking.figures.caption import NothingToShow, NotMade
from backtracking.figures.catalogue import draw
from backtracking.figures.style import Drawing, style
from backtracking.figures.svg import as_svg
from backtracking.run.io import atomic_path, write_text
from backtracking.run.paths import RunPaths

Format = Literal["pdf", "png", "svg"]
CAPTIONS = "captions.md"
_METADATA: Mapping[Format, dict[str, Any]] = {
    "pdf": {"CreationDate": None, "Producer": None, "Creator": None},
    "png": {"Software": None},
}


@dataclass(frozen=True)
class Written:
    """What became of a run's figures."""

    files: list[Path]
    empty: dict[str, str]
    """Figures that would be empty, and why."""


def write_figures(paths: RunPaths, folder: Path, form: Format, width: float) -> Written:
    """Draw every figure that the run has results for, and write their captions into one file beside them."""
    evidence, files, captions, empty = Evidence(paths), [], [], {}
    for figure in FIGURES:
        try:
            drawing = draw(figure, evidence, width)
        except NotMade:
            continue
        except NothingToShow as why:
            empty[figure.stem] = str(why)
            continue
        files.append(folder / f"{figure.stem}.{form}")
        _write(drawing, files[-1], form)
        captions.append(f"**{files[-1].name}**: {drawing.caption}\n")
    captions += [f"**{stem}** is not drawn: {why}.\n" for stem, why in empty.items()]
    if captions:
        write_text(folder / CAPTIONS, "\n".join(captions))
    return Written(files, empty)


def _write(drawing: Drawing, path: Path, form: Format) -> None:
    if form == "svg":
        with style():
            write_text(path, as_svg(drawing, path.stem, drawing.caption.title, str(drawing.caption)))
        return
    with style(), atomic_path(path) as temporary:
        drawing.savefig(temporary, format=form, metadata=_METADATA[form])
