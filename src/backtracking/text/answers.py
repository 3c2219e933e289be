"""The final answer of a completion: where it was found, by which rule, and whether it is right.

Model text is untrusted. Patterns here run in linear time, a user's pattern runs under a time limit, and only
short expressions without towers of powers reach the symbolic comparison.
"""

import logging
import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from itertools import accumulate
from typing import Any, Literal

import regex
from math_verify import parse, verify

from backtracking.text.onsets import reasoning_end
from backtracking.text.quantities import Number, clean, parse_number

Rule = Literal["boxed", "final_line", "last_number", "regex", "none", "cut", "regex_timeout"]

_REGEX_SECONDS = 0.5
_MAX_TEXT = 200
_MAX_SYMBOLIC = 100
_MAX_LINE = 300
_MAX_MARKERS = 20
_MAX_BOX = 2_000
_MARKUP = " *_\t"
_TAIL = 4_000
_TOLERANCE = Fraction(1, 10**6)

_BOX = re.compile(r"\\(?:boxed|fbox)\s{0,3}\{")
_FINAL = re.compile(
    r"^####(?=[^\w\n]{0,8}[\d.,/]{1,40}[^\w\n]{0,8}$)"
    r"|\bfinal(?: answer)?[*_ ]{0,4}(?::|=|\bis\b)|\banswer[*_ ]{0,4}[:=]|\banswer is\b",
    re.IGNORECASE | re.MULTILINE,
)
_NUMBER = re.compile(
    r"""(?<![\w.,^{\\])(?:[-−](?:\\?[$€£¥]\s?)?|\\?[$€£¥]\s?[-−]?)?
    (?:\d{0,30}\\[dt]?frac\{\d{1,30}\}\{\d{1,30}\}|\d{1,30}\s\d{1,30}/\d{1,30}|\d[\d.,]*(?:\s?/\s?\d+)?|\.\d+)
    (?:\s?\\?%|\s(?:hundred|thousand|million|billion|trillion)\b)?""",
    re.VERBOSE,
)

_SENTENCE_END = re.compile(r"[.!?;](?=\s|\Z)|\n")
_REMARK = re.compile(r",\s|\s\(")
_APART = re.compile(r",\s|\band\b")
_GLUED = re.compile(r"[^\W\d_]{1,3}\d")
_CURRENCY = re.compile(r"[$€£¥]")
_GOES_ON = re.compile(r"[.,:]|\s*(?:[-+−–/×·÷=^]|\\[a-z]*)\s*|\s+[*xX]\s*")
"""What a cut number may end in: 1, of 1,250; 3. of 3.50; 12 + of a sum."""

_AMBIGUOUS = re.compile(r"\d,\d|\d\.\d+\.\d|\d:\d|\d\s+\d")
_UNSAFE = re.compile(
    r"\^\s?\{?\s?[-+]?\s?\(?\s?\d{3}|[)}]\s?\^\s?\{?\s?-?\d{2}|\^[^^]*\^[^^]*\^|\^\s?\{?[^{}]*\^|\d{30}|!|\*\*"
    r"|\\(?:int|sum|prod|lim|binom|underset|begin)"
)
_COMMAND = re.compile(r"\\[A-Za-z]+")


@dataclass(frozen=True)
class Answer:
    """What was taken as the answer, by which rule, and the characters of the completion it was read from."""

    text: str | None
    rule: Rule
    start: int = -1
    end: int = -1


def extract_answer(
    completion: str, *, think_close: str = "", truncated: bool = False, answer_regex: str | None = None
) -> Answer:
    """The final answer of a completion, if it gives one.

    Layers: the last boxed expression, the last line that announces the answer, the last number. They look
    behind the reasoning first, then (for the first two) into it. A row cut before its reasoning ended has
    no answer unless it boxed one, and an answer that the cut may have shortened is none.
    """
    if answer_regex is not None:
        answer = _by_regex(completion, answer_regex)
    else:
        answer = _layered(completion, think_close, truncated)
    if truncated and answer.rule not in ("boxed", "none") and _may_go_on(completion[answer.end :]):
        return Answer(None, "cut", answer.start, answer.end)
    return answer


