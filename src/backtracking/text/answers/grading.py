"""Whether an answer is right: plain numbers exactly, other expressions by math-verify."""

import logging
import re
from fractions import Fraction
from functools import lru_cache
from itertools import accumulate
from typing import Any

from backtracking.text.answers.claims import meant
from backtracking.text.answers.nothing import tells_nothing
from backtracking.text.answers.plain.form import is_plain
from backtracking.text.answers.stances.stances import Stance
from backtracking.text.answers.statements import read_statement
from backtracking.text.numbers.quantities import Quantity

_MAX_TEXT = 200
_MAX_SYMBOLIC = 100
_TOLERANCE = Fraction(1, 10**6)
_WRAPPED = re.compile(r"\\(?:text|textbf|textit|mathrm|mathbf|mbox|operatorname|boxed|fbox)\s?\{([^{}]*)\}")
_SPACES = re.compile(r"\\[ ,:;]|\\quad\b|~|\u00a0|\s+")
_STRUCK = re.compile(r"~~[^~\n]{1,80}~~")
_DROPPED = re.compile(
    r"\\!|\\(?:left|right|displaystyle)\b|\\[()\[\]]|\\?[$]|[€£¥≈`]|\*\*|\^\s?\\?\{?(?:\\circ|°)\}?|°"
)
_AMBIGUOUS = re.compile(r"\d_|\d,\d|\d\.\d+\.\d|\d:\d|\d\s+\d|\d\s*\|\s*\d")
_CLOCK = re.compile(r"(\d{1,2}):([0-5]\d)(?: ?([ap])\.?m\.?)?", re.IGNORECASE)
_UNSAFE = re.compile(
    r"\^\s?\{?\s?[-+]?\s?\(?\s?\d{3}|[)}]\s?\^\s?\{?\s?-?\d{2}|\^[^^]*\^[^^]*\^|\^\s?\{?[^{}]*\^|\d{30}|!|\*\*"
    r"|\\(?:int|sum|prod|lim|binom|underset|begin)"
)
_BARE = re.compile(r"-?[0-9]{1,15}(?:\.[0-9]{1,9})?")
_COMMAND = re.compile(r"\\[A-Za-z]+")
_WORD = re.compile(r"[^\W\d_]{3,}|\A[^\W\d_]{2,}\Z")
"""Letters that are words rather than unknowns."""
_BRACKETED = re.compile(r"\s*(?:\\left\s*)?\\?[\[({].*[\])}]\s*", re.DOTALL)
"""A pair, a set or an interval, whose comma stands between two numbers."""

_NO_GOLD = {
    re.compile(r"\(?[A-E][).]?"): "it is a letter; give the number it stands for",
    re.compile(r"[A-Z]/[A-Z]|n/a"): "it is letters with a slash, not a number",
    re.compile(r"\\?\{\s*[\"'].*", re.DOTALL): "it is a mapping; give the number in it",
    re.compile(r".*\bor\b.*", re.DOTALL): "it names several answers; give one",
}
"""Forms that could be read as a formula, and are none."""


class _Void:
    """A text that claims no number, though there is one in it: not 18, at least 18."""


_VOID = _Void()


@lru_cache(maxsize=65_536)
def grade(answer: str | None, gold: str) -> bool | None:
    """Whether an answer equals the gold answer; none when there is nothing that could be graded."""
    if answer is None or not answer.strip() or len(answer) > _MAX_TEXT:
        return None
    clocks = _CLOCK.fullmatch(_clean(gold)), _CLOCK.fullmatch(_clean(answer))
    if clocks[0] and clocks[1]:
        return _same_time(clocks[0], clocks[1])
    wanted, given = parse_number(gold), _read(answer)
    if isinstance(given, _Void):
        return None
    if wanted is not None and given is not None:
        return _numbers_agree(given, wanted)
    if wanted is not None and _AMBIGUOUS.search(_clean(answer)):
        return None  # 1.200,50 or 12,5 or 3:4 means different things in different places
    return _symbolically_equal(answer, gold, numeric=wanted is not None)


