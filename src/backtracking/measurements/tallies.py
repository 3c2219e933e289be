"""Sums per problem: all that rates, differences and intervals need of an events table of any length."""

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from backtracking.config.onsets import TOGETHER, TURN_KINDS
from backtracking.errors import UserError
from backtracking.measurements import statistics
from backtracking.measurements.bounded import exact_difference
from backtracking.measurements.coupling import FRESH
from backtracking.measurements.metrics import COUNTS, Metric, compared_in, shown_in
from backtracking.measurements.statistics import Array, Difference, Interval
from backtracking.run.cells import original
from backtracking.run.inputs import EventRows, Whole, note, verify

KEYS = ["variant", "condition", "example_id"]
CHUNK = 100_000
MADE_BY = "backtracking detect-events"

STEPS = ("steps_right", "steps_wrong", "onsets_after_right", "onsets_after_wrong", *FRESH)
AMONG_STRICT = (
    *("total", "with_gold", "graded", "correct"),
    *("truncated", "finished", "finished_with_gold", "finished_correct"),
)
"""Sums that are also taken over the completions with a strict onset alone, as `strict_…`."""
_ONSET_COUNTS = tuple(f"n_onsets_{kind}" for kind in ("strict", "relaxed", *TURN_KINDS))
_NUMBERS = ("completion_tokens", *_ONSET_COUNTS, "answer_token", *STEPS)
_FLAGS = (
    "has_backtracking_strict",
    "has_backtracking_relaxed",
    "truncated",
    "strict_anywhere",
    "relaxed_anywhere",
    "strict_clause_start",
    "relaxed_clause_start",
    *(f"has_{kind}" for kind in TURN_KINDS),
    "has_gold",
    "is_loop",
    "is_empty",
    "non_ascii_burst",
)


_WORDS = {"true": True, "1": True, "1.0": True, "false": False, "0": False, "0.0": False}


def _chunks(wanted_rows: EventRows, columns: Sequence[str]) -> Iterator[pd.DataFrame]:
    """Rows of an events table of this or of an earlier implementation in pieces, with its types."""
    wanted_rows.require()
    note(Whole(wanted_rows.path) if wanted_rows.has_all else wanted_rows)
    path = wanted_rows.path
    _check_header(path)
    wanted = set(columns)
    reader = pd.read_csv(
        path,
        dtype=dict.fromkeys(("example_id", "variant", "condition", "is_correct", *_FLAGS), str),
        usecols=lambda name: name in wanted,
        chunksize=CHUNK,
        keep_default_na=False,  # a problem may be called NA
        na_values={name: ["", "NA", "NaN", "nan"] for name in (*_NUMBERS, "draw")},
    )
    for chunk in reader:
        for name in {"is_correct", *_FLAGS} & set(chunk.columns):
            chunk[name] = truth(chunk[name])
        yield wanted_rows.of(original(chunk))
    verify(wanted_rows)


def _check_header(path: Path) -> None:
    """Refuse a file that is no events table before pandas trips over it."""
    with path.open(encoding="utf-8", errors="replace", newline="") as file:
        header = next(csv.reader(file), [])
    needed = (*KEYS, "has_backtracking_strict", "has_backtracking_relaxed", "is_correct", "completion_tokens")
    if missing := [name for name in needed if name not in header]:
        raise UserError(
            f"{path} is not an events table",
            f"it lacks the columns {', '.join(missing)}",
            "make it again with: backtracking detect-events",
        )


def truth(column: "pd.Series[Any]") -> "pd.Series[Any]":
    """True, False or missing, however it was spelled."""
    if pd.api.types.is_bool_dtype(column):
        return column.astype("boolean")
    meant = {spelled: _WORDS.get(str(spelled).strip().lower()) for spelled in column.unique()}
    return column.map(meant).astype("boolean")


def read_outcomes(wanted: EventRows) -> pd.DataFrame:
    """The rows themselves, with the columns that sums are made of and no text: some 200 bytes a row."""
    columns = [*KEYS, "sample_id", "draw", "is_correct", "finish_reason", *_FLAGS, *_NUMBERS]
    return pd.concat(_chunks(wanted, columns), ignore_index=True)


