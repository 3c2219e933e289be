"""The claims of Phase 2, with the rules that they are judged by."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from backtracking.artifacts import phase2 as files
from backtracking.claims.audit.check import Check
from backtracking.claims.evidence import Evidence
from backtracking.claims.parts import (
    WORST_FIRST,
    Measured,
    Part,
    above,
    below,
    fact,
    measured,
    missing,
    undecided,
)
from backtracking.claims.verdict import Claim, Verdict, upheld
from backtracking.claims.wording import number, percent, plain, points, quoted, rate, records
from backtracking.measurements.floors import MOST_CUT, NOT_TESTABLE, allowed_loss
from backtracking.measurements.statistics import LEVEL
from backtracking.measurements.tradeoff import DESTRUCTIVE, HELD
from backtracking.run.records import BASELINE_NAME

MIN_REDUCTION, SOME = 0.30, 0.10
"""Shares of the baseline's rate: a substantial reduction, and the least that counts as one at all."""
_RUN = ("rows_cut", "row_keys", "hooks_against_schedule", "arms_without_divergence")
_ACCURACY = ("answers_without_digit", "regrade_disagreement", "gold_in_wrong_answers", "accuracy_at_chance")


def non_destructive(margin: float) -> Claim:
    """The claim that backtracking can be turned down, under a study's own margin."""
    return Claim(
        "turned_down",
        "Backtracking can be turned down without loss of accuracy",
        f"Supported when an intervention lowers backtracking (Holm-corrected p < {LEVEL} over the arms "
        "beside it, interval wholly below zero) while its accuracy is equivalent to the baseline's "
        f"within {margin:.0%} (the whole interval of the paired drop lies inside the margin). Where the "
        "confirmation was run, the arm picked on the search half must pass on the held-out problems, and "
        "nothing else counts. Without a confirmation the verdict rests on the problems that the arm was "
        "picked on, and says so. Contradicted when every arm surely fails: its accuracy surely falls by more "
        "than the margin, or backtracking surely falls by less than {SOME:.0%} of the baseline's. Not "
        f"testable where the baseline has no onset, an accuracy below {2 * margin:.0%}, or more than "
        f"{MOST_CUT:.0%} of its completions cut at the cap.",
        (*_RUN, *_ACCURACY, "winner_unconfirmed", "baselines_disagree"),
    )


SUBSTANTIAL = Claim(
    "substantial",
    "The reduction is substantial",
    f"Supported when the arm that passes the rule above lowers backtracking by at least {MIN_REDUCTION:.0%} "
    "of the baseline rate, on the problems that the rule above was judged on: the whole interval of the "
    "change lies beyond that. Contradicted when it lies wholly short of it. Not testable where no arm "
    "passes.",
    (*_RUN, "winner_unconfirmed"),
)
STEP = Claim(
    "onset_step",
    "At the onset step the intervention acts on the onset rather than everywhere",
    "Supported when, at the strongest scale, the onset token's family loses probability at onsets (paired "
    "interval wholly below zero) and the divergence from the untouched model is larger at onsets than at "
    "matched positions: the difference lies wholly above zero, its error taken from both intervals. "
    "Contradicted when the family surely gains, or the divergence is surely larger at matched positions.",
    ("controls_matched", "bfloat16_divergence"),
)
DESTROYS = Claim(
    "destroys",
    "Full strength destroys the model",
    "Supported when some arm's accuracy falls by more than half of the baseline's: the whole paired interval "
    "lies beyond that. Contradicted when every arm's interval lies short of it.",
    (*_RUN, *_ACCURACY),
)


@dataclass(frozen=True)
class Contest:
    """The interventions that compete, and the problems that their numbers come from."""

    arms: pd.DataFrame
    is_confirmed: bool
    """Only the arm picked on the search half, measured on the held-out problems."""
    untested: str = ""
    """Why none of them could be judged."""

    def winner(self) -> dict[Any, Any] | None:
        """The strongest reduction among those that pass the rule."""
        held = self.arms[self.arms["verdict"] == HELD]
        return None if held.empty else records(held.sort_values("backtracking_diff"))[0]


def verdicts(evidence: Evidence, margin: float, checks: Mapping[str, Check] | None = None) -> list[Verdict]:
    """Every claim of Phase 2, judged, and held against the audit's checks."""
    claim, contest, arms = non_destructive(margin), _contest(evidence), _arms(evidence)
    swept = f"paired differences in {evidence.lack(files.SUBSETS)} or in {files.SCALES.file}"
    lacking = swept if contest is None else contest.untested
    found = [
        claim.missing(lacking)
        if lacking or contest is None
        else _judge_non_destructive(claim, contest, margin),
        SUBSTANTIAL.missing(lacking) if lacking or contest is None else _judge_substantial(contest),
        DESTROYS.missing(swept) if arms is None else _judge_destroys(arms),
        _judge_step(evidence),
    ]
    return upheld(found, checks or {})


