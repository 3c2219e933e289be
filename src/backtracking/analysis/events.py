"""From generations to tables: one row per completion, and one per onset."""

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backtracking.answers import Answer, extract_answer, grade
from backtracking.config import DetectionConfig, PromptingConfig
from backtracking.detect import Detector, Onset, first_onset, reasoning_end
from backtracking.errors import UserError
from backtracking.io import atomic_path
from backtracking.records import GenerationRecord
from backtracking.tokenization import TokenMap, TokenText

EVENT_COLUMNS = (
    "example_id",
    "sample_id",
    "variant",
    "condition",
    "has_backtracking_strict",
    "has_backtracking_relaxed",
    "onset_phrase",
    "onset_char",
    "onset_token_in_completion",
    "onset_token_in_full",
    "onset_token_id",
    "onset_token_text",
    "pred_pos_in_full",
    "predicted_answer",
    "is_correct",
    "prompt_tokens",
    "completion_tokens",
    "draw",
    "finish_reason",
    "truncated",
    "answer_rule",
    "answer_token",
    "reasoning_tokens",
    "onset_kind",
    "onset_region",
    "n_onsets_strict",
    "n_onsets_relaxed",
    "strict_anywhere",
    "relaxed_anywhere",
    "strict_clause_start",
    "relaxed_clause_start",
)
ONSET_COLUMNS = (
    "example_id",
    "sample_id",
    "variant",
    "condition",
    "draw",
    "onset_index",
    "phrase",
    "kind",
    "region",
    "clause_start",
    "char_start",
    "char_end",
    "token_start",
    "token_end",
    "pred_pos_in_full",
    "token_id",
    "token_text",
)

Row = dict[str, Any]


@dataclass(frozen=True)
class Measured:
    """What one completion contributes to the tables."""

    event: Row
    onsets: list[Row]


class EventReader:
    """Measures completions: onsets with their tokens, the answer, and whether it is right.

    Gold answers are looked up by problem id. Token positions are worked out only for rows that need them.
    """

    def __init__(
        self,
        detection: DetectionConfig,
        prompting: PromptingConfig,
        token_map: TokenMap,
        gold: Mapping[str, str],
    ) -> None:
        self._answer_regex = detection.answer_regex
        self._detector = Detector(detection)
        self._close_marks = {variant.name: variant.think_close for variant in prompting.formatting_variants}
        self._token_map = token_map
        self._gold = gold

    def __call__(self, record: GenerationRecord) -> Measured:
        close_mark = self._close_marks.get(record.variant, "")
        text = record.completion
        matches = self._detector.all_matches(text, close_mark)
        onsets = self._detector.counted(matches)
        answer = extract_answer(
            text,
            think_close=close_mark,
            truncated=record.finish_reason != "stop",
            answer_regex=self._answer_regex,
        )
        close = reasoning_end(text, close_mark)
        rows: list[Row] = []
        positions = {"answer_token": -1, "reasoning_tokens": -1}
        if onsets or answer.text is not None or close is not None:
            tokens = self._token_map(record.completion_ids, text)
            rows = [_onset_row(record, index, onset, tokens) for index, onset in enumerate(onsets)]
            if answer.text is not None:
                positions["answer_token"] = tokens.token_span(answer.start, answer.end)[1]
            if close is not None:
                positions["reasoning_tokens"] = tokens.token_span(close, close + 1)[0]
        first = first_onset(onsets)
        event = (
            _identity(record)
            | _onset_position(rows[onsets.index(first)] if first else None)
            | self._verdict(record, answer)
            | positions
            | _counts(matches, onsets)
        )
        return Measured(event, rows)

    def _verdict(self, record: GenerationRecord, answer: Answer) -> Row:
        gold = self._gold.get(record.example_id)
        if gold is None:
            raise UserError(
                f"problem {record.example_id!r} has generations but is not in the data set",
                "answers are graded by problem id, never by position",
                "run prepare-data and generate with the same dataset settings",
            )
        return {
            "predicted_answer": answer.text,
            "is_correct": grade(answer.text, gold),
            "prompt_tokens": record.prompt_tokens,
            "completion_tokens": record.completion_tokens,
            "finish_reason": record.finish_reason,
            "truncated": record.finish_reason != "stop",
            "answer_rule": answer.rule,
        }


