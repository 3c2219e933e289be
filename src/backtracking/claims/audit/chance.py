"""Is accuracy above what answers get against the gold answers of other problems?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from backtracking.artifacts.kinds import Table
from backtracking.claims.audit.audited import AuditedRun, is_untouched
from backtracking.claims.audit.check import FAIL, PASS, Finding, not_applicable, rule
from backtracking.claims.audit.completions import Group, finite_numbers
from backtracking.claims.wording import p_value, percent, quoted
from backtracking.measurements.statistics import LEVEL, rate
from backtracking.text.answers.grading import parse_number

PERMUTATIONS = 199
FEWEST_PROBLEMS = 5
HARDLY_ANY = 0.02
"""An accuracy of at most this much says nothing where chance itself is not known."""


@dataclass(frozen=True)
class _Accuracy:
    """The accuracy of a baseline beside what permuted gold answers give."""

    where: str
    value: float
    chance: float | None
    is_at_chance: bool
    p: float | None = None

    def __str__(self) -> str:
        if self.chance is None:
            return f"accuracy is {percent(self.value)} in {self.where}"
        said = f"accuracy is {percent(self.value)} in {self.where}; gold of other problems gives "
        return said + percent(self.chance) + ("" if self.p is None else f" (p = {p_value(self.p)})")


_OTHER_GOLD = (
    "Check that the gold answers of the import are those of the same problems (--gold, --id); if they are, "
    "say nothing about right and wrong answers of these traces."
)


@rule(
    bounds=f"Fails where permuted gold does as well with p > {LEVEL}. Without the problems: where the "
    "interval holds what answers that are right elsewhere would get; where that is not known either, "
    f"up to {HARDLY_ANY:.0%}.",
    why="An accuracy that the gold answers of other problems give as well is that of a lottery: completions "
    "and gold answers may be joined wrongly, and no change of it means anything.",
    what_to_do="Check that answers are joined to problems by id; if they are, take problems that the model "
    "can solve, or raise generation.max_new_tokens.",
)
def accuracy_at_chance(run: AuditedRun) -> Finding:
    """Accuracy of the baseline against gold answers permuted among problems."""
    accuracies = [*_of_completions(run), *_of_arms(run)]
    if not accuracies:
        return not_applicable(
            "accuracies of a baseline, with enough problems to tell, are not in this run's tables"
        )
    at_chance = [one for one in accuracies if one.is_at_chance]
    if at_chance:
        remedy = _OTHER_GOLD if run.is_imported else ""
        return Finding(FAIL, str(at_chance[0]), at_chance[0].value, tuple(map(str, at_chance)), remedy)
    least = min(accuracies, key=lambda one: one.value)
    return Finding(PASS, str(least), least.value)


def _of_completions(run: AuditedRun) -> list[_Accuracy]:
    groups = [group for group in run.baselines if group.holds("correct")]
    accuracies = []
    for group in groups:
        if (permuted := _permuted(group, run.gold)) is not None:
            accuracies.append(permuted)
        elif len(run.gold) == 0 and (compared := _compared(group)) is not None:
            accuracies.append(compared)
    return accuracies


def _permuted(group: Group, gold: Mapping[str, str]) -> _Accuracy | None:
    """The permutation test by problem, where gold answers and predicted ones are at hand."""
    rows = group.rows[group.rows["example_id"].isin(list(gold))]
    if "predicted_answer" not in rows or rows["example_id"].nunique() < FEWEST_PROBLEMS:
        return None
    problems = rows["example_id"].drop_duplicates().tolist()
    keys = [_key(gold[name]) for name in problems]
    if len(set(keys)) < 2:
        return None  # with one answer to all problems, chance is all that there is
    given = rows["predicted_answer"].map(lambda text: _key(str(text)) if pd.notna(text) else None)
    hits = _hits(problems, keys, rows["example_id"].tolist(), given.tolist())
    right, total = float(rows["correct"].fillna(0.0).sum()), len(rows)
    generator = np.random.default_rng(0)
    columns = np.unique(keys, return_inverse=True)[1]
    places = np.arange(len(problems))
    drawn = np.array([hits[places, generator.permutation(columns)].sum() for _ in range(PERMUTATIONS)])
    p = float((1 + (drawn >= right).sum()) / (PERMUTATIONS + 1))
    return _Accuracy(group.name, right / total, float(drawn.mean() / total), p > LEVEL, p)


def _hits(
    problems: Sequence[str], keys: Sequence[str], rows: Sequence[str], given: Sequence[str | None]
) -> Any:
    """[problem, gold value]: how many of a problem's answers have that value."""
    column = {key: number for number, key in enumerate(sorted(set(keys)))}
    line = {name: number for number, name in enumerate(problems)}
    hits = np.zeros((len(problems), len(column)))
    for name, key in zip(rows, given, strict=True):
        if key in column:
            hits[line[name], column[key]] += 1
    return hits


