"""What a run's completions say to the claims: rows by condition, paired differences, and what is missing."""

from collections.abc import Iterator

import pandas as pd

from backtracking.artifacts import phase1 as files
from backtracking.claims.evidence import Evidence
from backtracking.claims.parts import Part, above, below, missing
from backtracking.claims.wording import in_points, percent
from backtracking.measurements.bounded import deciding_problems
from backtracking.measurements.comparison import average, compare, count, paired_sums
from backtracking.measurements.floors import MOST_CUT, allowed_loss, no_onsets, too_cut, too_low
from backtracking.measurements.metrics import OUTCOMES
from backtracking.measurements.removal import Contrast, minus, rate_of
from backtracking.measurements.statistics import Difference, of_shares, paired_difference
from backtracking.run.records import BASELINE_NAME

TARGETED, RANDOM = "targeted_ablation", "random_ablation"
MARGIN = 0.05
SMALLEST_EFFECT = 0.1
"""Nats: a rise of the onset's log-mass, or a divergence, that is no larger is next to nothing."""
STEP_KINDS = ("wrong", "right")
STEP_COLUMNS = [f"{what}_{kind}" for kind in STEP_KINDS for what in ("onsets_after", "steps")]
_FRESH_COLUMNS = [f"{what}fresh_{kind}" for kind in STEP_KINDS for what in ("onsets_after_", "")]
"""The same of fresh steps: neither the first behind an onset, nor computed before."""
UNKNOWN_ENDS = "how completions ended (the events table does not say whether they were cut)"


def completions_of(evidence: Evidence, variant: str, condition: str = BASELINE_NAME) -> pd.DataFrame:
    """The completions of a variant under one condition; no rows where there are none."""
    events = evidence.table(files.EVENTS)
    if events is None:
        return pd.DataFrame()
    return events[(events["variant"] == variant) & (events["condition"] == condition)]


def lacking(evidence: Evidence, variant: str, *conditions: str) -> str:
    """Which completions are missing; empty where all are there."""
    if evidence.table(files.EVENTS) is None:
        return evidence.lack(files.EVENTS)
    absent = (name for name in conditions if completions_of(evidence, variant, name).empty)
    return next((f"completions of {variant!r} under {name!r}" for name in absent), "")


def difference_or_lack(evidence: Evidence, variant: str, one: str, other: str, what: str) -> Difference | str:
    """The paired difference between two conditions of a variant, or what is missing for it."""
    if lacks := lacking(evidence, variant, one, other):
        return lacks
    left, right = completions_of(evidence, variant, one), completions_of(evidence, variant, other)
    return clear(compare(left, right, OUTCOMES[what]), f"problems shared by {one!r} and {other!r}")


def clear(change: Difference, problems: str) -> Difference | str:
    """A difference that has an interval, or what is missing for one."""
    return change if change.error > 0 else f"{problems}: {change.problems}, at least 2 needed"


def has_steps(evidence: Evidence) -> bool:
    """Whether the events say which steps were wrong, so that onsets can be counted behind them."""
    return evidence.holds(files.EVENTS, *STEP_COLUMNS)


def steps_by_problem(evidence: Evidence, variant: str) -> pd.DataFrame | str:
    """The baseline's checkable steps and the onsets behind them by problem, or what is missing for it."""
    if not has_steps(evidence):
        return f"the steps in {evidence.lack(files.EVENTS)}"
    return silent(evidence, variant) or sums_of_steps(completions_of(evidence, variant))


def sums_of_steps(rows: pd.DataFrame) -> pd.DataFrame:
    """Checkable steps and the onsets behind them by problem: fresh ones where the table tells them apart."""
    columns = _FRESH_COLUMNS if set(_FRESH_COLUMNS) <= set(rows) else STEP_COLUMNS
    return rows.groupby(rows["example_id"].astype(str))[columns].sum().set_axis(STEP_COLUMNS, axis=1)


