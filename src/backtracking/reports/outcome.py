"""The part of both reports that tells fewer onsets from fewer errors."""

import pandas as pd

from backtracking.artifacts.kinds import Table
from backtracking.claims.wording import counted, lines_of, number
from backtracking.measurements.metrics import called, heading
from backtracking.measurements.outcome import FEWEST_WRONG_STEPS
from backtracking.reports.columns import Lines
from backtracking.reports.document import Paragraph
from backtracking.reports.page import Page
from backtracking.reports.rows_behind import RowsBehind

_AFTER_WRONG, _AFTER_RIGHT, _ERRORS = "onset_after_wrong", "onset_after_right", "wrong_steps_per_row"
_WHY = (
    "Fewer onsets may only mean fewer errors to notice. So this table counts steps: the share of fresh steps "
    "(neither the first behind an onset, nor computed before) that an onset follows before the next step. "
    "Differences are to the first line; those of the two shares are taken within problems."
)
_ONSETS = "share of completions with an onset"


def write_outcome(page: Page, artifact: Table, behind: RowsBehind, *named: str) -> None:
    """Onsets after wrong and right steps and errors made, line by line; or which outcome is meant instead."""
    table = page.evidence.table(artifact)
    if table is None or "total" not in table:
        return
    if _AFTER_WRONG not in table:
        page.say(
            f"Not in this table ({artifact.file}): {called(_AFTER_WRONG)}, {called(_AFTER_RIGHT)} and"
            f" {called(_ERRORS)}. Fewer onsets can therefore not be told from fewer errors; the outcome is"
            f" the {_ONSETS}."
        )
        return
    if reason := _why_not_checked(table):
        page.say(f"{reason}, so the outcome is the {_ONSETS}.")
        return
    is_new = not any(isinstance(block, Paragraph) and block.text == _WHY for block in page.blocks)
    page.say(_WHY if is_new else "The same, counted by steps as above:")
    lines = Lines(lines_of(table))
    page.show(
        artifact,
        "Onsets after wrong and after right steps",
        *(lines.names(name.capitalize(), name, behind()) for name in named),
        lines.rates(called(_AFTER_WRONG), _AFTER_WRONG, link=behind(_AFTER_WRONG)),
        lines.rates(called(_AFTER_RIGHT), _AFTER_RIGHT, link=behind(_AFTER_RIGHT)),
        lines.plain(heading(_ERRORS), _ERRORS, spec=".2f", link=behind(_ERRORS)),
        lines.points("Δ after wrong (points)", f"{_AFTER_WRONG}_diff", behind.against(_AFTER_WRONG)),
        lines.p_values("p (Holm)", f"{_AFTER_WRONG}_diff_p_holm"),
        lines.points("Δ after right (points)", f"{_AFTER_RIGHT}_diff", behind.against(_AFTER_RIGHT)),
        lines.plain("Δ wrong steps per completion", f"{_ERRORS}_diff", "+", ".2f", behind.against(_ERRORS)),
        lines.counts("Fresh wrong steps", "fresh_wrong_count", behind(_ERRORS)),
        lines.counts("Fresh right steps", "fresh_right_count", behind("right_steps")),
    )


def _why_not_checked(table: pd.DataFrame) -> str:
    """Why the first line's onsets after wrong steps say too little; empty where they say enough."""
    first = lines_of(table)[0]
    wrong, right = (int(number(first, f"fresh_{kind}_count") or 0) for kind in ("wrong", "right"))
    if not wrong + right:
        return "No completion states arithmetic that can be checked"
    if wrong < FEWEST_WRONG_STEPS:
        steps = counted(wrong, "fresh wrong step")
        return f"The baseline has only {steps} ({FEWEST_WRONG_STEPS} needed)"
    return "" if number(first, _AFTER_WRONG) else f"No onset follows any of {wrong:,} fresh wrong steps"