def _compared(group: Group) -> _Accuracy | None:
    """Without the problems: accuracy against what answers that were right elsewhere would get."""
    sums = group.rows.assign(one=1.0, correct=group.rows["correct"].fillna(0.0))
    by_problem = sums.groupby("example_id")[["correct", "one"]].sum()
    if len(by_problem) < FEWEST_PROBLEMS:
        return None
    accuracy = rate(by_problem["correct"], by_problem["one"])
    chance = chance_of(group)
    if chance is None:
        return _Accuracy(group.name, accuracy.value, None, accuracy.value <= HARDLY_ANY)
    return _Accuracy(group.name, accuracy.value, chance, bool(accuracy.low <= chance))


def chance_of(group: Group) -> float | None:
    """The share of answers that the known gold answers of other problems would call right."""
    if not group.holds("predicted_answer", "correct"):
        return None
    rows = group.rows.assign(
        key=group.rows["predicted_answer"].map(lambda t: _key(str(t)), na_action="ignore")
    )
    gold = rows[rows["correct"] == 1].dropna(subset="key").drop_duplicates("example_id")
    if len(gold) < FEWEST_PROBLEMS:
        return None
    counts = rows["key"].value_counts()
    own = rows.groupby("example_id")["key"].value_counts()
    sizes = rows.groupby("example_id").size()
    shares = [
        (counts.get(key, 0) - own.get((name, key), 0)) / max(len(rows) - sizes[name], 1)
        for name, key in zip(gold["example_id"], gold["key"], strict=True)
    ]
    return float(np.mean(shares))


def _of_arms(run: AuditedRun) -> list[_Accuracy]:
    """Untouched arms of tables whose completions are not there."""
    with_rows = {table.stem.replace("_events", "") for table, _ in run.events}
    chances = [chance_of(group) for group in run.untouched.baselines]
    known = [chance for chance in chances if chance is not None]
    accuracies = []
    for table, arms in run.arms:
        if table.stem.replace("_results", "") not in with_rows and {"accuracy", "total"} <= set(arms):
            accuracies += _of_table(table, arms, max(known, default=None))
    return accuracies


def _of_table(table: Table, arms: pd.DataFrame, chance: float | None) -> list[_Accuracy]:
    from statsmodels.stats.proportion import proportion_confint

    untouched = arms[is_untouched(arms)]
    accuracies, totals = finite_numbers(untouched, "accuracy"), finite_numbers(untouched, "total")
    judged = []
    for name, value, total in zip(untouched["arm"], accuracies, totals, strict=True):
        if not (0 <= value <= 1 and total >= 1):
            continue
        low, _ = proportion_confint(value * total, total, method="wilson")
        is_at_chance = value <= HARDLY_ANY or (chance is not None and low <= chance)
        judged.append(_Accuracy(f"{quoted(name)} of {table.file}", float(value), chance, bool(is_at_chance)))
    return judged


@lru_cache(maxsize=65_536)
def _key(text: str) -> str:
    """The value of an answer, so that 18, 18.0 and \\boxed{18} are one."""
    number = parse_number(text)
    return text.strip().casefold() if number is None or number.value is None else str(number.value)


CHECKS = (accuracy_at_chance,)
