"""An arm's completion beside the baseline's on the same noise: where they part, statement by statement."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import product
from typing import Any, Literal

from backtracking.config.onsets import MEMBERS
from backtracking.explore.trace import MeasuredTrace, utf16_units
from backtracking.measurements.coupling import is_followed
from backtracking.measurements.divergence import first_difference
from backtracking.text.arithmetic import Step
from backtracking.text.arithmetic.expressions import Span
from backtracking.text.arithmetic.steps import expression

Taken = Literal["caught", "silent", "harmless", "missed", "cut", "unknown"]
"""What became of a wrong step: an onset follows; it is worked out again right without one; it is not, and the
answer is right all the same; neither; a cut hides it; a cut may hide it (nobody says how the text ended)."""
_TAIL = re.compile(r"[.,;:!?)\]}$*]*(?:\s*\n)?")
"""What belongs to a statement behind its last number."""

_PART = re.compile(r"[\d.,]+|[^\d\s]")
"""Numbers and signs of what a statement computes."""

BOTH_WRONG: dict[tuple[Taken, Taken], str] = {
    ("caught", "caught"): "still caught",
    ("caught", "silent"): "silently corrected",
    ("caught", "harmless"): "not worked out again; the answer is right all the same",
    ("caught", "missed"): "missed",
    ("silent", "silent"): "silently corrected in both",
    ("missed", "missed"): "missed in both",
}
ALONE = {
    "caught": "caught",
    "silent": "silently corrected",
    "harmless": "not worked out again, the answer right all the same",
    "missed": "missed",
    "cut": "cut before it shows",
    "unknown": "the last statement of a text that may have been cut",
}


@dataclass(frozen=True)
class Piece:
    """A stretch of text up to the end of one statement, and what became of the statement if it is wrong."""

    span: Span
    key: str
    taken: Taken | None


def pair_json(baseline: MeasuredTrace, arm: MeasuredTrace) -> dict[str, Any]:
    """The pair as pages read it; places are counted in UTF-16 units of either text."""
    step = first_difference(baseline.record.completion_ids, arm.record.completion_ids)
    places = _parting(baseline, arm, step)
    ours, theirs = (utf16_units(trace.record.completion) for trace in (baseline, arm))
    one, other = pieces(baseline), pieces(arm)
    same = _shared(one, other, places)
    couples = [*zip(one[:same], other[:same], strict=True), *aligned(one[same:], other[same:])]
    lines = [
        {
            "baseline": left and [ours(place) for place in left.span],
            "arm": right and [theirs(place) for place in right.span],
            "shared": number < same,
            "note": error_note(left, right, is_repeated=_is_repeated(right, other)),
            "kind": _kind(left, right),
        }
        for number, (left, right) in enumerate(couples)
    ]
    return {
        "step": step,
        "baseline_at": None if places is None else ours(places[0]),
        "arm_at": None if places is None else theirs(places[1]),
        "lines": lines,
    }


def _parting(baseline: MeasuredTrace, arm: MeasuredTrace, step: int | None) -> Span | None:
    """The characters at which the two texts part."""
    if step is None:
        return None
    if baseline.tokens is None or arm.tokens is None:
        length = first_difference(baseline.record.completion, arm.record.completion) or 0
        return length, length
    return _start(baseline, step), _start(arm, step)


def _start(trace: MeasuredTrace, step: int) -> int:
    assert trace.tokens is not None
    starts = trace.tokens.starts
    return starts[step] if step < len(starts) else len(trace.record.completion)


def _shared(one: Sequence[Piece], other: Sequence[Piece], places: Span | None) -> int:
    """How many pieces lie before the texts part."""
    couples = zip(one, other, strict=False)
    return sum(
        left.span == right.span and (places is None or left.span[1] <= places[0]) for left, right in couples
    )


def pieces(trace: MeasuredTrace) -> list[Piece]:
    """The text cut behind each checkable statement; what follows the last one is a piece of its own."""
    text, steps = trace.record.completion, trace.steps
    cut, begin = [], 0
    for number, step in enumerate(steps):
        tail = _TAIL.match(text, step.end)
        end = min(
            tail.end() if tail else step.end, steps[number + 1].start if steps[number + 1 :] else len(text)
        )
        cut.append(Piece((begin, end), expression(text, step), taken(trace, number)))
        begin = end
    return [*cut, Piece((begin, len(text)), "", None)] if begin < len(text) or not cut else cut


def taken(trace: MeasuredTrace, number: int) -> Taken | None:
    """What became of one of the trace's statements; nothing to tell of a right one."""
    text, steps = trace.record.completion, trace.steps
    step, later = steps[number], steps[number + 1 :]
    if step.correct:
        return None
    if is_followed(step, later[0] if later else None, _turning_points(trace)):
        return "caught"
    if _comes_again_right(step, later, text):
        return "silent"
    if trace.measured.event["is_correct"] is True:
        return "harmless"
    if later or trace.record.was_cut is False:
        return "missed"
    return "cut" if trace.record.was_cut else "unknown"


