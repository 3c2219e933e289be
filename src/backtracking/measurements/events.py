"""From generations to tables: one row per completion, and one per onset."""

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from backtracking.config.onsets import MEMBERS, TURN_KINDS, StudiedOnsets
from backtracking.config.schema import DetectionConfig, PromptingConfig
from backtracking.errors import UserError
from backtracking.measurements.coupling import FRESH, follow_steps, preceded_by_error
from backtracking.run.cells import harmless_cell
from backtracking.run.io import atomic_path
from backtracking.run.records import GenerationRecord
from backtracking.text.answers import Answer, extract_answer, grade
from backtracking.text.arithmetic import find_steps
from backtracking.text.onsets import Detector, Onset, first_onset, reasoning_end
from backtracking.text.onsets.finders import Finder
from backtracking.text.tokenization import TokenMap, TokenText

if TYPE_CHECKING:
    import pandas as pd

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
    "preceded_by_error",
    "steps_right",
    "steps_wrong",
    "onsets_after_right",
    "onsets_after_wrong",
    *(f"has_{kind}" for kind in TURN_KINDS),
    *(f"n_onsets_{kind}" for kind in TURN_KINDS),
    "has_gold",
    *FRESH,
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
    "preceded_by_error",
)

TableRow = dict[str, Any]


@dataclass(frozen=True)
class Measured:
    """What one completion contributes to the tables."""

    event: TableRow
    onsets: list[TableRow]
    turns: list[TableRow] = field(default_factory=list)
    """The onsets that rules find; `onsets` holds the strict and relaxed ones."""
    correct_at: Mapping[int, bool] = field(default_factory=dict)
    """Per token cap: whether the completion, cut there, would have counted as correct."""


class EventReader:
    """Measures completions: onsets with their tokens, the answer, and whether it is right.

    Gold answers are looked up by problem id. Token positions are worked out only for rows that need them.
    """

    def __init__(
        self,
        detection: DetectionConfig,
        prompting: PromptingConfig,
        token_map: TokenMap | None,
        gold: Mapping[str, str],
        caps: Sequence[int] = (),
        coupled: StudiedOnsets = "strict",
        finder: Finder | None = None,
    ) -> None:
        self._answer_regex = detection.answer_regex
        detector = Detector(detection)
        self.detector: Finder = finder or detector
        self._turns = _no_turns if finder else detector.turns
        self._close_marks = {variant.name: variant.think_close for variant in prompting.formatting_variants}
        self._token_map = token_map
        self._gold = gold
        self._caps = caps
        self._coupled = MEMBERS[coupled]

    def __call__(self, record: GenerationRecord) -> Measured:
        """Reads one completion: its onsets, its answer and grade, its steps."""
        close_mark = self._close_marks.get(record.variant, "")
        text, truncated = record.completion, record.finish_reason != "stop"
        matches = self.detector.all_matches(text, close_mark)
        onsets = self.detector.counted(matches)
        all_onsets = [*onsets, *self._turns(text, close_mark)]
        answer = self._answer(text, close_mark, truncated)
        close = reasoning_end(text, close_mark)
        steps = find_steps(text[:close])  # the answer part repeats what was worked out before
        is_needed = bool(all_onsets) or answer.text is not None or close is not None
        tokens = self._tokens(record) if is_needed else None
        identity = _identity(record)
        rows = [
            {
                **identity,
                **_onset_columns(k, onset),
                **_token_columns(record, onset, tokens),
                "preceded_by_error": preceded_by_error(steps, onset.start)
                if onset.region == "think"
                else None,
            }
            for k, onset in enumerate(all_onsets)
        ]
        first = first_onset(onsets)
        thought = [onset for onset in all_onsets if onset.region == "think"]
        event = (
            identity
            | _onset_position(rows[onsets.index(first)] if first else None)
            | self._verdict(record, answer)
            | _positions(tokens, answer, close)
            | _counts(matches, onsets)
            | follow_steps(
                text,
                steps,
                [onset for onset in thought if onset.kind in self._coupled],
                [onset for onset in thought if onset.kind not in self._coupled],
                truncated=truncated and close is None,
            )
            | _turn_counts(all_onsets)
        )
        correct_at = {cap: self._correct_at(record, event, tokens, cap) for cap in self._caps}
        return Measured(event, rows[: len(onsets)], rows[len(onsets) :], correct_at)

    def _tokens(self, record: GenerationRecord) -> TokenText | None:
        """The row's tokens over its text; none for a row that came without them."""
        if self._token_map is None or not record.completion_ids:
            return None
        return self._token_map(record.completion_ids, record.completion)

    def _answer(self, text: str, close_mark: str, truncated: bool) -> Answer:
        return extract_answer(
            text, think_close=close_mark, truncated=truncated, answer_regex=self._answer_regex
        )

    def _correct_at(
        self, record: GenerationRecord, event: TableRow, tokens: TokenText | None, cap: int
    ) -> bool:
        """Whether the completion, cut at a token cap, would have counted as correct."""
        if cap >= record.completion_tokens or tokens is None:
            return event["is_correct"] is True
        cut = record.completion[: tokens.starts[cap]]
        answer = self._answer(cut, self._close_marks.get(record.variant, ""), truncated=True)
        return grade(answer.text, self._gold[record.example_id]) is True

    def _verdict(self, record: GenerationRecord, answer: Answer) -> TableRow:
        gold = self._gold.get(record.example_id)
        if gold is None:
            raise UserError(
                f"problem {record.example_id!r} has generations but is not in the dataset",
                "answers are graded by problem id, never by position",
                "run prepare-data and generate with the same dataset settings",
            )
        return {
            "predicted_answer": answer.text,
            "is_correct": grade(answer.text, gold) if gold else None,
            "prompt_tokens": record.prompt_tokens,
            "completion_tokens": record.completion_tokens,
            "finish_reason": record.ending,
            "truncated": record.was_cut,
            "answer_rule": answer.rule,
            "has_gold": bool(gold),
        }


