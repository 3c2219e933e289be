"""The colours of all figures: one table of what has which, and each of them in light and in dark."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Colour:
    """A colour by name; figures are drawn in the light one, and pages put the dark one in its place."""

    name: str
    light: str
    dark: str

    @property
    def variable(self) -> str:
        """How an SVG writes it, so that it follows the theme of the page that it stands in."""
        return f"var(--figure-{self.name}, {self.light})"


# They lie apart in lightness as well as in hue, so that they are told apart without red or green.
BLUE = Colour("blue", "#0067a5", "#4a9fe0")
VERMILLION = Colour("vermillion", "#b94200", "#ff7a33")
GREEN = Colour("green", "#007a55", "#3fd6a8")
PURPLE = Colour("purple", "#7d2a78", "#e58fd2")
GOLD = Colour("gold", "#aa8500", "#f7dc6f")
SKY = Colour("sky", "#2f8fcc", "#a5dbff")
GREY = Colour("grey", "#8a8a8a", "#858585")
INK = Colour("ink", "#222222", "#e8eaed")
MEANINGFUL = (BLUE, VERMILLION, GREEN, PURPLE, GOLD, SKY, GREY, INK)

SOFT = Colour("soft", "#5c636b", "#a8b0ba")
LINE = Colour("line", "#dfe2e6", "#363c44")
PAPER = Colour("paper", "#ffffff", "#16191d")
DARK = Colour("dark", "#111111", "#111111")
NEUTRAL = (SOFT, LINE, PAPER, DARK)
"""Lesser text, grids and the ground: no data is drawn in them."""

THINGS = {
    "attn": BLUE,
    "mlp": GOLD,
    "head": PURPLE,
    "baseline": INK,
    "targeted": VERMILLION,
    "random": GREY,
    "arm": SKY,
    "onset": VERMILLION,
    "matched_row": SKY,
    "same_row_earlier": GREEN,
    "backtracking_rate": VERMILLION,
    "onset_after_wrong": PURPLE,
    "onset_after_right": SKY,
    "accuracy": BLUE,
    "truncation_rate": GREY,
    "right": BLUE,
    "wrong": VERMILLION,
    "corrected aloud": BLUE,
    "corrected silently": SKY,
    "never erred": GREEN,
    "unanswered": GREY,
    "held": GREEN,
    "lost": VERMILLION,
    "undecided": GOLD,
    "raised": PURPLE,
    "nothing shown": GREY,
    "direction": VERMILLION,
    "probe": BLUE,
    "by chance": GREY,
    "position alone": GREEN,
    "more": BLUE,
    "less": VERMILLION,
    "damage": PURPLE,
}
"""What is drawn, and its colour in every figure."""


def colour(thing: str) -> str:
    """The colour of a thing, as figures are drawn."""
    return THINGS[thing].light


def written_on(thing: str) -> str:
    """The colour of words on an area of a thing's colour, in either theme."""
    return DARK.light if THINGS[thing] in (SKY, GREY, GOLD) else PAPER.light


def theme(of: Literal["light", "dark"]) -> str:
    """Every colour as a variable of a style sheet."""
    values = {one.name: one.light if of == "light" else one.dark for one in (*MEANINGFUL, *NEUTRAL)}
    return "".join(f"--figure-{name}:{value};" for name, value in values.items())
