"""Colours that are told apart by everyone, on light and on dark pages."""

from itertools import combinations

import numpy as np
import pytest

from backtracking.figures.colours import (
    DARK,
    INK,
    LINE,
    MEANINGFUL,
    NEUTRAL,
    PAPER,
    SOFT,
    THINGS,
    theme,
    written_on,
)

# Viénot, Brettel and Mollon (1999), in linear light: to the cones and back, and what one kind of cone misses
_CONES = np.array(
    [[0.31399022, 0.63951294, 0.04649755], [0.15537241, 0.75789446, 0.08670142],
     [0.01775239, 0.10944209, 0.87256922]]
)  # fmt: skip
_SEEING = {
    "every cone": np.eye(3),
    "deuteranopia": np.array([[1, 0, 0], [0.9513092, 0, 0.04866992], [0, 0, 1]]),
    "protanopia": np.array([[0, 1.05118294, -0.05116099], [0, 1, 0], [0, 0, 1]]),
}
_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
_WHITE = np.array([0.95047, 1.0, 1.08883])
GROUNDS = {"light": ("#ffffff", "#f4f5f7"), "dark": ("#16191d", "#0e1013", "#121212")}
"""The grounds of reports, of the explorer, and of a browser's own dark pages."""
CLEAR = 11.0
"""A distance in CIELAB that nobody overlooks; 2.3 is just noticed."""


def linear(color):
    channels = np.array([int(color[place : place + 2], 16) for place in (1, 3, 5)]) / 255
    return np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)


def contrast(one, other):
    low, high = sorted(float(linear(color) @ [0.2126, 0.7152, 0.0722]) for color in (one, other))
    return (high + 0.05) / (low + 0.05)


def lab(color, cones):
    seen = np.clip(np.linalg.inv(_CONES) @ cones @ _CONES @ linear(color), 0.0, 1.0)
    parts = _XYZ @ seen / _WHITE
    x, y, z = np.where(parts > 0.008856, np.cbrt(parts), 7.787 * parts + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def test_the_measures_know_what_is_known():
    assert contrast("#000000", "#ffffff") == pytest.approx(21.0)
    assert np.linalg.norm(lab("#ffffff", np.eye(3)) - [100.0, 0.0, 0.0]) < 0.1
    red, green = (lab(color, _SEEING["deuteranopia"]) for color in ("#c00000", "#5d5d00"))
    assert (
        np.linalg.norm(red - green)
        < np.linalg.norm(lab("#c00000", np.eye(3)) - lab("#5d5d00", np.eye(3))) / 3
    )


@pytest.mark.parametrize("of", ["light", "dark"])
@pytest.mark.parametrize("seeing", _SEEING)
def test_any_two_colours_are_told_apart(of, seeing):
    """All pairs, so also those that stand in one figure."""
    for one, other in combinations(MEANINGFUL, 2):
        parted = lab(getattr(one, of), _SEEING[seeing]) - lab(getattr(other, of), _SEEING[seeing])
        assert np.linalg.norm(parted) > CLEAR, (one.name, other.name)


@pytest.mark.parametrize("of", ["light", "dark"])
def test_colours_stand_out_from_every_ground(of):
    for ground in GROUNDS[of]:
        for colour in MEANINGFUL:
            assert contrast(getattr(colour, of), ground) >= 3.0, (colour.name, ground)
        assert contrast(getattr(INK, of), ground) >= 7.0
        assert contrast(getattr(SOFT, of), ground) >= 4.5


@pytest.mark.parametrize("of", ["light", "dark"])
def test_words_on_coloured_areas_are_read(of):
    light = {colour.light: colour for colour in NEUTRAL}
    for thing, colour in THINGS.items():
        if colour is not INK:
            words = getattr(light[written_on(thing)], of)
            assert contrast(getattr(colour, of), words) >= 4.5, thing


def test_a_hue_is_written_by_one_name():
    """The SVG finds colours by their light value, so no two may share one."""
    values = [colour.light for colour in (*MEANINGFUL, *NEUTRAL)]
    assert len(set(values)) == len(values) and all(value == value.lower() for value in values)
    for of in ("light", "dark"):
        assert theme(of).count("--figure-") == len(values)
    assert {PAPER.light, LINE.light, DARK.light} <= set(values)
