"""The part of both reports that tells fewer onsets from fewer errors."""

from collections.abc import Sequence

import pandas as pd

from backtracking.artifacts.kinds import Table
from backtracking.claims.evidence import Evidence
from backtracking.claims.wording import number, p_value, plain, points, quoted, rate, records
from backtracking.measurements.metrics import called
from backtracking.measurements.outcome import FEWEST_WRONG_STEPS
from backtracking.reports.document import Document

_AFTER_WRONG, _AFTER_RIGHT, _ERRORS = "onset_after_wrong", "onset_after_right", "wrong_steps_per_row"
_ONSETS = "share of completions with an onset"


def write_outcome(document: Document, evidence: Evidence, artifact: Table, names: Sequence[str]) -> None:
    """Onsets after wrong and right steps and errors made, line by line; or which outcome is meant instead."""
    table = evidence.table(artifact)
    if table is None or "total" not in table:
        return
    if _AFTER_WRONG not in table:
        document.say(
            f"Not in this table ({artifact.file}): {called(_AFTER_WRONG)}, {called(_AFTER_RIGHT)} and "
            f"{called(_ERRORS)}, so fewer onsets cannot be told from fewer errors; the outcome is the "
            f"{_ONSETS}."
        )
        return
    if reason := _why_not_checked(table):
        document.say(f"{reason}, so the outcome is the {_ONSETS}.")
        return
    document.say(
        "Fewer onsets may only mean fewer errors to notice. Over fresh steps (neither the first behind an "
        "onset, nor computed before), the share that an onset follows before the next step; differences are "
        "to the first line, taken inside each problem for the two shares."
    )
    document.table(
        [
            *(name.capitalize() for name in names),
            called(_AFTER_WRONG),
            called(_AFTER_RIGHT),
            called(_ERRORS).capitalize(),
            "Δ after wrong (points)",
            "p (Holm)",
            "Δ after right (points)",
            "Δ wrong steps",
        ],
        [
            [
                *(quoted(row[name]) for name in names),
                rate(row, _AFTER_WRONG, n="fresh_wrong_count"),
                rate(row, _AFTER_RIGHT, n="fresh_right_count"),
                plain(row, _ERRORS, ".2f"),
                points(row, f"{_AFTER_WRONG}_diff"),
                p_value(number(row, f"{_AFTER_WRONG}_diff_p_holm")),
                points(row, f"{_AFTER_RIGHT}_diff"),
                plain(row, f"{_ERRORS}_diff", "+.2f"),
            ]
            for row in records(table)
        ],
    )


def _why_not_checked(table: pd.DataFrame) -> str:
    """Why the first line's onsets after wrong steps say too little; empty where they say enough."""
    first = records(table)[0]
    wrong, right = (int(number(first, f"fresh_{kind}_count") or 0) for kind in ("wrong", "right"))
    if not wrong + right:
        return "No completion states arithmetic that can be checked"
    if wrong < FEWEST_WRONG_STEPS:
        return f"{wrong:,} fresh steps are wrong in the first line, at least {FEWEST_WRONG_STEPS} needed"
    return "" if number(first, _AFTER_WRONG) else f"No onset follows any of {wrong:,} fresh wrong steps"