def tally_file(
    path: Path, *, variant: str | None = None, condition: str | None = None, cap: int | None = None
) -> pd.DataFrame:
    """Sums per variant, condition and problem of an events table (or of its rows of one), read in pieces.

    Tables of the earlier implementation do not say which rows were cut; with the run's token cap, rows that
    reach it are taken to be.
    """
    columns = [*KEYS, "is_correct", *_FLAGS, *_NUMBERS]
    parts = []
    for chunk in _chunks(EventRows(path, variant, condition, made_by=MADE_BY), columns):
        if cap is not None and "truncated" not in chunk:
            chunk["truncated"] = chunk["completion_tokens"] >= cap
        parts.append(tally(chunk))
    return _merge(parts)


def tally_draws(path: Path, variant: str) -> pd.DataFrame:
    """Sums per draw (in the place of the condition) and problem of one variant's pooled condition."""
    columns = [*KEYS, "draw", "is_correct", *_FLAGS, *_NUMBERS]
    parts = []
    for chunk in _chunks(EventRows(path, variant, None, made_by=MADE_BY), columns):
        drawn = chunk[chunk["draw"].notna()] if "draw" in chunk else chunk[:0]
        if not drawn.empty:
            parts.append(tally(drawn.assign(condition=drawn["draw"].astype(int))))
    return _merge(parts) if parts else pd.DataFrame()


def tally(events: pd.DataFrame) -> pd.DataFrame:
    """Sums per variant, condition and problem; columns that the table lacks are left out."""
    sums = pd.DataFrame(_row_values(events), index=events.index)
    keys = [events[key].astype(str) for key in KEYS]
    return sums.groupby(keys, sort=False).sum()


def contributions(events: pd.DataFrame) -> pd.DataFrame:
    """What each completion adds to the sums, under the problem's id; from tables and rows in memory alike."""
    flags = {name: truth(events[name]) for name in {"is_correct", *_FLAGS} & set(events.columns)}
    if "truncated" not in events and "finish_reason" in events:
        flags["truncated"] = events["finish_reason"].ne("stop")
    values = pd.DataFrame(_row_values(events.assign(**flags)), index=events.index)
    return values.assign(example_id=events["example_id"].astype(str))


def by_problem(values: pd.DataFrame) -> pd.DataFrame:
    """What `counted` says of completions, added up: a row for each problem."""
    return values.groupby("example_id", as_index=False).sum()


