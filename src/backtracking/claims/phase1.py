"""The claims of Phase 1, with the rules that they are judged by."""

from typing import Any

import pandas as pd

from backtracking.artifacts import phase1 as files
from backtracking.artifacts.phase2 import METRICS
from backtracking.claims.evidence import Evidence
from backtracking.claims.verdict import Claim, Verdict
from backtracking.claims.wording import in_points, number, percent, plain, points, quoted, rate, records
from backtracking.measurements.comparison import average, compare, count
from backtracking.measurements.floors import MOST_CUT, no_onsets, too_cut, too_low
from backtracking.measurements.metrics import OUTCOMES
from backtracking.measurements.statistics import LEVEL, Difference, paired_difference
from backtracking.run.records import BASELINE_NAME

MARGIN = 0.05
STEP_KINDS = ("wrong", "right")
Standouts = dict[str, list[str]]
"""The components that stand out of the scan, by mode of removal."""

UNKNOWN_ENDS = "how completions ended (the events table does not say whether they were cut at the cap)"

H1 = Claim(
    "H1: a few components write the onset",
    "Supported when the ablation scan finds at least one component clearly above the ensemble of all, by "
    "the scan's rule (Holm-corrected p < 0.05), and regeneration with the selected components ablated "
    "backtracks less than regeneration with as many random ones, and less than the baseline (random "
    "ablation makes errors, and with them onsets): both paired differences by problem lie wholly below zero. "
    "Where most targeted completions are cut at the cap, the text has fallen apart and fewer onsets in it "
    "say nothing about where onsets come from: then it is not testable. Mode-dependent when the ways of "
    "removal that the scan tried (zero, mean, resample) disagree about which components stand out.",
)
H0 = Claim(
    "H0: there is no localised mechanism",
    "Supported when no component stands out of the scan, however removed (Holm-corrected p ≥ 0.05 for "
    f"all), and targeted and random ablation differ by less than {MARGIN:.0%} in backtracking: the paired "
    "difference lies wholly inside that margin. Not testable where the baseline backtracks in less than "
    f"{2 * MARGIN:.0%}: "
    "the loss of more than half of so few onsets would lie inside the margin.",
)
H2 = Claim(
    "H2: onsets follow formatting rather than errors",
    "Supported when some variant's paired difference to the main variant, by problem, has a Holm-corrected "
    "p < 0.05, while an onset is hardly likelier after a wrong checkable step than after a right one: the "
    f"difference, paired by problem, lies wholly below {MARGIN:.0%}. Not testable where onsets follow fewer "
    f"than {2 * MARGIN:.0%} of the steps of either kind.",
)
DETECTS = Claim(
    "Onsets are error detection",
    "Supported when an onset is likelier after a wrong checkable step than after a right one: the "
    "difference, paired by problem, lies wholly above zero; and, where errors were injected into right "
    "completions, they raise the onset's log-mass more than harmless rewrites do, the interval wholly "
    "above 0.",
)
KEPT = Claim(
    "The targeted ablation leaves accuracy intact",
    f"Supported when the paired drop in accuracy against the baseline is less than {MARGIN:.0%}: the whole "
    "95% interval lies inside the margin. A difference that is merely not significant does not count. Not "
    f"testable where the baseline's accuracy is below {2 * MARGIN:.0%} or most of its completions are cut.",
)
COSTS_ACCURACY = Claim(
    "Backtracking goes with lower accuracy within a problem",
    "Supported when the odds ratio of a right answer, backtracking against not, stratified by problem, "
    "has an interval wholly below 1. This is an association: hard attempts both go wrong and are "
    "questioned.",
)
FORMAT = Claim(
    "Formatting changes backtracking",
    "Supported when some variant's paired difference to the main variant, by problem, has a "
    "Holm-corrected p < 0.05.",
)


