"""The figure of a sweep in waves: verdicts reached against completions spent."""

import numpy as np
import pandas as pd

from backtracking.figures import marks
from backtracking.figures.arms import VERDICTS
from backtracking.figures.caption import Caption, NothingToShow
from backtracking.figures.colours import colour
from backtracking.figures.marks import pretty
from backtracking.figures.style import PAGE, Drawing, canvas, drawn
from backtracking.run.records import BASELINE_NAME

UNKNOWN = "not judged"


@drawn
def plot_waves(table: pd.DataFrame, *, width: float = PAGE) -> Drawing:
    """Each arm at the completions that the whole sweep had spent when its verdict was reached.

    `table`: `subset_sweep_waves.csv` or `scale_sweep_waves.csv`.
    """
    if table.empty or set(table["arm"]) == {BASELINE_NAME}:
        raise NothingToShow("the sweep holds no arms beside the baseline")
    last = table[table["arm"] != BASELINE_NAME].groupby("arm", sort=False).tail(1)
    last = last.sort_values("rows_spent", kind="stable").reset_index(drop=True)
    in_full, spent = int(table["rows_in_full"].iloc[0]), int(table["rows_spent"].max())
    reached = np.arange(1, len(last) + 1)
    figure, axes = canvas(width, 0.2 * len(last) + 1.0)
    axes.step([0, *last["rows_spent"]], [0, *reached], where="post", color=colour("arm"))
    axes.plot([0, in_full, in_full], [0, 0, len(last)], color=colour("baseline"), ls="--", lw=1.0)
    verdicts = [name if name in VERDICTS else UNKNOWN for name in last["verdict"].astype(str)]
    for at, number, arm, name in zip(last["rows_spent"], reached, last["arm"], verdicts, strict=True):
        hue, marker, _ = VERDICTS[name]
        point = axes.plot([at], [number], color=hue, marker=marker, ls="", zorder=3)
        marks.of_arm(point[0], str(arm))
    axes.set_yticks(reached, [pretty(arm) for arm in last["arm"]])
    axes.set_ylim(0, len(last) + 0.5)
    axes.set_xlim(0, in_full * 1.03)
    axes.set_xlabel("completions spent by the whole sweep")
    words = {
        VERDICTS[name][2]: {"color": VERDICTS[name][0], "marker": VERDICTS[name][1]} for name in verdicts
    }
    full = {"color": colour("baseline"), "ls": "--"}
    marks.key(figure, words | {"every arm on every problem": full})
    stopped = int(last["stopped"].astype(bool).sum())
    figure.caption = Caption(
        "Verdicts reached against completions spent",
        f"{stopped} of {len(last)} arms stopped before the last wave; the sweep took {spent:,} of "
        f"{in_full:,} completions ({spent / in_full:.0%}).",
        "Each arm stands where its verdict was reached; dashed: without stopping, all come at the end.",
    )
    return figure
