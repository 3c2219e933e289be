"""From measured rows to the table of arms, and the choice among them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from backtracking.measurements.bounded import deciding_problems, no_worse_p
from backtracking.measurements.comparison import average, compare, count, paired_sums, pooled
from backtracking.measurements.floors import NOT_TESTABLE, allowed_loss, no_onsets, too_cut, too_few, too_low
from backtracking.measurements.looks import Looks
from backtracking.measurements.metrics import COUNTS, LATER_SIGNS, OUTCOMES, SIGNS, compared_in, shown_in
from backtracking.measurements.outcome import (
    FallingOutcome,
    breaks_text,
    fall,
    primary_outcome,
    ways,
)
from backtracking.measurements.statistics import LEVEL, estimate_columns, holm
from backtracking.measurements.tallies import by_problem, contributions, holds
from backtracking.run.records import BASELINE_NAME
from backtracking.run.seed import derive_seed

HELD = "non-destructive"
DESTRUCTIVE = "destructive"
NO_EFFECT = "no effect"
BOOTSTRAP_DRAWS = 2000
TESTED = ("backtracking", "accuracy", "onset_after_wrong", "onset_after_right", "wrong_steps_per_row")
"""Outcomes whose p is corrected for the number of arms."""

_COUNTS = ("total", "backtracking_count", "backtracking_rate", "correct_count", "accuracy", "subset_name")
SUBSET_COLUMNS = (*_COUNTS, "num_components")
SCALE_COLUMNS = (*_COUNTS, "scale", "num_components")
"""The columns that users of the tables know, in their order; more follow them."""
_STEPS = tuple(counted for counted in COUNTS if counted.sum in ("fresh_wrong", "fresh_right"))


def summarize_arms(events: pd.DataFrame, margin: float, looks: Looks | None = None) -> pd.DataFrame:
    """One line per arm: rates, paired differences to the baseline, signs of degeneration, and a verdict.

    With looks, each arm rests on the problems that it has rows of, and its line holds whenever it stopped.
    """
    parts = {str(arm): part for arm, part in events.groupby("arm", sort=False)}
    added = {arm: contributions(part) for arm, part in parts.items()}
    values = {arm: by_problem(rows) for arm, rows in added.items()}
    table = pd.DataFrame(
        [
            _line(part, added[arm], values[arm], looks) | _differences(values, arm, margin, looks)
            for arm, part in parts.items()
        ]
    )
    base = table[table["arm"] == BASELINE_NAME].iloc[0]
    table["retention"] = table["accuracy"] / base["accuracy"] if base["accuracy"] else None
    table["distinct_3_ratio"] = table["distinct_3"] / base["distinct_3"] if base["distinct_3"] else None
    held = values[BASELINE_NAME]
    table["judged_on"] = primary_outcome(held).outcome
    for what in (name for name in TESTED if holds(held, OUTCOMES[name])):
        p_values = table.get(f"{what}_diff_p", pd.Series(np.nan, index=table.index))
        table[f"{what}_diff_p_holm"] = holm(p_values.to_numpy(dtype=np.float64))
    judged_by = ways(held)
    falls = pd.DataFrame(
        [fall(row, base, judged_by, margin) for _, row in table.iterrows()], index=table.index
    )
    table = table.assign(**falls)
    judged = [_verdict(row, base, judged_by, margin) for _, row in table.iterrows()]
    table["verdict"] = [verdict for verdict, _ in judged]
    table["not_testable"] = [reason for _, reason in judged]
    return first_columns(table, SUBSET_COLUMNS)


def with_arm_names(table: pd.DataFrame) -> pd.DataFrame:
    """A sweep's table with a name per line, which those of an earlier implementation do not give."""
    if "subset_name" not in table or "arm" in table:
        return table
    names = table["subset_name"].astype(str)
    if "scale" in table:
        scales = pd.to_numeric(table["scale"], errors="coerce")
        untouched = scales.isna() | (names == BASELINE_NAME)
        names = names.where(untouched, names + "_x" + scales.map("{:g}".format))
    return table.assign(arm=names)