def verdicts(evidence: Evidence, main: str) -> list[Verdict]:
    """Every claim of Phase 1, judged."""
    broken = _silent(evidence, main) or _fallen_apart(evidence, main)
    against_random, against_baseline = (
        broken or _difference(evidence, main, "targeted_ablation", other, "backtracking")
        for other in ("random_ablation", "baseline")
    )
    accuracy = _floor(evidence, main, "accuracy") or _difference(
        evidence, main, "targeted_ablation", "baseline", "accuracy"
    )
    standouts = _standouts(evidence)
    return [
        _judge_h1(standouts, against_random, against_baseline),
        _judge_h0(standouts, broken or _floor(evidence, main, "backtracking") or against_random),
        _judge_h2(evidence, main),
        _judge_detects(evidence, main),
        _judge_kept(accuracy),
        _judge_helps(evidence, main),
        _judge_format(evidence, main),
    ]


def _judge_h1(
    standouts: Standouts | str, against_random: Difference | str, against_baseline: Difference | str
) -> Verdict:
    if isinstance(standouts, str):
        return H1.missing(standouts)
    if isinstance(against_random, str):
        return H1.missing(against_random)
    if isinstance(against_baseline, str):
        return H1.missing(against_baseline)
    because = (
        f"stand out of the scan: {_listed(standouts)}; targeted minus random: "
        f"{in_points(against_random)} points of backtracking; targeted minus baseline: "
        f"{in_points(against_baseline)} points"
    )
    if not _agree(standouts):
        return H1.mode_dependent(because)
    found = any(standouts.values())
    return H1.judge(found and against_random.high < 0 and against_baseline.high < 0, because)


def _agree(standouts: Standouts) -> bool:
    return len({frozenset(names) for names in standouts.values()}) == 1


def _listed(standouts: Standouts) -> str:
    """The components once where all modes agree, else mode by mode."""
    each = {mode: ", ".join(names) or "none" for mode, names in standouts.items()}
    if _agree(standouts):
        return next(iter(each.values()))
    return "; ".join(f"{names} (mode {mode})" for mode, names in each.items())


def _judge_h0(standouts: Standouts | str, difference: Difference | str) -> Verdict:
    if isinstance(standouts, str):
        return H0.missing(standouts)
    if isinstance(difference, str):
        return H0.missing(difference)
    inside = difference.low > -MARGIN and difference.high < MARGIN
    because = (
        f"stand out of the scan: {_listed(standouts)}; targeted minus random: {in_points(difference)} points "
        "of backtracking"
    )
    return H0.judge(not any(standouts.values()) and inside, because)


def _judge_h2(evidence: Evidence, main: str) -> Verdict:
    formats, difference = _format_changes(evidence, main), _coupling_difference(evidence, main)
    if isinstance(formats, str):
        return H2.missing(formats)
    if isinstance(difference, str):
        return H2.missing(difference)
    if rare := _rarely_after_steps(evidence, main):
        return H2.missing(rare)
    changed, listed = formats
    because = f"{listed}; after a wrong step an onset is {in_points(difference)} points likelier"
    return H2.judge(changed and difference.high < MARGIN, because)


def _judge_detects(evidence: Evidence, main: str) -> Verdict:
    row, difference = _coupling(evidence, main), _coupling_difference(evidence, main)
    if isinstance(difference, str):
        return DETECTS.missing(difference)
    if row is None:
        return DETECTS.missing(evidence.lack(files.COUPLING))
    because = (
        f"an onset follows {rate(row, 'p_onset_after_wrong', n='n_wrong')} of the wrong steps and "
        f"{rate(row, 'p_onset_after_right', n='n_right')} of the right ones; paired difference "
        f"{in_points(difference)} points"
    )
    injected = _injected(evidence)
    if injected is None:
        return DETECTS.judge(difference.low > 0, because + "; errors were not injected")
    raised = number(injected, "above_harmless_low")
    because += f"; injected errors raise the family's log-mass by {plain(injected, 'above_harmless')} nats"
    return DETECTS.judge(difference.low > 0 and raised is not None and raised > 0, because)


def _coupling(evidence: Evidence, main: str) -> dict[str, Any] | None:
    """How onsets follow wrong and right steps in the main variant's baseline."""
    table = evidence.table(files.COUPLING)
    if table is None:
        return None
    rows = _baseline_rows(table, main)
    return None if rows.empty else dict(records(rows)[0])


