"""Plain numbers as people and models write them: markup, units, percent signs, fractions, spelled out."""

import re
from dataclasses import dataclass
from fractions import Fraction

_WRAPPED = re.compile(r"\\(?:text|textbf|textit|mathrm|mathbf|mbox|operatorname|boxed|fbox)\s?\{([^{}]*)\}")
_SPACES = re.compile(r"\\[ ;]|\\quad\b|~|\u00a0|\s+")
_DROPPED = re.compile(
    r"\\[,:!]|\\(?:left|right|displaystyle)\b|\\[()\[\]]|\\?[$]|[€£¥≈`]|\*\*|\^\s?\\?\{?(?:\\circ|°)\}?|°"
)
_UNITS = re.compile(
    r"""(?<=[\d.)}%])(?:
    \s+[^\W\d][^\d=<>≤≥+*^,;:]{0,60}    # words after a space
    |[^\W\d_]{3,20}|cm|mm|km|kg|ml|mg|ft|[mghsLlk]    # a unit right after the number
    )(?:\^?\{?[23²³]\}?)?\Z""",
    re.VERBOSE,
)
_SCALES = {"hundred": 10**2, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_SCALED = re.compile(rf"(.*\d)\s+({'|'.join(_SCALES)})\b.*", re.IGNORECASE | re.DOTALL)

_DECIMAL = re.compile(r"[-+]?(?:\d{1,40}(?:\.\d{0,40})?|\.\d{1,40})")
_GROUPED = re.compile(r"[-+]?\d{1,3}(?:,\d{3}){1,12}(?:\.\d{0,40})?")
_MIXED = re.compile(r"([-+]?)(?:(\d{1,30}) )?(\d{1,30}) ?/ ?(\d{1,30})")
_FRAC = re.compile(r"([-+]?)(\d{0,30}) ?\\[dt]?frac\{(\d{1,30})\}\{(\d{1,30})\}")
_ONES = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_WORD_VALUES = {word: value for value, word in enumerate(_ONES)} | {
    word: 10 * value for value, word in enumerate(_TENS, start=2)
}


def word_set(words: str) -> frozenset[str]:
    """The words of a line, for looking them up."""
    return frozenset(words.split())


NUMBER_WORDS = frozenset((*_WORD_VALUES, *_SCALES)) | word_set(
    "dozen half halves third thirds quarter quarters fourth fourths twice thrice double triple"
)
"""Words that are numbers themselves, never units."""


@dataclass(frozen=True)
class Number:
    """A value as written; a percentage may also stand for its hundredth."""

    value: Fraction
    percent: bool = False
    decimals: int = 0

    @property
    def readings(self) -> tuple[Fraction, ...]:
        return (self.value, self.value / 100) if self.percent else (self.value,)


def parse_number(text: str) -> Number | None:
    """The plain number that a text is, units and markup aside; none when it is unclear or no number."""
    cleaned = clean(text)
    if cleaned.count("=") == 1:
        cleaned = cleaned.partition("=")[2].strip()
    scaled = _SCALED.fullmatch(cleaned)
    factor = _SCALES[scaled.group(2).lower()] if scaled else 1
    bare = _UNITS.sub("", scaled.group(1) if scaled else cleaned).rstrip(". ")
    percent = bare.endswith("%")
    bare = bare.rstrip("%\\ ").replace("- ", "-")
    value = _plain_value(bare)
    if value is None:
        value = _spelled_out(bare)
    if value is None:
        return None
    decimals = len(bare.partition(".")[2]) if _DECIMAL.fullmatch(bare) else 0
    return Number(value * factor, percent, decimals)


def clean(text: str) -> str:
    """A short text without the markup, currency signs and spacing that don't change a number."""
    cleaned = text.replace("−", "-").replace("{,}", ",").replace("\\%", "%")
    for _ in range(3):
        cleaned = _WRAPPED.sub(r"\1", cleaned)
    return _DROPPED.sub("", _SPACES.sub(" ", cleaned)).strip(" *_").rstrip(".")


def _plain_value(text: str) -> Fraction | None:
    if _DECIMAL.fullmatch(text):
        return Fraction(text)
    if _GROUPED.fullmatch(text):
        return Fraction(text.replace(",", ""))
    match = _FRAC.fullmatch(text) or _MIXED.fullmatch(text)
    if match is None or int(match.group(4)) == 0:
        return None
    size = int(match.group(2) or 0) + Fraction(int(match.group(3)), int(match.group(4)))
    return -size if match.group(1) == "-" else size


def _spelled_out(text: str) -> Fraction | None:
    """English number words up to ninety-nine, units after them allowed: "eighteen dollars"."""
    words = text.lower().replace("-", " ").split()
    if not words or words[0] not in _WORD_VALUES:
        return None
    value = _WORD_VALUES[words[0]]
    rest = words[1:]
    if value >= 20 and rest and 0 < _WORD_VALUES.get(rest[0], 0) < 10:
        value, rest = value + _WORD_VALUES[rest[0]], rest[1:]
    more_numbers = any(word in _WORD_VALUES or word in _SCALES or not word.isalpha() for word in rest)
    return None if more_numbers or len(rest) > 4 else Fraction(value)
