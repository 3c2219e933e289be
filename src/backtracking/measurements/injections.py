"""Arithmetic steps in completions, and rewrites of them: wrong results, and changes that leave them right."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from backtracking.measurements.places import sentence_starts
from backtracking.run.records import GenerationRecord
from backtracking.text.arithmetic import find_steps
from backtracking.text.onsets.finders import Finder
from backtracking.text.tokenization import Tokenizer, TokenMap, TokenText

_PLAIN = re.compile(r"\d+(?:,\d{3})*(?:\.\d+)?")
_KEEPS_ORDER = re.compile(r"[-−–/÷^]|\\div")
_NAME = re.compile(r"(?<![.!?]\s)(?<!^)\b[A-Z][a-z]{2,}\b")
NAMES = (
    "Tom",
    "Anna",
    "Ben",
    "Emma",
    "Paul",
    "Kate",
    "Sam",
    "Mia",
    "Leo",
    "Nina",
    "Jack",
    "Rosa",
    "Max",
    "Sara",
)
REACH = 24
"""How many tokens after a result the next sentence must begin in."""

STEPS = 8
"""How many positions from the result on are read, the words being those of the right row."""

FEWEST_PAIRS = 20
"""From so many pairs of a right and a wrong prefix on, what patching finds counts as a finding."""

FEWEST_DRAWN = 5
"""With fewer pairs than this, patching is not drawn."""

WRONG = ("off_by_one", "digit_swap", "times_ten", "copied_operand")
HARMLESS = ("operands_swapped", "name_changed")
KINDS = (*WRONG, *HARMLESS)


@dataclass(frozen=True)
class RightStep:
    """A right statement of two numbers and a result, with where they stand in the text."""

    text: str
    left: str
    right: str
    result: str
    spans: Mapping[str, tuple[int, int]]
    commutes: bool
    """Whether the two numbers may change places."""


@dataclass(frozen=True)
class Pair:
    """A stretch of a row and the same with one thing changed, position by position."""

    example_id: str
    sample_id: int
    kind: str
    original: str
    changed: str
    clean: tuple[int, ...]
    """Up to the decision, and a few tokens further."""
    corrupted: tuple[int, ...]
    first: int
    """First position that differs."""
    result_end: int
    """Position of the result's last token."""
    decision: int
    """Position whose next token begins the next sentence."""
    prompt_tokens: int = 0
    """Where the completion begins."""

    @property
    def is_wrong(self) -> bool:
        """Whether what was changed makes the statement wrong."""
        return self.kind in WRONG


def right_steps(text: str) -> Iterator[RightStep]:
    """Statements of one operation on plain numbers whose result comes last and is right."""
    for step in find_steps(text):
        if not step.correct or len(step.operands) != 2 or step.result < step.operands[1]:
            continue
        spans = dict(zip(("left", "right", "result"), (*step.operands, step.result), strict=True))
        left, right, result = (text[slice(*span)] for span in spans.values())
        if all(_PLAIN.fullmatch(number) for number in (left, right, result)):
            between = text[step.operands[0][1] : step.operands[1][0]]
            commutes = _KEEPS_ORDER.search(between) is None
            yield RightStep(text[step.start : step.end], left, right, result, spans, commutes)


def wrong_results(step: RightStep) -> dict[str, str]:
    """A wrong result of each kind, where the kind gives one."""
    digits = step.result
    numbers = {"copied_operand": step.left if step.left != digits else step.right}
    if digits.isdigit():
        number = int(digits)
        # Off by one keeps the number of digits, so that it can keep the number of tokens.
        down = len(str(number - 1)) == len(digits) and number > 0
        up = len(str(number + 1)) == len(digits)
        if up or down:
            numbers["off_by_one"] = str(number + 1 if up else number - 1)
        if len(digits) > 1 and digits[-1] != digits[-2]:
            numbers["digit_swap"] = digits[:-2] + digits[-1] + digits[-2]
        if number:
            numbers["times_ten"] = digits + "0"
    right = _value(step.result)
    return {kind: text for kind, text in numbers.items() if _value(text) != right and text[0] != "0"}


def _value(number: str) -> Fraction:
    return Fraction(number.replace(",", ""))


