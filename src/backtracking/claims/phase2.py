"""The claims of Phase 2, with the rules that they are judged by."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from backtracking.artifacts import phase2 as files
from backtracking.claims.audit.check import Check
from backtracking.claims.completions import MARGIN, SMALLEST_EFFECT
from backtracking.claims.doses import dose_part
from backtracking.claims.evidence import Evidence
from backtracking.claims.localisation import judge_localisation
from backtracking.claims.parts import WORST_FIRST, Part, TableEstimate, above, below, measured_cell, missing
from backtracking.claims.reduction import ACCURACY_CHECKS, RUN_CHECKS, all_arms, judge_reduction
from backtracking.claims.verdict import Claim, Verdict, upheld
from backtracking.claims.wording import (
    as_points,
    lines_of,
    number,
    plainly,
    points,
    quoted,
    rate_text,
)
from backtracking.measurements.floors import MOST_CUT, NOT_TESTABLE, but_for_onsets

STEP = Claim(
    "onset_step",
    "At the onset step the intervention acts on the onset rather than everywhere",
    "Supported when, at the strongest scale, the onset token's family loses more than "
    f"{as_points(MARGIN)} of probability at onsets (the whole paired interval) and the divergence from the "
    f"untouched model is larger at onsets than at matched positions by more than {SMALLEST_EFFECT} nats: the "
    "whole difference lies above that, its error taken from both intervals. Contradicted when one of the two "
    "surely stays short of it.",
    ("controls_matched", "bfloat16_divergence"),
    "KL at matched positions depends on how likely an onset was there at all: positions with more to lose "
    "can diverge more. Five points and a tenth of a nat are conventions; without them a change of a fifth "
    "of a point would count where positions are so alike that intervals have no width.",
)
DESTROYS = Claim(
    "destroys",
    "Full strength destroys the model",
    "Supported when some arm loses more than half of the baseline's accuracy, the whole paired interval "
    "beyond that, or when the share of cut, looping or empty completions surely rises by "
    f"{as_points(MOST_CUT)}. Contradicted when every arm surely stays short of both.",
    (*RUN_CHECKS, *ACCURACY_CHECKS),
    "One half is a convention. An arm may be named that nobody would use.",
)


def phase2_verdicts(
    evidence: Evidence,
    margin: float,
    checks: Mapping[str, Check] | None = None,
    phase1: tuple[Evidence, str] | None = None,
) -> list[Verdict]:
    """Every claim of Phase 2, judged, and held against the audit's checks.

    With the Phase 1 run and its main variant, H1 is judged here as a whole: the doses are Phase 2's.
    """
    arms = all_arms(evidence)
    swept = (
        evidence.why_not_made(files.SUBSETS)
        or f"paired differences in {evidence.lack(files.SUBSETS)} or in {files.SCALES.file}"
    )
    judged = [
        *judge_reduction(evidence, margin, arms, swept),
        DESTROYS.missing(swept) if arms is None else _judge_destroys(arms),
        _judge_step(evidence),
    ]
    if phase1 is not None:
        judged.insert(0, judge_localisation(*phase1, dose_part(evidence, phase1[0]))[0])
    return upheld(judged, checks or {})


def _judge_destroys(arms: pd.DataFrame) -> Verdict:
    reasons = arms.get("not_testable", pd.Series("not known why", arms.index)).astype(object).fillna("")
    reasons = reasons.map(but_for_onsets)
    judged = arms[arms["verdict"].ne(NOT_TESTABLE) | reasons.eq("")]
    if judged.empty:
        return DESTROYS.missing("; ".join(dict.fromkeys(reasons)))
    parts = [
        part for row in lines_of(judged) for part in (_half_lost(row), *_text_lost(row)) if part is not None
    ]
    if not parts:
        return DESTROYS.missing("an interval of the change in accuracy")
    worst = max(parts, key=lambda part: (WORST_FIRST.index(part.state), float(part.numbers["loss"])))
    if worst.state != "fails":
        return DESTROYS.judge(worst)
    said = f"none of the {len(judged)} arms that could be judged loses half of the accuracy or of the text"
    return DESTROYS.judge(Part("fails", said, worst.numbers))


def _half_lost(row: Mapping[Any, Any]) -> Part | None:
    """Whether an arm loses more than half of the accuracy."""
    change = measured_cell(row, "accuracy_diff", number(row, "problems"))
    base = (number(row, "accuracy") or 0.0) - (change.value if change else 0.0)
    if change is None or not base > 0:
        return None
    says = (
        f"{quoted(row['arm'])}: accuracy {rate_text(row, 'accuracy')}, {points(row, 'accuracy_diff')} "
        f"points; cut at the cap {rate_text(row, 'truncation_rate', n=None)}"
    )
    return _with_loss(below("accuracy_change", change, -base / 2, says), -change.value / base)


def _text_lost(row: Mapping[Any, Any]) -> list[Part]:
    """Whether more than half of an arm's completions fall apart where the baseline's do not."""
    changes = {
        what: measured_cell(row, f"{what}_diff", number(row, "problems"))
        for what in ("truncation", "loop", "empty")
    }
    return [
        _with_loss(
            above(
                f"{what}_change",
                change,
                MOST_CUT,
                f"{quoted(row['arm'])}: {what} {points(row, f'{what}_diff')} points",
            ),
            change.value,
        )
        for what, change in changes.items()
        if change is not None
    ]


def _with_loss(part: Part, loss: float) -> Part:
    return Part(part.state, part.says, dict(part.numbers) | {"loss": loss}, part.deciding)


def _judge_step(evidence: Evidence) -> Verdict:
    summary = evidence.table(files.STEP_SUMMARY)
    if summary is None:
        return STEP.missing(evidence.lack(files.STEP_SUMMARY))
    strongest = summary[summary["scale"] == summary["scale"].min()].set_index("position_kind")
    if not {"onset", "control"} <= set(strongest.index):
        return STEP.missing("matched control positions")
    onset, control = (strongest.loc[kind].to_dict() for kind in ("onset", "control"))
    change = measured_cell(onset, "family_change", _problems(onset))
    if change is None:
        return STEP.missing("an interval of the change of the family's probability (too few problems)")
    says = (
        f"at scale {summary['scale'].min():g} the family's probability changes by "
        f"{points(onset, 'family_change')} points at onsets"
    )
    return STEP.judge(below("family_change", change, -MARGIN, says), _more_at_onsets(onset, control))


def _problems(row: Mapping[Any, Any]) -> float | None:
    """How many problems the positions come from; tables of earlier versions count positions alone."""
    return number(row, "problems") or number(row, "n")


def _more_at_onsets(onset: Mapping[Any, Any], control: Mapping[Any, Any]) -> Part:
    """Whether the divergence is larger at onsets; the difference's error is the root of both squares."""
    here, there = (measured_cell(row, "kl", _problems(row)) for row in (onset, control))
    if here is None or there is None:
        return missing("intervals of the divergence")
    says = f"KL {plainly(onset, 'kl')} nats there, {plainly(control, 'kl')} at matched positions"
    reach_low = ((here.value - here.low) ** 2 + (there.high - there.value) ** 2) ** 0.5
    reach_high = ((here.high - here.value) ** 2 + (there.value - there.low) ** 2) ** 0.5
    gap = here.value - there.value
    excess = TableEstimate(gap, gap - reach_low, gap + reach_high, min(here.problems, there.problems))
    return above("kl_difference", excess, SMALLEST_EFFECT, says)
