"""One completion as pages show it: text, tokens, onsets, checked steps, and the answer that was graded."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

from backtracking.explore.facts import shape, statement, step_before
from backtracking.explore.study import MeasuredRun, RowPlace
from backtracking.measurements.events import Measured
from backtracking.run.records import GenerationRecord
from backtracking.text.arithmetic import Step, find_steps
from backtracking.text.onsets import DEFAULT_CLOSE, reasoning_end
from backtracking.text.tokenization import TokenText

_ASTRAL = re.compile("[\U00010000-\U0010ffff]")
Units = Callable[[int], int]


def utf16_units(text: str) -> Units:
    """From places in a text to those that a browser counts, where some characters take two units."""
    wide = [match.start() for match in _ASTRAL.finditer(text)]
    if not wide:
        return lambda place: place
    before, count = [], 0
    for place in range(len(text) + 1):
        before.append(place + count)
        count += place < len(text) and text[place] > "\uffff"
    return before.__getitem__


@dataclass(frozen=True)
class MeasuredTrace:
    """One completion, read again from disk and measured."""

    study: MeasuredRun
    record: GenerationRecord

    @classmethod
    def at(cls, place: RowPlace) -> "MeasuredTrace":
        """The completion that stands at a place of a file."""
        return cls(place.study, place.read())

    @cached_property
    def measured(self) -> Measured:
        """Its onsets, answer and steps, by the run's own settings."""
        return self.study.reader(self.record)

    @property
    def onsets(self) -> list[dict[str, Any]]:
        """Onsets of all kinds, in the order of the text."""
        onsets = [*self.measured.onsets, *self.measured.turns]
        return sorted(onsets, key=lambda onset: (onset["char_start"], onset["char_end"]))

    @cached_property
    def steps(self) -> list[Step]:
        """The arithmetic statements in it, right and wrong."""
        return find_steps(self.record.completion)

    @cached_property
    def tokens(self) -> TokenText | None:
        """Its tokens laid over its text; none where the run's tokenizer is out of reach."""
        return self.study.tokens(self.record)

    def as_json(self) -> dict[str, Any]:
        """The trace as pages read it; places are counted in UTF-16 units."""
        record, text = self.record, self.record.completion
        units = utf16_units(text)
        mark = self.study.close_marks.get(record.variant, "") or DEFAULT_CLOSE
        close = reasoning_end(text, mark)
        return {
            "draw": record.draw,
            "prompt": record.prompt,
            "text": text,
            "finish": record.ending,
            "cap": record.gen_params.get("max_new_tokens"),
            "close": None if close is None else [units(close), units(close + len(mark))],
            "tokens": self._tokens(units),
            "onsets": [self._onset(onset, units) for onset in self.onsets],
            "steps": [self._step(step, units) for step in self.steps],
            "answer": self._answer(units),
        }

    def _tokens(self, units: Units) -> dict[str, Any] | None:
        if self.tokens is None:
            return None
        return {
            "ids": self.record.completion_ids,
            "starts": [units(start) for start in self.tokens.starts],
            "ends": [units(end) for end in self.tokens.ends],
            "logprobs": self.record.logprobs,
            "entropies": self.record.entropies,
        }

    def _onset(self, onset: dict[str, Any], units: Units) -> dict[str, Any]:
        before = step_before(self.steps, onset)
        text = self.record.completion
        return {
            "phrase": onset["phrase"],
            "kind": onset["kind"],
            "region": onset["region"],
            "start": units(onset["char_start"]),
            "end": units(onset["char_end"]),
            "token": onset["token_start"],
            "position": onset["pred_pos_in_full"],
            "after_error": onset["preceded_by_error"],
            "before": None if before is None else statement(before, text),
            "shape": None if before is None else shape(before, text),
        }

    def _step(self, step: Step, units: Units) -> dict[str, Any]:
        return {
            "start": units(step.start),
            "end": units(step.end),
            "result": [units(place) for place in step.result],
            "expected": _number(step.expected),
            "claimed": _number(step.claimed),
            "right": step.correct,
        }

    def _answer(self, units: Units) -> dict[str, Any]:
        answer = self.study.answer(self.record)
        problem = self.study.problems.get(self.record.example_id)
        return {
            "text": answer.text,
            "rule": answer.rule,
            "start": units(answer.start) if answer.start >= 0 else -1,
            "end": units(answer.end) if answer.end >= 0 else -1,
            "gold": problem.answer_value if problem else "",
            "right": self.measured.event["is_correct"],
        }


def _number(value: Fraction) -> str:
    return str(value) if value.denominator == 1 else f"{float(value):.6g}"