class Rewriter:
    """Rewrites rows in token space: a change is used only if every other token stays as it was."""

    def __init__(self, tokenizer: Tokenizer, token_map: TokenMap, detector: Finder) -> None:
        self._tokenizer = tokenizer
        self._map = token_map
        self._detector = detector

    def pairs(self, record: GenerationRecord) -> tuple[list[Pair], dict[str, int]]:
        """All rewrites of a row's first step that a sentence follows; kinds that gave none are counted.

        Steps behind an onset are left out: a correction is hardly ever doubted again. Both are empty where
        no step of the row will do.
        """
        tokens = self._map(record.completion_ids, record.completion)
        starts = sentence_starts(tokens.pieces())
        onsets = self._detector.find(tokens.text)
        fresh = tokens.text[: onsets[0].start] if onsets else tokens.text
        for step in right_steps(fresh):
            last = tokens.token_span(*step.spans["result"])[1] - 1
            following = next((start for start in starts if start > last + 1), None)
            if following is not None and following - last <= REACH:
                return self._rewrites(record, tokens, step, last, following)
        return [], {}

    def _rewrites(
        self, record: GenerationRecord, tokens: TokenText, step: RightStep, last: int, following: int
    ) -> tuple[list[Pair], dict[str, int]]:
        pairs: list[Pair] = []
        missing: dict[str, int] = {}
        for kind in KINDS:
            made = (
                (text, ids) for text, ids in self._candidates(record, tokens, step, kind) if ids is not None
            )
            rewrite = next(made, None)
            if rewrite is None:
                missing[kind] = 1
            else:
                pairs.append(_pair(record, kind, step, *rewrite, last, following))
        return pairs, missing

    def _candidates(
        self, record: GenerationRecord, tokens: TokenText, step: RightStep, kind: str
    ) -> Iterator[tuple[str, list[int] | None]]:
        """Rewrites to try for one kind: what they say, and the row's ids under them if they fit."""
        wrong = wrong_results(step)
        if kind in wrong:
            yield wrong[kind], self._rewritten(record, tokens, [(step.spans["result"], wrong[kind])])
        elif kind == "operands_swapped" and step.commutes and step.left != step.right:
            swap = [(step.spans["left"], step.right), (step.spans["right"], step.left)]
            yield f"{step.right} before {step.left}", self._rewritten(record, tokens, swap)
        elif kind == "name_changed":
            for name in NAMES:
                yield name, self._renamed(record, tokens, name)

    def _rewritten(
        self, record: GenerationRecord, tokens: TokenText, changes: Sequence[tuple[tuple[int, int], str]]
    ) -> list[int] | None:
        ids = self._swap(record.completion_ids, tokens, changes)
        return None if ids is None else [*record.prompt_ids, *ids]

    def _renamed(self, record: GenerationRecord, tokens: TokenText, name: str) -> list[int] | None:
        """The first name of the prompt replaced throughout."""
        prompt = self._map(record.prompt_ids)
        named = _NAME.search(prompt.text)
        if named is None or named.group() == name or name in prompt.text:
            return None
        old = re.compile(rf"\b{named.group()}\b")
        parts = [
            self._swap(ids, text, [(match.span(), name) for match in old.finditer(text.text)])
            for ids, text in ((record.prompt_ids, prompt), (record.completion_ids, tokens))
        ]
        return None if parts[0] is None or parts[1] is None else [*parts[0], *parts[1]]

    def _swap(
        self, ids: Sequence[int], tokens: TokenText, changes: Sequence[tuple[tuple[int, int], str]]
    ) -> list[int] | None:
        """New ids of the same number, or None where the tokenizer would cut either text differently."""
        new = list(ids)
        for (start, stop), text in changes:
            first, end = tokens.token_span(start, stop)
            begin, finish = tokens.char_span(first, end)
            before, after = tokens.text[begin:start], tokens.text[stop:finish]
            piece = self._encode(before + text + after)
            if self._encode(tokens.text[begin:finish]) != list(ids[first:end]) or piece is None:
                return None
            if len(piece) != end - first:
                return None
            new[first:end] = piece
        return new

    def _encode(self, text: str) -> list[int] | None:
        """The ids of a text, or None where the vocabulary cannot spell it."""
        ids = [int(token) for token in self._tokenizer.encode(text, add_special_tokens=False)]
        return ids if self._map(ids).text == text else None


def _pair(
    record: GenerationRecord,
    kind: str,
    step: RightStep,
    text: str,
    changed: list[int],
    last: int,
    following: int,
) -> Pair:
    offset = record.prompt_tokens
    end = offset + max(following, last + STEPS)
    clean, corrupted = (*record.prompt_ids, *record.completion_ids)[:end], tuple(changed[:end])
    return Pair(
        example_id=record.example_id,
        sample_id=record.sample_id,
        kind=kind,
        original=step.text,
        changed=text,
        clean=clean,
        corrupted=corrupted,
        first=next(k for k, (a, b) in enumerate(zip(clean, corrupted, strict=True)) if a != b),
        result_end=offset + last,
        decision=offset + following - 1,
        prompt_tokens=offset,
    )
