"""Claims about turning backtracking down: can it be done without loss, what falls, and by how much."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from backtracking.artifacts import phase2 as files
from backtracking.claims.evidence import Evidence
from backtracking.claims.parts import (
    Part,
    TableEstimate,
    above,
    below,
    fact,
    measured_cell,
    missing,
    undecided,
)
from backtracking.claims.verdict import Claim, Verdict
from backtracking.claims.wording import as_points, lines_of, number, points, quoted, span
from backtracking.measurements.floors import MOST_CUT, NOT_TESTABLE, allowed_loss
from backtracking.measurements.metrics import Metric
from backtracking.measurements.outcome import (
    AFTER_RIGHT,
    AFTER_WRONG,
    ANYWHERE,
    LEAST_REMOVED,
    NEEDLESS,
    NOTICING,
    judged_on,
)
from backtracking.measurements.statistics import LEVEL
from backtracking.measurements.tradeoff import DESTRUCTIVE, HELD, why_untested
from backtracking.run.records import BASELINE_NAME

MIN_REDUCTION = 0.30
"""The share of the baseline's onsets that a substantial reduction takes away."""
RUN_CHECKS = ("rows_cut", "row_keys", "hooks_against_schedule", "arms_without_divergence")
ACCURACY_CHECKS = (
    "answers_without_digit",
    "regrade_disagreement",
    "gold_in_wrong_answers",
    "accuracy_at_chance",
)
_BEHIND_PREFIXES = {NOTICING: "onset_after_injected", NEEDLESS: "onset_after_right"}
"""What shows the same behind fixed prefixes."""


def turned_down(margin: float) -> Claim:
    """The claim that backtracking can be turned down, under a study's own margin."""
    return Claim(
        "turned_down",
        "Backtracking can be turned down without loss of accuracy",
        "Supported when one intervention does all of this. (1) Something falls, and the verdict says what: "
        "*noticing of errors*, P(onset | fresh wrong step), or *needless checks*, P(onset | fresh right "
        "step) while P(onset | fresh wrong step) is held (its whole interval above minus what may be "
        "lost). Where steps cannot be checked, the share of completions with an onset. The interval lies "
        f"wholly below zero (Holm-corrected over the arms beside it, p < {LEVEL} shared by the two ways). "
        "(2) At the baseline's own mix of wrong and right steps it takes, by the estimate, at least "
        f"{LEAST_REMOVED:.0%} of the onsets away, so fewer errors made count for nothing. (3) Accuracy is "
        "held: the whole interval of the paired change lies above minus what may be lost "
        f"({as_points(margin)}, and no more than a quarter of the baseline's accuracy), and the share of "
        "cut, looping and empty completions does not surely rise by more than that margin. (4) Where the "
        "confirmation was run, the arm picked on the search half passes on the held-out problems, and "
        "nothing else counts; behind its fixed prefixes, the same for all arms, what fell falls too "
        "(interval wholly below zero), and noticing that is said to be held is not surely lost. Without a "
        "confirmation the verdict rests on the problems that the arm was picked on, and says so. "
        "Contradicted when every arm surely fails one of these. Not "
        f"testable where the baseline has no onset, an accuracy below {2 * margin:.0%}, or more than "
        f"{MOST_CUT:.0%} of its completions cut at the cap.",
        (*RUN_CHECKS, *ACCURACY_CHECKS, "winner_unconfirmed", "baselines_disagree"),
        "The margin and which arms were tried are the study's. A tenth is a convention. Noticing that falls "
        "with accuracy held may still be a loss where answers do not depend on it. In free text P(onset | "
        "fresh wrong step) conditions on steps that the arm itself makes wrong; behind prefixes, which are "
        "few, a small loss of noticing would not be seen.",
    )


SUBSTANTIAL = Claim(
    "substantial",
    "The reduction is substantial",
    f"Supported when the arm that passes the rule above takes away at least {MIN_REDUCTION:.0%} of the "
    "baseline's onsets, at the baseline's mix of wrong and right steps (where steps cannot be checked: of "
    "completions with one), on the problems that the rule above was judged on: the whole interval of the "
    "share lies above that. Contradicted when it lies wholly short of it. Not testable where no arm passes.",
    (*RUN_CHECKS, "winner_unconfirmed"),
    "Three tenths is a convention, and the arm was picked for being strongest (which the "
    "held-out problems correct for).",
)


