"""The search whose hopeless arms stop, against the whole one, by simulation with a planted best arm.

    python -P benchmarks/search.py [--searches 100] [--problems 30] [--margin 0.05]

A search tries 24 arms in rounds of eight. One, at a place drawn by lot, takes four fifths of the onsets away
and costs no accuracy. Of the others four in ten do next to nothing, four destroy, and two take away some
onsets at some cost. Rows are drawn as in `sequential.py`, two samples of a problem. Waves, table, contest and
pick are the package's own; beside them the same arms on all problems.
"""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from backtracking.interventions import BASELINE_ARM, Arm, Condition
from backtracking.measurements.looks import Looks, planned
from backtracking.measurements.outcome import ways
from backtracking.measurements.tallies import contributions
from backtracking.measurements.tradeoff import find_best_tradeoff, seems_best, summarize_arms
from backtracking.run.progress import Quiet
from backtracking.run.records import BASELINE_NAME
from backtracking.sweeps.contest import Contest
from backtracking.sweeps.waves import run_waves

sys.path.append(str(Path(__file__).resolve().parent.parent))

from benchmarks.sequential import Sums, Truth, simulate

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


def as_tables(sums: Sums, sweep: int, samples: int = SAMPLES) -> dict[str, pd.DataFrame]:
    """A simulated sweep as tables of rows, by arm; all steps of a problem stand in its first row."""
    problems = sums.wrong.shape[-1]
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


def main() -> None:
    """Searches one after the other, and the shares among them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--searches", type=int, default=100)
    parser.add_argument("--problems", type=int, default=30)
    parser.add_argument("--margin", type=float, default=0.05)
    asked = parser.parse_args()
    generator, looks, found = np.random.default_rng(0), planned(asked.problems), []
    for _ in range(asked.searches):
        truths, place = drawn_arms(generator)
        sums = simulate(truths, 1, generator, SAMPLES).first(asked.problems)
        whole = as_tables(sums, 0)
        kept = stopped(whole, asked.margin, looks)
        ours, theirs = picked(kept, asked.margin, looks), picked(whole, asked.margin, None)
        rows = sum(map(len, kept.values())) / sum(map(len, whole.values()))
        best = f"arm{place + 1}"
        found.append((ours == theirs, ours == best, theirs == best, rows))
    same, ours_best, theirs_best, rows = np.mean(found, axis=0)
    print(f"{asked.searches} searches of {ARMS} arms, {asked.problems} problems, margin {asked.margin}")
    print(f"same pick {same:.1%}; the planted arm {ours_best:.1%}, whole {theirs_best:.1%}; rows {rows:.1%}")


if __name__ == "__main__":
    main()
