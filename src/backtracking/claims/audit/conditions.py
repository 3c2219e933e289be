"""Checks of what is compared with what: prompt formats, conditions, and the baselines of the two phases."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from backtracking.artifacts import phase1
from backtracking.artifacts.kinds import Table
from backtracking.claims.audit.audited import AuditedRun, is_untouched
from backtracking.claims.audit.check import FAIL, PASS, WARN, CheckOutcome, Finding, not_applicable, rule
from backtracking.claims.audit.completions import Group, as_label, finite_numbers, named
from backtracking.claims.wording import number, percent, quoted
from backtracking.measurements.statistics import Difference, paired_difference, sums_by
from backtracking.run.records import BASELINE_NAME

FEWEST_SHARED = 2
MARGIN, SURELY = 0.05, 0.001
"""Baselines that differ by more than this, with a p so small that clean runs hardly show it, are not one."""


@rule(
    bounds="Fails where the prompts are equal; warns where their lengths are on all problems and nothing "
    "shows the prompts themselves.",
    why="Two prompt formats that the model reads as one prompt can show no effect of the format: "
    "every difference between them is chance, or something else.",
    what_to_do="Compare what `backtracking prompts` shows for the formats; set prompting.formatting_variants "
    "so that they differ, and generate again.",
)
def prompts_equal(run: AuditedRun) -> Finding:
    """Prompt formats whose prompts are the same, or of the same length on every problem."""
    baselines = [group for group in run.baselines if group.variant and group.table == phase1.EVENTS]
    pairs = [
        likeness for one, other in combinations(baselines, 2) if (likeness := _likeness(run, one, other))
    ]
    if not pairs:
        return not_applicable("prompts of two formats on the same problems are not in this run's tables")
    for outcome in (FAIL, WARN):
        if alike := [text for how_alike, text in pairs if how_alike == outcome]:
            return Finding(outcome, alike[0], float(len(alike)), tuple(alike))
    return Finding(PASS, f"0 of {len(pairs)} pairs of prompt formats read the same", 0.0)


def _likeness(run: AuditedRun, one: Group, other: Group) -> tuple[CheckOutcome, str] | None:
    """How alike the prompts of two formats are, and in what; none where they can't be compared."""
    names = f"{quoted(one.variant)} and {quoted(other.variant)}"
    if (same := _same_prompts(run, one.variant, other.variant)) is not None:
        return FAIL if same else PASS, f"{names}: the prompts are the same"
    if not (one.holds("prompt_tokens") and other.holds("prompt_tokens")):
        return None
    left, right = (_lengths(group) for group in (one, other))
    shared = left.index.intersection(right.index)
    if len(shared) < FEWEST_SHARED:
        return None
    is_alike = bool((left[shared] == right[shared]).all()) and not run.has_generated
    said = f"{names}: the prompts have the same length on all {len(shared):,} problems"
    return (WARN if is_alike else PASS), f"{said}; whether they are the same is not recorded"


def _same_prompts(run: AuditedRun, one: str, other: str) -> bool | None:
    left, right = run.prompts(one), run.prompts(other)
    shared = [name for name in left if name in right and left[name] and right[name]]
    return all(left[name] == right[name] for name in shared) if shared else None


def _lengths(group: Group) -> "pd.Series[Any]":
    return group.rows.groupby("example_id")["prompt_tokens"].median().dropna()


@rule(
    bounds="Fails at any such condition.",
    why="A condition set beside a baseline of other prompt formats, or of several pooled, shows the "
    "format's effect as its own.",
    what_to_do="Compare within one prompt format: run compare-conditions --variant for a format that has all "
    "conditions.",
)
def conditions_pooled(run: AuditedRun) -> Finding:
    """Conditions that are compared across prompt formats, or pooled over them."""
    compared = run.evidence.table(phase1.COMPARISON)
    swept = [_across_formats(table, events) for table, events in run.events if "arm" in events]
    if compared is None and not swept:
        return not_applicable("this run compares no conditions")
    wrong = [text for text in swept if text]
    if compared is not None:
        if "variant" not in compared and not _pooled_totals(run, compared) and not wrong:
            return not_applicable(f"the prompt format is not in this table ({phase1.COMPARISON.file})")
        wrong += [*_without_own_baseline(compared), *_pooled_totals(run, compared)]
    if wrong:
        return Finding(FAIL, wrong[0], float(len(wrong)), tuple(wrong))
    return Finding(PASS, "every condition stands beside the baseline of its own prompt format", 0.0)


def _across_formats(table: Table, events: pd.DataFrame) -> str:
    """Arms of a sweep that were run in other prompt formats than its baseline."""
    if "variant" not in events:
        return ""
    formats: dict[str, set[str]] = {}
    for arm, variant in zip(as_label(events["arm"]), as_label(events["variant"]), strict=True):
        formats.setdefault(arm, set()).add(variant)
    own = formats.get(BASELINE_NAME)
    strange = [arm for arm, other in formats.items() if own and other != own]
    if not strange:
        return ""
    return f"{quoted(strange[0])} was run in other prompt formats than the baseline ({table.file})"


def _without_own_baseline(compared: pd.DataFrame) -> Iterator[str]:
    if not {"variant", "condition"} <= set(compared):
        return
    formats = as_label(compared["variant"])
    conditions = as_label(compared["condition"])
    own = set(formats[conditions == BASELINE_NAME])
    for variant, condition in zip(formats, conditions, strict=True):
        if variant not in own:
            yield f"{named(variant, condition)} has no baseline of its format beside it"


