"""Every detector against sentences that somebody labelled: precision, recall, confusion by phrase, the worst.

The unit is the labelled sentence; a detector finds it if one of its onsets begins inside. Intervals are over
questions, whose sentences are alike; behind each share stand so many of them.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from backtracking.config.onsets import LABELS, MEMBERS, TOGETHER, TURN_KINDS
from backtracking.measurements.floors import FEWEST_PROBLEMS
from backtracking.measurements.scorer_training import Labelled, contexts_of
from backtracking.measurements.statistics import estimate_columns, rate, sums_by
from backtracking.text.onsets import Detector
from backtracking.text.onsets.scorer import Context, Scorer

DETECTORS = (*MEMBERS, "scorer", "scorer_redo")
SHARES = ("precision", "recall", "f1")
TARGETS: Mapping[str, tuple[str, ...]] = {name: MEMBERS[name] for name in (*TOGETHER, *reversed(TURN_KINDS))}
WORST = 20

TaggedSpan = tuple[int, int, str]
"""Where a labelled sentence stands, and its label."""


def judged(
    question: str, text: str, spans: Sequence[TaggedSpan], detector: Detector, scorer: Scorer
) -> list[dict[str, Any]]:
    """One row per labelled sentence of a trace: its label, and what each detector says."""
    onsets = [*detector.find(text), *detector.turns(text)]
    contexts = contexts_of(text, spans)
    scored, chances = scorer.judge(contexts), scorer.probabilities(contexts)
    rows = []
    for k, (start, end, label) in enumerate(spans):
        here = [onset for onset in onsets if start <= onset.start < end]
        kinds = {onset.kind for onset in here}
        rows.append(
            {
                "question": question,
                "label": label,
                "sentence": contexts[k].text,
                "before": contexts[k].before,
                "after": contexts[k].after,
                "phrases": [(onset.kind, onset.phrase) for onset in here],
                "probability": float(chances[k, 1:].sum()),
                "probability_redo": float(chances[k, 2]),
                **{str(name): not kinds.isdisjoint(members) for name, members in MEMBERS.items()},
                "scorer": bool(scored["doubt_or_redo"][k]),
                "scorer_redo": bool(scored["redo"][k]),
            }
        )
    return rows


def labelled_sentences(rows: pd.DataFrame) -> list[Labelled]:
    """The same sentences, to train a scorer on."""
    return [
        Labelled(Context(row["sentence"], row["before"], row["after"]), row["label"], row["question"])
        for row in rows.to_dict("records")
    ]


def quality_table(rows: pd.DataFrame, detectors: Iterable[str] = DETECTORS) -> pd.DataFrame:
    """Precision, recall and F1 of every detector for every target, with intervals over questions."""
    truths = {target: rows["label"].isin(labels).to_numpy() for target, labels in TARGETS.items()}
    return pd.DataFrame(
        [
            {"target": target, "detector": name} | scores(rows[name].to_numpy(bool), truth, rows["question"])
            for target, truth in truths.items()
            for name in detectors
        ]
    )


def scores(detected: Any, truth: Any, questions: Any) -> dict[str, Any]:
    """Hits, false alarms and misses, and what follows from them."""
    cells = np.stack([detected & truth, detected & ~truth, ~detected & truth], axis=1).astype(float)
    sums = sums_by(questions, cells)
    counts = zip(("hits", "false_alarms", "misses"), sums.sum(axis=0), strict=True)
    line: dict[str, Any] = {"labelled": len(truth), "labelled_problems": len(set(questions))}
    line |= {name: int(count) for name, count in counts}
    hits, alarms, misses = sums.T
    shares = {
        "precision": (hits, hits + alarms),
        "recall": (hits, hits + misses),
        "f1": (2 * hits, 2 * hits + alarms + misses),
    }
    for name, (some, whole) in shares.items():
        line |= estimate_columns(name, rate(some, whole))
    return line | problems_behind(detected, truth, questions)


def problems_behind(detected: Any, truth: Any, questions: Any) -> dict[str, int]:
    """How many problems each share is of: those with something found, with something to find, with either."""
    of = {"precision": detected, "recall": truth, "f1": detected | truth}
    return {f"{name}_problems": len(set(np.asarray(questions)[where])) for name, where in of.items()}


def rests_on_few(line: Mapping[Any, Any], share: str) -> bool:
    """Whether a share is of so few problems that no claim can be made of it; F1 is where either part is."""
    parts = SHARES if share == "f1" else (share,)
    return any(int(line[f"{part}_problems"]) < FEWEST_PROBLEMS for part in parts)


def confusion_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Per kind and phrase, how the sentences that hold it were labelled; the commonest first."""
    lines = [
        {"kind": kind, "phrase": phrase, "label": label}
        for phrases, label in zip(rows["phrases"], rows["label"], strict=True)
        for kind, phrase in phrases
    ]
    table = pd.DataFrame(lines, columns=["kind", "phrase", "label"])
    counts = table.groupby(["kind", "phrase", "label"]).size().unstack("label", fill_value=0)
    counts = counts.reindex(columns=LABELS, fill_value=0).reset_index()
    counts.insert(2, "sentences", counts[list(LABELS)].sum(axis=1))
    order = ["sentences", "kind", "phrase"]
    return counts.sort_values(order, ascending=[False, True, True], ignore_index=True)


def worst_table(rows: pd.DataFrame, count: int = WORST) -> pd.DataFrame:
    """Sentences to read: the false alarms that the scorer likes least, and the misses it likes most."""
    turns = rows["label"].isin(TARGETS["doubt_or_redo"])
    alarms = rows[rows["doubt_or_redo"] & ~turns].nsmallest(count, "probability")
    misses = rows[~rows["doubt_or_redo"] & turns].nlargest(count, "probability")
    table = pd.concat([alarms.assign(side="false alarm"), misses.assign(side="miss")])
    table["phrase"] = ["; ".join(phrase for _, phrase in phrases) for phrases in table["phrases"]]
    return table[["side", "label", "phrase", "probability", "before", "sentence", "after", "question"]]