def why_untested(arms: pd.DataFrame) -> str:
    """Why no arm could be judged; empty where one could."""
    if arms.empty or "not_testable" not in arms or arms["verdict"].ne(NOT_TESTABLE).any():
        return ""
    return "; ".join(dict.fromkeys(arms["not_testable"].astype(str)))


def _why_no_reduction(arms: pd.DataFrame) -> str:
    """Why no arm's reduction could be judged; that an arm destroys is known without any onset."""
    return why_untested(arms[arms["verdict"] != DESTRUCTIVE])


def _arms(evidence: Evidence) -> pd.DataFrame | None:
    """All arms that were tried, baselines aside."""
    names = (files.SUBSETS, files.SCALES, files.SEARCH)
    usable = [table for table in map(evidence.table, names) if table is not None and "verdict" in table]
    if not usable:
        return None
    arms = pd.concat(usable, ignore_index=True)
    arms = arms[arms["subset_name"] != BASELINE_NAME].drop_duplicates("arm")
    return None if arms.empty else arms


def _contest(evidence: Evidence) -> Contest | None:
    """The confirmation wherever there is one; controls and token suppression are only compared with."""
    confirmed, arms = evidence.table(files.CONFIRMED), _arms(evidence)
    if confirmed is not None:
        winner, searched = confirmed[confirmed["role"] == "winner"], evidence.table(files.CHOICE)
        judged = winner if searched is None or not winner.empty else _interventions(searched)
        return Contest(judged, is_confirmed=not winner.empty, untested=_why_no_reduction(judged))
    if arms is None:
        return None
    return Contest(_interventions(arms), is_confirmed=False, untested=_why_no_reduction(_interventions(arms)))


def _interventions(arms: pd.DataFrame) -> pd.DataFrame:
    return arms[arms["kind"] == "intervention"]


def _judge_non_destructive(claim: Claim, contest: Contest, margin: float) -> Verdict:
    best = contest.winner()
    if best is not None and contest.is_confirmed:
        return claim.judge(fact(True, f"confirmed on held-out problems, {_changes(best)}", **_numbers(best)))
    if best is not None:
        says = f"{_changes(best)} (exploratory: not confirmed on held-out problems)"
        return claim.judge(fact(True, says, **_numbers(best)))
    if contest.arms.empty:
        return claim.missing("an intervention, among the arms that were tried")
    tried = [(row, _passes(row, margin)) for row in records(contest.arms)]
    unsettled = [(row, parts) for row, parts in tried if not any(part.state == "fails" for part in parts)]
    row, parts = min(unsettled or tried, key=lambda one: _problems(one[1]))
    where = "the arm that was picked, on held-out problems" if contest.is_confirmed else "nearest of the arms"
    if unsettled:
        return claim.judge(fact(True, f"{where}: {quoted(row['arm'])}"), *parts)
    if contest.is_confirmed:
        return claim.judge(
            fact(False, f"the arm that was picked fails on held-out problems, {_changes(row)}")
        )
    said = f"none of {len(contest.arms)} interventions passes; {_nearest(contest.arms)}"
    return claim.judge(fact(False, said))


def _passes(row: Mapping[Any, Any], margin: float) -> list[Part]:
    """Both halves of the rule for an arm that does not pass: backtracking falls, and accuracy is held."""
    if row["verdict"] == DESTRUCTIVE:
        return [fact(False, f"destructive, {_changes(row)}")]
    found = {
        what: measured(row, f"{what}_diff", number(row, "problems")) for what in ("backtracking", "accuracy")
    }
    fallen, kept = found["backtracking"], found["accuracy"]
    if fallen is None or kept is None:
        return [missing("paired differences with intervals")]
    base = (number(row, "accuracy") or 0.0) - kept.value
    parts = [
        _falls(row, fallen),
        above(
            "accuracy_change",
            kept,
            -allowed_loss(margin, base),
            f"accuracy {points(row, 'accuracy_diff')} points",
        ),
    ]
    corrected = undecided("not significant once corrected for the number of arms")
    return parts if any(part.state != "holds" for part in parts) else [*parts, corrected]


def _falls(row: Mapping[Any, Any], change: Measured) -> Part:
    """Whether backtracking falls; it does not where it surely falls by less than what counts."""
    says = f"backtracking {points(row, 'backtracking_diff')} points"
    part = below("backtracking_change", change, 0.0, says)
    counts = SOME * ((number(row, "backtracking_rate") or 0.0) - change.value)
    return Part("fails", says, part.numbers) if change.low > -counts else part


def _problems(parts: list[Part]) -> float:
    return max((part.deciding for part in parts if part.state == "open"), default=0.0)