def _may_go_on(rest: str) -> bool:
    """Whether a cut may have taken a part of the answer, by the text behind it."""
    return not rest or _GOES_ON.fullmatch(rest) is not None


def _layered(completion: str, think_close: str, truncated: bool) -> Answer:
    close = reasoning_end(completion, think_close)
    unfinished = truncated and close is None
    opened = bool(think_close) or "<think>" in completion[:200]
    zone = 0 if close is None else close + len(think_close or "</think>")
    found = _boxed(completion, zone)
    if found is None and not (unfinished and opened):
        found = _final_line(completion, zone)
    if found is None and not unfinished:
        found = _last_number(completion, zone)
    if found is None and zone:
        found = _boxed(completion, 0) or _final_line(completion, 0)
    return found or Answer(None, "none")


def _by_regex(completion: str, pattern: str) -> Answer:
    compiled = regex.compile(pattern)
    try:
        matches = deque(compiled.finditer(completion, timeout=_REGEX_SECONDS), maxlen=1)
    except TimeoutError:
        return Answer(None, "regex_timeout")
    if not matches:
        return Answer(None, "none")
    last = matches[0]
    group = 1 if compiled.groups and last.group(1) is not None else 0
    return Answer(last.group(group).strip(), "regex", *last.span(group))


def _boxed(text: str, zone: int) -> Answer | None:
    """The last boxed expression whose braces close and that holds something."""
    starts = deque(_BOX.finditer(text, zone), maxlen=_MAX_MARKERS)
    for match in reversed(starts):
        end = _closing_brace(text, match.end())
        if end is not None and text[match.end() : end].strip():
            return Answer(text[match.end() : end].strip(), "boxed", match.start(), end + 1)
    return None


def _closing_brace(text: str, start: int) -> int | None:
    depth = 1
    for at in range(start, min(len(text), start + _MAX_BOX)):
        char = text[at]
        if char in "{}" and text[at - 1] != "\\":
            depth += 1 if char == "{" else -1
            if depth == 0:
                return at
    return None


def _final_line(text: str, zone: int) -> Answer | None:
    """What the last line that announces a number says; else the last words that are announced."""
    markers = deque((match.end() for match in _FINAL.finditer(text, zone)), maxlen=_MAX_MARKERS)
    words: Answer | None = None
    for start in reversed(markers):
        span = _line_after(text, start)
        announced = _announced(text, *span)
        if announced is not None:
            return announced
        words = words or _words(text, *span)
    return words


def _line_after(text: str, start: int) -> tuple[int, int]:
    """The rest of the line, or the next line when nothing but markup follows."""
    while start < len(text) and text[start] in " \t\n*_:":
        start += 1
    end = text.find("\n", start, start + _MAX_LINE)
    return start, min(len(text), start + _MAX_LINE) if end < 0 else end


def _announced(text: str, start: int, end: int) -> Answer | None:
    """The number of the first sentence that has one, or of what follows its last equals sign.

    Of several, the only one in currency is meant, or the one that a line begins with before a remark ("18,
    not 20"). Otherwise the words stand as they are: a calculation can still be graded, a list cannot.
    """
    for begin, stop in _sentences(text, start, end):
        numbers = list(_NUMBER.finditer(text, begin, stop))
        if numbers:
            return _meant(text, begin, stop, numbers)
    return None


def _meant(text: str, begin: int, stop: int, numbers: list[re.Match[str]]) -> Answer | None:
    """Which of a sentence's numbers is announced."""
    first = numbers[0].start()
    if not text[begin:first].strip(_MARKUP) and (remark := _REMARK.search(text, first, stop)):
        stop = remark.start()
        numbers = [number for number in numbers if number.start() < stop]
    equals = text.rfind("=", first, stop)
    if not _APART.search(text, first, max(first, equals)):
        numbers = [number for number in numbers if number.start() > equals] or numbers
    if len(numbers) > 1:
        numbers = [number for number in numbers if _CURRENCY.search(number.group())]
    if len(numbers) == 1 and not _GLUED.match(text, numbers[0].end()):
        return _number_answer(numbers[0], "final_line")
    return _words(text, begin, stop)


