"""The search whose hopeless arms stop, against the whole one, by simulation with a planted best arm.

    python -P benchmarks/search.py [--searches 1000]

A search tries 24 arms in rounds of eight. One, at a place drawn by lot, takes four fifths of the onsets away
and costs no accuracy. Of the others four in ten do next to nothing, four destroy, and two take away some
onsets at some cost. Rows are drawn as in `sequential.py`, two samples of a problem. Beside the search in
waves stand the same arms on all problems. `stopped` and `picked` do one search with the package's own waves,
table and contest; `searches` does all of them at once, and tests hold the two against each other.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from backtracking.interventions import BASELINE_ARM, Arm, Condition
from backtracking.measurements.looks import Looks, planned
from backtracking.measurements.outcome import ways
from backtracking.measurements.statistics import Array
from backtracking.measurements.tallies import contributions
from backtracking.measurements.tradeoff import find_best_tradeoff, seems_best, summarize_arms
from backtracking.run.progress import Quiet
from backtracking.run.records import BASELINE_NAME
from backtracking.sweeps.contest import Contest
from backtracking.sweeps.waves import run_waves

sys.path.append(str(Path(__file__).resolve().parent.parent))

from benchmarks.sequential import (
    DESTRUCTIVE,
    HELD,
    MARGIN,
    NO_EFFECT,
    Mask,
    Rule,
    Sums,
    Truth,
    change_within,
    judge,
    simulate,
)

ARMS, TOGETHER, SAMPLES = 24, 8, 2
BEST = Truth(lost=0.0, after_wrong=-0.76, after_right=-0.03)


def drawn_arms(generator: np.random.Generator) -> tuple[list[Truth], int]:
    """What the arms of a search do, and the place of the best."""

    def one() -> Truth:
        kind, low = generator.random(), generator.uniform
        if kind < 0.4:
            return Truth(low(0, 0.03), low(-0.1, 0.03), low(-0.01, 0.01))
        if kind < 0.8:
            return Truth(low(0.1, 0.6), low(-0.95, 0), low(-0.03, 0.05))
        return Truth(low(0, 0.1), low(-0.5, -0.1), low(-0.02, 0))

    arms, place = [one() for _ in range(ARMS)], int(generator.integers(ARMS))
    arms[place] = BEST
    return arms, place


def as_tables(sums: Sums, sweep: int) -> dict[str, pd.DataFrame]:
    """A simulated sweep as tables of rows, by arm; all steps of a problem stand in its first row."""
    problems, samples = sums.wrong.shape[-1], sums.samples
    sample = np.tile(np.arange(samples), problems)
    parts = {}
    for k in range(sums.wrong.shape[1]):
        name = f"arm{k}" if k else "baseline"
        right = np.repeat(sums.right_answers[sweep, k], samples)
        counts = {
            "fresh_wrong": sums.wrong, "onsets_after_fresh_wrong": sums.after_wrong,
            "fresh_right": sums.right, "onsets_after_fresh_right": sums.after_right,
        }  # fmt: skip
        steps = {
            column: np.where(sample == 0, np.repeat(values[sweep, k], samples), 0.0)
            for column, values in counts.items()
        }
        parts[name] = pd.DataFrame(
            {
                "example_id": np.repeat([f"p{j}" for j in range(problems)], samples),
                "sample_id": sample, "variant": "v", "condition": name,
                "has_backtracking_strict": sample == 0, "is_correct": sample < right,
                "finish_reason": "stop", "completion_tokens": 50, "n_onsets_strict": 1,
                "predicted_answer": "1",
                "is_loop": False, "is_empty": False, "non_ascii_burst": False, "distinct_3": 0.9,
                "arm": name, "subset_name": name, "scale": None, "num_components": 1,
                "kind": "intervention" if k else "baseline", **steps,
            }
        )  # fmt: skip
    return parts


def picked(tables: Mapping[str, pd.DataFrame], margin: float, looks: Looks | None) -> str | None:
    """What the table of arms names first: with accuracy surely held, or by the estimates alone."""
    table = summarize_arms(pd.concat(tables.values(), ignore_index=True), margin, looks)
    held = find_best_tradeoff(table)
    first = seems_best(table, margin) if held is None else held
    return None if first is None else str(first["arm"])


def stopped(whole: Mapping[str, pd.DataFrame], margin: float, looks: Looks) -> dict[str, pd.DataFrame]:
    """The rows that a search in waves takes of these."""
    baseline = whole[BASELINE_NAME]
    contest = Contest(margin, ways(contributions(baseline)))
    ids = list(dict.fromkeys(baseline["example_id"]))
    kept = {BASELINE_NAME: baseline}

    def first(arm: str, problems: int) -> pd.DataFrame:
        return whole[arm][whole[arm]["example_id"].isin(set(ids[:problems]))]

    names = [name for name in whole if name != BASELINE_NAME]
    for start in range(0, len(names), TOGETHER):
        arms = [Arm(name, name, None, (Condition(name=name),)) for name in names[start : start + TOGETHER]]
        course = run_waves(
            looks,
            [BASELINE_ARM, *arms],
            lambda some, end: pd.concat([first(arm.name, end) for arm in some], ignore_index=True),
            contest.leaving,
            Quiet(),
        )
        kept |= {arm.name: first(arm.name, course.problems[arm.name]) for arm in arms}
        rest = [kept[arm.name] for arm in arms if arm.name not in course.settled]
        if rest:
            contest.enter(pd.concat([baseline, *rest], ignore_index=True), looks)
    return kept


@dataclass
class Bests:
    """The best arm so far of each of many searches; -1: none yet."""

    arm: NDArray[np.int_]
    is_held: Mask


def nobody(searches: int) -> Bests:
    """Before any arm has all its rows."""
    return Bests(np.full(searches, -1), np.zeros(searches, bool))


def first_of(sums: Sums, looks: Looks | None, among: Mask, bests: Bests) -> None:
    """Where the table of these arms names one first, with accuracy held or else by the estimates, take it."""
    problems = sums.wrong.shape[-1]
    found = judge(sums, problems, Rule(looks), among)
    held = among & (found.verdict == HELD)
    base = sums.right_answers[:, :1].mean(-1) / sums.samples
    seem = (found.accuracy.value >= -np.minimum(MARGIN, base / 4)) & (found.removed > 0)
    seem &= among & (found.verdict != DESTRUCTIVE)
    is_held = held.any(-1)
    can = np.where(is_held[:, None], held, seem)
    # Equal ones are told apart by accuracy.
    rank = np.where(can, np.minimum(found.removed, 1.0) + 1e-6 * found.accuracy.value, -np.inf)
    bests.arm = np.where(can.any(-1), rank.argmax(-1), bests.arm)
    bests.is_held = np.where(can.any(-1), is_held, bests.is_held)


def beaten(seen: Sums, whole: Sums, bests: Bests, level: float) -> Mask:
    """`Contest._is_beaten` of all arms of all searches."""
    place = np.maximum(bests.arm, 0) + 1

    def beside_best(part: Array) -> Array:
        return np.concatenate([np.take_along_axis(part, place[:, None, None], 1), part[:, 1:]], 1)

    pairs = seen.each(beside_best)
    steps = np.stack([part[:, :1].sum(-1) for part in (whole.wrong, whole.right)])
    shares = steps / steps.sum(0)
    gaps = [change_within(pairs.after_wrong, pairs.wrong), change_within(pairs.after_right, pairs.right)]
    value = sum(share * gap.value for share, gap in zip(shares, gaps, strict=True))
    below = [share * (gap.value - gap.ends(level)[0]) for share, gap in zip(shares, gaps, strict=True)]
    answers = pairs.right_answers.sum(-1)
    no_more_accurate = answers[:, 1:] <= answers[:, :1]
    return (value - np.hypot(*below) > 0) & (bests.is_held[:, None] | no_more_accurate)


def searches(sums: Sums, looks: Looks) -> tuple[NDArray[np.int_], NDArray[np.int_]]:
    """Many at once, as `stopped` does one: how many problems each arm comes to, and what is picked."""
    shape = (len(sums.wrong), sums.wrong.shape[1] - 1)
    reached, complete = np.zeros(shape, int), np.zeros(shape, bool)
    bests, picks = nobody(shape[0]), nobody(shape[0])
    for start in range(0, shape[1], TOGETHER):
        of_round = np.zeros(shape, bool)
        of_round[:, start : start + TOGETHER] = True
        going = of_round.copy()
        for end in looks.ends:
            reached[going] = end
            if end == looks.ends[-1]:
                break
            verdict = judge(sums, end, Rule(looks), going).verdict
            out = np.isin(verdict, (DESTRUCTIVE, NO_EFFECT))
            out |= beaten(sums.first(end), sums, bests, looks.level(end)) & (bests.arm >= 0)[:, None]
            going &= ~out
        complete |= going
        best_too = np.arange(shape[1]) == bests.arm[:, None]
        first_of(sums, looks, going | best_too, bests)
    first_of(sums, looks, complete, picks)
    return reached, picks.arm


def main() -> None:
    """Many searches, and the shares among them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--searches", type=int, default=1000)
    count, generator = parser.parse_args().searches, np.random.default_rng(0)
    np.seterr(divide="ignore", invalid="ignore")  # arms without a step of some kind
    print("| problems | same pick | the same at the waves' levels | planted | by the whole search | rows |")
    print("|---|---|---|---|---|---|")
    for problems in (30, 60, 120):
        drawn = [drawn_arms(generator) for _ in range(count)]
        each = [simulate(truths, 1, generator, SAMPLES).first(problems) for truths, _ in drawn]
        sums, best = joined(each), np.array([place for _, place in drawn])
        reached, ours = searches(sums, planned(problems))
        every = np.ones(reached.shape, bool)
        theirs, at_looks = nobody(count), nobody(count)
        first_of(sums, None, every, theirs)
        first_of(sums, planned(problems), every, at_looks)
        rows = (reached.sum(-1) + problems).mean() / problems / (ARMS + 1)
        agree = [(ours == picks.arm).mean() for picks in (theirs, at_looks)]
        shares = (*agree, (ours == best).mean(), (theirs.arm == best).mean(), rows)
        print(f"| {problems} | " + " | ".join(f"{share:.1%}" for share in shares) + " |", flush=True)


def joined(each: Sequence[Sums]) -> Sums:
    """Searches that were drawn one by one, as one."""
    names = ("right_answers", "wrong", "after_wrong", "right", "after_right")
    parts = (np.concatenate([getattr(sums, name) for sums in each]) for name in names)
    return Sums(*parts, each[0].samples)


if __name__ == "__main__":
    main()