def _coupling_difference(evidence: Evidence, main: str) -> Difference | str:
    """P(onset after a wrong step) minus P(onset after a right one), by problem, or what is missing for it."""
    sums = _steps_by_problem(evidence, main)
    if isinstance(sums, str):
        return sums
    found = paired_difference(*((sums[f"onsets_after_{kind}"], sums[f"steps_{kind}"]) for kind in STEP_KINDS))
    if found.error > 0:
        return found
    return f"problems with both wrong and right checkable steps: {found.problems}, at least 2 needed"


def _rarely_after_steps(evidence: Evidence, main: str) -> str:
    """Why a small difference between onsets after wrong and after right steps shows nothing."""
    sums = _steps_by_problem(evidence, main)
    if isinstance(sums, str):
        return sums
    totals = sums.sum()
    shares = [totals[f"onsets_after_{kind}"] / max(totals[f"steps_{kind}"], 1) for kind in STEP_KINDS]
    return too_low("share of steps with an onset behind them", max(shares), MARGIN)


def _steps_by_problem(evidence: Evidence, main: str) -> pd.DataFrame | str:
    """Checkable steps and the onsets behind them, summed by problem, or what is missing for it."""
    events = evidence.table(files.EVENTS)
    if events is None or "steps_wrong" not in events:
        return f"the steps in {evidence.lack(files.EVENTS)}"
    columns = [f"{what}_{kind}" for what in ("onsets_after", "steps") for kind in STEP_KINDS]
    sums = _baseline_rows(events, main).groupby("example_id")[columns].sum()
    return _silent(evidence, main) or sums


def _injected(evidence: Evidence) -> dict[str, Any] | None:
    """What wrong results put into right completions do to the onset's mass, against harmless rewrites."""
    table = evidence.table(files.INJECTION_SUMMARY)
    if table is None:
        return None
    rows = table[table["kind"] == "any wrong"]
    return None if rows.empty else dict(records(rows)[0])


def _judge_kept(difference: Difference | str) -> Verdict:
    if isinstance(difference, str):
        return KEPT.missing(difference)
    return KEPT.judge(difference.low > -MARGIN, f"accuracy changes by {in_points(difference)} points")


def _judge_helps(evidence: Evidence, main: str) -> Verdict:
    found = _within_problem(evidence, main)
    if found is None:
        return COSTS_ACCURACY.missing(f"{METRICS.file} or events with both kinds of rows within problems")
    high = number(found, "odds_ratio_high")
    if high is None:
        informative = found.get("informative_problems", "an unknown number")
        return COSTS_ACCURACY.missing(
            "an interval of the stratified odds ratio; problems with right and wrong rows both with and "
            f"without an onset: {informative}"
        )
    return COSTS_ACCURACY.judge(high < 1.0, f"stratified odds ratio {plain(found, 'odds_ratio')}")


def _judge_format(evidence: Evidence, main: str) -> Verdict:
    found = _format_changes(evidence, main)
    return FORMAT.missing(found) if isinstance(found, str) else FORMAT.judge(*found)


def _format_changes(evidence: Evidence, main: str) -> tuple[bool, str] | str:
    """Whether some variant differs from the main one, and each difference; or what is missing to say so."""
    table = evidence.table(files.FORMATS)
    if table is None or "backtracking_diff_p_holm" not in table:
        return f"{files.FORMATS.file} with paired differences"
    others = table[table["variant"] != main]
    if others.empty:
        return "a second variant"
    if silent := no_onsets(int(table["backtracking_count"].sum()), int(table["total"].sum())):
        return silent
    if others["backtracking_diff_p_holm"].isna().all():
        return "two problems that the variants share, for a test"
    listed = "; ".join(
        f"{quoted(row['variant'])} {points(row, 'backtracking_diff')} points" for row in records(others)
    )
    return bool((others["backtracking_diff_p_holm"] < LEVEL).any()), listed


