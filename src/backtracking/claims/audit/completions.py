"""Completions of any events table, of this or of an earlier implementation, in one shape."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from backtracking.artifacts.kinds import Table
from backtracking.claims.wording import quoted
from backtracking.measurements.tallies import truth
from backtracking.run.records import BASELINE_NAME

FLAGS = {"is_correct": "correct", "has_backtracking_strict": "strict", "truncated": "cut"}
NUMBERS = ("completion_tokens", "prompt_tokens", "draw", "onset_char", "answer_token")
TEXTS = ("predicted_answer", "onset_token_text", "onset_phrase")
_PILE = 0.05
_FEWEST_IN_PILE = 5


@dataclass(frozen=True)
class Group:
    """The completions of one prompt format under one condition or arm, in the columns that the table has."""

    table: Table
    variant: str
    condition: str
    rows: pd.DataFrame

    @property
    def name(self) -> str:
        """How messages call the group: its format and its condition."""
        return named(self.variant, self.condition)

    @property
    def is_baseline(self) -> bool:
        """Whether nothing was done to the model in it."""
        return self.condition == BASELINE_NAME

    def holds(self, *columns: str) -> bool:
        """Whether the table has these columns, and something in them."""
        return all(name in self.rows and self.rows[name].notna().any() for name in columns)


def named(variant: str, condition: str) -> str:
    """How a finding calls a group of completions."""
    return quoted("/".join(part for part in (variant, condition) if part))


def groups_of(table: Table, events: pd.DataFrame, cap: float | None) -> Iterator[Group]:
    """Every prompt format under every condition of an events table, in its order."""
    rows = readable(events, cap)
    if rows is None:
        return
    for (variant, condition), part in rows.groupby(["variant", "condition"], sort=False):
        yield Group(table, str(variant), str(condition), part.reset_index(drop=True))


def readable(events: pd.DataFrame, cap: float | None) -> pd.DataFrame | None:
    """Completions with flags as 0, 1 or missing, and keys as text; none where they have no problem's id."""
    if "example_id" not in events:
        return None
    arm = "arm" if "arm" in events else "condition"
    columns: dict[str, Any] = {
        "example_id": as_label(events["example_id"]),
        "variant": _label_or_blank(events, "variant"),
        "condition": _label_or_blank(events, arm),
    }
    if "sample_id" in events:
        columns["sample_id"] = as_label(events["sample_id"])
    columns |= {new: truth(events[old]).astype("Float64").to_numpy(float, na_value=np.nan)
                for old, new in FLAGS.items() if old in events}  # fmt: skip
    columns |= {name: finite_numbers(events, name) for name in NUMBERS if name in events}
    columns |= {name: events[name].astype(object) for name in TEXTS if name in events}
    rows = pd.DataFrame(columns, index=events.index)
    for name in {"completion_tokens", "prompt_tokens"} & set(rows):
        rows[name] = rows[name].where(rows[name] > 0)  # imported texts may have none
    if "cut" not in rows and (known := _cut(events, rows, cap)) is not None:
        rows["cut"] = known
    if "truncated" in events and rows["cut"].isna().any():
        return rows.drop(columns="cut")  # imported traces may not say how they ended
    return rows


def _cut(events: pd.DataFrame, rows: pd.DataFrame, cap: float | None) -> "pd.Series[Any] | None":
    """Which completions were cut: by their record, the run's cap, or a pile at one length."""
    if "finish_reason" in events:
        reasons = events["finish_reason"]
        return reasons.ne("stop").astype(float).where(reasons.notna())
    if "completion_tokens" not in rows:
        return None
    tokens = rows["completion_tokens"]
    limit = cap if cap is not None else piled_up_at(tokens)
    return None if limit is None else (tokens >= limit).astype(float).where(tokens.notna())


def piled_up_at(tokens: "pd.Series[Any]") -> float | None:
    """The longest length, where so many completions have exactly that one that it must be a cap."""
    longest = tokens.max()
    at_longest = int((tokens == longest).sum())
    is_pile = at_longest >= max(_FEWEST_IN_PILE, _PILE * len(tokens)) and tokens.nunique() > 1
    return float(longest) if is_pile else None


def as_label(column: "pd.Series[Any]") -> "pd.Series[Any]":
    """Keys as text, `3.0` as `3`, whether the table was read with gaps or without; a gap is blank."""
    return (
        column.astype(object)
        .where(column.notna(), "")
        .astype(str)
        .str.strip()
        .str.replace(r"^(\d+)\.0$", r"\1", regex=True)
    )


def _label_or_blank(events: pd.DataFrame, name: str) -> Any:
    return as_label(events[name]) if name in events else ""


def finite_numbers(table: pd.DataFrame, column: str) -> "pd.Series[Any]":
    """A column as finite numbers; whatever else stands in it is missing."""
    values = pd.to_numeric(table[column], errors="coerce").astype(float)
    return values.where(np.isfinite(values))


def first_few(names: Sequence[str], limit: int = 4) -> str:
    """The first few of some names, and how many more there are."""
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more