@dataclass(frozen=True)
class Tried:
    """One arm, read by the outcome that its table was judged on."""

    row: Mapping[Any, Any]
    outcome: Metric

    @property
    def name(self) -> str:
        """The arm as a report quotes it."""
        return quoted(self.row["arm"])

    @property
    def fell(self) -> list[str]:
        """The ways in which backtracking fell, the one that takes most away first."""
        said = self.row.get("what_fell")
        return said.split("; ") if isinstance(said, str) and said else []

    @property
    def removed(self) -> TableEstimate | None:
        """The share of the baseline's onsets that the arm takes away, at the baseline's mix of steps."""
        return measured_cell(self.row, "onsets_removed", number(self.row, "problems"))

    @property
    def ways(self) -> tuple[Metric, ...]:
        """The rates that may fall."""
        return (ANYWHERE,) if self.outcome == ANYWHERE else (AFTER_WRONG, AFTER_RIGHT)

    def difference(self, what: str) -> TableEstimate | None:
        """A paired difference to the baseline."""
        return measured_cell(self.row, f"{what}_diff", number(self.row, "problems"))

    def held(self, name: str, column: str, change: TableEstimate, margin: float, says: str) -> Part:
        """Whether a rate is held: inside what may be lost of what the baseline has."""
        before = (number(self.row, column) or 0.0) - change.value
        deciding = number(self.row, f"{name}_deciding_problems")
        return above(f"{name}_change", change, -allowed_loss(margin, before), says, deciding)

    @property
    def removes(self) -> str:
        """The share of onsets that it takes away, with the interval, and of which onsets."""
        of = "completions with an onset" if self.outcome == ANYWHERE else "onsets at equal error rate"
        removed = self.removed
        share = "—" if removed is None else span(removed, percent=True)
        return f"takes away {share} of {of} ({', '.join(map(self.by_points, self.ways))})"

    def by_points(self, way: Metric) -> str:
        """By how many points it changes one outcome, in words."""
        return f"{way.label} {points(self.row, f'{way.outcome}_diff')} points"

    @property
    def accuracy_by(self) -> str:
        """By how many points it changes accuracy, in words."""
        return f"accuracy {points(self.row, 'accuracy_diff')} points"

    def numbers(self) -> dict[str, float | str]:
        """What the rule looked at."""
        differences = [f"{name}_diff" for name in (*(way.outcome for way in self.ways), "accuracy")]
        names = [f"{name}{end}" for name in ("onsets_removed", *differences) for end in ("", "_low", "_high")]
        known = {name: number(self.row, name) for name in (*names, "problems")}
        return {
            "arm": str(self.row["arm"]),
            "what_fell": "; ".join(self.fell),
            **{name: value for name, value in known.items() if value is not None},
        }

    def __str__(self) -> str:
        return f"{self.name}: {self.removes}, {self.accuracy_by}"


@dataclass(frozen=True)
class Competitors:
    """The interventions that compete, and the problems that their numbers come from."""

    arms: pd.DataFrame
    is_confirmed: bool
    """Only the arm picked on the search half, measured on the held-out problems."""
    untested: str = ""
    """Why none of them could be judged."""

    @property
    def tried(self) -> list[Tried]:
        """Every arm of the table, read by the outcome that all were judged on."""
        outcome = judged_on(self.arms)
        return [Tried(row, outcome) for row in lines_of(self.arms)]

    def winner(self) -> Tried | None:
        """The strongest reduction among those that pass the rule."""
        held = [arm for arm in self.tried if arm.row["verdict"] == HELD]
        return max(held, key=lambda arm: number(arm.row, "onsets_removed") or 0.0, default=None)


