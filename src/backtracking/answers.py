"""The final answer of a completion: where it was found, by which rule, and whether it is right.

Model text is untrusted. Every pattern here runs in linear time, user patterns run under a time limit, and
only short expressions without towers of powers reach the symbolic comparison.
"""

import logging
import re
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Literal

import regex
from math_verify import parse, verify

Rule = Literal["boxed", "final_line", "last_number", "regex", "none", "regex_timeout"]

_REGEX_SECONDS = 0.5
_MAX_ANSWER = 200
_MAX_BOXED_SCAN = 20_000
_RELATIVE_TOLERANCE = Fraction(1, 10**6)

_BOXED = re.compile(r"\\f?boxed\s*\{")
_FINAL = re.compile(
    r"####|\bfinal(?: answer)?[*_ ]*(?::|=|\bis\b)|\banswer[*_ ]*(?::|=)|\banswer is\b", re.IGNORECASE
)
_NUMBER = re.compile(r"(?<![\w.,])[-+−]?\s?[$€£¥]?\s?[-−]?(?:\d[\d.,]*(?:/\d+)?|\.\d+)")
_PLAIN = re.compile(r"[-+]?(?:\d+(?:\.\d*)?|\.\d+)")
_GROUPED = re.compile(r"[-+]?\d{1,3}(?:,\d{3})+(?:\.\d*)?")
_RATIO = re.compile(r"([-+]?\d+)/(\d+)")
_MIXED = re.compile(r"([-+]?)(\d+) (\d+)/(\d+)")
_FRAC = re.compile(r"([-+]?)(\d*)\\[dt]?frac\{(\d+)\}\{(\d+)\}")
_COMMA = re.compile(r"\d,\d")
_RISKY = re.compile(r"\^\s*\{?\s*[-+]?\s*\(?\s*\d{3}|\^[^^]*\^[^^]*\^|\^\s*\{?[^{}]*\^|\d{30}|\d\s*!|\*\*|\\(?:int|sum|prod|lim|binom)")

_TEXT_COMMAND = re.compile(r"\\(?:text|mathrm|mathbf|textbf|mbox|operatorname)\s*\{[^{}]*\}")
_NOISE = re.compile(r"\\[,;:! ]|\\(?:left|right|displaystyle)\b|[$€£¥*_`~]|\\\(|\\\)|\\\[|\\\]|\{,\}|\s+(?=[,.]\d)")
_NOISE_TO = {"{,}": ","}
_UNIT_WORDS = re.compile(r"(?<=[\d.)}])\s*(?:[A-Za-z][A-Za-z²³/. -]{0,60})\Z")

# math-verify warns on every call that its signal-based time limits are off; the bounds above replace them
logging.getLogger("math_verify").setLevel(logging.ERROR)


@dataclass(frozen=True)
class Answer:
    """What was taken to be the answer; `start` and `end` are characters of the completion."""

    text: str | None
    rule: Rule
    start: int = -1
    end: int = -1


NO_ANSWER = Answer(None, "none")
