"""Claims about the prompt format: does it move onsets, and does it move them more than errors do."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from backtracking.artifacts import phase1 as files
from backtracking.claims import completions
from backtracking.claims.completions import MARGIN, STEP_COLUMNS
from backtracking.claims.evidence import Evidence
from backtracking.claims.parts import (
    Part,
    TableEstimate,
    above,
    measured_cell,
    missing,
    problems_to_decide,
    within,
)
from backtracking.claims.verdict import Claim, Verdict
from backtracking.claims.wording import as_points, lines_of, number, points, quoted, span
from backtracking.measurements.floors import no_onsets, too_low
from backtracking.measurements.jackknife import jackknife
from backtracking.measurements.statistics import LEVEL, Array

HALF = 0.5
_ONSETS_WRONG, _WRONG, _ONSETS_RIGHT, _RIGHT = range(len(STEP_COLUMNS))

_FORMATS = ("prompts_equal", "conditions_pooled", "rows_cut", "row_keys")
FORMAT = Claim(
    "format_effect",
    "Formatting changes backtracking",
    "Supported when some variant's paired difference to the main variant, by problem, is surely larger than "
    f"is of interest: the whole interval lies beyond {as_points(MARGIN)}, on either side, and its "
    f"Holm-corrected p is below {LEVEL}. Contradicted when every variant's interval lies inside "
    f"±{as_points(MARGIN)}. A variant that surely loses more than {as_points(MARGIN)} of accuracy "
    "against the main one does not count: it breaks the model, which is more than a change of format.",
    _FORMATS,
    "Five points are a convention: a significant difference that may be smaller stays inconclusive. A format "
    "changes the number of steps too, which this claim counts as its effect; H2 does not.",
)
H2 = Claim(
    "H2",
    "H2: onsets follow formatting rather than errors",
    "Judged by shares, since both may be true. Over checkable steps, the format's variation is the variance "
    "over variants of the rate of onsets at equal error rate (each variant's P(onset | wrong) and P(onset | "
    "right), weighted as if all variants erred alike); the errors' is the variance within a variant that "
    "P(onset | wrong) − P(onset | right) makes. Supported when the format's share of both together lies "
    "wholly above one half (leaving out one problem at a time) and formatting changes backtracking by the "
    "claim of its own; contradicted when the share lies wholly below one half, or formatting surely changes "
    "nothing of interest. "
    "Variants that break accuracy do not count. Not testable where onsets follow fewer than "
    f"{2 * MARGIN:.0%} of the steps of either kind.",
    (*_FORMATS, "common_trigger_words"),
    "A variance over three formats depends on which three were tried. Errors get all of the variation "
    "between wrong and right steps, including what comes from the kinds of step that go wrong.",
)


def judge_formatting(evidence: Evidence, main: str) -> list[Verdict]:
    """Both claims about the prompt format."""
    effect = _effect(evidence, main)
    return [_judge_shares(evidence, main, effect), FORMAT.judge(effect)]


def _effect(evidence: Evidence, main: str) -> Part:
    """Whether some variant changes backtracking by more than is of interest."""
    table = evidence.table(files.FORMATS)
    if table is None or "backtracking_diff_p_holm" not in table:
        return missing("paired differences between two prompt formats")
    others = _others(table, main)
    if others.empty:
        return missing(_no_other(table, main))
    if silent := no_onsets(int(table["backtracking_count"].sum()), int(table["total"].sum())):
        return missing(silent)
    if others["backtracking_diff_p_holm"].isna().all():
        return missing("two problems that the variants share, for a test")
    return _effect_part(others)


def _effect_part(others: pd.DataFrame) -> Part:
    says = "; ".join(
        f"{quoted(row['variant'])} {points(row, 'backtracking_diff')} points" for row in lines_of(others)
    )
    changes = [measured_cell(row, "backtracking_diff", number(row, "problems")) for row in lines_of(others)]
    known = [one for one in changes if one is not None]
    if len(known) < len(changes):
        return missing("intervals of the paired differences between variants")
    largest = max(known, key=lambda one: abs(one.value))
    numbers = within("format_difference", largest, MARGIN, says).numbers
    significant = others["backtracking_diff_p_holm"] < LEVEL
    if any(
        changes and within("", one, MARGIN, "").state == "fails"
        for changes, one in zip(significant, known, strict=True)
    ):
        return Part("holds", says, numbers)
    if all(within("", one, MARGIN, "").state == "holds" for one in known):
        return Part("fails", says, numbers)
    return Part("open", says, numbers, problems_to_decide(largest, math.copysign(MARGIN, largest.value)))


def _others(table: pd.DataFrame, main: str) -> pd.DataFrame:
    """Variants to compare the main one with: those that do not break accuracy."""
    others = table[table["variant"] != main]
    return others[~others["variant"].isin(_broken(table, main))]


def _broken(table: pd.DataFrame, main: str) -> list[str]:
    """Variants that surely lose more accuracy than the margin against the main one."""
    if "accuracy_diff_high" not in table:
        return []
    lost = table[(table["variant"] != main) & (table["accuracy_diff_high"] < -MARGIN)]
    return [str(name) for name in lost["variant"]]


def _no_other(table: pd.DataFrame, main: str) -> str:
    broken = ", ".join(map(quoted, _broken(table, main)))
    return (
        f"a second prompt format that leaves accuracy standing ({broken} breaks it)"
        if broken
        else "a second prompt format"
    )


def _judge_shares(evidence: Evidence, main: str, effect: Part) -> Verdict:
    """The format's share of the variation, which is noise over noise where neither changes anything."""
    main_sums = completions.steps_by_problem(evidence, main)
    if isinstance(main_sums, str):
        return H2.missing(main_sums)
    table = evidence.table(files.FORMATS)
    broken = [] if table is None else _broken(table, main)
    sums = _sums_by_variant(evidence, broken)
    if len(sums) < 2:
        return H2.missing("a second prompt format" if table is None else _no_other(table, main))
    totals = np.stack([part.to_numpy().sum(0) for part in sums.values()])
    if not (totals[:, [_WRONG, _RIGHT]] > 0).all():
        return H2.missing("wrong and right checkable steps in every variant")
    rates = totals[:, [_ONSETS_WRONG, _ONSETS_RIGHT]] / totals[:, [_WRONG, _RIGHT]]
    if rare := too_low("share of steps with an onset behind them", float(rates.max()), MARGIN):
        return H2.missing(rare)
    return H2.judge(_shares_part(list(sums.values()), broken), effect)