def _merge(parts: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Sums of all pieces, variants and conditions in the order in which they were first seen."""
    return reduce(
        lambda one, other: pd.concat([one, other], join="inner").groupby(level=KEYS, sort=False).sum(), parts
    )


def _row_values(events: pd.DataFrame) -> Mapping[str, Array]:
    """What each completion adds to the sums."""
    flags = {name: _as_float(events[name]) for name in _FLAGS if name in events}
    if "truncated" in flags and events["truncated"].isna().any():
        del flags["truncated"]  # a share of which only a part is known is not known
    strict = flags.pop("has_backtracking_strict")
    if "has_backtracking_relaxed" in flags:
        flags["relaxed"] = flags.pop("has_backtracking_relaxed")
    correct = _as_float(events["is_correct"])
    with_gold = flags.pop("has_gold", np.ones(len(events)))  # tables of runs whose problems all have one
    graded = events["is_correct"].notna().to_numpy().astype(np.float64)
    values: dict[str, Array] = {
        "total": np.ones(len(events)),
        "strict": strict,
        "graded": graded,
        "correct": correct,
        "with_gold": with_gold,
        **flags,
    }
    numbers = {name: events[name].to_numpy(np.float64, na_value=0.0) for name in _NUMBERS if name in events}
    if "completion_tokens" in numbers:
        values["tokens"] = np.maximum(numbers["completion_tokens"], 0.0)  # imported texts may have none
    values |= {name: numbers[name] for name in STEPS if name in numbers}
    values |= {name.removeprefix("n_"): numbers[name] for name in _ONSET_COUNTS if name in numbers}
    for name, kinds in TOGETHER.items():
        members = [flags[f"has_{kind}"] for kind in kinds if f"has_{kind}" in flags]
        if len(members) == len(kinds):
            values[name] = np.stack(members).max(axis=0)
    if "predicted_answer" in events:
        values["unanswered"] = _as_float(events["predicted_answer"].isna())
    if "distinct_3" in events:
        distinct = events["distinct_3"].to_numpy(np.float64, na_value=np.nan)
        values |= {"distinct_3": np.nan_to_num(distinct), "has_3_tokens": np.isfinite(distinct).astype(float)}
    if "answer_token" in numbers:
        answered = numbers["answer_token"] > 0
        values |= {"answered": answered.astype(float), "answer_tokens": answered * numbers["answer_token"]}
    if "truncated" in flags:
        finished = 1.0 - flags["truncated"]
        values |= {"finished": finished, "finished_correct": finished * correct}
        values["finished_with_gold"] = finished * with_gold
    values |= {f"strict_{name}": strict * values[name] for name in AMONG_STRICT if name in values}
    return values


def _as_float(column: "pd.Series[Any]") -> Array:
    """One where true, zero where false or missing."""
    return column.to_numpy(dtype=np.float64, na_value=0.0)


def select(
    tallies: pd.DataFrame, *, variant: str | None = None, condition: str | None = None
) -> pd.DataFrame:
    """The sums per problem of one variant and condition; without a variant, problems of all are pooled."""
    rows = tallies
    for level, wanted in (("variant", variant), ("condition", condition)):
        if wanted is not None:
            rows = rows[rows.index.get_level_values(level) == wanted]
    return rows.groupby(level="example_id", sort=True).sum()


def groups(tallies: pd.DataFrame, variants: Sequence[str] = ()) -> dict[tuple[str, str], pd.DataFrame]:
    """The sums per problem of every variant and condition, the given variants first in their order."""
    present = names(tallies, "variant")
    ordered = [*(name for name in variants if name in present), *(n for n in present if n not in variants)]
    return {
        (variant, condition): select(tallies, variant=variant, condition=condition)
        for variant in ordered
        for condition in names(tallies, "condition", variant=variant)
    }


def names(tallies: pd.DataFrame, level: str, **wanted: str) -> list[str]:
    """The variants or conditions that occur, in the table's order."""
    rows = tallies
    for other, value in wanted.items():
        rows = rows[rows.index.get_level_values(other) == value]
    return list(dict.fromkeys(map(str, rows.index.get_level_values(level))))


def summarize(sums: pd.DataFrame) -> dict[str, float | int | None]:
    """Counts and every metric with its interval; what the table cannot say is left out."""
    line: dict[str, float | int | None] = {
        "total": int(sums["total"].sum()),
        "problems": len(sums),
        **{count.name: int(sums[count.sum].sum()) for count in COUNTS if count.sum in sums},
    }
    for metric in shown_in(1):
        if holds(sums, metric):
            line |= statistics.estimate_columns(metric.name, value_of(sums, metric))
    return line


def holds(sums: pd.DataFrame, metric: Metric) -> bool:
    """Whether the sums can say a metric: tables of other versions lack some."""
    return metric.top in sums and metric.bottom in sums


def value_of(sums: pd.DataFrame, metric: Metric) -> Interval:
    """A metric of sums per problem, with its interval."""
    if not holds(sums, metric):
        return statistics.MISSING
    estimate = statistics.rate if metric.is_share else statistics.ratio
    estimated = estimate(sums[metric.top].to_numpy(), sums[metric.bottom].to_numpy())
    return Interval(*(metric.factor * end for end in (estimated.value, estimated.low, estimated.high)))


def differences(sums: pd.DataFrame, reference: pd.DataFrame) -> dict[str, Difference]:
    """Paired differences by problem to a reference, for everything that conditions are compared on."""
    shared = sums.index.intersection(reference.index)
    ours, theirs = sums.loc[shared], reference.loc[shared]
    return {
        metric.outcome: metric_difference(
            metric, (ours[metric.top], ours[metric.bottom]), (theirs[metric.top], theirs[metric.bottom])
        )
        for metric in compared_in(1)
        if holds(ours, metric) and holds(theirs, metric)
    }


def metric_difference(
    metric: Metric,
    one: tuple[ArrayLike, ArrayLike],
    other: tuple[ArrayLike, ArrayLike],
    level: float | None = None,
) -> Difference:
    """Of a metric, by the estimate that it asks for; each side gives its sums per problem.

    `level` is that of one of several looks. Then the end of the interval that says whether there surely is a
    loss is Student's, which errs on the safe side for sparse losses: those that were not seen only make the
    loss larger. The end that says whether it is held stays exact.
    """
    estimate = statistics.difference_within if metric.within_problems else statistics.paired_difference
    students = estimate(one, other, level=level)
    if metric.is_share:
        students = statistics.of_shares(students)
    if not metric.to_be_held:
        return students
    exact = statistics.of_shares(exact_difference(one, other, level))
    if level is None:
        return exact
    return replace(exact, high=students.high) if metric.less_is_loss else replace(exact, low=students.low)
