"""Reads a run's sentence labels beside its completions, for scoring detectors and training a scorer."""

from collections import defaultdict

import pandas as pd

from backtracking.artifacts.labels import SENTENCE_LABELS
from backtracking.artifacts.phase1 import GENERATIONS
from backtracking.errors import UserError
from backtracking.measurements.quality import TaggedSpan, judged
from backtracking.run import io
from backtracking.run.records import BASELINE_NAME, GenerationRecord
from backtracking.stages.base import RunContext
from backtracking.text.onsets import Detector
from backtracking.text.onsets.scorer import Scorer


def judged_labels(ctx: RunContext, scorer: Scorer) -> pd.DataFrame:
    """One row per labelled sentence of the run, with what every detector says about it."""
    path = io.require_file(SENTENCE_LABELS.path(ctx.paths), made_by=SENTENCE_LABELS.made_by)
    spans: dict[tuple[str, str, int], list[TaggedSpan]] = defaultdict(list)
    for row in io.read_csv(path).to_dict("records"):
        key = (str(row["variant"]), str(row["example_id"]), int(row["sample_id"]))
        spans[key].append((int(row["char_start"]), int(row["char_end"]), str(row["label"])))
    detector = Detector(ctx.config.detection)
    rows = []
    for variant in dict.fromkeys(variant for variant, _, _ in spans):
        file = GENERATIONS.path(ctx.paths, variant=variant, condition=BASELINE_NAME)
        for record in io.read_jsonl(file, GenerationRecord, made_by=GENERATIONS.made_by):
            labelled = spans.get((variant, record.example_id, record.sample_id))
            if labelled:
                rows += judged(record.example_id, record.completion, labelled, detector, scorer)
    if not rows:
        raise UserError(
            f"run {ctx.paths.run_id} has no labelled sentences",
            f"{path} is empty, or its sentences are not in the completions",
            "import-labels LABELS finds the sentences of a file in the run",
        )
    return pd.DataFrame(rows)