def _sums_by_variant(evidence: Evidence, broken: Sequence[str]) -> dict[str, pd.DataFrame]:
    """Steps and onsets by problem, for the problems that all variants have."""
    events = evidence.table(files.EVENTS)
    if events is None:
        return {}
    names = [str(name) for name in events["variant"].unique() if str(name) not in broken]
    rows = {name: completions.completions_of(evidence, name) for name in names}
    sums = {name: completions.sums_of_steps(part) for name, part in rows.items() if not part.empty}
    shared = sorted(set.intersection(*(set(part.index) for part in sums.values()))) if sums else []
    return {name: part.loc[shared] for name, part in sums.items()}


def _shares_part(sums: Sequence[pd.DataFrame], broken: Sequence[str]) -> Part:
    columns = np.stack([part.to_numpy(dtype=float) for part in sums], axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        estimates = jackknife(sums[0].index.to_numpy(dtype=str), columns, variation)
    lows, highs = np.maximum(estimates.low, 0.0), np.minimum(estimates.high, 1.0)  # no variance is negative
    by_format, by_errors, share = (
        TableEstimate(float(estimates.value[k]), float(lows[k]), float(highs[k]), len(columns))
        for k in range(3)
    )
    if not np.isfinite(estimates.low[-1]):
        return missing("problems with wrong and right steps in every variant, at least 3")
    left_out = f"; left out, since they break accuracy: {', '.join(map(quoted, broken))}" if broken else ""
    says = (
        f"of the variation of onsets over steps {span(by_format, percent=True)} follows the format at equal "
        f"error rate and {span(by_errors, percent=True)} errors: the format's share of both is "
        f"{span(share, percent=True)}{left_out}"
    )
    part = above("format_share", share, HALF, says)
    both: dict[str, Any] = {"variation_by_format": by_format.value, "variation_by_errors": by_errors.value}
    return Part(part.state, says, dict(part.numbers) | both, part.deciding)


def variation(totals: Array) -> Array:
    """Shares of the variance of onsets over steps: format at equal error rate, errors; the first of both.

    `totals` is [variant, (onsets after wrong, wrong steps, onsets after right, right steps)].
    """
    wrong = totals[:, _ONSETS_WRONG] / totals[:, _WRONG]
    right = totals[:, _ONSETS_RIGHT] / totals[:, _RIGHT]
    errors = totals[:, _WRONG] / (totals[:, _WRONG] + totals[:, _RIGHT])
    usual = errors.mean()
    standardised = usual * wrong + (1 - usual) * right
    by_format = standardised.var()
    by_errors = (usual * (1 - usual) * (wrong - right) ** 2).mean()
    rate = standardised.mean()
    whole = rate * (1 - rate)
    return np.array([by_format / whole, by_errors / whole, by_format / (by_format + by_errors)])
