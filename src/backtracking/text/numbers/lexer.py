"""The words, numbers and signs of a statement, LaTeX and markdown looked through."""

import re
from collections.abc import Sequence
from typing import NamedTuple

_SPACE = r"[ \t\r\u00a0\u2002-\u200b\u202f]"
_THIN = r"(?:[ \u00a0\u2009\u202f~'’]|\\[ ,;:!]|\{,\})"
_VULGAR = "½⅓⅔¼¾⅕⅖⅗⅘⅙⅚⅐⅛⅜⅝⅞⅑⅒"
_RAISED = "⁰¹²³⁴⁵⁶⁷⁸⁹⁻"
_TOKEN = re.compile(
    rf"""(?P<frac>\\[dtc]?frac\s?
        (?:\{{\s?\d{{1,30}}\s?\}}\s?\{{\s?\d{{1,30}}\s?\}}|\d\s?\d(?!\d)|\d\{{\d{{1,30}}\}}|\{{\d{{1,30}}\}}\d))
    |(?P<number>(?<![\d.,])[1-9]\d{{0,2}}(?:{_THIN}\d{{3}})+(?:\.\d{{1,40}})?(?![.,:]?\d|\s?/\s?\d)
        |\d+(?:(?:[.,:]|\{{,\}})\d+)*(?:[eE][-+]?\d{{1,3}}(?!\w))?|(?<![\w.])\.\d+)
    |(?P<skip>{_SPACE}+|<<[^<>\n]{{1,120}}>>|<(?:s|del|strike)>[^<\n]{{1,80}}</(?:s|del|strike)>|</?[A-Za-z][\w:-]{{0,30}}>|<\|[^|<>\n]{{1,30}}\|>
        |\^\s?\{{?\s?(?:\\circ\b|°|\\degree\b)\s?\}}?|°|\\circ\b|\\degree\b
        |\\[ ,;:!()\[\]]|\\quad\b|\\qquad\b
        |\\(?:left|right|displaystyle|textstyle|text(?:bf|it|rm|sf|tt|normal|up|md)?|math(?:rm|bf|it|sf|tt|normal)
            |boldsymbol|bm|pmb|emph|underline|uline|mbox|operatorname|boxed|fbox|[Bb]igg?[lr]?|[Ll]arge|LARGE|[Hh]uge
            |rm|bf)(?![A-Za-z])
        |\\(?:color|textcolor)\{{\w{{1,20}}\}}
        |~~[^~\n]{{1,80}}~~|\\(?:[bx]?cancel|sout|st|phantom)\{{[^{{}}\n]{{1,80}}\}}
        |\*\*|__|(?<![\w\\}}])_(?=\d)|(?<=[\d%])_(?![\w{{])|[`"“”&{{}}]|\$\$)
    |(?P<word>[^\W\d_{_RAISED}{_VULGAR}]+(?:['’](?:t|s|re|ve|ll|d|m)\b)?)
    |(?P<vulgar>[{_VULGAR}])
    |(?P<power>[{_RAISED}]+|\^\s?\{{?\s?(?:[-−]?\d{{1,3}}(?!\d))\s?\}}?)
    |(?P<raised>\^)
    |(?P<root>[√∛∜]|\\sqrt\b)
    |(?P<times>×|·|⋅|∗|\*|\\(?:times|cdot|ast)\b)
    |(?P<over>/|÷|⁄|\\div\b)
    |(?P<plus>\+)
    |(?P<arrow>[-=]{{1,2}}>)
    |(?P<dash>[-−–—‒―﹣－])
    |(?P<apart>[±∓]|\\pm\b|\\mp\b)
    |(?P<about>≈|≃|~|\\approx\b|\\sim\b|\\simeq\b)
    |(?P<unequal>≠|\\neq?\b|\\not\b)
    |(?P<bound>[<>≤≥≲≳]|\\(?:leq?|geq?|lt|gt|leqslant|geqslant)\b)
    |(?P<equals>[=≡⇒→]|\\(?:equiv|implies|to|[Rr]ightarrow|Longrightarrow|therefore)\b)
    |(?P<percent>\\?%)
    |(?P<money>\\?[$€£¥₹])
    |(?P<open>[(\[])|(?P<close>[)\]])
    |(?P<stop>\.{{2,}}|…|\\[lc]?dots\b|[.,;:?!\n←])
    |(?P<command>\\[A-Za-z]+|\\[{{}}])
    |(?P<other>.)""",
    re.VERBOSE | re.DOTALL,
)


_FONT = re.compile(r"[{}*]|\\(?!q?quad)[a-z]{2,}")
"""Skipped signs that are no space."""


class Token(NamedTuple):
    """A number, word or sign with where it stands, and whether a space stands before it."""

    kind: str
    text: str
    start: int
    end: int
    spaced: bool
    word: str = ""
    """The word in small letters, curly apostrophes made straight; empty for anything else."""


NOTHING = Token("none", "", -1, -1, spaced=True)


def token_at(tokens: Sequence[Token], at: int) -> Token:
    """The token at a place; nothing beyond the ends."""
    return tokens[at] if 0 <= at < len(tokens) else NOTHING


def tokens_of(text: str, start: int = 0, end: int | None = None) -> list[Token]:
    """The tokens between two places of a text; dollar signs that open and close formulas are left out."""
    tokens: list[Token] = []
    spaced = True
    stop = len(text) if end is None else end
    for match in _TOKEN.finditer(text, start, stop):
        kind = match.lastgroup or "other"
        kind = "equals" if kind == "arrow" else kind
        if kind == "skip":
            spaced = spaced or not _FONT.match(match.group())
            continue
        if match.group() == "$" and not _is_money(text, match.start(), start, stop):
            spaced = True
            continue
        said = match.group()
        word = said.lower().replace("’", "'") if kind == "word" else ""
        tokens.append(Token(kind, said, match.start(), match.end(), spaced, word))
        spaced = False
    return tokens


def _is_money(text: str, at: int, start: int, end: int) -> bool:
    """Whether a dollar sign is a currency: before a number and not the first of two around a formula."""
    following = text[at + 1 : min(end, at + 3)].lstrip(" -−–")
    if not (following[:1].isdigit() or following[:1] == "."):
        return at > start and text[at - 1].isdigit() and text.count("$", start, at) == 0
    closing = text.find("$", at + 1, end)
    if closing < 0:
        return True
    return text[closing + 1 : closing + 2].isdigit() or text[closing - 1] == "\\"
