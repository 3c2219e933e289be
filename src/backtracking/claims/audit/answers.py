"""Checks of answers: whether they are answers, and graded as what they are."""

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from functools import lru_cache

import pandas as pd

from backtracking.claims.audit.audited import AuditedRun
from backtracking.claims.audit.check import FAIL, PASS, WARN, Finding, not_applicable, rule
from backtracking.claims.audit.completions import Group
from backtracking.claims.wording import percent, quoted
from backtracking.text.answers.grading import grade, parse_number

FEW_ODD, MANY_ODD = 0.02, 0.10
"""Shares of odd answers from which a check warns, and fails."""
FEWEST_ODD = 5
"""Fewer odd answers than this are read by eye rather than failed."""
_MOST_REGRADED = 20_000
_SHOWN = 3
_BOUNDS = (
    f"Warns above {FEW_ODD:.0%} of the answers; fails above {MANY_ODD:.0%}, from {FEWEST_ODD} answers on."
)
_NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?")


@rule(
    bounds=_BOUNDS,
    why="An answer without a number was not read from the text, and grades as wrong whatever the model said.",
    what_to_do="Read some of these completions and set detection.answer_regex, or fix the extraction; then "
    "run detect-events again.",
)
def answers_without_digit(run: AuditedRun) -> Finding:
    """Predicted answers without any number in them, where problems have numbers as answers."""
    answers = (
        pd.concat([_answers(group) for group in run.baselines], ignore_index=True) if run.baselines else None
    )
    if answers is None or "predicted_answer" not in answers:
        return not_applicable("predicted answers are not in this run's tables")
    if not run.gold and not answers.get("correct", pd.Series(dtype=float)).notna().any():
        return not_applicable("no completion of the baseline is graded")
    wanted = _known_gold(run)
    unknown = "" if run.gold else "0"
    asked = answers["example_id"].map(lambda name: has_number(wanted.get(name, unknown)))
    texts = answers.loc[asked & answers["predicted_answer"].notna(), "predicted_answer"].astype(str)
    if texts.empty:
        return not_applicable("no completion of the baseline has an answer where a number is asked for")
    return _odd([text for text in texts if not has_number(text)], len(texts), "answers have no number")


@rule(
    bounds=_BOUNDS,
    why="Where grading the answers again gives something else, the accuracies of this run are those "
    "of another rule, or of another problem's gold answer.",
    what_to_do="Run detect-events again; where the tables come from elsewhere, compute accuracy again from "
    "the answers and the problems.",
)
def regrade_disagreement(run: AuditedRun) -> Finding:
    """Answers whose grade is not what grading them again gives, or that are graded in two ways."""
    graded = _graded(run)
    if graded.empty:
        return not_applicable("answers and their grades are not both in this run's tables")
    if run.gold:
        return _regraded(graded, run.gold)
    pairs = graded.groupby(["example_id", "predicted_answer"])["correct"].agg(["min", "max", "size"])
    repeated = pairs[pairs["size"] > 1]
    if repeated.empty:
        return not_applicable("gold answers are not at hand, and no answer comes twice")
    odd = repeated[repeated["min"] != repeated["max"]]
    names = [f"{answer} for {problem}" for problem, answer in odd.index]
    return _odd(names, len(repeated), "answers of one problem are graded both right and wrong")


def _regraded(graded: pd.DataFrame, gold: Mapping[str, str]) -> Finding:
    known = graded[graded["example_id"].isin(list(gold))]
    pairs = known.groupby(["example_id", "predicted_answer", "correct"]).size().reset_index(name="rows")
    pairs = pairs.head(_MOST_REGRADED)
    if pairs.empty:
        return not_applicable("no graded answer belongs to a problem whose gold answer is at hand")
    odd = [
        f"{answer} where {gold[problem]} is right"
        for problem, answer, correct, rows in pairs.itertuples(index=False)
        if (again := grade(str(answer), gold[problem])) is not None and again != bool(correct)
        for _ in range(rows)
    ]
    return _odd(odd, int(pairs["rows"].sum()), "answers are graded otherwise when they are graded again")


@rule(
    bounds=_BOUNDS,
    why="An answer such as `\\boxed{621}` that is graded wrong where 621 is right lowers accuracy by "
    "the grader's fault, and not alike under all conditions.",
    what_to_do="Look at the answers named here; grade them with `backtracking detect-events`, which reads "
    "boxed answers, units and words.",
)
def gold_in_wrong_answers(run: AuditedRun) -> Finding:
    """Answers graded wrong that hold the gold number all the same."""
    graded = _graded(run)
    gold = _known_gold(run)
    wrong = (
        graded[(graded["correct"] == 0) & graded["example_id"].isin(list(gold))] if len(graded) else graded
    )
    if wrong.empty:
        return not_applicable("no answer is graded wrong where the gold answer is known")
    odd = [
        str(answer)
        for problem, answer in zip(wrong["example_id"], wrong["predicted_answer"], strict=True)
        if _is_in(gold[problem], str(answer))
    ]
    return _odd(odd, len(wrong), "answers that are graded wrong hold the gold number")


def _odd(odd: Sequence[str], total: int, what: str) -> Finding:
    share = len(odd) / total
    outcome = PASS
    if share > FEW_ODD:
        outcome = FAIL if share > MANY_ODD and len(odd) >= FEWEST_ODD else WARN
    shown = [quoted(text) for text in dict.fromkeys(odd)][:_SHOWN]
    return Finding(
        outcome,
        f"{len(odd):,} of {total:,} {what} ({percent(share)})",
        share,
        () if outcome == PASS else tuple(shown),
    )


def _answers(group: Group) -> pd.DataFrame:
    return group.rows.filter(["example_id", "predicted_answer", "correct"])


def _graded(run: AuditedRun) -> pd.DataFrame:
    """All answers with their grades."""
    parts = [_answers(group) for group in run.groups if group.holds("predicted_answer", "correct")]
    if not parts:
        return pd.DataFrame(columns=["example_id", "predicted_answer", "correct"])
    return pd.concat(parts, ignore_index=True).dropna()


def _known_gold(run: AuditedRun) -> dict[str, str]:
    """The gold answers; where the problems are not at hand, what some completion was graded right for."""
    if run.gold:
        return run.gold
    right = _graded(run)
    right = right[right["correct"] == 1].drop_duplicates("example_id")
    return dict(zip(right["example_id"], right["predicted_answer"].astype(str), strict=True))


@lru_cache(maxsize=65_536)
def has_number(text: str) -> bool:
    """Whether a text states a number, in figures or in words."""
    return any(char.isdigit() for char in text) or parse_number(text) is not None


def _is_in(gold: str, answer: str) -> bool:
    """Whether the gold number stands among the numbers of an answer."""
    wanted = _decimals(gold)
    return len(wanted) == 1 and bool(wanted & _decimals(answer))


@lru_cache(maxsize=65_536)
def _decimals(text: str) -> frozenset[Decimal]:
    decimals = set()
    for match in _NUMBER.findall(text[:_MOST_REGRADED]):
        try:
            decimals.add(Decimal(match.replace(",", "")))
        except InvalidOperation:
            continue
    return frozenset(decimals)


CHECKS = (answers_without_digit, regrade_disagreement, gold_in_wrong_answers)
