"""The claims of Phase 2, with the rules that they are judged by."""

from dataclasses import dataclass
from typing import Any

import pandas as pd

from backtracking.artifacts import phase2 as files
from backtracking.claims.evidence import Evidence
from backtracking.claims.verdict import Claim, Verdict
from backtracking.claims.wording import number, percent, plain, points, quoted, rate, records
from backtracking.measurements.floors import MOST_CUT, NOT_TESTABLE
from backtracking.measurements.statistics import LEVEL
from backtracking.measurements.tradeoff import DESTRUCTIVE, HELD
from backtracking.run.records import BASELINE_NAME

MIN_REDUCTION = 0.30


def _non_destructive(margin: float) -> Claim:
    return Claim(
        "Backtracking can be turned down without loss of accuracy",
        f"Supported when an intervention lowers backtracking (Holm-corrected p < {LEVEL} over the arms "
        "beside it, interval wholly below zero) while its accuracy is equivalent to the baseline's "
        f"within {margin:.0%} (the whole interval of the paired drop lies inside the margin). Where the "
        "confirmation was run, the arm picked on the search half must pass on the held-out problems, and "
        "nothing else counts. Without a confirmation the verdict rests on the problems that the arm was "
        f"picked on, and says so. Not testable where the baseline has no onset, an accuracy below "
        f"{2 * margin:.0%}, or more than {MOST_CUT:.0%} of its completions cut at the cap.",
    )


SUBSTANTIAL = Claim(
    "The reduction is substantial",
    f"Supported when the arm that passes the rule above lowers backtracking by at least {MIN_REDUCTION:.0%} "
    "of the baseline rate, on the problems that the rule above was judged on.",
)
STEP = Claim(
    "At the onset step the intervention acts on the onset rather than everywhere",
    "Supported when, at the strongest scale, the onset token's family loses probability at onsets (paired "
    "interval wholly below zero) and the divergence from the untouched model is larger at onsets than at "
    "matched positions.",
)
DESTROYS = Claim(
    "Full strength destroys the model",
    "Supported when some arm's accuracy falls by more than half of the baseline's, its paired interval "
    "wholly below zero.",
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


def verdicts(evidence: Evidence, margin: float) -> list[Verdict]:
    """Every claim of Phase 2, judged."""
    claim, contest, arms = _non_destructive(margin), _contest(evidence), _arms(evidence)
    subset_sweep = evidence.lack(files.SUBSETS)
    swept = f"paired differences in {subset_sweep} or in {files.SCALES.file}"
    lacking = swept if contest is None else contest.untested
    return [
        claim.missing(lacking) if lacking or contest is None else _judge_non_destructive(claim, contest),
        SUBSTANTIAL.missing(lacking) if lacking or contest is None else _judge_substantial(contest),
        DESTROYS.missing(swept) if arms is None else _judge_destroys(arms),
        _judge_step(evidence),
    ]


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
        return Contest(winner, is_confirmed=True, untested=_why_no_reduction(judged))
    if arms is None:
        return None
    return Contest(_interventions(arms), is_confirmed=False, untested=_why_no_reduction(_interventions(arms)))


def _interventions(arms: pd.DataFrame) -> pd.DataFrame:
    return arms[arms["kind"] == "intervention"]


def _judge_non_destructive(claim: Claim, contest: Contest) -> Verdict:
    best = contest.winner()
    if best is not None and contest.is_confirmed:
        return claim.supported(f"confirmed on held-out problems, {_changes(best)}")
    if best is not None:
        return claim.supported(f"{_changes(best)} (exploratory: not confirmed on held-out problems)")
    if not contest.is_confirmed:
        return claim.not_supported(
            f"none of {len(contest.arms)} interventions passes; {_nearest(contest.arms)}"
        )
    if contest.arms.empty:
        return claim.not_supported("no intervention passes on the problems that arms are picked on")
    picked = records(contest.arms)[0]
    return claim.not_supported(f"the arm that was picked fails on held-out problems, {_changes(picked)}")


def _nearest(interventions: pd.DataFrame) -> str:
    """What the least damaging of the reducing arms does."""
    reducing = interventions[interventions["backtracking_diff"] < 0]
    if reducing.empty:
        return "none lowers backtracking"
    return f"nearest is {_changes(records(reducing.sort_values('accuracy_diff', ascending=False))[0])}"


def _changes(row: dict[Any, Any]) -> str:
    return (
        f"{quoted(row['arm'])}: backtracking {points(row, 'backtracking_diff')} points, accuracy "
        f"{points(row, 'accuracy_diff')} points"
    )


def _judge_substantial(contest: Contest) -> Verdict:
    row = contest.winner()
    if row is None:
        return SUBSTANTIAL.not_supported("no arm passes the rule above")
    change = number(row, "backtracking_diff") or 0.0
    base = (number(row, "backtracking_rate") or 0.0) - change
    share = -change / base if base else 0.0
    return SUBSTANTIAL.judge(
        share >= MIN_REDUCTION, f"{quoted(row['arm'])} removes {percent(share)} of the baseline rate"
    )


def _judge_destroys(arms: pd.DataFrame) -> Verdict:
    if untested := why_untested(arms):
        return DESTROYS.missing(untested)
    arms = arms[arms["verdict"] != NOT_TESTABLE]
    base = arms["accuracy"] - arms["accuracy_diff"]
    broken = arms[(arms["accuracy_diff"] < -base / 2) & (arms["accuracy_diff_high"] < 0)]
    if broken.empty:
        return DESTROYS.not_supported(
            f"none of the {len(arms)} arms that could be judged loses more than half of the accuracy"
        )
    row = records(broken.sort_values("accuracy_diff"))[0]
    return DESTROYS.supported(
        f"{quoted(row['arm'])}: accuracy {rate(row, 'accuracy')}, cut at the cap "
        f"{rate(row, 'truncation_rate', n=None)}"
    )


def _judge_step(evidence: Evidence) -> Verdict:
    summary = evidence.table(files.STEP_SUMMARY)
    if summary is None:
        return STEP.missing(evidence.lack(files.STEP_SUMMARY))
    strongest = summary[summary["scale"] == summary["scale"].min()].set_index("position_kind")
    if not {"onset", "control"} <= set(strongest.index):
        return STEP.missing("matched control positions")
    onset, control = (strongest.loc[kind].to_dict() for kind in ("onset", "control"))
    high = number(onset, "family_change_high")
    if high is None:
        return STEP.missing("an interval of the change of the family's probability (too few problems)")
    more = (number(onset, "kl") or 0.0) > (number(control, "kl") or 0.0)
    because = (
        f"at scale {summary['scale'].min():g} the family's probability changes by "
        f"{points(onset, 'family_change')} points at onsets; KL {plain(onset, 'kl')} nats there, "
        f"{plain(control, 'kl')} at matched positions"
    )
    return STEP.judge(high < 0 and more, because)