def _sentences(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    for match in _SENTENCE_END.finditer(text, start, end):
        yield start, match.start()
        start = match.end()
    yield start, end


def _words(text: str, start: int, end: int) -> Answer | None:
    phrase = text[start:end].strip(f"{_MARKUP}.:")
    return Answer(phrase[:_MAX_TEXT], "final_line", start, end) if phrase else None


def _last_number(text: str, zone: int) -> Answer | None:
    last = deque(_NUMBER.finditer(text, max(zone, len(text) - _TAIL)), maxlen=1)
    return _number_answer(last[0], "last_number") if last else None


def _number_answer(match: re.Match[str], rule: Rule) -> Answer:
    raw = match.group()
    kept = raw.rstrip(".,")
    lead = len(kept) - len(kept.lstrip())
    return Answer(kept.strip(), rule, match.start() + lead, match.start() + len(kept))


@lru_cache(maxsize=65_536)
def grade(answer: str | None, gold: str) -> bool | None:
    """Whether an answer equals the gold answer; none when there is nothing that could be graded."""
    if answer is None or not answer.strip() or len(answer) > _MAX_TEXT:
        return None
    wanted, given = parse_number(gold), parse_number(answer)
    if wanted is not None and given is not None:
        return _numbers_agree(given, wanted)
    if wanted is not None and _AMBIGUOUS.search(clean(answer)):
        return None  # 1.200,50 or 12,5 or 3:4 means different things in different places
    return _symbolically_equal(answer, gold, numeric=wanted is not None)


def _numbers_agree(given: Number, wanted: Number) -> bool:
    return any(_close(one, other, wanted.decimals) for one in given.readings for other in wanted.readings)


def _close(given: Fraction, wanted: Fraction, decimals: int) -> bool:
    """Whole numbers exactly; others to half a cent, or to half a unit of the gold's last decimal."""
    if given == wanted or wanted.denominator == 1:
        return given == wanted
    rounding = Fraction(1, 2 * 10 ** max(decimals, 2))
    if not decimals:
        rounding = min(rounding, _TOLERANCE * max(Fraction(1), abs(wanted)))
    return abs(given - wanted) <= rounding


def _symbolically_equal(answer: str, gold: str, *, numeric: bool) -> bool | None:
    """math-verify's verdict, on expressions safe to evaluate without its signal-based time limits."""
    given_text, wanted_text = clean(answer), clean(gold)
    if not (_is_small(given_text) and _is_small(wanted_text)):
        return None
    logging.getLogger("math_verify").setLevel(logging.ERROR)
    given, wanted = _expressions(given_text), _expressions(wanted_text)
    if not given or not wanted:
        return None
    if numeric and re.search(r"[^\W\d_]", _COMMAND.sub("", given_text)):
        return None  # words between numbers, such as "5 or 6"
    if numeric and not (getattr(given[0], "is_number", False) and given[0].is_finite):
        return None
    return bool(verify(wanted, given, timeout_seconds=None))


def _is_small(text: str) -> bool:
    """Whether comparing an expression can only take little work: short, flat, few symbols, small powers."""
    symbols = set(re.findall(r"[^\W\d_]", _COMMAND.sub("", text)))
    deepest = max(accumulate((char in "{([") - (char in "})]") for char in text), default=0)
    return len(text) <= _MAX_SYMBOLIC and len(symbols) <= 3 and deepest <= 4 and not _UNSAFE.search(text)


def _expressions(text: str) -> list[Any]:
    """What math-verify reads from a text, strings that it could not read left out."""
    return [part for part in parse(f"${text}$", parsing_timeout=None) if not isinstance(part, str)]