def _difference(evidence: Evidence, variant: str, one: str, other: str, what: str) -> Difference | str:
    """The paired difference between two conditions of a variant, or what is missing for it."""
    events = evidence.table(files.EVENTS)
    if events is None:
        return evidence.lack(files.EVENTS)
    rows = events[events["variant"] == variant]
    for condition in (one, other):
        if not (rows["condition"] == condition).any():
            return f"completions of {variant!r} under {condition!r}"
    left, right = (rows[rows["condition"] == condition] for condition in (one, other))
    found = compare(left, right, OUTCOMES[what])
    if found.error > 0:
        return found
    return f"problems shared by {one!r} and {other!r}: {found.problems}, at least 2 needed"


def _baseline_rows(events: pd.DataFrame, variant: str) -> pd.DataFrame:
    return events[(events["variant"] == variant) & (events["condition"] == BASELINE_NAME)]


def _silent(evidence: Evidence, variant: str) -> str:
    """What is missing where the baseline of a variant has no onset; empty where it has, or is not there."""
    events = evidence.table(files.EVENTS)
    if events is None or (rows := _baseline_rows(events, variant)).empty:
        return ""
    return no_onsets(count(rows, OUTCOMES["backtracking"]), len(rows))


def _floor(evidence: Evidence, variant: str, what: str) -> str:
    """Why the baseline's rate cannot show that it stays inside the margin; empty where it can."""
    events = evidence.table(files.EVENTS)
    if events is None or (rows := _baseline_rows(events, variant)).empty:
        return ""
    if what == "accuracy":
        if "finish_reason" not in rows:
            return UNKNOWN_ENDS
        if cut := too_cut("baseline", _cut_share(rows)):
            return cut
    return too_low(what, average(rows, OUTCOMES[what]).value, MARGIN)


def _cut_share(rows: pd.DataFrame) -> float:
    return average(rows, OUTCOMES["truncation"]).value


def _fallen_apart(evidence: Evidence, variant: str) -> str:
    """What is missing when targeted completions do not finish; empty when they do."""
    events = evidence.table(files.EVENTS)
    rows = events if events is None else events[events["variant"] == variant]
    if rows is None or not (targeted := rows[rows["condition"] == "targeted_ablation"]).size:
        return ""
    if "finish_reason" not in targeted:
        return UNKNOWN_ENDS
    if baseline := too_cut("baseline", _cut_share(_baseline_rows(rows, variant))):
        return baseline
    cut = _cut_share(targeted)
    if cut <= MOST_CUT:
        return ""
    return f"targeted completions that finish: {percent(cut)} are cut, so the ablation broke the text itself"


def _standouts(evidence: Evidence) -> Standouts | str:
    """Components that the scan finds above the ensemble in each mode, or what is missing to say so."""
    table, rule = evidence.table(files.IMPORTANCE), evidence.scan_rule
    if table is None:
        return evidence.lack(files.IMPORTANCE)
    parts = _by_whole_removal(evidence.table(files.MODES)) or {"": table}
    if any(f"{rule}_p_holm" not in part or part[f"{rule}_p_holm"].isna().all() for part in parts.values()):
        return f"tests of {rule} against the ensemble in {files.IMPORTANCE.file}"
    return {mode: _above(part, rule) for mode, part in parts.items()}


def _by_whole_removal(modes: pd.DataFrame | None) -> dict[str, pd.DataFrame]:
    """The scan's table for every mode that removes a component whole; `scale` only weakens it."""
    if modes is None or "mode" not in modes:
        return {}
    return {str(mode): part for mode, part in modes.groupby("mode", sort=False) if mode != "scale"}


def _above(part: pd.DataFrame, rule: str) -> list[str]:
    significant = part[part[f"{rule}_p_holm"] < LEVEL].sort_values(rule, ascending=False)
    return [f"{row['component']} {row['layer']}" for row in records(significant)]


def _within_problem(evidence: Evidence, variant: str) -> dict[str, Any] | None:
    part = evidence.data(files.SUMMARY).get("backtracking_vs_accuracy", {})
    row = part.get(variant) if isinstance(part, dict) else None
    return row if isinstance(row, dict) and "odds_ratio" in row else None