def first_columns(table: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """The table with these columns first, the others in their order behind them."""
    return table[[*names, *(name for name in table.columns if name not in names)]]


def _line(
    part: pd.DataFrame, added: pd.DataFrame, values: pd.DataFrame, looks: Looks | None
) -> dict[str, object]:
    problems = part["example_id"].nunique()
    level = looks.level(problems) if looks else LEVEL
    line: dict[str, object] = {
        "total": len(part),
        "backtracking_count": count(values, OUTCOMES["backtracking"]),
        "correct_count": count(values, OUTCOMES["accuracy"]),
    }
    for metric in (metric for metric in shown_in(2) if holds(values, metric)):
        line |= estimate_columns(metric.name, average(values, metric, level))
    return line | {
        "subset_name": part["subset_name"].iloc[0],
        "scale": part["scale"].iloc[0],
        "num_components": int(part["num_components"].iloc[0]),
        "arm": part["arm"].iloc[0],
        "kind": part["kind"].iloc[0],
        "problems": problems,
        **({"problems_in_full": looks.ends[-1], "nominal_level": level} if looks else {}),
        "finished_count": int(part["finish_reason"].eq("stop").sum()),
        **{metric.name: average(values, metric).value for metric in SIGNS},
        **{steps.name: int(values[steps.sum].sum()) for steps in _STEPS if steps.sum in values},
        **{metric.name: pooled(added, metric) for metric in LATER_SIGNS},
    }


def _differences(
    values: Mapping[str, pd.DataFrame], arm: str, margin: float, looks: Looks | None
) -> dict[str, float]:
    """Arm minus baseline, paired by problem; the baseline's own line stays empty."""
    if arm == BASELINE_NAME:
        return {}
    line: dict[str, float] = {}
    problems = values[arm]["example_id"].nunique()
    level = looks.level(problems) if looks else None

    def overall(p: float) -> float:
        return float(looks.overall(p, problems)) if looks else p

    for metric in (metric for metric in compared_in(2) if holds(values[BASELINE_NAME], metric)):
        what, difference = metric.outcome, compare(values[arm], values[BASELINE_NAME], metric, level)
        line |= estimate_columns(f"{what}_diff", difference) | {f"{what}_diff_p": overall(difference.p)}
        if what == "accuracy":
            line["accuracy_minimum_detectable"] = difference.minimum_detectable
    sums = paired_sums(values[arm], values[BASELINE_NAME], OUTCOMES["accuracy"])
    line["accuracy_no_worse_p"] = overall(no_worse_p(*sums, margin))
    line["accuracy_deciding_problems"] = deciding_problems(*sums, margin)
    return line


def _verdict(
    row: "pd.Series[Any]", base: "pd.Series[Any]", judged_by: Sequence[FallingOutcome], margin: float
) -> tuple[str, str]:
    """What an arm shows, by rules that can fail in every direction; or that it shows nothing, and why.

    An arm that breaks the text is destructive, whatever its answers. Accuracy is held when the whole interval
    of its paired change lies above minus what may be lost, lost when it lies below, and undecided otherwise.
    A significant change has its whole interval on one side of zero: both come from the same t distribution.
    One that is not significant is no effect only where every interval lies inside the margin.
    """
    if row["arm"] == BASELINE_NAME:
        return "", ""
    few = too_few(row["problems"])
    if not few and breaks_text(row, margin):
        return DESTRUCTIVE, ""
    silent = no_onsets(base["backtracking_count"], base["total"])
    if reason := few or _accuracy_untestable(row, base, margin):
        return NOT_TESTABLE, "; ".join(filter(None, [reason, silent]))
    allowed = allowed_loss(margin, base["accuracy"])
    if row["accuracy_diff_high"] < -allowed:
        return DESTRUCTIVE, ""
    if reason := silent or _outcome_untestable(row, judged_by):
        return NOT_TESTABLE, reason
    held = row["accuracy_diff_low"] > -allowed
    return _effect(row, judged_by, held, margin), ""


def _effect(row: "pd.Series[Any]", judged_by: Sequence[FallingOutcome], held: bool, margin: float) -> str:
    if row["what_fell"]:
        return HELD if held else "inconclusive"
    if row["onsets_removed"] < 0 and any(way.rises(row, LEVEL / len(judged_by)) for way in judged_by):
        return "raises backtracking"
    ends = [row[f"{way.metric.outcome}_diff_{end}"] for way in judged_by for end in ("low", "high")]
    return NO_EFFECT if all(abs(end) < margin for end in ends) else "inconclusive"


def _accuracy_untestable(row: "pd.Series[Any]", base: "pd.Series[Any]", margin: float) -> str:
    if pd.isna(row["accuracy_diff_low"]):
        return "fewer than 2 problems have completions under both the baseline and the arm"
    cut = too_cut("baseline", base["truncation_rate"])
    return cut or too_low("accuracy", base["accuracy"], margin)


def _outcome_untestable(row: "pd.Series[Any]", judged_by: Sequence[FallingOutcome]) -> str:
    if reason := too_cut("the arm's", row["truncation_rate"]):
        return reason
    for way in judged_by:
        if pd.isna(row[f"{way.metric.outcome}_diff_low"]):
            counted_in = row.get(f"{way.metric.bottom}_count", row["total"])
            return (
                f"fewer than 2 problems have what {way.metric.label} is counted over under both the baseline "
                f"and the arm, whose {row['total']:,} completions hold {counted_in:,}"
            )
    return ""


def why_untested(arms: pd.DataFrame) -> str:
    """Why no arm could be judged; empty where one could."""
    if arms.empty or "not_testable" not in arms or arms["verdict"].ne(NOT_TESTABLE).any():
        return ""
    return "; ".join(dict.fromkeys(arms["not_testable"].astype(str)))


def find_best_tradeoff(table: pd.DataFrame) -> pd.Series | None:
    """The intervention that takes away most of the onsets with accuracy held; none when there is none.

    Equal ones are told apart by accuracy, then by size. Controls and token suppression cannot win.
    """
    return _first_of(table[table["verdict"] == HELD])


def seems_best(table: pd.DataFrame, margin: float) -> pd.Series | None:
    """What stands first while no arm's accuracy is surely held: by the estimates alone."""
    base = float(table.loc[table["arm"] == BASELINE_NAME, "accuracy"].iloc[0])
    kept = table["accuracy_diff"] >= -allowed_loss(margin, base)
    return _first_of(table[kept & (table["onsets_removed"] > 0) & (table["verdict"] != DESTRUCTIVE)])


def _first_of(arms: pd.DataFrame) -> pd.Series | None:
    order = ["onsets_removed", "accuracy", "num_components"]
    interventions = arms[arms["kind"] == "intervention"]
    ranked = interventions.sort_values(order, ascending=[False, False, True], kind="stable")
    return None if ranked.empty else ranked.iloc[0]


def front_probability(events: pd.DataFrame, seed: int, draws: int = BOOTSTRAP_DRAWS) -> pd.Series:
    """Per arm the share of problem-level bootstrap draws in which no arm beats it in both rates.

    Arms cost the onsets that they leave, at the baseline's mix of wrong and right steps; one without a wrong
    step in a draw has nothing to be cheap about. Without an onset to lower there is
    no front.
    """
    judged_by = ways(contributions(events[events["arm"] == BASELINE_NAME]))
    names = ["correct", "total", *(name for way in judged_by for name in (way.metric.top, way.metric.bottom))]
    problems = sorted(events["example_id"].unique())
    place = {problem: k for k, problem in enumerate(problems)}
    arms = list(dict.fromkeys(events["arm"]))
    sums = np.zeros((len(names), len(arms), len(problems)))
    for a, arm in enumerate(arms):
        part = events[events["arm"] == arm]
        at = part["example_id"].map(place).to_numpy()
        values = contributions(part)
        for k, name in enumerate(names):
            np.add.at(sums[k, a], at, values[name].to_numpy(np.float64))
    generator = np.random.default_rng(derive_seed(seed, "pareto front"))
    weights = generator.multinomial(len(problems), np.full(len(problems), 1 / len(problems)), size=draws)
    correct, total, *counts = sums @ weights.T.astype(np.float64)
    costs = np.zeros_like(correct)
    with np.errstate(invalid="ignore", divide="ignore"):
        for way, top, bottom in zip(judged_by, counts[::2], counts[1::2], strict=True):
            costs += np.where(bottom > 0, way.weight * top / bottom, np.inf)
        on_front = _undominated(costs, correct / total).mean(axis=1)
    is_silent = not sums[2::2, arms.index(BASELINE_NAME)].any()
    return pd.Series(np.nan if is_silent else on_front, index=arms, name="front_probability")


def _undominated(cost: NDArray[np.float64], gain: NDArray[np.float64]) -> NDArray[np.bool_]:
    """[arm, draw]: no other arm is at least as good in both and better in one."""
    as_good = (cost[:, None] <= cost[None]) & (gain[:, None] >= gain[None])
    better = (cost[:, None] < cost[None]) | (gain[:, None] > gain[None])
    return np.asarray(~(as_good & better).any(axis=0), dtype=np.bool_)
