"""import-labels: sentence labels of any scheme, found again in the completions of a run."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
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


@dataclass(frozen=True)
class _Row:
    """Labelled sentences of one completion of a problem, by its number where the row says it."""

    problem: str
    called: str
    """The problem as the file names it: its id, or how its prompt begins."""
    sample: int | None
    sentences: list[LabelledSentence]
    is_single: bool


def import_labels(
    ctx: RunContext, source: str, variant: str, mapping: Mapping[str, Label], given: Mapping[str, str]
) -> LabelCounts:
    """Put the labels of a file into the run's table; those of other completions stay there."""
    path = GENERATIONS.path(ctx.paths, variant=variant, condition=BASELINE_NAME)
    read = _read(source, given)
    called = {row.problem: row.called for row in read}
    wanted = _by_completion(read, path)
    counts = LabelCounts(total=sum(map(len, wanted.values())))
    counts.without_label = sum(row.is_single and not row.sentences for row in read)
    earlier = _labels_there(SENTENCE_LABELS.path(ctx.paths))
    unseen = {name: len(sentences) for name, sentences in wanted.items()}
    with table_writer(SENTENCE_LABELS.path(ctx.paths), LABEL_COLUMNS) as table:
        for record in io.read_jsonl(path, GenerationRecord, made_by=GENERATIONS.made_by):
            unseen.pop(record.id, None)
            rows = [*label_rows(record, wanted.get(record.id, []), mapping, counts)]
            there = earlier.pop((variant, record.id), [])
            (counts.replaced if rows else counts.kept)[record.id] += len(there)
            table.writerows(rows or there)
        for (_, name), there in earlier.items():
            counts.kept[name] += len(there)
            table.writerows(there)
        for (problem, _), sentences in unseen.items():
            counts.foreign[called[problem]] += sentences
        if not counts.placed:  # inside, so that the labels the run has stay as they are
            raise UserError(
                f"no sentence of {source} stands in the completions of run {ctx.paths.run_id}",
                f"its first problem is {called[next(iter(wanted))[0]]!r}",
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
    placed, lost = place_sentences(record.completion, sentences, mapping)
    found = {record.completion[one.start : one.end] for one in placed}
    for sentence in lost:
        text = sentence.text.strip()
        (counts.repeated if text in found else counts.lost).append((record.example_id, text))
    for one in placed:
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


def _labels_there(path: Path) -> dict[tuple[str, RowId], list[dict[Any, Any]]]:
    """The labels that a run has, by prompt format and completion."""
    labels: dict[tuple[str, RowId], list[dict[Any, Any]]] = defaultdict(list)
    if path.exists():
        for row in io.read_csv(path).to_dict("records"):
            labels[str(row["variant"]), (str(row["example_id"]), int(row["sample_id"]))].append(row)
    return labels


def _read(source: str, given: Mapping[str, str]) -> list[_Row]:
    """Rows hold all sentences of a completion, or one sentence each, in order."""
    found: list[_Row] = []
    columns: dict[str, str] | None = None
    for row in read_rows(source):
        columns = columns or _columns(row, given)
        by_id = "id" in columns
        named = clean(row.get(columns["id" if by_id else "prompt"]))
        problem = named if by_id else prompt_key(named)
        is_single = "sentences" not in columns
        if not is_single:
            sentences = read_sentences(row.get(columns["sentences"]))
        else:
            sentences = read_sentences([(clean(row[columns["text"]]), clean(row[columns["label"]]))])
        sample = _sample(row.get(columns.get("sample", "")))
        found.append(_Row(problem, named[:60], sample, sentences, is_single))
    if not any(row.sentences for row in found):
        raise UserError(f"{source} holds no labelled sentences")
    return found


def _sample(value: Any) -> int | None:
    said = clean(value).strip().removesuffix(".0")
    if not said:
        return None
    if not said.isdecimal():
        raise UserError(f"{said[:40]!r} is no number of a sample", "samples of a problem count from 0")
    return int(said)


def _by_completion(rows: Sequence[_Row], path: Path) -> dict[RowId, list[LabelledSentence]]:
    """The sentences of each completion; rows that do not say of which are looked for in the texts."""
    unsaid: dict[str, list[_Row]] = defaultdict(list)
    labels_of: dict[RowId, list[LabelledSentence]] = defaultdict(list)
    for row in rows:
        if row.sample is None:
            unsaid[row.problem].append(row)
        else:
            labels_of[row.problem, row.sample] += row.sentences
    texts: dict[str, dict[int, str]] = {problem: {} for problem in unsaid}
    if unsaid:
        for record in io.read_jsonl(path, GenerationRecord, made_by=GENERATIONS.made_by):
            if record.example_id in texts:
                texts[record.example_id][record.sample_id] = record.completion
    for problem, its_rows in unsaid.items():
        for row, sample in zip(its_rows, _samples_of(its_rows, texts[problem]), strict=True):
            labels_of[problem, sample] += row.sentences
    return labels_of


def _samples_of(rows: Sequence[_Row], texts: Mapping[int, str]) -> list[int]:
    """Which of a problem's completions each row labels: the only one that holds it, else by their order."""
    if len(texts) < 2:
        return [next(iter(texts), 0)] * len(rows)
    holding = [_holding(row.sentences, texts) for row in rows]
    in_order: list[int | None] = [None] * len(rows)
    if len(rows) == len(texts):
        pairs = zip(sorted(texts), holding, strict=True)
        in_order = [sample if not held or sample in held else None for sample, held in pairs]
    is_ordered = None not in in_order
    if all(row.is_single for row in rows):
        together = _holding([sentence for row in rows for sentence in row.sentences], texts)
        if len(together) == 1 and not is_ordered:
            return together * len(rows)
        is_ordered = is_ordered and not together  # else one completion could have them all
    expected = in_order if is_ordered else [None] * len(rows)
    return [_sample_of(*one) for one in zip(rows, holding, expected, strict=True)]


def _sample_of(row: _Row, holding: Sequence[int], expected: int | None) -> int:
    if len(holding) == 1 or not row.sentences:
        return holding[0]
    if expected is not None:
        return expected
    first = row.sentences[0].text.strip()[:80]
    raise UserError(
        f"problem {row.problem!r} has several completions, and the labels do not say which is theirs",
        f"what begins with {first!r} stands in {len(holding)} of them",
        "add a column of samples, counted from 0 within each problem, and name it with --sample",
    )


def _holding(sentences: Sequence[LabelledSentence], texts: Mapping[int, str]) -> list[int]:
    """The completions in which all of the sentences stand."""
    return [sample for sample, text in texts.items() if not place_sentences(text, sentences, {})[1]]


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