def _pooled_totals(run: AuditedRun, compared: pd.DataFrame) -> list[str]:
    """Rows of the table that count completions of several prompt formats, by the table of completions."""
    if not {"condition", "total"} <= set(compared):
        return []
    sizes: dict[str, dict[str, int]] = {}
    for group in run.groups:
        if group.table == phase1.EVENTS:
            sizes.setdefault(group.condition, {})[group.variant] = len(group.rows)
    said = []
    for condition, total in zip(
        as_label(compared["condition"]), finite_numbers(compared, "total"), strict=True
    ):
        own = sizes.get(condition, {})
        if len(own) > 1 and total == sum(own.values()) and total not in own.values():
            said.append(f"{quoted(condition)} is pooled over {len(own)} prompt formats")
    return said


@dataclass(frozen=True)
class _Change:
    """How far one rate of the two baselines lies apart."""

    what: str
    here: float
    there: float
    p: float

    @property
    def size(self) -> float:
        return abs(self.here - self.there)

    def __str__(self) -> str:
        return (
            f"{self.what} is {percent(self.here)} in this run's baseline, {percent(self.there)} in Phase 1's"
        )


@rule(
    bounds=f"Fails where a rate differs by more than {100 * MARGIN:g} points with p < {SURELY}; less warns.",
    why="The two phases measure the same untouched model on the same problems: where their baselines "
    "differ, so do completions, settings or gold answers.",
    what_to_do="Compare the configs of both runs (cap, temperature, problems, prompt format) and whether "
    "answers are joined to problems by id; then run the sweep again.",
)
def baselines_disagree(run: AuditedRun) -> Finding:
    """Rates of this run's baseline against those of the Phase 1 run that it is built on."""
    paired = [*_paired(run, run.phase1)] if run.phase1 is not None else []
    changes = paired or ([] if run.has_swept_rows else [*_unpaired(run, run.untouched)])
    if not changes and run.phase1 is None:
        return not_applicable("no Phase 1 run is given to compare with")
    if not changes:
        return not_applicable("baselines of both phases are not both in these tables")
    worst = max(changes, key=lambda change: (change.p < SURELY, change.size))
    outcome = PASS
    if worst.p < SURELY:
        outcome = FAIL if worst.size > MARGIN else WARN
    return Finding(outcome, str(worst), worst.size, tuple(map(str, changes)) if outcome != PASS else ())


def _paired(run: AuditedRun, earlier: AuditedRun) -> Iterator[_Change]:
    """Differences by problem, where both have their completions."""
    there = {group.variant: group for group in earlier.baselines}
    for group in run.baselines:
        other = there.get(group.variant)
        for column, what in (("strict", "backtracking"), ("correct", "accuracy")):
            if other is not None and group.holds(column) and other.holds(column):
                change = _difference(group.rows, other.rows, column)
                if change.problems >= FEWEST_SHARED:
                    here = group.rows[column].fillna(0.0).mean()
                    yield _Change(what, here, here - change.value, change.p)


def _difference(left: pd.DataFrame, right: pd.DataFrame, column: str) -> Difference:
    shared = sorted(set(left["example_id"]) & set(right["example_id"]))
    sides = []
    for rows in (left, right):
        part = rows[rows["example_id"].isin(shared)]
        values = np.stack([part[column].fillna(0.0).to_numpy(float), np.ones(len(part))], axis=1)
        sums = sums_by(part["example_id"].to_numpy(str), values)
        sides.append((sums[:, 0], sums[:, 1]))
    return paired_difference(*sides)


def _unpaired(run: AuditedRun, earlier: AuditedRun) -> Iterator[_Change]:
    """Differences of rates in tables, against the prompt format that comes nearest."""
    wanted = run.setting("phase2.subset_sweep.variant")
    formats = [group for group in earlier.baselines if group.variant == wanted] or earlier.baselines
    for _, arms in run.arms:
        for row in arms[is_untouched(arms)].to_dict("records"):
            for column, rate, what in (
                ("strict", "backtracking_rate", "backtracking"),
                ("correct", "accuracy", "accuracy"),
            ):
                there = [_rate(group, column) for group in formats if group.holds(column)]
                share, total = number(row, rate), number(row, "total")
                if there and share is not None and total and 0 <= share <= 1:
                    here = share, total
                    yield min(
                        (_apart(what, here, other, run) for other in there), key=lambda change: change.size
                    )


def _rate(group: Group, column: str) -> tuple[float, float]:
    return float(group.rows[column].fillna(0.0).mean()), float(len(group.rows))


def _apart(what: str, here: tuple[float, float], there: tuple[float, float], run: AuditedRun) -> _Change:
    """Two rates as if only one completion of each problem counted: how alike the others are is not known."""
    from statsmodels.stats.proportion import proportions_ztest

    samples = run.number("generation.num_samples_per_prompt") or 1.0
    sizes = [max(total / samples, 1.0) for _, total in (here, there)]
    counts = [share * size for (share, _), size in zip((here, there), sizes, strict=True)]
    with np.errstate(invalid="ignore", divide="ignore"):
        _, p = proportions_ztest(counts, sizes)
    return _Change(what, here[0], there[0], 1.0 if np.isnan(p) else float(p))


CHECKS = (prompts_equal, conditions_pooled, baselines_disagree)