def judge_reduction(
    evidence: Evidence, margin: float, arms: pd.DataFrame | None, swept: str
) -> list[Verdict]:
    """Whether backtracking can be turned down, and by how much; `swept`: what is missing without any arm."""
    claim, competing = turned_down(margin), _competitors(evidence, arms)
    lacking = swept if competing is None else competing.untested
    if competing is None or lacking:
        return [claim.missing(lacking), SUBSTANTIAL.missing(lacking)]
    behind = _behind_prefixes(evidence, competing, margin) if competing.is_confirmed else []
    verdict = _judge_turned_down(claim, competing, margin, behind)
    passes = competing.winner() if verdict.outcome == "supported" else None
    return [verdict, _judge_substantial(passes)]


def all_arms(evidence: Evidence) -> pd.DataFrame | None:
    """All arms that were tried, baselines aside."""
    names = (files.SUBSETS, files.SCALES, files.SEARCH)
    usable = [table for table in map(evidence.table, names) if table is not None and "verdict" in table]
    if not usable:
        return None
    arms = pd.concat(usable, ignore_index=True)
    arms = arms[arms["subset_name"] != BASELINE_NAME].drop_duplicates("arm")
    return None if arms.empty else arms


def _competitors(evidence: Evidence, arms: pd.DataFrame | None) -> Competitors | None:
    """The confirmation wherever there is one; controls and token suppression are only compared with."""
    confirmed = evidence.table(files.CONFIRMED)
    if confirmed is not None:
        winner, searched = confirmed[confirmed["role"] == "winner"], evidence.table(files.CHOICE)
        judged = winner if searched is None or not winner.empty else _interventions(searched)
        return Competitors(judged, is_confirmed=not winner.empty, untested=_why_no_reduction(judged))
    if arms is None:
        return None
    return Competitors(
        _interventions(arms), is_confirmed=False, untested=_why_no_reduction(_interventions(arms))
    )


def _interventions(arms: pd.DataFrame) -> pd.DataFrame:
    return arms[arms["kind"] == "intervention"]


def _why_no_reduction(arms: pd.DataFrame) -> str:
    """Why no arm's reduction could be judged; that an arm destroys is known without any onset."""
    return why_untested(arms[arms["verdict"] != DESTRUCTIVE])


def _judge_turned_down(
    claim: Claim, competing: Competitors, margin: float, behind: Sequence[Part]
) -> Verdict:
    best, tried = competing.winner(), competing.tried
    if best is not None:
        where = (
            "confirmed on held-out problems"
            if competing.is_confirmed
            else "exploratory, not confirmed on held-out problems"
        )
        says = f"what falls: {' and '.join(best.fell)}. {best} ({where})"
        return claim.judge(fact(True, says, **best.numbers()), *behind)
    if not tried:
        return claim.missing("an intervention, among the arms that were tried")
    judged = [(arm, _passes(arm, margin)) for arm in tried]
    unsettled = [(arm, parts) for arm, parts in judged if not any(part.state == "fails" for part in parts)]
    if unsettled:
        arm, parts = min(unsettled, key=lambda one: _problems(one[1]))
        which = "Picked arm, on held-out problems" if competing.is_confirmed else "Nearest arm"
        return claim.judge(*parts, about=f"{which}: {arm.name}")
    if competing.is_confirmed:
        return claim.judge(fact(False, f"the picked arm fails on held-out problems, {tried[0]}"))
    return claim.judge(fact(False, f"none of {len(tried)} interventions passes; {_nearest(tried)}"))


def _behind_prefixes(evidence: Evidence, competing: Competitors, margin: float) -> list[Part]:
    """What the confirmed arm does behind the same prefixes as the baseline; nothing where there are none."""
    table, best = evidence.table(files.CONFIRM_PREFIXES), competing.winner()
    if table is None or best is None:
        return []
    rows = lines_of(table[(table["arm"] == best.row["arm"]) & table["draw"].isna()])
    mainly = next((_BEHIND_PREFIXES[name] for name in best.fell if name in _BEHIND_PREFIXES), None)
    if not rows or mainly is None:
        return []
    row = rows[0]
    falls = measured_cell(row, f"{mainly}_diff", number(row, "problems"))
    if falls is None:
        return [missing("intervals behind the fixed prefixes")]
    step = "injected errors" if mainly == _BEHIND_PREFIXES[NOTICING] else "right steps"
    says = f"behind the same {step} onsets {points(row, f'{mainly}_diff')} points"
    parts = [below(f"{mainly}_change", falls, 0.0, says)]
    noticing = measured_cell(row, f"{_BEHIND_PREFIXES[NOTICING]}_diff", number(row, "problems"))
    if NOTICING not in best.fell and noticing is not None:
        parts.append(_not_lost(noticing, margin, row))
    return parts


