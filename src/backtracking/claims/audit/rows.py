"""Checks of which completions there are, and how they ended."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from backtracking.artifacts import phase1
from backtracking.artifacts.kinds import Table
from backtracking.claims.audit.audited import AuditedRun, is_untouched
from backtracking.claims.audit.check import FAIL, PASS, WARN, Finding, not_applicable, rule
from backtracking.claims.audit.completions import Group, as_label, finite_numbers, first_few, named
from backtracking.claims.wording import counted, percent, quoted
from backtracking.measurements.floors import MOST_CUT
from backtracking.run.records import ALONE, BASELINE_NAME

MANY_CUT = 0.1
"""More baseline completions cut than this make accuracy depend on the cap."""
MANY_MISSING = 0.1
_OTHER_TRACES = (
    "Read accuracy among those that finished, or import traces written under a higher token limit."
)
_RATE_TABLES = (phase1.COMPARISON, phase1.FORMATS)


@dataclass(frozen=True)
class _Share:
    name: str
    is_baseline: bool
    value: float
    rows: int

    def __str__(self) -> str:
        return f"{percent(self.value)} of {counted(self.rows, 'completion')} of {self.name}"


@rule(
    bounds=f"Warns above {MANY_CUT:.0%} of a baseline's completions, fails above {MOST_CUT:.0%}; "
    "cut arms warn.",
    why="Few completions that are cut have come to an answer: accuracy then measures where they were cut, "
    "and onsets behind that are lost.",
    what_to_do="Raise generation.max_new_tokens until fewer than 10% of the baseline completions are cut, "
    "and generate again.",
)
def rows_cut(run: AuditedRun) -> Finding:
    """Completions that were cut, by prompt format and condition."""
    found = _cut(run)
    return replace(found, what_to_do=_OTHER_TRACES) if run.is_imported else found


def _cut(run: AuditedRun) -> Finding:
    shares = sorted(_cut_shares(run), key=lambda share: -share.value)
    if not shares:
        return not_applicable("how completions ended is not in this run's tables")
    baselines = [share for share in shares if share.is_baseline]
    broken = [share for share in shares if share.value > MOST_CUT]
    worst = (baselines or shares)[0]
    details = [str(share) for share in shares if share.value > MANY_CUT]
    if baselines and worst.value > MOST_CUT:
        return Finding(FAIL, f"{worst} are cut", worst.value, tuple(details))
    if worst.value > MANY_CUT:
        return Finding(WARN, f"{worst} are cut", worst.value, tuple(details))
    if broken:
        return Finding(WARN, f"{broken[0]} are cut: the arm broke the text", broken[0].value, tuple(details))
    return Finding(PASS, f"at most {worst} are cut", worst.value)


def _cut_shares(run: AuditedRun) -> list[_Share]:
    shares = [
        _Share(group.name, group.is_baseline, float(group.rows["cut"].mean()), len(group.rows))
        for group in run.groups
        if group.holds("cut")
    ]
    return shares or [*_shares_of_conditions(run), *_shares_of_arms(run)]


def _shares_of_conditions(run: AuditedRun) -> Iterator[_Share]:
    for table in _RATE_TABLES:
        if (rates := run.table(table, "variant", "truncation_rate")) is not None:
            conditions = rates["condition"] if "condition" in rates else [BASELINE_NAME] * len(rates)
            names = [named(str(v), str(c)) for v, c in zip(rates["variant"], conditions, strict=True)]
            yield from _shares(rates, names, [str(c) == BASELINE_NAME for c in conditions])


def _shares_of_arms(run: AuditedRun) -> Iterator[_Share]:
    for _, arms in run.arms:
        if "truncation_rate" in arms:
            yield from _shares(arms, [quoted(name) for name in arms["arm"]], list(is_untouched(arms)))


def _shares(table: pd.DataFrame, names: list[str], are_baselines: list[bool]) -> Iterator[_Share]:
    totals = finite_numbers(table, "total").fillna(0) if "total" in table else [0] * len(table)
    for name, is_baseline, value, total in zip(
        names, are_baselines, finite_numbers(table, "truncation_rate"), totals, strict=True
    ):
        if pd.notna(value):
            yield _Share(name, is_baseline, float(value), int(total))


@rule(
    bounds=f"Fails at any duplicate or foreign row, and above {MANY_MISSING:.0%} missing; fewer "
    "missing rows warn.",
    why="Rows are joined by problem and sample: a duplicate counts twice, a missing one leaves its pair "
    "alone, and one of another study is no evidence.",
    what_to_do="Find where the rows come from (two runs in one file, an interrupted generation), remove what "
    "does not belong, and run generate and detect-events again.",
)
def row_keys(run: AuditedRun) -> Finding:
    """Duplicate, missing and foreign rows of the tables of completions."""
    if not run.by_table:
        return not_applicable("this run has no table of completions with the problems' ids")
    twice = [text for group in run.by_table if (text := _duplicates(group))]
    foreign = [text for text in _foreign(run) if text]
    if twice or foreign:
        places = [*twice, *foreign]
        return Finding(FAIL, places[0], float(len(places)), tuple(places))
    missing = sorted(_missing(run), key=lambda one: -one[0])
    if missing:
        share, text = missing[0]
        worst = FAIL if share > MANY_MISSING else WARN
        return Finding(worst, text, share, tuple(text for _, text in missing))
    rows = sum(len(group.rows) for group in run.by_table)
    return Finding(PASS, f"no duplicate, missing or foreign rows among {rows:,}", 0.0)


def _duplicates(group: Group) -> str:
    keys = [name for name in ("example_id", "sample_id", "draw") if name in group.rows]
    if "sample_id" not in keys:
        return ""
    count = int(group.rows.duplicated(keys).sum())
    are = "is a duplicate" if count == 1 else "are duplicates"
    return f"{counted(count, 'row')} of {group.name} {are} ({group.table.file})" if count else ""


def _foreign(run: AuditedRun) -> Iterator[str]:
    for table, events in run.events:
        if "example_id" not in events:
            continue
        ids = set(as_label(events["example_id"]))
        for known, where in _known_problems(run):
            if strange := sorted(ids - known):
                yield (
                    f"{len(strange):,} of {len(ids):,} problems of {table.file} are not in {where}: "
                    f"{first_few([quoted(name) for name in strange], 3)}"
                )
                break


def _known_problems(run: AuditedRun) -> Iterator[tuple[set[str], str]]:
    if run.problems:
        yield set(run.problems), "the run's problems"
    earlier = run.phase1.by_table if run.phase1 is not None else ()
    if ids := {name for group in earlier for name in group.rows["example_id"]}:
        yield ids, f"Phase 1's {phase1.EVENTS.file}"


def _missing(run: AuditedRun) -> Iterator[tuple[float, str]]:
    """Groups that lack some of their problems' samples, or problems that another baseline has."""
    if not run.is_earlier and not run.has_generated:
        return  # imported traces come in any number per problem
    for group in run.by_table:
        rows = _dealt_together(run, group)
        if "sample_id" not in rows or group.holds("draw"):
            continue
        problems = _problems_of_baselines(run, group.table) if group.is_baseline else set()
        problems |= set(rows["example_id"])
        expected = len(problems) * rows["sample_id"].nunique()
        if (lacking := expected - len(rows)) > 0:
            yield (
                lacking / expected,
                f"missing: {lacking:,} of {counted(expected, 'row')} of {group.name} ({group.table.file})",
            )


def _dealt_together(run: AuditedRun, group: Group) -> pd.DataFrame:
    """The rows of a condition; components removed alone share one set of rows, dealt over them."""
    if not group.condition.startswith(ALONE):
        return group.rows
    alike = [
        other.rows
        for other in run.by_table
        if other.table == group.table and other.variant == group.variant and other.condition.startswith(ALONE)
    ]
    return pd.concat(alike)


def _problems_of_baselines(run: AuditedRun, table: Table) -> set[Any]:
    return {
        name
        for group in run.by_table
        if group.is_baseline and group.table == table
        for name in group.rows["example_id"]
    }


CHECKS = (rows_cut, row_keys)