def after_wrong_minus_right(sums: pd.DataFrame) -> Difference:
    """P(onset | wrong step) − P(onset | right step), paired by problem."""
    sides = ((sums[f"onsets_after_{kind}"], sums[f"steps_{kind}"]) for kind in STEP_KINDS)
    return of_shares(paired_difference(*sides))


def response(rows: pd.DataFrame, stepwise: bool) -> Contrast:
    """What an ablation is to remove: the response to wrong steps, or without steps the rate of onsets."""
    if stepwise:
        sums = sums_of_steps(rows)
        wrong, right = (rate_of(sums, f"onsets_after_{kind}", f"steps_{kind}") for kind in STEP_KINDS)
        return minus(wrong, right)
    flags = rows["has_backtracking_strict"].astype(str).eq("True").astype(float)
    parts = pd.DataFrame({"onsets": flags, "rows": 1.0})
    return rate_of(parts.groupby(rows["example_id"].astype(str)).sum(), "onsets", "rows")


def random_responses(evidence: Evidence, variant: str, stepwise: bool) -> Iterator[float]:
    """The response under each of the random sets."""
    rows = completions_of(evidence, variant, RANDOM)
    if "draw" in rows:
        for _, part in rows.groupby("draw"):
            yield response(part, stepwise).value


def held_accuracy(name: str, arm: pd.DataFrame, baseline: pd.DataFrame, what: str) -> Part:
    """Whether an arm's accuracy is held against the baseline's: inside what may be lost of it."""
    accuracy = OUTCOMES["accuracy"]
    change = clear(compare(arm, baseline, accuracy), f"problems with {what}")
    if isinstance(change, str):
        return missing(change)
    threshold = -allowed_loss(MARGIN, average(baseline, accuracy).value)
    deciding = deciding_problems(*paired_sums(arm, baseline, accuracy), MARGIN)
    return above(name, change, threshold, f"{what} changes by {in_points(change)} points", deciding)


def sound_text(arm: pd.DataFrame, baseline: pd.DataFrame) -> Part:
    """Whether an arm's completions end by themselves as often as the baseline's, but for the margin."""
    if "finish_reason" not in arm:
        return missing(UNKNOWN_ENDS)
    change = compare(arm, baseline, OUTCOMES["truncation"])
    if not change.error > 0:
        return missing(f"problems under both conditions: {change.problems}, at least 2 needed")
    says = f"the share of completions that do not end by themselves changes by {in_points(change)} points"
    return below("cut_change", change, MARGIN, says)


def silent(evidence: Evidence, variant: str) -> str:
    """What is missing where the baseline of a variant has no onset; empty where it has, or is not there."""
    rows = completions_of(evidence, variant)
    return "" if rows.empty else no_onsets(count(rows, OUTCOMES["backtracking"]), len(rows))


def floor(evidence: Evidence, variant: str, what: str) -> str:
    """Why the baseline's rate cannot show that it stays inside the margin; empty where it can."""
    rows = completions_of(evidence, variant)
    if rows.empty:
        return ""
    if what == "accuracy":
        if "finish_reason" not in rows:
            return UNKNOWN_ENDS
        if cut := too_cut("baseline", _cut_share(rows)):
            return cut
    return too_low(what, average(rows, OUTCOMES[what]).value, MARGIN)


def fallen_apart(evidence: Evidence, variant: str) -> str:
    """What is missing when targeted completions do not finish; empty when they do."""
    targeted = completions_of(evidence, variant, TARGETED)
    if targeted.empty:
        return ""
    if "finish_reason" not in targeted:
        return UNKNOWN_ENDS
    if baseline := too_cut("baseline", _cut_share(completions_of(evidence, variant))):
        return baseline
    cut = _cut_share(targeted)
    if cut <= MOST_CUT:
        return ""
    return f"targeted completions that finish: {percent(cut)} are cut, so the ablation broke the text itself"


def onset_rate(rows: pd.DataFrame) -> float:
    """The share of completions with an onset."""
    return average(rows, OUTCOMES["backtracking"]).value


def _cut_share(rows: pd.DataFrame) -> float:
    return average(rows, OUTCOMES["truncation"]).value