def _not_lost(noticing: TableEstimate, margin: float, row: Mapping[Any, Any]) -> Part:
    """Noticing behind injected errors, which are few: it fails only where more is surely lost."""
    name = _BEHIND_PREFIXES[NOTICING]
    says = f"behind the same injected errors {points(row, f'{name}_diff')} points"
    part = above(f"{name}_change", noticing, -margin, says)
    return part if part.state == "fails" else Part("holds", says, part.numbers)


def _passes(arm: Tried, margin: float) -> list[Part]:
    """Both halves of the rule for an arm that does not pass: something falls, and accuracy is held."""
    if arm.row["verdict"] == DESTRUCTIVE:
        return [fact(False, f"destructive, {arm}")]
    if arm.row["verdict"] == NOT_TESTABLE:
        return [missing(str(arm.row.get("not_testable")))]
    removed, kept = arm.removed, arm.difference("accuracy")
    if removed is None or kept is None:
        return [missing("paired differences with intervals")]
    parts = [
        _enough(removed, arm.removes),
        *_likeliest_way(arm, margin),
        arm.held("accuracy", "accuracy", kept, margin, arm.accuracy_by),
    ]
    corrected = undecided("significance once corrected for the number of arms")
    return parts if any(part.state != "holds" for part in parts) else [*parts, corrected]


def _enough(removed: TableEstimate, says: str) -> Part:
    """Whether an arm takes enough away to count, by the estimate; short of it by the whole interval fails."""
    part = above("onsets_removed", removed, LEAST_REMOVED, says)
    return Part("holds", says, part.numbers) if removed.value >= LEAST_REMOVED else part


def _likeliest_way(arm: Tried, margin: float) -> list[Part]:
    """The parts of the way in which the arm comes nearest to a fall."""
    changes = [(way, change) for way in arm.ways if (change := arm.difference(way.outcome)) is not None]
    if not changes:
        return [missing("paired differences with intervals")]
    ways = [
        [below(f"{way.outcome}_change", change, 0.0, f"a fall in {way.label}")] for way, change in changes
    ]
    if len(ways) > 1:
        (noticing, change), _ = changes
        says = f"{noticing.label} held"
        ways[1].append(arm.held(noticing.outcome, noticing.name, change, margin, says))
    return min(ways, key=lambda parts: (any(part.state == "fails" for part in parts), _problems(parts)))


def _problems(parts: Sequence[Part]) -> float:
    return max((part.deciding for part in parts if part.state == "open"), default=0.0)


def _nearest(tried: list[Tried]) -> str:
    """What the least damaging of the reducing arms does."""
    reducing = [arm for arm in tried if arm.removed is not None and arm.removed.value > 0]
    if not reducing:
        return "none lowers the outcome"
    return f"nearest is {max(reducing, key=_accuracy_kept)}"


def _accuracy_kept(arm: Tried) -> float:
    """The change in accuracy; where it is not known, the worst that there is."""
    change = number(arm.row, "accuracy_diff")
    return -1.0 if change is None else change


def _judge_substantial(arm: Tried | None) -> Verdict:
    if arm is None:
        return SUBSTANTIAL.missing("an arm that passes the rule above")
    if arm.removed is None:
        return SUBSTANTIAL.missing("the interval of the share that it takes away")
    says = f"{arm.name} {arm.removes}, {MIN_REDUCTION:.0%} asked"
    return SUBSTANTIAL.judge(above("onsets_removed", arm.removed, MIN_REDUCTION, says))
