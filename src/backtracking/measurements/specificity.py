"""What an arm leaks: other triggers, unmarked checking, new onsets, and damage to ordinary text."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import pandas as pd

from backtracking.measurements.comparison import average, compare, quantity
from backtracking.measurements.events import EventReader
from backtracking.measurements.metrics import OUTCOMES
from backtracking.measurements.statistics import MISSING, estimate_columns
from backtracking.run.records import BASELINE_NAME, GenerationRecord

KEY = ["example_id", "sample_id"]


class CheckableStep(Protocol):
    """A checkable statement of a completion: where it stands, what it computes, and whether it is right."""

    @property
    def start(self) -> int:
        """The character that it begins at."""

    @property
    def expression(self) -> str:
        """What it computes, as written."""

    @property
    def is_right(self) -> bool:
        """Whether both sides are equal."""


Steps = Callable[[str], Sequence[CheckableStep]]


def measure_rows(
    records: Iterable[GenerationRecord], reader: EventReader, family: Collection[str], steps: Steps
) -> pd.DataFrame:
    """One row per completion: its event, onsets inside and outside the family, and its checkable steps."""
    return pd.DataFrame(list(_measured(records, reader, frozenset(family), steps)))


def _measured(
    records: Iterable[GenerationRecord], reader: EventReader, family: frozenset[str], steps: Steps
) -> Iterator[dict[str, object]]:
    for record in records:
        if record.finish_reason == "error":
            continue
        measured = reader(record)
        phrases = [str(onset["phrase"]) for onset in measured.onsets]
        starts = [int(onset["char_start"]) for onset in measured.onsets]
        checkable = list(steps(record.completion))
        yield measured.event | {
            "family_onsets": sum(phrase in family for phrase in phrases),
            "synonym_onsets": sum(phrase not in family for phrase in phrases),
            "unmarked_checks": unmarked_checks(checkable, starts),
            "checkable_steps": len(checkable),
            "wrong_steps": sum(not step.is_right for step in checkable),
        }


def unmarked_checks(steps: Sequence[CheckableStep], onsets: Sequence[int]) -> int:
    """Computations that were made before in the row and come again with no trigger between the two."""
    last_seen: dict[str, int] = {}
    count = 0
    for step in sorted(steps, key=lambda step: step.start):
        before = last_seen.get(step.expression)
        if before is not None and not any(before < onset < step.start for onset in onsets):
            count += 1
        last_seen[step.expression] = step.start
    return count


def main_family(rows: pd.DataFrame) -> tuple[str, ...]:
    """The phrases that share their last word with the baseline's commonest onset: "wait" and "but wait".

    None where the baseline has no onset: a phrase of the relaxed list alone is the first of no family.
    """
    with_onset = (rows["condition"] == BASELINE_NAME) & _has_onset(rows)
    phrases = rows.loc[with_onset, "onset_phrase"].dropna()
    if phrases.empty:
        return ()
    word = str(phrases.mode().iloc[0]).split()[-1]
    return tuple(sorted({str(phrase) for phrase in phrases if str(phrase).split()[-1] == word}))


def specificity_table(rows: pd.DataFrame) -> pd.DataFrame:
    """One line per arm; every change is paired with the baseline by problem and has an interval."""
    baseline = rows[rows["arm"] == BASELINE_NAME]
    had_none = baseline.loc[~_has_onset(baseline), KEY]
    had_some = baseline.loc[_has_onset(baseline), KEY]
    lines = []
    for arm, part in rows.groupby("arm", sort=False):
        if arm == BASELINE_NAME:
            continue
        line: dict[str, object] = {"arm": arm, "total": len(part)}
        for name in (
            "family_onsets",
            "synonym_onsets",
            "unmarked_checks",
            "wrong_steps",
            "completion_tokens",
        ):
            is_there = name != "family_onsets" or not had_some.empty
            change = compare(part, baseline, quantity(name)) if is_there else MISSING
            line |= estimate_columns(f"{name}_diff", change)
        without, with_some = part.merge(had_none, on=KEY), part.merge(had_some, on=KEY)
        line |= estimate_columns("new_onset_rate", average(without, OUTCOMES["backtracking"]))
        line |= estimate_columns("kept_onset_rate", average(with_some, OUTCOMES["backtracking"]))
        lines.append(line | {"rows_without_onset": len(without), "rows_with_onset": len(with_some)})
    return pd.DataFrame(lines)


def _has_onset(rows: pd.DataFrame) -> pd.Series:
    return rows["has_backtracking_strict"].astype(bool)


@dataclass(frozen=True)
class Fate:
    """What became of a row whose baseline erred and put it right."""

    name: str
    text: str


FATES = (
    Fate("marked", "errs, backtracks, ends right"),
    Fate("silent", "errs, no trigger, ends right"),
    Fate("never_erred", "never errs, ends right"),
    Fate("wrong", "ends wrong"),
    Fate("unanswered", "gives no answer"),
)

CORRECTED = ("marked", "silent")
"""The fates of a row that erred and ended right."""


def correction_flow(rows: pd.DataFrame) -> pd.DataFrame:
    """Per arm, how rows whose baseline made a checkable error and still ended right fare under the arm.

    One line per arm, fate under the baseline (`marked` or `silent`) and fate under the arm.
    """
    baseline = rows[rows["arm"] == BASELINE_NAME]
    corrected = baseline[(baseline["wrong_steps"] > 0) & baseline["is_correct"].eq(True)]
    before = corrected[KEY].assign(baseline_fate=[fate_of(row) for _, row in corrected.iterrows()])
    lines = []
    for arm, part in rows.groupby("arm", sort=False):
        both = part.merge(before, on=KEY)
        after = pd.Series([fate_of(row) for _, row in both.iterrows()], index=both.index, dtype=object)
        for came_from in CORRECTED:
            for fate in FATES:
                count = int((both["baseline_fate"].eq(came_from) & after.eq(fate.name)).sum())
                share = count / len(both) if len(both) else None
                lines.append(
                    {
                        "arm": arm,
                        "baseline_fate": came_from,
                        "fate": fate.name,
                        "count": count,
                        "total": len(both),
                        "share": share,
                    }
                )
    return pd.DataFrame(lines)


def fate_of(row: "pd.Series | Mapping[str, Any]") -> str:
    """What became of a completion, by its event and its number of wrong steps."""
    if pd.isna(row["predicted_answer"]):
        return "unanswered"
    if row["is_correct"] is not True and str(row["is_correct"]) != "True":
        return "wrong"
    if row["wrong_steps"] == 0:
        return "never_erred"
    return "marked" if row["has_backtracking_strict"] else "silent"
