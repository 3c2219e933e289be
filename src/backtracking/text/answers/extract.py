"""The final answer of a completion: where it was found, by which rule, and whether it is right.

Model text is untrusted. Patterns here run in linear time, a user's pattern runs under a time limit, and only
short expressions without towers of powers reach the symbolic comparison.
"""

import re
from collections import deque
from dataclasses import dataclass
from typing import Literal

import regex

from backtracking.errors import UserError
from backtracking.text.answers.afterthoughts import (
    compares,
    confirms,
    is_in_brackets,
    is_remark,
    is_small_rate,
    lets_stand,
    rejects,
    replaces,
    retracts,
)
from backtracking.text.answers.claims import is_placed_by, is_rest, meant
from backtracking.text.answers.grading import grade, why_unreadable
from backtracking.text.answers.nothing import concludes_nothing, tells_nothing
from backtracking.text.answers.plain.form import is_plain
from backtracking.text.answers.sentences import REACH, last_sentence, sentence_around, sentences_between
from backtracking.text.answers.stances.doubts import DOUBTS
from backtracking.text.answers.stances.moods import asks_for_number, says_unknown
from backtracking.text.answers.stances.stances import Mention, Stance
from backtracking.text.answers.statements import (
    Statement,
    lowered,
    read_statement,
    stance_of_box,
    told_before,
)
from backtracking.text.onsets import reasoning_end

AnswerRule = Literal[
    "boxed", "final_line", "last_number", "regex", "none", "cut", "regex_timeout", "denied", "hedged"
]

_REGEX_SECONDS = 0.5
_MAX_TEXT = 200
_MAX_MARKERS = 20
_MAX_BOX = 2_000
_MARKUP = " *_\t"
_TAIL = 4_000
_MAX_SENTENCES = 60

_BOX = re.compile(r"\\(?:boxed|fbox)\s{0,3}\{")
_FINAL = re.compile(
    r"^####(?=[^\w\n]{0,8}[\d.,/]{1,40}[^\w\n]{0,8}$)"
    r"|\bfinal(?: (?:answer|result))?[*_ ]{0,4}(?::|=|→|⇒|\bis\b)"
    r"|\banswer(?: in [a-z]{2,15}| \([a-z ]{1,20}\))?[*_ ]{0,4}(?:[:=→⇒]|is\b|isn['’]t\b)"
    r"|\banswer (?:equals|amounts to|ends up (?:being|as))\b"
    r"|\banswer (?:comes|came|works|worked|turns|turned)(?: out)?(?: to| as)\b"
    r"|\banswer (?:must|should|would|will|could|can|might|may|can['’]?t|cannot|couldn['’]t|won['’]t)"
    r"(?: \w+)? be\b",
    re.IGNORECASE | re.MULTILINE,
)
_FINAL_HINTS = ("nswer", "NSWER", "inal", "INAL", "####")
_GOES_ON = re.compile(r"[.,:]|\s*(?:[-+−–/×·÷=^]|\\[a-z]*)\s*|\s+[*xX]\s*")
"""What a cut number may end in: 1, of 1,250; 3. of 3.50; 12 + of a sum."""
_HAS_NUMBER = re.compile(r"\d")


@dataclass(frozen=True)
class Answer:
    """What was taken as the answer, by which rule, and the characters of the completion it was read from."""

    text: str | None
    rule: AnswerRule
    start: int = -1
    end: int = -1


@dataclass(frozen=True)
class GradedAnswer:
    """Whether a completion is right, with the answer, the rule and the span that decided it."""

    correct: bool | None
    answer: Answer

    @property
    def verdict(self) -> str:
        """The same in a word."""
        return {True: "right", False: "wrong", None: "ungraded"}[self.correct]


