"""import-traces: a run folder around completions from elsewhere, on which all that needs no model works."""

import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backtracking.artifacts.labels import SENTENCE_LABELS
from backtracking.artifacts.phase1 import GENERATIONS
from backtracking.config.load import LoadedConfig
from backtracking.config.onsets import Label
from backtracking.config.schema import IMPORTED, NO_MODEL, ExperimentConfig, FormattingVariant
from backtracking.errors import UserError
from backtracking.measurements.events import table_writer
from backtracking.run import io
from backtracking.run.paths import RunPaths
from backtracking.run.records import BASELINE_NAME, ENDING_UNKNOWN, GenerationRecord, Problem
from backtracking.run.rowindex import write_indexes
from backtracking.sources.columns import SourceRow
from backtracking.sources.labels import LabelCounts
from backtracking.sources.rows import read_rows
from backtracking.sources.trace import Columns, Trace, prompt_key
from backtracking.stages.import_labels import LABEL_COLUMNS, label_rows
from backtracking.stages.init_run import opened, record_of
from backtracking.text.answers.grading import grade, why_unreadable
from backtracking.text.tokenization import decode

_SHOWN = 60
"""Characters of a prompt that a warning shows."""


@dataclass(frozen=True)
class Import:
    """What is imported, and how its columns and labels are read."""

    source: str
    columns: Columns
    mapping: Mapping[str, Label]
    split: str | None = None
    tokenizer: Any = None


@dataclass
class Imported:
    """What an import did."""

    columns: Mapping[str, str] = field(default_factory=dict)
    traces: int = 0
    problems: int = 0
    without_text: int = 0
    without_tokens: int = 0
    with_gold: int = 0
    with_unreadable_gold: int = 0
    unreadable_gold: str = ""
    """The first gold answer by which nothing can be graded."""
    without_ending: int = 0
    odd_endings: Counter[str] = field(default_factory=Counter)
    """How many traces ended in a word that is not known, by the word."""
    prompts_of: dict[str, tuple[str, str]] = field(default_factory=dict)
    """How two prompts begin, of each problem whose traces do not all have the same one."""
    labels: LabelCounts = field(default_factory=LabelCounts)


def import_config(base: ExperimentConfig, name: str, tokenizer: str | None) -> ExperimentConfig:
    """A config with one variant whose completions were not made here."""
    variant = FormattingVariant(name=IMPORTED, think_close="</think>")
    return base.model_copy(
        update={
            "run": base.run.model_copy(update={"name": name, "run_id": None}),
            "model": base.model.model_copy(update={"hf_id": tokenizer or NO_MODEL}),
            "prompting": base.prompting.model_copy(update={"formatting_variants": (variant,)}),
            "phase2": None,
        }
    )


def import_traces(asked: Import, loaded: LoadedConfig, run_id: str) -> tuple[RunPaths, Imported]:
    """Write problems, completions and labels of all traces into a new run folder, one trace at a time."""
    columns = asked.columns.found(read_rows(asked.source, asked.split))
    if columns is None:
        raise UserError(f"{asked.source} holds no traces")
    paths = RunPaths(Path(loaded.config.run.output_dir), run_id)
    if paths.meta.exists():
        raise UserError(
            f"there is a run {run_id!r} in {paths.output_dir} already",
            "imported traces get a run of their own",
            "name another with --run-id",
        )
    done = Imported(columns=columns.given)
    with opened(paths, record_of(paths, loaded), loaded):
        try:
            traces = _traces(read_rows(asked.source, asked.split), columns, done)
            _write(paths, traces, asked, done, loaded.config.generation.shard_rows)
            if not done.traces:
                raise UserError(f"{asked.source} holds no traces", "none of its rows has a text")
        except BaseException:  # half an import is none, and its run's name stays free
            shutil.rmtree(paths.generations, ignore_errors=True)
            shutil.rmtree(paths.analysis, ignore_errors=True)
            paths.dataset.unlink(missing_ok=True)
            raise
    return paths, done


def _traces(rows: Iterator[SourceRow], columns: Columns, done: Imported) -> Iterator[Trace]:
    for row in rows:
        trace = columns.trace(row)
        if trace is None:
            done.without_text += 1
        else:
            yield trace


