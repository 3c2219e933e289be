"""The claims of Phase 1, with the rules that they are judged by."""

from typing import Any

from backtracking.measurements.comparison import OUTCOMES, compare
from backtracking.measurements.statistics import Difference, paired_difference
from backtracking.reports.document import quoted
from backtracking.reports.evidence import Evidence
from backtracking.reports.numbers import in_points, number, percent, plain, points, rate, records
from backtracking.reports.verdicts import Claim, Verdict
from backtracking.run.records import BASELINE_NAME

MARGIN = 0.05
LEVEL = 0.05
MOST = 0.5

H1 = Claim(
    "H1: a few components write the onset",
    "Supported when the ablation scan finds at least one component clearly above the ensemble of all, by "
    "the scan's rule (Holm-corrected p < 0.05), and regeneration with the selected components ablated "
    "backtracks less than regeneration with as many random ones, and less than the baseline (random "
    "ablation makes errors, and with them onsets): both paired differences by problem lie wholly below zero. "
    "Where most targeted completions are cut at the cap, the text has fallen apart and fewer onsets in it "
    "say nothing about where onsets come from: then it cannot be judged.",
)
H0 = Claim(
    "H0: there is no localised mechanism",
    "Supported when no component stands out of the scan (Holm-corrected p ≥ 0.05 for all) and targeted "
    f"and random ablation differ by less than {MARGIN:.0%} in backtracking: the paired difference lies "
    "wholly inside that margin.",
)
H2 = Claim(
    "H2: onsets follow formatting rather than errors",
    "Supported when some variant's paired difference to the main variant, by problem, has a Holm-corrected "
    "p < 0.05, while an onset is hardly likelier after a wrong checkable step than after a right one: the "
    f"difference, paired by problem, lies wholly below {MARGIN:.0%}.",
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
    "95% interval lies inside the margin. A difference that is merely not significant does not count.",
)
HELPS = Claim(
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
    broken = _fallen_apart(evidence, main)
    against_random, against_baseline = (
        broken or _difference(evidence, main, "targeted_ablation", other, "backtracking")
        for other in ("random_ablation", "baseline")
    )
    accuracy = _difference(evidence, main, "targeted_ablation", "baseline", "accuracy")
    standouts = _standouts(evidence)
    return [
        _judge_h1(standouts, against_random, against_baseline),
        _judge_h0(standouts, against_random),
        _judge_h2(evidence, main),
        _judge_detects(evidence, main),
        _judge_kept(accuracy),
        _judge_helps(evidence, main),
        _judge_format(evidence, main),
    ]


def _judge_h1(
    standouts: list[str] | str, against_random: Difference | str, against_baseline: Difference | str
) -> Verdict:
    if isinstance(standouts, str):
        return H1.missing(standouts)
    if isinstance(against_random, str):
        return H1.missing(against_random)
    if isinstance(against_baseline, str):
        return H1.missing(against_baseline)
    because = (
        f"stand out of the scan: {', '.join(standouts) or 'none'}; targeted minus random: "
        f"{in_points(against_random)} points of backtracking; targeted minus baseline: "
        f"{in_points(against_baseline)} points"
    )
    return H1.judge(bool(standouts) and against_random.high < 0 and against_baseline.high < 0, because)


def _judge_h0(standouts: list[str] | str, difference: Difference | str) -> Verdict:
    if isinstance(standouts, str):
        return H0.missing(standouts)
    if isinstance(difference, str):
        return H0.missing(difference)
    inside = difference.low > -MARGIN and difference.high < MARGIN
    because = (
        f"{len(standouts)} stand out; targeted minus random: {in_points(difference)} points of backtracking"
    )
    return H0.judge(not standouts and inside, because)


def _judge_h2(evidence: Evidence, main: str) -> Verdict:
    formats, difference = _format_changes(evidence, main), _coupling_difference(evidence, main)
    if isinstance(formats, str):
        return H2.missing(formats)
    if isinstance(difference, str):
        return H2.missing(difference)
    changed, listed = formats
    because = f"{listed}; after a wrong step an onset is {in_points(difference)} points likelier"
    return H2.judge(changed and difference.high < MARGIN, because)


def _judge_detects(evidence: Evidence, main: str) -> Verdict:
    row, difference = _coupling(evidence, main), _coupling_difference(evidence, main)
    if isinstance(difference, str):
        return DETECTS.missing(difference)
    if row is None:
        return DETECTS.missing("error_coupling.csv (made by detect-events)")
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
    table = evidence.table("error_coupling.csv")
    if table is None:
        return None
    rows = table[(table["variant"] == main) & (table["condition"] == BASELINE_NAME)]
    return None if rows.empty else dict(records(rows)[0])


def _coupling_difference(evidence: Evidence, main: str) -> Difference | str:
    """P(onset after a wrong step) minus P(onset after a right one), by problem, or what is missing for it."""
    events = evidence.table("backtracking_events.csv")
    if events is None or "steps_wrong" not in events:
        return "the steps in backtracking_events.csv (made by detect-events)"
    rows = events[(events["variant"] == main) & (events["condition"] == BASELINE_NAME)]
    columns = ["onsets_after_wrong", "steps_wrong", "onsets_after_right", "steps_right"]
    sums = rows.groupby("example_id")[columns].sum()
    after_wrong, wrong, after_right, right = (sums[name].to_numpy(dtype=float) for name in columns)
    found = paired_difference((after_wrong, wrong), (after_right, right))
    return found if found.error > 0 else "two problems with both wrong and right checkable steps"


def _injected(evidence: Evidence) -> dict[str, Any] | None:
    """What wrong results put into right completions do to the onset's mass, against harmless rewrites."""
    table = evidence.table("error_injection_summary.csv")
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
        return HELPS.missing("metrics_v2.json or events with both kinds of rows within problems")
    high = number(found, "odds_ratio_high")
    if high is None:
        return HELPS.missing("an interval of the stratified odds ratio")
    return HELPS.judge(high < 1.0, f"stratified odds ratio {plain(found, 'odds_ratio')}")


def _judge_format(evidence: Evidence, main: str) -> Verdict:
    found = _format_changes(evidence, main)
    return FORMAT.missing(found) if isinstance(found, str) else FORMAT.judge(*found)


def _format_changes(evidence: Evidence, main: str) -> tuple[bool, str] | str:
    """Whether some variant differs from the main one, and each difference; or what is missing to say so."""
    table = evidence.table("formatting_summary.csv")
    if table is None or "backtracking_diff_p_holm" not in table:
        return "formatting_summary.csv with paired differences"
    others = table[table["variant"] != main]
    if others.empty:
        return "a second variant"
    listed = "; ".join(
        f"{quoted(row['variant'])} {points(row, 'backtracking_diff')} points" for row in records(others)
    )
    return bool((others["backtracking_diff_p_holm"] < LEVEL).any()), listed


def _difference(evidence: Evidence, variant: str, one: str, other: str, what: str) -> Difference | str:
    """The paired difference between two conditions of a variant, or what is missing for it."""
    events = evidence.table("backtracking_events.csv")
    if events is None:
        return "backtracking_events.csv (made by detect-events)"
    rows = events[events["variant"] == variant]
    for condition in (one, other):
        if not (rows["condition"] == condition).any():
            return f"completions of {variant!r} under {condition!r}"
    left, right = (rows[rows["condition"] == condition] for condition in (one, other))
    found = compare(left, right, OUTCOMES[what])
    return found if found.error > 0 else f"enough problems shared by {one!r} and {other!r}"


def _fallen_apart(evidence: Evidence, variant: str) -> str:
    """What is missing when targeted completions do not finish; empty when they do."""
    events = evidence.table("backtracking_events.csv")
    rows = events if events is None else events[events["variant"] == variant]
    if rows is None or not (targeted := rows[rows["condition"] == "targeted_ablation"]).size:
        return ""
    if "finish_reason" not in targeted:
        return "how completions ended (the events table does not say whether they were cut at the cap)"
    cut = float(targeted["finish_reason"].ne("stop").mean())
    if cut <= MOST:
        return ""
    return f"targeted completions that finish: {percent(cut)} are cut, so the ablation broke the text itself"


def _standouts(evidence: Evidence) -> list[str] | str:
    """Components that the scan finds above the ensemble, or what is missing to say so."""
    table, rule = evidence.table("ablation_importance.csv"), evidence.scan_rule
    if table is None:
        return "ablation_importance.csv (made by ablation-scan)"
    if f"{rule}_p_holm" not in table or table[f"{rule}_p_holm"].isna().all():
        return f"tests of {rule} against the ensemble in ablation_importance.csv"
    found = table[table[f"{rule}_p_holm"] < LEVEL].sort_values(rule, ascending=False)
    return [f"{row['component']} {row['layer']}" for row in records(found)]


def _within_problem(evidence: Evidence, variant: str) -> dict[str, Any] | None:
    part = evidence.data("summary_metrics.json").get("backtracking_vs_accuracy", {})
    row = part.get(variant) if isinstance(part, dict) else None
    return row if isinstance(row, dict) and "odds_ratio" in row else None
