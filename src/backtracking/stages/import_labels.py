"""import-labels: sentence labels of any scheme, found again in the completions of a run."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from backtracking.artifacts.labels import SENTENCE_LABELS
from backtracking.artifacts.phase1 import GENERATIONS
from backtracking.config.onsets import Label
from backtracking.errors import UserError
from backtracking.measurements.events import table_writer
from backtracking.run import io
from backtracking.run.records import BASELINE_NAME, GenerationRecord, RowId
from backtracking.sources.columns import GUESSES, guess
from backtracking.sources.labels import LabelCounts, LabelledSentence, place_sentences, read_sentences
from backtracking.sources.rows import read_rows
from backtracking.sources.trace import clean, prompt_key
from backtracking.stages.base import RunContext

LABEL_COLUMNS = ("example_id", "sample_id", "variant", "char_start", "char_end", "label", "given")
_ROLES = {
    "id": ("example_id", "id", "question_id", "problem_id", "task_id", "trace_id"),
    "prompt": GUESSES["prompt"],
    "sample": ("sample_id", "sample"),
    "sentences": ("sentences", "labels", "sentence_labels", "segments", "annotations", "annotated"),
    "text": ("sentence", "text", "segment"),
    "label": ("label", "tag", "category", "kind"),
}


def import_labels(
    ctx: RunContext, source: str, variant: str, mapping: Mapping[str, Label], given: Mapping[str, str]
) -> LabelCounts:
    """Replace the run's table of sentence labels by those of a file; both traces and labels have ids."""
    wanted = _read(source, given)
    counts = LabelCounts(total=sum(map(len, wanted.values())))
    path = GENERATIONS.path(ctx.paths, variant=variant, condition=BASELINE_NAME)
    with table_writer(SENTENCE_LABELS.path(ctx.paths), LABEL_COLUMNS) as table:
        for record in io.read_jsonl(path, GenerationRecord, made_by=GENERATIONS.made_by):
            sentences = wanted.get((record.example_id, record.sample_id), [])
            table.writerows(label_rows(record, sentences, mapping, counts))
        if not counts.placed:  # inside, so that the labels the run has stay as they are
            raise UserError(
                f"no sentence of {source} stands in the completions of run {ctx.paths.run_id}",
                f"its first id is {next(iter(wanted))[0]!r}",
                "ids (and sample_id, from 0) must be those of the run, or prompts where neither has ids; "
                "name the column of ids with --id",
            )
    return counts


def label_rows(
    record: GenerationRecord,
    sentences: Sequence[LabelledSentence],
    mapping: Mapping[str, Label],
    counts: LabelCounts,
) -> Iterator[dict[str, Any]]:
    """The labelled sentences of a completion as rows of the table of labels."""
    for one in place_sentences(record.completion, sentences, mapping):
        counts.add(one)
        yield {
            "example_id": record.example_id,
            "sample_id": record.sample_id,
            "variant": record.variant,
            "char_start": one.start,
            "char_end": one.end,
            "label": one.label,
            "given": one.given,
        }


def _read(source: str, given: Mapping[str, str]) -> dict[RowId, list[LabelledSentence]]:
    """By completion: rows hold all sentences of a completion, or one sentence each, in order."""
    labels_of: dict[RowId, list[LabelledSentence]] = {}
    columns: dict[str, str] | None = None
    for row in read_rows(source):
        columns = columns or _columns(row, given)
        by_id = "id" in columns
        problem = clean(row.get(columns["id"])) if by_id else prompt_key(clean(row[columns["prompt"]]))
        key = (problem, int(row.get(columns.get("sample", "")) or 0))
        if "sentences" in columns:
            sentences = read_sentences(row.get(columns["sentences"]))
        else:
            sentences = [LabelledSentence(clean(row[columns["text"]]), clean(row[columns["label"]]))]
        labels_of.setdefault(key, []).extend(sentences)
    if not any(labels_of.values()):
        raise UserError(f"{source} holds no labelled sentences")
    return labels_of


def _columns(row: Mapping[str, Any], given: Mapping[str, str]) -> dict[str, str]:
    columns = guess(row, given, _ROLES)
    named = not {"id", "prompt"}.isdisjoint(columns)
    if not named or not ("sentences" in columns or {"text", "label"} <= set(columns)):
        raise UserError(
            "labels need a column of ids or prompts, and labelled sentences or one sentence and its label",
            f"columns: {', '.join(map(str, row))}",
            "name them with --id, --sentences, or --text and --label",
        )
    return columns