def judge_answer(
    completion: str,
    gold: str | float,
    *,
    think_close: str = "",
    truncated: bool = False,
    answer_regex: str | None = None,
) -> GradedAnswer:
    """Find the answer of a completion and compare it with the gold one; ungraded where it is unclear."""
    if not isinstance(completion, str):
        raise UserError(f"the completion is no text but {type(completion).__name__}")
    if why := why_unreadable(str(gold)):
        raise UserError(
            f"no answer can be graded by the gold answer {str(gold)[:40]!r}",
            why,
            "give a number such as 1250, 7.5 or 1/2 (a comma only between thousands), "
            "a list such as {1, 2}, or a formula in LaTeX",
        )
    answer = extract_answer(
        completion, think_close=think_close, truncated=truncated, answer_regex=answer_regex
    )
    return GradedAnswer(grade(answer.text, str(gold)), answer)


def extract_answer(
    completion: str, *, think_close: str = "", truncated: bool = False, answer_regex: str | None = None
) -> Answer:
    """The final answer of a completion, if it gives one.

    Layers: the last boxed expression, the last line that announces the answer, the last statement with a
    number. They look behind the reasoning first, then (for the first two) into it. A row cut before its
    reasoning ended has no answer unless it boxed one, and an answer that the cut may have shortened is none.
    """
    if answer_regex is not None:
        answer = _by_regex(completion, answer_regex)
    else:
        answer = _layered(completion, think_close, truncated)
    cuttable = answer.text is not None and answer.rule != "boxed"
    if truncated and cuttable and _may_go_on(completion[answer.end :]):
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
    answer = _boxed(completion, zone)
    if answer is None and not (unfinished and opened):
        answer = _final_line(completion, zone)
    if answer is None and not unfinished:
        answer = _prose(completion, zone)
    if answer is None and zone:
        answer = _boxed(completion, 0) or _final_line(completion, 0)
    return answer or Answer(None, "none")


def _by_regex(completion: str, pattern: str) -> Answer:
    try:
        compiled = regex.compile(pattern)
    except regex.error as error:
        raise UserError(f"answer_regex: {pattern!r} is not a regular expression", str(error)) from None
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
    """The last boxed expression that is not denied, whose braces close and that holds something."""
    starts = deque(_BOX.finditer(text, zone), maxlen=_MAX_MARKERS)
    for match in reversed(starts):
        end = _closing_brace(text, match.end())
        if end is None or not text[match.end() : end].strip():
            continue
        begin, stop = sentence_around(text, match.start(), end + 1, zone)
        stance = stance_of_box(text, begin, (match.start(), end + 1), stop)
        if stance is Stance.DENIED:
            continue
        if stance is Stance.HEDGED:
            return Answer(None, "hedged", match.start(), end + 1)
        answer = Answer(text[match.end() : end].strip(), "boxed", match.start(), end + 1)
        return _unless_retracted(text, answer, stop)
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


def _unless_retracted(text: str, answer: Answer, end: int) -> Answer:
    """The answer, unless what follows takes it back: then what follows says instead, if anything."""
    for start, stop in sentences_between(text, end, min(len(text), end + REACH)):
        if _is_about_another(text, start, stop, answer):
            continue
        if replaces(text, start, stop):
            return _prose(text, start) or Answer(None, "denied", answer.start, answer.end)
        if not lets_stand(text[start:stop], broken_off=stop == len(text)):
            return Answer(None, "hedged", answer.start, answer.end)
    return answer


def _is_about_another(text: str, start: int, stop: int, answer: Answer) -> bool:
    """Whether a sentence is a check, or only denies other numbers: "the answer is 18. (Not 20!)"."""
    if is_remark(text, start, stop):
        return True
    statement = read_statement(text, start, stop)
    same = (answer.text or "") in text[start:stop]
    if rejects(text, start, stop) and not same:
        return True
    if statement.claims:
        return same and meant(statement, text) is not None and not DOUBTS.search(text[start:stop])
    return {mention.stance for mention in statement.counted} == {Stance.DENIED} and not same


