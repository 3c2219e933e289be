"""From which layer on onsets clearly lie above their controls."""

import pandas as pd

from backtracking.measurements.statistics import LEVEL

SEPARATION_SHARE = 0.1
"""Smaller differences than this share of the largest one do not count as separation."""


def first_separation(rows: pd.DataFrame) -> int | None:
    """The first layer at which the onset's family does, of the lens's rows with one kind of control.

    Clearly: significant (Holm-corrected over layers) and at least a tenth of the largest difference.
    """
    difference = rows["family_diff"]
    enough = difference >= SEPARATION_SHARE * max(0.0, float(difference.max()))
    apart = enough & (difference > 0) & (rows["family_diff_p_holm"] < LEVEL)
    return int(rows.loc[apart, "layer"].min()) if apart.any() else None


def where_separated(rows: pd.DataFrame) -> str:
    """The same in words, to follow "separates"."""
    layer = first_separation(rows)
    return "at no layer" if layer is None else f"first at layer {layer}"
