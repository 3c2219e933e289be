"""What the index says of a completion: how it went, where it parts from its baseline, what onsets follow."""

import re
from array import array
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from backtracking.explore import facets
from backtracking.measurements.divergence import first_difference
from backtracking.measurements.events import Measured
from backtracking.measurements.specificity import fate_of
from backtracking.run.records import GenerationRecord
from backtracking.text.arithmetic import Step, find_steps

_OPERATOR = re.compile(r"(?<=[\w)%])(?:[-+*/^×÷·−–]|\\[a-z]+)")
_SHOWN_ANSWER = 60


@dataclass(frozen=True)
class Facts:
    """A completion's line of the index."""

    codes: Mapping[str, int]
    """By the column of each facet of which a row has one option."""
    bits: int
    """Its onsets, as `facets.onset_bits` has them."""
    lists: Mapping[str, Sequence[str]]
    """By the column of each facet of which a row may have several options."""
    numbers: Mapping[str, int]
    answer: str


@dataclass(frozen=True)
class Counterpart:
    """What an arm's rows are compared with: the baseline's row on the same noise."""

    number: int
    ids: "array[int]"
    first_onset: int
    fate: int


def facts_of(record: GenerationRecord, measured: Measured, baseline: Counterpart | None) -> Facts:
    """Measure one row, beside the baseline's row if it is not the baseline's own."""
    event, onsets = measured.event, [*measured.onsets, *measured.turns]
    steps = find_steps(record.completion)
    wrong = sum(not step.correct for step in steps)
    parted = None if baseline is None else first_difference(baseline.ids, record.completion_ids)
    before = [step for onset in onsets if (step := step_before(steps, onset)) is not None]
    outcome = _outcome(event)
    fate = outcome if outcome == "ungraded" else fate_of(event | {"wrong_steps": wrong})
    codes = {
        facets.OUTCOME: outcome,
        facets.ENDING: record.ending,
        facets.STEPS: "wrong" if wrong else "right" if steps else "none",
        facets.TURNED: _turned(onsets, wrong),
        facets.FATE: fate,
        facets.PARTS: _parts(baseline, parted),
        facets.WAS: "unpaired" if baseline is None else facets.WAS.options[baseline.fate].value,
    }
    return Facts(
        codes={facet.column: facets.code(facet, value) for facet, value in codes.items()},
        bits=facets.onset_bits(onsets),
        lists={
            "phrase": sorted({str(onset["phrase"]) for onset in onsets}),
            "before": sorted({statement(step, record.completion) for step in before}),
            "shape": sorted({shape(step, record.completion) for step in before}),
        },
        numbers={
            "sample": record.sample_id,
            "tokens": record.completion_tokens,
            "count": len(measured.onsets),
            "first": int(event["onset_token_in_completion"]),
            "parted": -1 if parted is None else parted,
            "wrong": wrong,
            "baseline": -1 if baseline is None else baseline.number,
        },
        answer=str(event["predicted_answer"] or "")[:_SHOWN_ANSWER],
    )


def counterpart(number: int, record: GenerationRecord, facts: Facts) -> Counterpart:
    """A baseline row as its arms are compared with it."""
    return Counterpart(number, array("i", record.completion_ids), facts.numbers["first"], facts.codes["fate"])


def step_before(steps: Sequence[Step], onset: Mapping[str, Any]) -> Step | None:
    """The last checkable statement that ends before an onset of the reasoning."""
    if onset["region"] != "think":
        return None
    count = bisect_right(steps, onset["char_start"], key=lambda step: step.end)
    return steps[count - 1] if count else None


def statement(step: Step, text: str) -> str:
    """What a step says, without its spaces."""
    return "".join(text[step.start : step.end].split())


def shape(step: Step, text: str) -> str:
    """What kind of step it is: its operators, and whether it is right."""
    operators = dict.fromkeys(_OPERATOR.findall(text[step.start : step.result[0]].replace(" ", "")))
    return f"{' '.join(operators) or '='} {'right' if step.correct else 'wrong'}"


def _outcome(event: Mapping[str, Any]) -> str:
    if not event["has_gold"]:
        return "ungraded"
    return {True: "right", False: "wrong", None: "unanswered"}[event["is_correct"]]


def _turned(onsets: Sequence[Mapping[str, Any]], wrong: int) -> str:
    if not wrong:
        return "none"
    turns = any(onset["kind"] == "strict" and onset["preceded_by_error"] is True for onset in onsets)
    return "followed" if turns else "alone"


def _parts(baseline: Counterpart | None, parted: int | None) -> str:
    if baseline is None:
        return "unpaired"
    if parted is None:
        return "never"
    if baseline.first_onset < 0:
        return "no_onset"
    offset = parted - baseline.first_onset
    return "before" if offset < 0 else "after" if offset else "at"