def _final_line(text: str, zone: int) -> Answer | None:
    """What the last line that announces a number says; else the last words that are announced."""
    markers = _markers(text, zone)
    words: Answer | None = None
    for marker in reversed(markers):
        announced = _announced(text, marker, zone)
        if announced is not None:
            return announced
        words = words or _words(text, *_line_after(text, marker.end()), "final_line")
    return words


def _markers(text: str, zone: int) -> list[re.Match[str]]:
    """The last announcements in order; their literal parts are looked for first, which is much faster."""
    marks: dict[int, re.Match[str]] = {}
    for hint in _FINAL_HINTS:
        at = text.find(hint, zone)
        while at >= 0:
            match = _FINAL.match(text, at if hint == "####" else max(zone, at - 1))
            if match is not None:
                marks[match.start()] = match
            at = text.find(hint, at + 1)
    return [marks[start] for start in sorted(marks)[-_MAX_MARKERS:]]


def _line_after(text: str, start: int) -> tuple[int, int]:
    """The rest of the line, or the next line when nothing but markup follows."""
    while start < len(text) and text[start] in " \t\n*_:":
        start += 1
    end = text.find("\n", start, start + REACH)
    return start, min(len(text), start + REACH) if end < 0 else end


def _announced(text: str, marker: re.Match[str], zone: int) -> Answer | None:
    """What the first sentence with a number says behind a marker; a denial leads on to what comes after."""
    begin, _ = sentence_around(text, marker.start(), marker.end(), zone)
    line = _line_after(text, marker.end())
    for start, stop in sentences_between(text, *line):
        first = start == line[0]
        statement = read_statement(text, begin if first else start, stop, counted_from=start)
        chosen = meant(statement, text)
        factorial = chosen is not None and _is_factorial(text, marker, chosen, stop)
        if statement.unknown or factorial or (chosen is not None and not _is_plain(statement, chosen)):
            return Answer(None, "hedged", start, stop)
        if not statement.counted:
            continue
        if chosen is not None and not is_placed_by(statement, chosen):
            return _unless_retracted(text, _number_answer(text, chosen, "final_line"), stop)
        doubted = statement.counted[0].stance in (Stance.DENIED, Stance.HEDGED)
        if chosen is None and not doubted and (statement.has_expression or statement.claims):
            return _words(text, start, stop, "final_line")
        if any(mention.stance is Stance.DENIED for mention in statement.counted):
            return _prose(text, stop) or Answer(None, "denied", start, stop)
        return Answer(None, "hedged", start, stop)
    return None


def _is_factorial(text: str, marker: re.Match[str], chosen: Mention, stop: int) -> bool:
    """Whether a label alone on its line names a number with "!": "Answer: 18!"; not "the answer: 18!"."""
    opened = text[max(0, marker.start() - 9) : marker.start()].rstrip(_MARKUP)[-1:] in ("", "\n")
    glued = chosen.quantity.end == stop and text[stop : stop + 1] == "!" and not chosen.quantity.currency
    return opened and glued and marker.group()[-1] in ":="


def _words(text: str, start: int, end: int, rule: AnswerRule) -> Answer | None:
    phrase = text[start:end].strip(f"{_MARKUP}.:\n")
    return Answer(phrase[:_MAX_TEXT], rule, start, end) if phrase else None


def _number_answer(text: str, mention: Mention, rule: AnswerRule) -> Answer:
    quantity = mention.quantity
    return Answer(text[quantity.start : quantity.end], rule, quantity.start, quantity.end)


