"""onset-scorer score: probabilities of doubt and redo for every sentence of a run's baseline."""

from dataclasses import dataclass

from backtracking.artifacts.labels import SCORED
from backtracking.artifacts.phase1 import GENERATIONS
from backtracking.measurements.events import table_writer
from backtracking.measurements.labels import sentence_spans
from backtracking.run import io
from backtracking.run.records import BASELINE_NAME, GenerationRecord
from backtracking.stages.base import RunContext
from backtracking.text.onsets.scorer import Context, Scorer

COLUMNS = (
    *("example_id", "sample_id", "variant", "char_start", "char_end"),
    *("p_doubt", "p_redo", "is_doubt_or_redo", "is_redo"),
)


@dataclass
class Scored:
    """How many sentences there were, and what the scorer took them for."""

    sentences: int = 0
    turns: int = 0
    redos: int = 0


def score_sentences(ctx: RunContext, variant: str, scorer: Scorer) -> Scored:
    """Write the table, one completion at a time."""
    counts = Scored()
    path = GENERATIONS.path(ctx.paths, variant=variant, condition=BASELINE_NAME)
    with table_writer(SCORED.path(ctx.paths), COLUMNS) as table:
        for record in io.read_jsonl(path, GenerationRecord, made_by=GENERATIONS.made_by):
            spans = sentence_spans(record.completion)
            texts = [record.completion[start:end].strip() for start, end in spans]
            contexts = [
                Context(text, texts[k - 1] if k else "", texts[k + 1] if k + 1 < len(texts) else "")
                for k, text in enumerate(texts)
            ]
            chances, judged = scorer.probabilities(contexts), scorer.judge(contexts)
            for k, (start, end) in enumerate(spans):
                table.writerow(
                    {
                        "example_id": record.example_id,
                        "sample_id": record.sample_id,
                        "variant": variant,
                        "char_start": start,
                        "char_end": end,
                        "p_doubt": round(float(chances[k, 1]), 4),
                        "p_redo": round(float(chances[k, 2]), 4),
                        "is_doubt_or_redo": bool(judged["doubt_or_redo"][k]),
                        "is_redo": bool(judged["redo"][k]),
                    }
                )
            counts.sentences += len(spans)
            counts.turns += int(judged["doubt_or_redo"].sum())
            counts.redos += int(judged["redo"].sum())
    return counts
