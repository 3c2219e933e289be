"""Claims about turning backtracking down: can it be done without loss, and by how much."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from backtracking.artifacts import phase2 as files
from backtracking.claims.evidence import Evidence
from backtracking.claims.parts import Measured, Part, above, below, fact, measured, missing, undecided
from backtracking.claims.verdict import Claim, Verdict
from backtracking.claims.wording import number, percent, points, quoted, records
from backtracking.measurements.floors import MOST_CUT, NOT_TESTABLE, allowed_loss
from backtracking.measurements.metrics import Metric
from backtracking.measurements.outcome import judged_on
from backtracking.measurements.statistics import LEVEL
from backtracking.measurements.tradeoff import DESTRUCTIVE, HELD
from backtracking.run.records import BASELINE_NAME

MIN_REDUCTION, SOME = 0.30, 0.10
"""Shares of the baseline's rate: a substantial reduction, and the least that counts as one at all."""
RUN_CHECKS = ("rows_cut", "row_keys", "hooks_against_schedule", "arms_without_divergence")
ACCURACY_CHECKS = (
    "answers_without_digit",
    "regrade_disagreement",
    "gold_in_wrong_answers",
    "accuracy_at_chance",
)


def turned_down(margin: float) -> Claim:
    """The claim that backtracking can be turned down, under a study's own margin."""
    return Claim(
        "turned_down",
        "Backtracking can be turned down without loss of accuracy",
        f"Supported when an intervention lowers the outcome (Holm-corrected p < {LEVEL} over the arms beside "
        "it, interval wholly below zero) while its accuracy is held: the whole interval of the paired change "
        f"lies above minus what may be lost ({margin:.0%}, and no more than a quarter of the baseline's "
        "accuracy), and cut, looping and empty completions do not surely become more by that margin. The "
        "outcome is P(onset | fresh wrong step) where steps can be checked, else the share of completions "
        "with an onset, and the verdict says which. Where the confirmation was run, the arm picked on the "
        "search half must pass on the held-out problems, and nothing else counts; without one the verdict "
        "rests on the problems that the arm was picked on, and says so. Contradicted when every arm surely "
        "fails: it loses more than may be lost, breaks the text, or lowers the outcome by less than "
        f"{SOME:.0%} of the baseline's. Not testable where the baseline has no onset, an accuracy below "
        f"{2 * margin:.0%}, or more than {MOST_CUT:.0%} of its completions cut at the cap.",
        (*RUN_CHECKS, *ACCURACY_CHECKS, "winner_unconfirmed", "baselines_disagree"),
        "The margin and the confirmed arm's freedom (which arms were tried) are the study's. P(onset | fresh "
        "wrong step) conditions on steps that the arm itself makes wrong.",
    )


SUBSTANTIAL = Claim(
    "substantial",
    "The reduction is substantial",
    "Supported when the arm that passes the rule above lowers the same outcome by at least "
    f"{MIN_REDUCTION:.0%} of the baseline's, on the problems that the rule above was judged on: the whole "
    "interval of the change lies beyond that. Contradicted when it lies wholly short of it. Not testable "
    "where no arm passes.",
    (*RUN_CHECKS, "winner_unconfirmed"),
    "Three tenths is a convention, and the arm was picked for being strongest (which the held-out problems "
    "mend).",
)


@dataclass(frozen=True)
class Tried:
    """One arm, read by the outcome that its table was judged on."""

    row: Mapping[Any, Any]
    outcome: Metric

    @property
    def name(self) -> str:
        return quoted(self.row["arm"])

    @property
    def change(self) -> Measured | None:
        return self.difference(self.outcome.outcome)

    def difference(self, what: str) -> Measured | None:
        """A paired difference to the baseline."""
        return measured(self.row, f"{what}_diff", number(self.row, "problems"))

    def before(self, column: str, change: Measured) -> float:
        """What the baseline has, by the arm's own value and its difference."""
        return (number(self.row, column) or 0.0) - change.value

    @property
    def falls_by(self) -> str:
        return f"{self.outcome.label} {points(self.row, f'{self.outcome.outcome}_diff')} points"

    @property
    def accuracy_by(self) -> str:
        return f"accuracy {points(self.row, 'accuracy_diff')} points"

    def __str__(self) -> str:
        return f"{self.name}: {self.falls_by}, {self.accuracy_by}"

    def numbers(self) -> dict[str, float | str]:
        """What the rule looked at."""
        names = [
            f"{what}_diff{end}"
            for what in (self.outcome.outcome, "accuracy")
            for end in ("", "_low", "_high")
        ]
        known = {name: number(self.row, name) for name in (*names, "problems")}
        return {
            "arm": str(self.row["arm"]),
            **{name: value for name, value in known.items() if value is not None},
        }


@dataclass(frozen=True)
class Contest:
    """The interventions that compete, and the problems that their numbers come from."""

    arms: pd.DataFrame
    is_confirmed: bool
    """Only the arm picked on the search half, measured on the held-out problems."""
    untested: str = ""
    """Why none of them could be judged."""

    @property
    def tried(self) -> list[Tried]:
        outcome = judged_on(self.arms)
        return [Tried(row, outcome) for row in records(self.arms)]

    def winner(self) -> Tried | None:
        """The strongest reduction among those that pass the rule."""
        held = [arm for arm in self.tried if arm.row["verdict"] == HELD]
        return min(held, key=lambda arm: number(arm.row, f"{arm.outcome.outcome}_diff") or 0.0, default=None)


