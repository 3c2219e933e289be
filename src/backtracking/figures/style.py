"""The look of all figures: one size of text at the width of use, panels that fit it, one way to be drawn."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from io import BytesIO
from textwrap import fill
from typing import Any, Literal, ParamSpec

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine, LayoutEngine

from backtracking.figures.caption import Caption
from backtracking.figures.colours import INK, LINE, PAPER

PAGE, COLUMN = 7.0, 3.25
"""Widths in inches: of a page, and of a column of a paper or a telephone."""
TEXT = 8.0
"""The size of all text, in points."""
NARROWEST = 1.75
"""What a panel needs at least, in inches; where there is less, panels stand below each other."""
BESIDE_NAMES = 0.9
"""The same for a panel whose lines are named beside it."""
BESIDE_MANY = 0.7
"""The same where there are so many lines that the figure would be taller than a page."""
_APART = 0.09
"""Between panels that are narrower than their titles would like, in inches."""
TALLEST = 8.6
"""What a page of a paper leaves for a figure, in inches, the key below its panels apart."""
LOWEST = 0.65
"""So much of its height a panel keeps where the figure would be taller than a page."""
DPI = 300
_LETTER = 0.55 * TEXT / 72.0
_SIZES = (
    "font.size", "axes.titlesize", "axes.labelsize", "xtick.labelsize", "ytick.labelsize", "legend.fontsize",
    "legend.title_fontsize", "figure.titlesize", "figure.labelsize",
)  # fmt: skip
_INKED = ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color")

_STYLE: Any = {
    **dict.fromkeys(_SIZES, TEXT),
    **dict.fromkeys(_INKED, INK.light),
    "font.family": ["sans-serif"],
    "font.sans-serif": ["DejaVu Sans"],
    "font.monospace": ["DejaVu Sans Mono"],
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.titlepad": 5.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.facecolor": "none",
    "axes.linewidth": 0.8,
    "figure.facecolor": PAPER.light,
    "grid.color": LINE.light,
    "grid.linewidth": 0.7,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "lines.linewidth": 1.4,
    "lines.markersize": 4.5,
    "legend.frameon": False,
    "legend.handletextpad": 0.4,
    "legend.columnspacing": 1.2,
    "legend.borderaxespad": 0.2,
    "savefig.dpi": DPI,
    "svg.fonttype": "none",
    "svg.hashsalt": "backtracking",
    "pdf.fonttype": 42,
    "figure.constrained_layout.h_pad": 0.03,
    "figure.constrained_layout.w_pad": 0.03,
}

P = ParamSpec("P")


@contextmanager
def style() -> Iterator[None]:
    """The look of the project's figures, inside the block only."""
    with matplotlib.rc_context(_STYLE):
        yield


class Drawing(Figure):
    """A figure with its caption, which notebooks show although no pyplot knows of it."""

    def __init__(self, width: float, height: float) -> None:
        self._settled = False
        super().__init__(figsize=(width, height), layout="constrained")
        FigureCanvasAgg(self)  # or matplotlib makes a canvas for every pass that measures text
        self.caption = Caption("")
        self.last_touches: list[Callable[[], None]] = []
        """What can only be placed once it is known how large the axes are."""

    def get_layout_engine(self) -> LayoutEngine | None:
        """None from when it is settled: with any, matplotlib goes through a figure twice to save it once."""
        return None if self._settled else super().get_layout_engine()

    def settle(self) -> None:
        """Lay it out, place what waits for that, and keep the layout from then on."""
        layout = self.get_layout_engine()
        assert layout is not None, "a figure is settled once"
        layout.execute(self)
        if sum(map(_wrap, self.axes)):
            layout.execute(self)
        for touch in self.last_touches:
            touch()
        self.last_touches.clear()
        self._settled = True

    def _repr_png_(self) -> bytes:
        with style(), BytesIO() as buffer:
            self.savefig(buffer, format="png", dpi=120)
            return buffer.getvalue()


def _wrap(axes: Axes) -> bool:
    """Break a title or a label that is longer than its axes; whether there was one."""
    box, has_wrapped = axes.get_window_extent(), False
    for text, room in (
        (axes._left_title, box.width),  # type: ignore[attr-defined]
        (axes.xaxis.label, box.width),
        (axes.yaxis.label, box.height),
    ):
        extent, words = text.get_window_extent(), text.get_text()
        long = extent.height if text.get_rotation() == 90.0 else extent.width
        if words and long > room:
            text.set_text(fill(words, max(8, int(len(words) * room / long)), break_long_words=False))
            has_wrapped = True
    return has_wrapped


def drawn(draw: Callable[P, Drawing]) -> Callable[P, Drawing]:
    """Run a function that draws in the project's style, and settle what it drew."""

    @wraps(draw)
    def in_style(*args: P.args, **options: P.kwargs) -> Drawing:
        with style():
            figure = draw(*args, **options)
            figure.settle()
        return figure

    return in_style


def panels(
    width: float,
    count: int,
    height: float,
    *,
    narrowest: float = NARROWEST,
    narrower: float | None = None,
    names: Sequence[str] = (),
    margin: float = 0.55,
    share: Literal["x", "y", "both", "none"] = "none",
) -> tuple[Drawing, list[Axes]]:
    """So many panels of a height, side by side as far as the width allows; `margin` is for axes and keys.

    `names` stand once, to the left of each row of panels. Where the figure would be taller than a page,
    panels become lower; where that is not enough, more stand side by side, each at least `narrower` wide.
    """
    beside = max(map(len, names), default=0) * _LETTER
    room = width - beside
    columns, most = (max(1, min(count, int(room // one))) for one in (narrowest, narrower or narrowest))
    while -(-count // columns) * (LOWEST * height + margin) > TALLEST and columns < most:
        columns += 1
    lines = -(-count // columns)
    columns = -(-count // lines)
    height = max(LOWEST * height, min(height, TALLEST / lines - margin))
    figure = Drawing(width, (height + margin) * lines)
    layout = figure.get_layout_engine()
    if columns > max(1, room // narrowest) and isinstance(layout, ConstrainedLayoutEngine):
        layout.set(w_pad=_APART)
    grid = figure.subplots(
        lines, columns, squeeze=False, sharex=share in ("x", "both"), sharey=share in ("y", "both")
    ).ravel()
    for spare in grid[count:]:
        spare.remove()
    return figure, list(grid[:count])


def canvas(width: float, height: float) -> tuple[Drawing, Axes]:
    """One panel."""
    figure, (axes,) = panels(width, 1, height)
    return figure, axes