def _turning_points(trace: MeasuredTrace) -> list[int]:
    """Where onsets begin, of the kinds that the run's analyses are about, in order."""
    kinds = MEMBERS[trace.study.config.analysis.onsets]
    return sorted(onset["char_start"] for onset in trace.onsets if onset["kind"] in kinds)


def _comes_again_right(step: Step, later: Sequence[Step], text: str) -> bool:
    own = expression(text, step)
    return any(other.correct and expression(text, other) == own for other in later)


def aligned(one: Sequence[Piece], other: Sequence[Piece]) -> Iterator[tuple[Piece | None, Piece | None]]:
    """Pieces that compute the same side by side; between them, those that compute nearly the same."""
    keys = [[piece.key for piece in side] for side in (one, other)]
    matcher = SequenceMatcher(None, keys[0], keys[1], autojunk=False)
    for tag, begin, end, start, stop in matcher.get_opcodes():
        if tag == "equal":
            yield from zip(one[begin:end], other[start:stop], strict=True)
        else:
            yield from _nearest(one[begin:end], other[start:stop])


def _nearest(one: Sequence[Piece], other: Sequence[Piece]) -> Iterator[tuple[Piece | None, Piece | None]]:
    """Pieces in order, two side by side where more than half of what they compute is the same."""
    parts = [[_PART.findall(piece.key) for piece in side] for side in (one, other)]
    alike = [[_likeness(left, right) for right in parts[1]] for left in parts[0]]
    best = [[0.0] * (len(other) + 1) for _ in range(len(one) + 1)]
    for left, right in product(reversed(range(len(one))), reversed(range(len(other)))):
        together = best[left + 1][right + 1] + alike[left][right] if alike[left][right] else 0.0
        best[left][right] = max(together, best[left + 1][right], best[left][right + 1])
    left = right = 0
    while left < len(one) and right < len(other):
        likeness, rest = alike[left][right], best[left + 1][right + 1]
        if likeness and best[left][right] == rest + likeness:
            yield one[left], other[right]
            left, right = left + 1, right + 1
        elif best[left][right] == best[left + 1][right]:
            yield one[left], None
            left += 1
        else:
            yield None, other[right]
            right += 1
    yield from ((piece, None) for piece in one[left:])
    yield from ((None, piece) for piece in other[right:])


def _likeness(one: Sequence[str], other: Sequence[str]) -> float:
    """The share of numbers and signs that are the same at the same place; 0 unless it is more than half."""
    if len(one) != len(other):
        return 0.0
    share = sum(map(str.__eq__, one, other)) / len(one) if one else 1.0
    return share if share > 0.5 else 0.0


def _is_repeated(piece: Piece | None, side: Sequence[Piece]) -> bool:
    """Whether the same error was made before on the same side."""
    return piece is not None and any(
        before.taken and before.key == piece.key for before in side if before.span < piece.span
    )


def error_note(left: Piece | None, right: Piece | None, *, is_repeated: bool = False) -> str:
    """In words what became of an error on either side; empty where there was none."""
    before, after = left and left.taken, right and right.taken
    if before and after:
        return BOTH_WRONG.get((before, after)) or f"baseline: {ALONE[before]}; arm: {ALONE[after]}"
    if after:
        return f"{'the error again' if is_repeated else 'a new error'}: {ALONE[after]}"
    if before:
        made = "right here" if left and right and left.key == right.key else "not made here"
        return f"baseline's error ({ALONE[before]}) is {made}"
    return ""


def _kind(left: Piece | None, right: Piece | None) -> str:
    """What the arm did with an error, for the page's colours."""
    if right and right.taken:
        return right.taken
    return "unmade" if left and left.taken else ""