def _numbers(row: Mapping[Any, Any]) -> dict[str, float | str]:
    names = [f"{what}_diff{end}" for what in ("backtracking", "accuracy") for end in ("", "_low", "_high")]
    known = {name: number(row, name) for name in (*names, "backtracking_diff_p_holm", "problems")}
    return {"arm": str(row["arm"]), **{name: value for name, value in known.items() if value is not None}}


def _nearest(interventions: pd.DataFrame) -> str:
    """What the least damaging of the reducing arms does."""
    reducing = interventions[interventions["backtracking_diff"] < 0]
    if reducing.empty:
        return "none lowers backtracking"
    return f"nearest is {_changes(records(reducing.sort_values('accuracy_diff', ascending=False))[0])}"


def _changes(row: Mapping[Any, Any]) -> str:
    return (
        f"{quoted(row['arm'])}: backtracking {points(row, 'backtracking_diff')} points, accuracy "
        f"{points(row, 'accuracy_diff')} points"
    )


def _judge_substantial(contest: Contest) -> Verdict:
    row = contest.winner()
    if row is None:
        return SUBSTANTIAL.missing("an arm that passes the rule above")
    change = measured(row, "backtracking_diff", number(row, "problems"))
    if change is None:
        return SUBSTANTIAL.missing("the interval of the change in backtracking")
    base = (number(row, "backtracking_rate") or 0.0) - change.value
    share = -change.value / base if base else 0.0
    says = (
        f"{quoted(row['arm'])} removes {percent(share)} of the baseline rate: "
        f"{points(row, 'backtracking_diff')} points, {-100 * MIN_REDUCTION * base:+.1f} asked"
    )
    return SUBSTANTIAL.judge(below("backtracking_change", change, -MIN_REDUCTION * base, says))


def _judge_destroys(arms: pd.DataFrame) -> Verdict:
    if untested := why_untested(arms):
        return DESTROYS.missing(untested)
    judged = arms[arms["verdict"] != NOT_TESTABLE]
    parts = [(row, part) for row in records(judged) if (part := _half_lost(row)) is not None]
    if not parts:
        return DESTROYS.missing("an interval of the change in accuracy")
    _, worst = min(
        parts, key=lambda one: (-WORST_FIRST.index(one[1].state), number(one[0], "accuracy_diff") or 0.0)
    )
    if worst.state != "fails":
        return DESTROYS.judge(worst)
    said = f"none of the {len(parts)} arms that could be judged loses more than half of the accuracy"
    return DESTROYS.judge(Part("fails", said, worst.numbers))


def _half_lost(row: Mapping[Any, Any]) -> Part | None:
    change = measured(row, "accuracy_diff", number(row, "problems"))
    if change is None:
        return None
    base = (number(row, "accuracy") or 0.0) - change.value
    says = (
        f"{quoted(row['arm'])}: accuracy {rate(row, 'accuracy')}, {points(row, 'accuracy_diff')} points; cut "
        f"at the cap {rate(row, 'truncation_rate', n=None)}"
    )
    return below("accuracy_change", change, -base / 2, says)


def _judge_step(evidence: Evidence) -> Verdict:
    summary = evidence.table(files.STEP_SUMMARY)
    if summary is None:
        return STEP.missing(evidence.lack(files.STEP_SUMMARY))
    strongest = summary[summary["scale"] == summary["scale"].min()].set_index("position_kind")
    if not {"onset", "control"} <= set(strongest.index):
        return STEP.missing("matched control positions")
    onset, control = (strongest.loc[kind].to_dict() for kind in ("onset", "control"))
    change = measured(onset, "family_change", number(onset, "n"))
    if change is None:
        return STEP.missing("an interval of the change of the family's probability (too few problems)")
    says = (
        f"at scale {summary['scale'].min():g} the family's probability changes by "
        f"{points(onset, 'family_change')} points at onsets"
    )
    return STEP.judge(below("family_change", change, 0.0, says), _more_at_onsets(onset, control))


def _more_at_onsets(onset: Mapping[Any, Any], control: Mapping[Any, Any]) -> Part:
    """Whether the divergence is larger at onsets; the difference's error is the root of both squares."""
    here, there = (measured(row, "kl", number(row, "n")) for row in (onset, control))
    if here is None or there is None:
        return missing("intervals of the divergence")
    says = f"KL {plain(onset, 'kl')} nats there, {plain(control, 'kl')} at matched positions"
    reach_low = ((here.value - here.low) ** 2 + (there.high - there.value) ** 2) ** 0.5
    reach_high = ((here.high - here.value) ** 2 + (there.value - there.low) ** 2) ** 0.5
    gap = here.value - there.value
    found = Measured(gap, gap - reach_low, gap + reach_high, min(here.problems, there.problems))
    return above("kl_difference", found, 0.0, says)