def _identity(record: GenerationRecord) -> Row:
    return {
        "example_id": record.example_id,
        "sample_id": record.sample_id,
        "variant": record.variant,
        "condition": record.condition,
        "draw": record.draw,
    }


def _onset_position(onset: Row | None) -> Row:
    """The contract's columns of the first onset; −1 or empty where there is none."""
    if onset is None:
        numbers = ("onset_char", "onset_token_in_completion", "onset_token_in_full", "onset_token_id")
        words = ("onset_phrase", "onset_token_text", "onset_kind", "onset_region")
        return dict.fromkeys((*numbers, "pred_pos_in_full"), -1) | dict.fromkeys(words)
    return {
        "onset_phrase": onset["phrase"],
        "onset_char": onset["char_start"],
        "onset_token_in_completion": onset["token_start"],
        "onset_token_in_full": onset["pred_pos_in_full"] + 1,
        "onset_token_id": onset["token_id"],
        "onset_token_text": onset["token_text"],
        "pred_pos_in_full": onset["pred_pos_in_full"],
        "onset_kind": onset["kind"],
        "onset_region": onset["region"],
    }


def _onset_row(record: GenerationRecord, index: int, onset: Onset, tokens: TokenText) -> Row:
    first, stop = tokens.token_span(onset.start, onset.end)
    return _identity(record) | {
        "onset_index": index,
        "phrase": onset.phrase,
        "kind": onset.kind,
        "region": onset.region,
        "clause_start": onset.clause_start,
        "char_start": onset.start,
        "char_end": onset.end,
        "token_start": first,
        "token_end": stop,
        "pred_pos_in_full": record.prompt_tokens + first - 1,
        "token_id": record.completion_ids[first],
        "token_text": tokens.text[slice(*tokens.char_span(first, first + 1))],
    }


def _counts(matches: list[Onset], counted: list[Onset]) -> Row:
    """Whether and how often the row backtracks: by the config's policy, and by either policy."""
    strict = [onset for onset in counted if onset.kind == "strict"]
    opening = [onset for onset in matches if onset.clause_start]
    return {
        "has_backtracking_strict": bool(strict),
        "has_backtracking_relaxed": bool(counted),
        "n_onsets_strict": len(strict),
        "n_onsets_relaxed": len(counted),
        "strict_anywhere": any(onset.kind == "strict" for onset in matches),
        "relaxed_anywhere": bool(matches),
        "strict_clause_start": any(onset.kind == "strict" for onset in opening),
        "relaxed_clause_start": bool(opening),
    }


@dataclass
class EventCounts:
    """How many rows were written, and how many failed generations were left out."""

    completions: int = 0
    onsets: int = 0
    failed: int = 0


def write_events(
    records: Iterable[GenerationRecord], reader: EventReader, events_path: Path, onsets_path: Path
) -> EventCounts:
    """Stream generations into both tables; memory does not grow with the number of rows."""
    counts = EventCounts()
    with (
        table_writer(events_path, EVENT_COLUMNS) as events,
        table_writer(onsets_path, ONSET_COLUMNS) as onsets,
    ):
        for record in records:
            if record.finish_reason == "error":
                counts.failed += 1
                continue
            measured = reader(record)
            events.writerow(measured.event)
            onsets.writerows(measured.onsets)
            counts.completions += 1
            counts.onsets += len(measured.onsets)
    return counts


@contextmanager
def table_writer(path: Path, columns: Sequence[str]) -> "Iterator[csv.DictWriter[str]]":
    """A CSV that takes its name only when it is complete."""
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        yield writer