def _write(paths: RunPaths, traces: Iterator[Trace], asked: Import, done: Imported, shard_rows: int) -> None:
    samples: dict[str, int] = {}
    golds: dict[str, str] = {}
    prompts: dict[str, tuple[int, str]] = {}
    completions = GENERATIONS.path(paths, variant=IMPORTED, condition=BASELINE_NAME)
    with ExitStack() as stack:
        problems = stack.enter_context(io.JsonlAppender(paths.dataset))
        rows = stack.enter_context(io.JsonlAppender(completions, shard_rows))
        labels = None
        for trace in traces:
            key = trace.id if trace.id is not None else _prompt_key(trace, done.traces)
            sample = samples.get(key, 0)
            samples[key] = sample + 1
            readable = _readable_gold(trace, done)
            if sample == 0:
                done.problems += 1
                problem = Problem(id=key, question=trace.prompt, answer=trace.gold, answer_value=readable)
                problems.append(problem)
            _note_another_prompt(key, trace, prompts, done)
            gold = golds.setdefault(key, readable)
            _refuse_another_gold(gold, readable, trace, key)
            record = _record(key, sample, trace, asked.tokenizer, done)
            rows.append(record)
            done.traces += 1
            done.with_gold += bool(gold)
            if trace.odd_ending:
                done.odd_endings[trace.odd_ending] += 1
            if trace.sentences:
                if labels is None:
                    labels = stack.enter_context(table_writer(SENTENCE_LABELS.path(paths), LABEL_COLUMNS))
                done.labels.total += len(trace.sentences)
                labels.writerows(label_rows(record, trace.sentences, asked.mapping, done.labels))
    write_indexes(completions)


def _readable_gold(trace: Trace, done: Imported) -> str:
    """The gold answer of a trace; one by which nothing can be graded is none, and counted."""
    if not trace.gold or not why_unreadable(trace.gold):
        return trace.gold
    done.with_unreadable_gold += 1
    done.unreadable_gold = done.unreadable_gold or trace.gold
    return ""


def _note_another_prompt(key: str, trace: Trace, first: dict[str, tuple[int, str]], done: Imported) -> None:
    """Keep which problems are asked in two ways; of the first prompt only a number and its beginning stay."""
    if trace.prompt:
        asked = hash(trace.prompt), trace.prompt[:_SHOWN]
        if first.setdefault(key, asked) != asked:
            done.prompts_of.setdefault(key, (first[key][1], asked[1]))


def _refuse_another_gold(gold: str, readable: str, trace: Trace, key: str) -> None:
    """A problem has one gold answer, by which all of its traces are graded."""
    if not readable or readable == gold or grade(readable, gold):
        return
    told = f"gold answer {gold!r}" if gold else "no gold answer"
    raise UserError(
        f"problem {key!r} has {told} in one row and {readable!r} in another",
        f"its prompt: {trace.prompt[:100]!r}",
        "all traces of a problem are graded by one gold answer: give its rows the same one, one that is a "
        "number or a formula, or tell "
        "problems with equal prompts apart by a column of ids (--id)",
    )


def _prompt_key(trace: Trace, number: int) -> str:
    """Traces without an id belong together when their prompts are the same."""
    if not trace.prompt.strip():
        return f"trace-{number:06d}"
    return prompt_key(trace.prompt)


def _record(key: str, sample: int, trace: Trace, tokenizer: Any, done: Imported) -> GenerationRecord:
    ids = token_ids(tokenizer, trace.text)
    prompt_ids = token_ids(tokenizer, trace.prompt) if ids else []
    done.without_tokens += not ids
    done.without_ending += trace.is_cut is None
    return GenerationRecord(
        example_id=key,
        sample_id=sample,
        variant=IMPORTED,
        condition=BASELINE_NAME,
        prompt=trace.prompt,
        prompt_ids=prompt_ids,
        completion=trace.text,
        completion_ids=ids,
        finish_reason="length" if trace.is_cut else "stop",
        prompt_tokens=len(prompt_ids) if ids else -1,
        completion_tokens=len(ids) or -1,
        gen_params={ENDING_UNKNOWN: True} if trace.is_cut is None else {},
        seed_key="imported",
    )


def token_ids(tokenizer: Any, text: str) -> list[int]:
    """The text's ids where they decode to exactly that text, else none: positions must not be off by one."""
    if tokenizer is None:
        return []
    ids: Sequence[int] = [int(token) for token in tokenizer.encode(text, add_special_tokens=False)]
    return list(ids) if decode(tokenizer, ids, skip_special=False) == text else []