def _no_turns(_text: str, _think_close: str) -> list[Onset]:
    """A finder of one's own says by itself what an onset is."""
    return []


def _positions(tokens: TokenText | None, answer: Answer, close: int | None) -> TableRow:
    """How many tokens it took until the answer was complete, and until the reasoning was closed; else −1."""
    answered = tokens is not None and answer.text is not None
    return {
        "answer_token": tokens.token_span(answer.start, answer.end)[1] if tokens and answered else -1,
        "reasoning_tokens": tokens.token_span(close, close + 1)[0] if tokens and close is not None else -1,
    }


def _identity(record: GenerationRecord) -> TableRow:
    return {
        "example_id": record.example_id,
        "sample_id": record.sample_id,
        "variant": record.variant,
        "condition": record.condition,
        "draw": record.draw,
    }


def _onset_position(onset: TableRow | None) -> TableRow:
    """The contract's columns of the first onset; −1 or empty where there is none."""
    if onset is None:
        numbers = ("onset_char", "onset_token_in_completion", "onset_token_in_full", "onset_token_id")
        words = ("onset_phrase", "onset_token_text", "onset_kind", "onset_region", "preceded_by_error")
        return dict.fromkeys((*numbers, "pred_pos_in_full"), -1) | dict.fromkeys(words)
    return {
        "onset_phrase": onset["phrase"],
        "onset_char": onset["char_start"],
        "onset_token_in_completion": onset["token_start"],
        "onset_token_in_full": onset["pred_pos_in_full"] + (onset["token_start"] >= 0),
        "onset_token_id": onset["token_id"],
        "onset_token_text": onset.get("token_text"),
        "pred_pos_in_full": onset["pred_pos_in_full"],
        "onset_kind": onset["kind"],
        "onset_region": onset["region"],
        "preceded_by_error": onset["preceded_by_error"],
    }


def _onset_columns(index: int, onset: Onset) -> TableRow:
    return {
        "onset_index": index,
        "phrase": onset.phrase,
        "kind": onset.kind,
        "region": onset.region,
        "clause_start": onset.clause_start,
        "char_start": onset.start,
        "char_end": onset.end,
    }


def _token_columns(record: GenerationRecord, onset: Onset, tokens: TokenText | None) -> TableRow:
    """Where the onset stands among the tokens; −1 for a row that came without them."""
    if tokens is None:
        return dict.fromkeys(("token_start", "token_end", "pred_pos_in_full", "token_id"), -1)
    first, stop = tokens.token_span(onset.start, onset.end)
    return {
        "token_start": first,
        "token_end": stop,
        "pred_pos_in_full": record.prompt_tokens + first - 1,
        "token_id": record.completion_ids[first],
        "token_text": tokens.text[slice(*tokens.char_span(first, first + 1))],
    }


def _counts(matches: list[Onset], counted: list[Onset]) -> TableRow:
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


def _turn_counts(onsets: Sequence[Onset]) -> TableRow:
    counts = {kind: sum(onset.kind == kind for onset in onsets) for kind in TURN_KINDS}
    has = {f"has_{kind}": bool(count) for kind, count in counts.items()}
    return has | {f"n_onsets_{kind}": count for kind, count in counts.items()}


def events_frame(measured: "Sequence[Measured]") -> "pd.DataFrame":
    """The table of completions in memory, with its types."""
    import pandas as pd

    table = pd.DataFrame([one.event for one in measured], columns=list(EVENT_COLUMNS))
    kinds: dict[str, Any] = {"is_correct": "boolean", "preceded_by_error": "boolean", "draw": "Int64"}
    return table.astype(kinds)


def onsets_frame(measured: "Sequence[Measured]") -> "pd.DataFrame":
    """The table of onsets in memory, with its types."""
    import pandas as pd

    table = pd.DataFrame(
        [row for one in measured for row in (*one.onsets, *one.turns)], columns=list(ONSET_COLUMNS)
    )
    kinds: dict[str, Any] = {"preceded_by_error": "boolean", "draw": "Int64"}
    return table.astype(kinds)


@dataclass
class EventCounts:
    """How many rows were written, and how many failed generations were left out."""

    completions: int = 0
    onsets: int = 0
    turns: int = 0
    failed: int = 0


def write_events(
    records: Iterable[GenerationRecord],
    reader: Callable[[GenerationRecord], Measured],
    events_path: Path,
    onsets_path: Path,
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
            onsets.writerows([*measured.onsets, *measured.turns])
            counts.completions += 1
            counts.onsets += len(measured.onsets)
            counts.turns += len(measured.turns)
    return counts


class TableWriter:
    """Writes a table row by row; no cell of it runs in a spreadsheet."""

    def __init__(self, file: TextIO, columns: Sequence[str]) -> None:
        self._writer = csv.DictWriter(file, columns)
        self._writer.writeheader()

    def writerow(self, row: Mapping[str, Any]) -> None:
        """Writes one row, its cells made harmless."""
        self._writer.writerow({name: harmless_cell(cell) for name, cell in row.items()})

    def writerows(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Writes many rows, their cells made harmless."""
        for row in rows:
            self.writerow(row)


@contextmanager
def table_writer(path: Path, columns: Sequence[str]) -> Iterator[TableWriter]:
    """A CSV that takes its name only when it is complete."""
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        yield TableWriter(file, columns)
