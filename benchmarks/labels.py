"""How often the intervals of `detection-quality` cover the truth, in corpora whose truth is known.

python benchmarks/labels.py [--repeats 400]
"""

import argparse
from collections import defaultdict

import numpy as np
import pandas as pd

from backtracking.measurements.labels import DETECTORS, STRATA, score_detectors

SIZES = dict(zip(STRATA, (150, 200, 300, 200, 300, 100, 4000), strict=True))
CORPORA = (
    (0.9, 0.8, 0.5, 0.3, 0.1, 0.3, 0.01),
    (0.97, 0.9, 0.5, 0.2, 0.02, 0.2, 0.002),
    (0.8, 0.7, 0.3, 0.2, 0.2, 0.4, 0.05),
    (0.9, 0.8, 0.5, 0.3, 0.1, 0.3, 0.0005),
)
"""Share of sentences that turn back, per stratum."""


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


if __name__ == "__main__":
    main()
