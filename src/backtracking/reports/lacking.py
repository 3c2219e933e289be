"""What reports say of quantities that a table does not hold, or that are counted in an unknown way."""

from collections.abc import Mapping, Sequence

import pandas as pd

from backtracking.artifacts.kinds import Table
from backtracking.claims.evidence import Evidence
from backtracking.reports.document import Document


def say_what_lacks(document: Document, evidence: Evidence, table: Table, columns: Mapping[str, str]) -> None:
    """Name the quantities (by column) that a table does not hold at all."""
    if lacking := [label for column, label in columns.items() if not evidence.holds(table, column)]:
        document.say(f"Not in this table ({table.file}): {', '.join(lacking)}.")


def how_graded(evidence: Evidence, tables: Sequence[Table]) -> str:
    """How the accuracies of these tables count, as far as the run's record tells."""
    if foreign := [t.file for t in tables if evidence.table(t) is not None and not evidence.is_own(t)]:
        return (
            f"This run did not make {' and '.join(foreign)}: how unanswered completions count in the"
            " accuracies there is not recorded."
        )
    held = [table for table in map(evidence.table, tables) if table is not None]
    if held and not any(map(is_graded, held)):
        return "No completion has a gold answer, so no accuracy is given."
    counts = "Accuracy counts an unanswered completion as wrong. "
    if held and not any("truncation_rate" in table for table in held):
        return f"{counts}Whether completions were cut is not known; few that were have come to an answer."
    return (
        f"{counts}It stands beside the share of completions that were cut, because few of those have come to"
        " an answer."
    )


def is_graded(table: pd.DataFrame) -> bool:
    """Whether some line of a table of rates has an accuracy."""
    return "accuracy" in table and bool(table["accuracy"].notna().any())
