"""How often the intervals of `detection-quality` cover the truth, in corpora whose truth is known.

    python benchmarks/labels.py [--repeats 400]

Drawn labels of one run's sentences (`label-sample`); then, ten times as often, labelled traces whose problems
are unlike each other (`import-labels`), beside the percentile bootstrap over problems.
"""

import argparse
import itertools
from collections import defaultdict

import numpy as np
import pandas as pd

from backtracking.measurements.labels import DETECTORS, STRATA, score_detectors
from backtracking.measurements.quality import SHARES, scores
from backtracking.measurements.statistics import Array, Interval, cluster_bootstrap, sums_by

SIZES = dict(zip(STRATA, (150, 200, 300, 200, 300, 100, 4000), strict=True))
CORPORA = (
    (0.9, 0.8, 0.5, 0.3, 0.1, 0.3, 0.01),
    (0.97, 0.9, 0.5, 0.2, 0.02, 0.2, 0.002),
    (0.8, 0.7, 0.3, 0.2, 0.2, 0.4, 0.05),
    (0.9, 0.8, 0.5, 0.3, 0.1, 0.3, 0.0005),
)
"""Share of sentences that turn back, per stratum."""
PROBLEMS = (8, 16, 40)
QUALITIES = ((0.75, 0.95), (0.85, 0.8), (0.97, 0.9), (0.995, 0.98))
"""Precision and recall of a detector."""
CORRELATIONS = (0.05, 0.3)
SENTENCES, ONSETS = 15, 0.15
"""How many sentences a problem has on average, and the share of onsets among them."""
_MANY = 100_000


def make_corpus(rng: np.random.Generator, shares: tuple[float, ...]) -> pd.DataFrame:
    """Sentences with their true labels and what the detectors say."""
    parts = []
    for stratum, share in zip(STRATA, shares, strict=True):
        count = SIZES[stratum]
        kind, often = stratum.partition(" ")[0], rng.random(count) < 0.7
        turns = kind in ("doubt", "redo")
        strict = often & turns | (kind == "strict")
        phrase = kind not in ("scorer", "no")
        columns = {
            "strict": strict,
            "relaxed": strict | (kind == "relaxed"),
            "strict_anywhere": strict | (rng.random(count) < 0.4) & (kind == "phrase"),
            "relaxed_anywhere": strict | (phrase and not turns),
            "doubt": kind == "doubt",
            "redo": kind == "redo",
            "doubt_or_redo": turns,
            "scorer": often & phrase | (kind == "scorer"),
        }
        truth = rng.random(count) < share
        parts.append(pd.DataFrame({"stratum": stratum, "population": count, "truth": truth, **columns}))
    return pd.concat(parts, ignore_index=True)


def true_shares(corpus: pd.DataFrame, detector: str) -> dict[str, float]:
    """Precision and recall over all sentences."""
    hits = (corpus["truth"] & corpus[detector]).sum()
    return {"precision": hits / corpus[detector].sum(), "recall": hits / max(1, corpus["truth"].sum())}


def covered(rng: np.random.Generator, corpus: pd.DataFrame, labels: int) -> dict[tuple[str, str], bool]:
    """Whether each interval from one drawn and labelled sheet holds the truth."""
    parts = [
        corpus[corpus["stratum"] == stratum].sample(int(labels * share), random_state=rng)
        for stratum, share in STRATA.items()
    ]
    key = pd.concat(parts, ignore_index=True).assign(example_id="p").reset_index(names="item")
    sheet = key[["item"]].assign(label=np.where(key["truth"], "y", "n"))
    table = score_detectors(sheet, key).set_index("detector")
    return {
        (detector, name): table.loc[detector, f"{name}_low"] <= truth <= table.loc[detector, f"{name}_high"]
        for detector in DETECTORS
        for name, truth in true_shares(corpus, detector).items()
    }


def labelled_traces(
    rng: np.random.Generator, problems: int, quality: tuple[float, float], correlation: float
) -> tuple[Array, Array, Array]:
    """What is found, what is there, and the problem of each sentence; some problems are harder to read."""
    precision, recall = quality
    alarms = ONSETS * recall * (1 - precision) / precision / (1 - ONSETS)
    size = 1 / correlation - 1
    found_there, found_elsewhere = (
        rng.beta(share * size, (1 - share) * size, problems) for share in (recall, alarms)
    )
    problem = np.repeat(np.arange(problems), 1 + rng.poisson(SENTENCES - 1, problems))
    truth = rng.random(len(problem)) < ONSETS
    found = rng.random(len(problem)) < np.where(truth, found_there[problem], found_elsewhere[problem])
    return found, truth, problem


def bootstrapped(found: Array, truth: Array, problem: Array) -> list[Interval]:
    """Precision, recall and F1 by resampled problems, for comparison."""
    sums = sums_by(problem, np.stack([found & truth, found & ~truth, ~found & truth], axis=1))
    hits, alarms, misses = np.eye(3)
    parts = ((hits, hits + alarms), (hits, hits + misses), (2 * hits, 2 * hits + alarms + misses))
    return [
        cluster_bootstrap(
            sums, lambda drawn, part=part: drawn @ part[0] / (drawn @ part[1]), seed=0, draws=600
        )
        for part in parts
    ]


def coverage_of_traces(rng: np.random.Generator, repeats: int) -> None:
    """Prints how often the intervals of labelled traces hold the truth."""
    print("problems  precision, recall  correlation   share: coverage (of the bootstrap)")
    for problems, quality, correlation in itertools.product(PROBLEMS, QUALITIES, CORRELATIONS):
        everything = scores(*labelled_traces(rng, _MANY, quality, correlation))
        held = np.zeros((2, len(SHARES)))
        for _ in range(repeats):
            drawn = labelled_traces(rng, problems, quality, correlation)
            line = scores(*drawn)
            for k, (name, other) in enumerate(zip(SHARES, bootstrapped(*drawn), strict=True)):
                held[0, k] += line[f"{name}_low"] <= everything[name] <= line[f"{name}_high"]
                held[1, k] += other.low <= everything[name] <= other.high
        shown = "  ".join(
            f"{name}: {ours:.1%} ({theirs:.1%})"
            for name, ours, theirs in zip(SHARES, *held / repeats, strict=True)
        )
        print(f"{problems:>8}  {quality!s:>17}  {correlation:>11}   {shown}")


def main() -> None:
    """Simulate and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=400)
    repeats = parser.parse_args().repeats
    rng = np.random.default_rng(0)
    for shares in CORPORA:
        for labels in (100, 400):
            counts: dict[tuple[str, str], int] = defaultdict(int)
            for _ in range(repeats):
                for name, inside in covered(rng, make_corpus(rng, shares), labels).items():
                    counts[name] += inside
            for share in ("precision", "recall"):
                rates = [count / repeats for (_, name), count in counts.items() if name == share]
                print(f"{shares}, {labels} labels: {share} {min(rates):.1%} to {max(rates):.1%}")
    coverage_of_traces(rng, 10 * repeats)


if __name__ == "__main__":
    main()