def judge(evidence: Evidence, margin: float, arms: pd.DataFrame | None, swept: str) -> list[Verdict]:
    """Whether backtracking can be turned down, and by how much; `swept`: what is missing without any arm."""
    claim, contest = turned_down(margin), _contest(evidence, arms)
    lacking = swept if contest is None else contest.untested
    if contest is None or lacking:
        return [claim.missing(lacking), SUBSTANTIAL.missing(lacking)]
    return [_judge_turned_down(claim, contest, margin), _judge_substantial(contest)]


def all_arms(evidence: Evidence) -> pd.DataFrame | None:
    """All arms that were tried, baselines aside."""
    names = (files.SUBSETS, files.SCALES, files.SEARCH)
    usable = [table for table in map(evidence.table, names) if table is not None and "verdict" in table]
    if not usable:
        return None
    arms = pd.concat(usable, ignore_index=True)
    arms = arms[arms["subset_name"] != BASELINE_NAME].drop_duplicates("arm")
    return None if arms.empty else arms


def why_untested(arms: pd.DataFrame) -> str:
    """Why no arm could be judged; empty where one could."""
    if arms.empty or "not_testable" not in arms or arms["verdict"].ne(NOT_TESTABLE).any():
        return ""
    return "; ".join(dict.fromkeys(arms["not_testable"].astype(str)))


def _contest(evidence: Evidence, arms: pd.DataFrame | None) -> Contest | None:
    """The confirmation wherever there is one; controls and token suppression are only compared with."""
    confirmed = evidence.table(files.CONFIRMED)
    if confirmed is not None:
        winner, searched = confirmed[confirmed["role"] == "winner"], evidence.table(files.CHOICE)
        judged = winner if searched is None or not winner.empty else _interventions(searched)
        return Contest(judged, is_confirmed=not winner.empty, untested=_why_no_reduction(judged))
    if arms is None:
        return None
    return Contest(_interventions(arms), is_confirmed=False, untested=_why_no_reduction(_interventions(arms)))


def _interventions(arms: pd.DataFrame) -> pd.DataFrame:
    return arms[arms["kind"] == "intervention"]


def _why_no_reduction(arms: pd.DataFrame) -> str:
    """Why no arm's reduction could be judged; that an arm destroys is known without any onset."""
    return why_untested(arms[arms["verdict"] != DESTRUCTIVE])


def _judge_turned_down(claim: Claim, contest: Contest, margin: float) -> Verdict:
    best, tried = contest.winner(), contest.tried
    if best is not None:
        where = (
            "confirmed on held-out problems"
            if contest.is_confirmed
            else "exploratory, not confirmed on held-out problems"
        )
        return claim.judge(fact(True, f"{best} ({where})", **best.numbers()))
    if not tried:
        return claim.missing("an intervention, among the arms that were tried")
    judged = [(arm, _passes(arm, margin)) for arm in tried]
    unsettled = [(arm, parts) for arm, parts in judged if not any(part.state == "fails" for part in parts)]
    if unsettled:
        arm, parts = min(unsettled, key=lambda one: _problems(one[1]))
        where = (
            "on held-out problems, the arm that was picked" if contest.is_confirmed else "nearest of the arms"
        )
        return claim.judge(fact(True, f"{where}: {arm.name}"), *parts)
    if contest.is_confirmed:
        return claim.judge(fact(False, f"on held-out problems the arm that was picked fails, {tried[0]}"))
    return claim.judge(fact(False, f"none of {len(tried)} interventions passes; {_nearest(tried)}"))


def _passes(arm: Tried, margin: float) -> list[Part]:
    """Both halves of the rule for an arm that does not pass: the outcome falls, and accuracy is held."""
    if arm.row["verdict"] == DESTRUCTIVE:
        return [fact(False, f"destructive, {arm}")]
    if arm.row["verdict"] == NOT_TESTABLE:
        return [missing(str(arm.row.get("not_testable")))]
    change, kept = arm.change, arm.difference("accuracy")
    if change is None or kept is None:
        return [missing("paired differences with intervals")]
    lost = -allowed_loss(margin, arm.before("accuracy", kept))
    deciding = number(arm.row, "accuracy_deciding_problems")
    parts = [_falls(arm, change), above("accuracy_change", kept, lost, arm.accuracy_by, deciding)]
    corrected = undecided("not significant once corrected for the number of arms")
    return parts if any(part.state != "holds" for part in parts) else [*parts, corrected]


def _falls(arm: Tried, change: Measured) -> Part:
    """Whether the outcome falls; it does not where it surely falls by less than what counts."""
    part = below(f"{arm.outcome.outcome}_change", change, 0.0, arm.falls_by)
    counts = SOME * arm.before(arm.outcome.name, change)
    return Part("fails", arm.falls_by, part.numbers) if change.low > -counts else part


def _problems(parts: list[Part]) -> float:
    return max((part.deciding for part in parts if part.state == "open"), default=0.0)


def _nearest(tried: list[Tried]) -> str:
    """What the least damaging of the reducing arms does."""
    reducing = [arm for arm in tried if arm.change is not None and arm.change.value < 0]
    if not reducing:
        return "none lowers the outcome"
    return f"nearest is {max(reducing, key=lambda arm: number(arm.row, 'accuracy_diff') or -1.0)}"


def _judge_substantial(contest: Contest) -> Verdict:
    arm = contest.winner()
    if arm is None:
        return SUBSTANTIAL.missing("an arm that passes the rule above")
    change = arm.change
    if change is None:
        return SUBSTANTIAL.missing("the interval of the change in the outcome")
    base = arm.before(arm.outcome.name, change)
    share = -change.value / base if base else 0.0
    says = (
        f"{arm.name} removes {percent(share)} of the baseline's: {arm.falls_by}, "
        f"{-100 * MIN_REDUCTION * base:+.1f} asked"
    )
    return SUBSTANTIAL.judge(below(f"{arm.outcome.outcome}_change", change, -MIN_REDUCTION * base, says))