def _same_time(one: re.Match[str], other: re.Match[str]) -> bool:
    """4:45 and 4:45 PM; not 4:45 AM and 4:45 PM."""
    (hour, minute, half), (its_hour, its_minute, its_half) = one.groups(), other.groups()
    same_half = half is None or its_half is None or half.lower() == its_half.lower()
    return (int(hour), minute) == (int(its_hour), its_minute) and same_half


@lru_cache(maxsize=65_536)
def why_unreadable(gold: str) -> str:
    """Why no answer can be graded by a gold answer; empty where it is a number or a formula."""
    if why := next((why for form, why in _NO_GOLD.items() if form.fullmatch(_clean(gold))), ""):
        return why
    if parse_number(gold) is not None:
        return ""
    text = _clean(gold)
    if not text:
        return "it is empty"
    if _CLOCK.fullmatch(text):
        return ""
    if _AMBIGUOUS.search(text) and not _BRACKETED.fullmatch(gold):
        return "it means different numbers in different places"  # 12,5 and 1.200,50 and 3:4
    is_formula = not _WORD.search(_COMMAND.sub("", text)) and _is_small(text) and bool(_expressions(text))
    return "" if is_formula else "it is neither a number nor a formula that can be compared"


def parse_number(text: str) -> Quantity | None:
    """The plain number that a text states, units and markup aside; none when it is unclear or no number."""
    amount = _read(text)
    return None if isinstance(amount, _Void) else amount


def _read(text: str) -> Quantity | _Void | None:
    """The number that a text states; none when it is some other expression."""
    if _BARE.fullmatch(text):  # as most answers are: the grammar would say the same, and take longer
        return Quantity(0, len(text), (Fraction(text),), len(text.partition(".")[2]))
    return _read_by_grammar(text)


def _read_by_grammar(text: str) -> Quantity | _Void | None:
    if tells_nothing(text):
        return Quantity(0, len(text), (Fraction(0),))
    statement = read_statement(text)
    chosen = meant(statement, text)
    if chosen is not None:
        if not is_plain(statement.tokens, chosen.first, chosen.stop):
            return _VOID
        return chosen.quantity if chosen.quantity.readings else None
    refused = any(m.stance in (Stance.DENIED, Stance.HEDGED) for m in statement.mentions)
    return _VOID if refused else None


def _numbers_agree(given: Quantity, wanted: Quantity) -> bool:
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
    from math_verify import verify

    given_text, wanted_text = _clean(answer), _clean(gold)
    if not (_is_small(given_text) and _is_small(wanted_text)):
        return None
    given, wanted = _expressions(given_text), _expressions(wanted_text)
    if not given or not wanted:
        return None
    if numeric and re.search(r"[^\W\d_]", _COMMAND.sub("", given_text)):
        return None  # words between numbers, such as "5 or 6"
    if numeric and not (getattr(given[0], "is_number", False) and given[0].is_finite):
        return None
    return bool(verify(wanted, given, timeout_seconds=None))


def _clean(text: str) -> str:
    """A short text without the markup, currency signs and spacing that don't change an expression."""
    cleaned = _STRUCK.sub("", text).replace("−", "-").replace("{,}", ",").replace("\\%", "%")
    for _ in range(3):
        cleaned = _WRAPPED.sub(r"\1", cleaned)
    return _DROPPED.sub("", _SPACES.sub(" ", cleaned)).strip(" *_").rstrip(".")


def _is_small(text: str) -> bool:
    """Whether comparing an expression can only take little work: short, flat, few symbols, small powers."""
    symbols = set(re.findall(r"[^\W\d_]", _COMMAND.sub("", text)))
    deepest = max(accumulate((char in "{([") - (char in "})]") for char in text), default=0)
    return len(text) <= _MAX_SYMBOLIC and len(symbols) <= 3 and deepest <= 4 and not _UNSAFE.search(text)


def _expressions(text: str) -> list[Any]:
    """What math-verify reads from a text, strings that it could not read left out."""
    from math_verify import parse

    logging.getLogger("math_verify").setLevel(logging.ERROR)
    return [part for part in parse(f"${text}$", parsing_timeout=None) if not isinstance(part, str)]
