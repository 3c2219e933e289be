"""Every way of finding onsets against labelled traces, judged on questions that it did not see.

    python benchmarks/onsets.py TRACES [--map backtracking=redo]

TRACES is what import-traces reads, with sentence labels. Rules and the shipped scorer are fixed; the n-gram
regression is trained on four fifths of the questions and read on the fifth, in turn.
"""

import argparse

import pandas as pd

from backtracking.config.schema import DetectionConfig
from backtracking.measurements.quality import DETECTORS, TARGETS, judged, labelled_sentences, quality_table
from backtracking.measurements.scorer_training import best_threshold, held_out_logits
from backtracking.sources.labelled import read_labelled_traces
from backtracking.sources.labels import label_map
from backtracking.text.onsets import Detector
from backtracking.text.onsets.scorer import bundled_scorer, softmax

KEYWORDS = ("wait", "but", "hmm", "actually", "alternatively", "however", "maybe", "let me check", "hold on")


def sentences(source: str, pairs: list[str]) -> pd.DataFrame:
    """One row per labelled sentence, with what the detectors say."""
    detector, scorer = Detector(DetectionConfig()), bundled_scorer()
    traces = read_labelled_traces(source, label_map(pairs))
    return pd.DataFrame(
        [row for t in traces for row in judged(t.question, t.text, t.spans, detector, scorer)]
    )


def add_regression(rows: pd.DataFrame) -> None:
    """Predictions for held-out questions; the threshold is each fold's own best, so it flatters a little."""
    chances = softmax(held_out_logits(labelled_sentences(rows)))
    for name, chance, labels in (
        ("regression", chances[:, 1] + chances[:, 2], TARGETS["doubt_or_redo"]),
        ("regression_redo", chances[:, 2], TARGETS["redo"]),
    ):
        rows[name] = chance >= best_threshold(chance, rows["label"].isin(labels).to_numpy())


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("traces")
    parser.add_argument("--map", action="append", default=[])
    arguments = parser.parse_args()
    rows = sentences(arguments.traces, arguments.map)
    lowered = rows["sentence"].str.lower()
    rows["keywords"] = lowered.str.contains("|".join(rf"\b{word}\b" for word in KEYWORDS))
    names = [*DETECTORS, "keywords"]
    if (
        rows["question"].nunique() >= 5
        and rows["label"].value_counts().reindex(["doubt", "redo"]).min() >= 20
    ):
        add_regression(rows)
        names += ["regression", "regression_redo"]
    print(f"{len(rows):,} sentences of {rows['question'].nunique():,} questions")
    print(rows["label"].value_counts().to_string())
    for row in quality_table(rows, names).to_dict("records"):
        shares = "  ".join(
            f"{name[0].upper()} {row[name]:.2f} [{row[f'{name}_low']:.2f}, {row[f'{name}_high']:.2f}]"
            for name in ("precision", "recall", "f1")
        )
        print(f"{row['target']:<14} {row['detector']:<16} {shares}")


if __name__ == "__main__":
    main()
