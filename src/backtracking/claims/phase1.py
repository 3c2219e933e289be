"""The claims of Phase 1, with the rules that they are judged by."""

import math
from collections.abc import Mapping
from typing import Any

from backtracking.artifacts import phase1 as files
from backtracking.artifacts import readings
from backtracking.artifacts.phase2 import METRICS
from backtracking.claims import completions
from backtracking.claims.audit.check import Check
from backtracking.claims.completions import MARGIN, SMALLEST_EFFECT, TARGETED
from backtracking.claims.evidence import Evidence
from backtracking.claims.formatting import judge_formatting
from backtracking.claims.localisation import judge_localisation
from backtracking.claims.parts import TableEstimate, above, below, measured_cell, missing
from backtracking.claims.verdict import Claim, Verdict, upheld
from backtracking.claims.wording import as_points, in_points, lines_of, number, percent, plainly
from backtracking.measurements.floors import too_low
from backtracking.run.records import BASELINE_NAME

NO_DOSES = missing(
    "the same components at three or more strengths (phase2-scale-sweep; the Phase 2 report judges H1 with "
    "them)"
)

DETECTS = Claim(
    "error_detection",
    "Onsets are error detection",
    f"Supported when an onset is likelier by more than {as_points(MARGIN)} after a wrong checkable step than "
    "after a right one: the whole interval of the difference, paired by problem, lies above that; and, where "
    "errors were injected into right completions, they raise the onset's log-mass by more than "
    f"{SMALLEST_EFFECT} nats beyond what harmless rewrites do. Contradicted when one of the two surely falls "
    f"short. Not testable where onsets follow fewer than {2 * MARGIN:.0%} of the steps of either kind.",
    ("common_trigger_words", "row_keys"),
    "Which errors were made is no accident, so the link in the model's own text may have a common cause: the "
    "injected errors are the stronger half. Five points and a tenth of a nat are conventions.",
)
KEPT = Claim(
    "accuracy_intact",
    "The targeted ablation leaves accuracy intact",
    f"Supported when the whole interval of the paired change in accuracy lies above minus what may be lost "
    f"({as_points(MARGIN)}, and no more than a quarter of the baseline's accuracy), and the share of "
    f"completions that do not end by themselves rises by less than {as_points(MARGIN)}: degeneration is "
    "loss. Contradicted when one of the two lies wholly beyond. A difference that is merely not significant "
    f"does not count. Not testable where the baseline's accuracy is below {2 * MARGIN:.0%} or most of its "
    "completions are cut.",
    (
        "rows_cut",
        "answers_without_digit",
        "regrade_disagreement",
        "gold_in_wrong_answers",
        "accuracy_at_chance",
    ),
    "The margin is a convention. Accuracy counts an unanswered completion as wrong.",
)
COSTS_ACCURACY = Claim(
    "costs_accuracy",
    "Backtracking goes with lower accuracy within a problem",
    "Supported when the odds ratio of a right answer, backtracking against not, stratified by problem, has "
    "an interval wholly below 1; contradicted when it lies wholly above. This is an association: hard "
    "attempts both go wrong and are questioned.",
    ("regrade_disagreement", "gold_in_wrong_answers", "accuracy_at_chance"),
    "An association within problems is no effect of backtracking on the answer: a hard attempt has both.",
)


def phase1_verdicts(
    evidence: Evidence, main: str, checks: Mapping[str, Check] | None = None
) -> list[Verdict]:
    """Every claim of Phase 1, judged, and held against the audit's checks."""
    judged = [
        *judge_localisation(evidence, main, NO_DOSES),
        _judge_detects(evidence, main),
        *judge_formatting(evidence, main),
        _judge_kept(evidence, main),
        _judge_costs(evidence, main),
    ]
    return upheld(judged, checks or {})


def _judge_detects(evidence: Evidence, main: str) -> Verdict:
    sums = completions.steps_by_problem(evidence, main)
    if isinstance(sums, str):
        return DETECTS.missing(sums)
    gap = completions.clear(
        completions.after_wrong_minus_right(sums), "problems with both wrong and right checkable steps"
    )
    if isinstance(gap, str):
        return DETECTS.missing(gap)
    wrong, right = (
        sums[f"onsets_after_{kind}"].sum() / sums[f"steps_{kind}"].sum() for kind in completions.STEP_KINDS
    )
    if rare := too_low("share of steps with an onset behind them", max(wrong, right), MARGIN):
        return DETECTS.missing(rare)
    says = (
        f"an onset follows {percent(wrong)} of the wrong steps and {percent(right)} of the right ones; "
        f"paired difference {in_points(gap)} points"
    )
    coupled = above("after_wrong_minus_right", gap, MARGIN, says)
    injected = _injected(evidence)
    if injected is None:
        return DETECTS.judge(coupled)
    rise = measured_cell(injected, "above_harmless", number(injected, "problems") or number(injected, "n"))
    if rise is None:
        return DETECTS.judge(
            coupled, missing("an interval of what injected errors do beyond harmless rewrites")
        )
    raised = f"injected errors raise the onset's log-mass by {plainly(injected, 'above_harmless')} nats"
    return DETECTS.judge(coupled, above("raised_by_errors", rise, SMALLEST_EFFECT, raised))


def _injected(evidence: Evidence) -> dict[str, Any] | None:
    """What wrong results put into right completions do to the onset's mass, against harmless rewrites."""
    table = evidence.table(readings.INJECTION_SUMMARY)
    rows = table if table is None else table[table["kind"] == "any wrong"]
    return None if rows is None or rows.empty else dict(lines_of(rows)[0])


def _judge_kept(evidence: Evidence, main: str) -> Verdict:
    lacks = completions.lacking(evidence, main, TARGETED, BASELINE_NAME)
    targeted, baseline = (
        completions.completions_of(evidence, main, name) for name in (TARGETED, BASELINE_NAME)
    )
    sound = missing(lacks) if lacks else completions.sound_text(targeted, baseline)
    if why := lacks or completions.floor(evidence, main, "accuracy"):
        return KEPT.judge(missing(why), sound)
    return KEPT.judge(completions.held_accuracy("accuracy_change", targeted, baseline, "accuracy"), sound)


def _judge_costs(evidence: Evidence, main: str) -> Verdict:
    part = evidence.data(files.SUMMARY).get("backtracking_vs_accuracy", {})
    row = part.get(main) if isinstance(part, dict) else None
    if not isinstance(row, dict) or "odds_ratio" not in row:
        return COSTS_ACCURACY.missing(
            f"{METRICS.file} or events with completions of both kinds within problems"
        )
    informative = row.get("informative_problems")
    odds = measured_cell(row, "odds_ratio", informative)
    if odds is None:
        return COSTS_ACCURACY.missing(
            "an interval of the stratified odds ratio; problems with right and wrong completions, each "
            f"with and without an onset: {'an unknown number' if informative is None else informative}"
        )
    return COSTS_ACCURACY.judge(
        below(
            "log_odds_ratio",
            _logarithm(odds),
            0.0,
            f"stratified odds ratio {plainly(row, 'odds_ratio')}",
        )
    )


def _logarithm(odds: TableEstimate) -> TableEstimate:
    return TableEstimate(math.log(odds.value), math.log(odds.low), math.log(odds.high), odds.problems)
