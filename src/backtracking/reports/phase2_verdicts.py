"""The claims of Phase 2, with the rules that they are judged by."""

import pandas as pd

from backtracking.records import BASELINE_NAME
from backtracking.reports.document import quoted
from backtracking.reports.evidence import Evidence
from backtracking.reports.numbers import number, percent, plain, points, rate, records
from backtracking.reports.verdicts import Claim, Verdict

LEVEL = 0.05
MIN_REDUCTION = 0.30


def _non_destructive(margin: float) -> Claim:
    return Claim(
        "Backtracking can be turned down without loss of accuracy",
        f"Supported when some intervention lowers backtracking (Holm-corrected p < {LEVEL} over the arms "
        "of its sweep, interval wholly below zero) while its accuracy is equivalent to the baseline's "
        f"within {margin:.0%} (the whole interval of the paired drop lies inside the margin), and, where "
        "the confirmation on held-out problems was run, the same arm passes there too. Without a "
        "confirmation the verdict rests on the problems that the arm was picked on, and says so.",
    )


SUBSTANTIAL = Claim(
    "The reduction is substantial",
    f"Supported when an arm that passes the rule above lowers backtracking by at least {MIN_REDUCTION:.0%} "
    "of the baseline rate.",
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


def verdicts(evidence: Evidence, margin: float) -> list[Verdict]:
    """Every claim of Phase 2, judged."""
    arms = _arms(evidence)
    claim = _non_destructive(margin)
    if arms is None:
        missing = "subset_sweep_results.csv or scale_sweep_results.csv with paired differences"
        found = [claim.missing(missing), SUBSTANTIAL.missing(missing), DESTROYS.missing(missing)]
    else:
        found = [
            _judge_non_destructive(claim, arms, evidence),
            _judge_substantial(arms),
            _judge_destroys(arms),
        ]
    return [*found, _judge_step(evidence)]


def _arms(evidence: Evidence) -> pd.DataFrame | None:
    """All arms of both sweeps, baselines aside."""
    tables = [evidence.table(name) for name in ("subset_sweep_results.csv", "scale_sweep_results.csv")]
    usable = [table for table in tables if table is not None and "verdict" in table]
    if not usable:
        return None
    arms = pd.concat(usable, ignore_index=True)
    arms = arms[arms["subset_name"] != BASELINE_NAME].drop_duplicates("arm")
    return None if arms.empty else arms


def _judge_non_destructive(claim: Claim, arms: pd.DataFrame, evidence: Evidence) -> Verdict:
    held = _passing(arms)
    if held.empty:
        tried = int((arms["kind"] == "intervention").sum())
        return claim.not_supported(f"none of {tried} interventions passes; {_nearest(arms)}")
    best = records(held.sort_values("backtracking_diff"))[0]
    shown = (
        f"{quoted(best['arm'])}: backtracking {points(best, 'backtracking_diff')} points, accuracy "
        f"{points(best, 'accuracy_diff')} points"
    )
    confirmed = evidence.table("confirm_results.csv")
    if confirmed is None:
        return claim.supported(f"{shown} (exploratory: not confirmed on held-out problems)")
    passed = confirmed[(confirmed["verdict"] == "non-destructive") & (confirmed["role"] == "winner")]
    if passed.empty:
        return claim.not_supported(
            f"no arm passes on the held-out problems; on those it was picked on, {shown}"
        )
    row = records(passed.sort_values("backtracking_diff"))[0]
    return claim.supported(
        f"confirmed on held-out problems, {quoted(row['arm'])}: backtracking "
        f"{points(row, 'backtracking_diff')} points, accuracy {points(row, 'accuracy_diff')} points"
    )


def _passing(arms: pd.DataFrame) -> pd.DataFrame:
    """Interventions that pass the rule; controls and token suppression are only compared with."""
    return arms[(arms["verdict"] == "non-destructive") & (arms["kind"] == "intervention")]


def _nearest(arms: pd.DataFrame) -> str:
    """What the least damaging of the reducing arms does."""
    reducing = arms[(arms["backtracking_diff"] < 0) & (arms["kind"] == "intervention")]
    if reducing.empty:
        return "none lowers backtracking"
    row = records(reducing.sort_values("accuracy_diff", ascending=False))[0]
    return (
        f"nearest is {quoted(row['arm'])}: backtracking {points(row, 'backtracking_diff')} points, accuracy "
        f"{points(row, 'accuracy_diff')} points"
    )


def _judge_substantial(arms: pd.DataFrame) -> Verdict:
    held = _passing(arms)
    if held.empty:
        return SUBSTANTIAL.not_supported("no arm passes the rule above")
    row = records(held.sort_values("backtracking_diff"))[0]
    base = (number(row, "backtracking_rate") or 0.0) - (number(row, "backtracking_diff") or 0.0)
    share = -(number(row, "backtracking_diff") or 0.0) / base if base else 0.0
    return SUBSTANTIAL.judge(
        share >= MIN_REDUCTION, f"{quoted(row['arm'])} removes {percent(share)} of the baseline rate"
    )


def _judge_destroys(arms: pd.DataFrame) -> Verdict:
    base = arms["accuracy"] - arms["accuracy_diff"]
    broken = arms[(arms["accuracy_diff"] < -base / 2) & (arms["accuracy_diff_high"] < 0)]
    if broken.empty:
        return DESTROYS.not_supported("no arm loses more than half of the baseline's accuracy")
    row = records(broken.sort_values("accuracy_diff"))[0]
    return DESTROYS.supported(
        f"{quoted(row['arm'])}: accuracy {rate(row, 'accuracy')}, cut at the cap "
        f"{rate(row, 'truncation_rate', n=None)}"
    )


def _judge_step(evidence: Evidence) -> Verdict:
    summary = evidence.table("continuation_ablation_summary.csv")
    if summary is None:
        return STEP.missing("continuation_ablation_summary.csv (made by phase2-continuation-ablation)")
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