def _prose(text: str, zone: int) -> Answer | None:
    """What the last statement with a number says."""
    spans = deque(sentences_between(text, max(zone, len(text) - _TAIL), len(text)), maxlen=_MAX_SENTENCES)
    later: list[Statement] = []
    doubtful = False
    while spans:
        start, stop = spans.pop()
        if (closed := _closed(text, start, stop, last=not any(s.tokens for s in later))) is not None:
            return closed
        if is_remark(text, start, stop) or confirms(text, start, stop):
            continue
        if is_in_brackets(text, start, stop) and _HAS_NUMBER.search(text, zone, start):
            continue
        statement = read_statement(text, start, stop)
        if statement.unknown:
            return Answer(None, "hedged" if statement.counted else "none", start, stop)
        chosen = meant(statement, text)
        confirmed = _confirmed(statement, text, zone if chosen is None else 0, start)
        if confirmed is not None and (chosen is None or _same(confirmed, chosen)):
            chosen = confirmed
        told = told_before(text, chosen, spans[-1], stop) if spans and chosen else chosen
        if (
            chosen is not None
            and told is not None
            and not doubtful
            and not (spans and is_small_rate(text, start, stop) and _HAS_NUMBER.search(text, *spans[-1]))
            and (told is not chosen or _is_plain(statement, chosen, confirmed=chosen is confirmed))
        ):
            return _number_unless(text, told, later, spans)
        if chosen is None and (statement.has_expression or statement.claims):
            return _words(text, start, stop, "last_number")
        if chosen or (statement.denies_none and not compares(text, start, stop)):
            return Answer(None, "hedged", start, stop)
        later.append(statement)
        asks = text[stop : stop + 1] == "?"
        denies = bool(statement.counted) and not statement.denies_none
        doubtful = doubtful or not (
            asks or denies or lets_stand(text[start:stop], broken_off=stop == len(text))
        )
    denied = any(statement.counted for statement in later)
    return Answer(None, "denied") if denied else _told_in_words(text, zone)


def _told_in_words(text: str, zone: int) -> Answer | None:
    """Zero, where the last sentence says that nothing is left and no other has a number."""
    last = last_sentence(text, max(zone, len(text) - REACH))
    return _words(text, *last, "last_number") if tells_nothing(text, *last) else None


def _is_plain(statement: Statement, chosen: Mention, *, confirmed: bool = False) -> bool:
    same = (m for m in statement.claims if _same(m, chosen))
    alone = not any(
        m.first > chosen.first
        and not m.aside
        and not _same(m, chosen)
        and not is_rest(statement, m)
        and m.quantity.currency == chosen.quantity.currency
        for m in statement.counted
    )
    return any(
        is_plain(statement.tokens, m.first, m.stop, alone=alone, confirmed=confirmed) for m in (chosen, *same)
    )


def _closed(text: str, start: int, stop: int, *, last: bool) -> Answer | None:
    """What a sentence without a number closes with: that nothing is left, a question, a denial."""
    if last and concludes_nothing(text, start, stop):
        return _words(text, start, stop, "last_number")
    asks = text[stop : stop + 1] == "?"
    closes = asks_for_number(text[start:stop]) if asks else retracts(text, start, stop)
    return Answer(None, "denied", start, stop) if closes else None


def _number_unless(
    text: str, chosen: Mention, later: list[Statement], before: "deque[tuple[int, int]]"
) -> Answer:
    """The number, unless a later sentence denies it or the one before says that nothing can be said."""
    answer = _number_answer(text, chosen, "last_number")
    if any(statement.denies(chosen.quantity) for statement in later):
        return Answer(None, "denied", answer.start, answer.end)
    if before and says_unknown(lowered(text, *before[-1])) and "=" not in text[before[-1][1] : answer.start]:
        return Answer(None, "hedged", answer.start, answer.end)
    return answer


def _confirmed(statement: Statement, text: str, begin: int, end: int) -> Mention | None:
    """The number of a statement that is what the last calculation in a stretch of text came to."""
    at = text.rfind("=", max(begin, end - _TAIL), end) if statement.claims else -1
    if at < 0:
        return None
    begin, stop = sentence_around(text, at, at + 1)
    result = meant(read_statement(text, begin, stop), text)
    return next((m for m in statement.claims if result and _same(m, result)), None)


def _same(one: Mention, other: Mention) -> bool:
    return one.quantity.readings == other.quantity.readings != ()
