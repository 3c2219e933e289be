"""What hand labels leave in a run: the labels, and the detectors scored against them."""

import hashlib

from backtracking.artifacts.kinds import Table, meanings
from backtracking.config.onsets import TOGETHER, TURN_KINDS
from backtracking.run import io
from backtracking.run.paths import RunPaths

_KINDS = ", ".join(TURN_KINDS)
_QUOTED = ", ".join(f"`{kind}`" for kind in TURN_KINDS)
_TOGETHER = ", ".join(TOGETHER)

SENTENCE_LABELS = Table(
    "analysis/sentence_labels.csv",
    "import-labels",
    "labelled sentences from elsewhere (`import-traces` writes the same)",
    meanings(f"""
        example_id, sample_id, variant: the completion
        char_start, char_end: where the sentence stands in it
        label: {_QUOTED} or `none`
        given: what the label was called
    """),
)
SCORED = Table(
    "analysis/scored_sentences.csv",
    "onset-scorer score",
    "every sentence with the scorer's probabilities",
    meanings("""
        example_id, sample_id, variant: the completion
        char_start, char_end: where the sentence stands in it
        p_doubt, p_redo: probability that it is a doubt; a redo
        is_doubt_or_redo, is_redo: whether the scorer's thresholds are met
    """),
)
SENTENCE_QUALITY = Table(
    "analysis/sentence_quality.csv",
    "detection-quality",
    "every detector against sentence labels",
    meanings(f"""
        target: what is to be found: {_QUOTED}, or `{_TOGETHER}`
        detector: the detector
        labelled, labelled_problems: labelled sentences; the problems that they are of
        hits, false_alarms, misses: labelled sentences
        precision, recall, f1: its score
        precision_problems, recall_problems, f1_problems: problems with something found; to be found; either
        labels_digest: of the labels, which tells whether they have changed since
    """),
)
CONFUSION = Table(
    "analysis/phrase_confusion.csv",
    "detection-quality",
    "how the sentences with each phrase were labelled",
    meanings(f"""
        kind, phrase: the onset
        sentences: labelled sentences with it
        {_KINDS}, none: those of this label
    """),
)
WORST = Table(
    "analysis/worst_sentences.csv",
    "detection-quality",
    "false alarms and misses of doubt or redo, to read",
    meanings("""
        side: `false alarm` or `miss`
        label: what it was labelled
        phrase: what the rules found
        probability: of doubt or redo, by the scorer
        before, sentence, after: the sentence in its surroundings
        question: the problem
    """),
)
LABEL_SAMPLE = Table(
    "analysis/label_sample.csv",
    "label-sample",
    "sentences to label by hand",
    meanings("""
        item: number of the sentence
        before, sentence, after: the sentence in its surroundings
        label: yours: y or n
    """),
)
LABEL_KEY = Table(
    "analysis/label_key.csv",
    "label-sample",
    "what the detectors say about them",
    meanings(f"""
        item: number of the sentence
        example_id: id of the problem
        stratum: the group that it was drawn from
        population: sentences in that group
        strict, relaxed, strict_anywhere, relaxed_anywhere: whether this detector finds an onset
        {_KINDS}, {_TOGETHER}, scorer: the same
    """),
)
QUALITY = Table(
    "analysis/detection_quality.csv",
    "detection-quality",
    "the detectors scored against the labels",
    meanings("""
        detector: the detector
        labelled, labelled_problems: labelled sentences; the problems that they are of
        labelled_yes: those labelled y
        drawn_from: sentences of the run that they were drawn from
        precision, recall, f1: its score over all sentences drawn from
        precision_problems, recall_problems, f1_problems: problems with something found; to be found; either
        labels_digest: of the labels, which tells whether they have changed since
    """),
)


def labels_digest(run: RunPaths, files: tuple[Table, ...]) -> str:
    """Of labels as they are now; empty where any of the files is missing."""
    if not all(file.exists(run) for file in files):
        return ""
    return hashlib.sha256(b"\0".join(io.read_bytes(file.path(run)) for file in files)).hexdigest()
