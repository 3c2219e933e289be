"""Equalities in running text, both sides read whole.

An expression that runs on into something that cannot be evaluated is refused: an unknown, a root, a number
without an operator, words such as "times". Half of it would have a value that nobody meant.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

from backtracking.text.expressions import FRACTION_SLASH, Operand, Part, Span
from backtracking.text.lexicon import NUMBER_WORDS, word_set

_TOKEN = re.compile(
    r"""(?P<times>[xX](?=[ ]*[\d.($\\]|[ ]+-))
    |(?P<word>[^\W\d_]+)
    |(?P<skip>[ \t]+|\*\*|[{}&]|\\(?:[,;:! ()]|(?:left|right|text|mathrm|mathbf|textbf|boxed|displaystyle)\b))
    |(?P<frac>(?:\d{1,9}[ ]?)?\\[dt]?frac\{\d{1,15}\}\{\d{1,15}\}|\d{1,9}[ ]\d{1,4}/\d{1,4}(?![.,]?\d|/))
    |(?P<number>(?<!\d)\d{1,3}(?:,\d{3}){1,6}(?![\d,])(?:\.\d{1,12})?
        |(?<!\d)\d{1,18}(?:\.\d{1,12}(?:\.\.\.|…)?)?(?!\d)|(?<!\d)\.\d{1,12})
    |(?P<tight>(?<=\d)/(?=\d))
    |(?P<op>[-+*/^×·÷−–∗]|\\(?:times|cdot|div)\b)
    |(?P<equals>==?|≈|\\approx\b)
    |(?P<paren>[()])
    |(?P<percent>\\?%)
    |(?P<money>\\?[$€£¥])
    |(?P<end>\n|\\\\|\\(?:quad|qquad|implies|therefore|because|to|[Rr]ightarrow)\b)
    |(?P<other>\\[A-Za-z]+|.)""",
    re.VERBOSE,
)
_EQUALS = re.compile(r"=|≈|\\approx\b")
_SPACE = re.compile(r"\s")
_REACH_BACK, _REACH_ON = 100, 50
_OPERATORS = {
    "×": "*",
    "·": "*",
    "∗": "*",
    "÷": "/",
    "−": "-",
    "–": "-",
    "\\times": "*",
    "\\cdot": "*",
    "\\div": "/",
}
_MAX_UNIT_WORDS = 3
_MAX_TOKENS = 40

_LINKS = word_set("of by the")
_OPERATIONS = word_set("times plus minus over than mod divided multiplied r rem remainder")
"""Words that join the numbers on their two sides."""
_VALUES = NUMBER_WORDS | word_set("percent squared cubed")
"""Words that change the value of the number before them."""
_COMPOUND = word_set(
    "year month week day hour hr h minute min mile yard foot feet ft meter m kilometer km pound lb kilogram "
    "kg gallon quart dollar buck"
)
"""Units that are written before smaller ones: 5 feet 6 inches."""
_SHORT_UNITS = word_set("cm mm km kg mg ml lb oz ft in yd mi hr hp am pm")
_ROOTS = "√∛∜"


class _Token(NamedTuple):
    kind: str
    text: str
    start: int
    end: int
    spaced: bool
    """Whether a space stands before it."""


_NOTHING = _Token("end", "", -1, -1, spaced=True)


@dataclass(frozen=True)
class Side:
    """One side of an equality: operands and operators in order, parentheses kept as text."""

    parts: tuple[Part, ...]
    units: frozenset[str]
    start: int
    end: int

    @property
    def operands(self) -> list[Operand]:
        return [part for part in self.parts if isinstance(part, Operand)]

    @property
    def has_operator(self) -> bool:
        return len(self.operands) > 1

    @property
    def is_share(self) -> bool:
        """Whether it is a proper fraction and nothing else."""
        values = [part.value for part in self.operands]
        quotient = any(part in ("/", FRACTION_SLASH) for part in self.parts if isinstance(part, str))
        return len(values) == 2 and quotient and 0 < values[0] < values[1]


def read_equalities(text: str) -> Iterator[tuple[Side, Side, bool]]:
    """Left side, right side, and whether the sign means "about", for every equality with an operator."""
    for start, end in _neighbourhoods(text):
        tokens = _tokens(text, start, end)
        for place, token in enumerate(tokens):
            if token.kind != "equals":
                continue
            left = _read_left(tokens, place)
            right = _read_right(tokens, place) if left is not None else None
            if left and right and (left.has_operator or right.has_operator):
                yield left, right, token.text[0] != "="


def _neighbourhoods(text: str) -> list[Span]:
    """The stretches of text around equals signs; the rest cannot hold a statement."""
    spans: list[Span] = []
    for match in _EQUALS.finditer(text):
        start, end = max(0, match.start() - _REACH_BACK), min(len(text), match.end() + _REACH_ON)
        if spans and start <= spans[-1][1]:
            spans[-1] = (spans[-1][0], end)
        else:
            spans.append((start, end))
    return [(_word_end(text, start) if start else 0, _word_end(text, end)) for start, end in spans]


def _word_end(text: str, at: int) -> int:
    """Move on to the next space, if one is near, so that no number is cut in two."""
    space = _SPACE.search(text, at, at + _REACH_BACK)
    return space.start() if space else min(len(text), at + _REACH_BACK)


def _tokens(text: str, start: int, end: int) -> list[_Token]:
    """The tokens of a stretch, with a mark where the text goes on beyond it."""
    tokens = [_Token("cut", "", start, start, spaced=False)] if start > 0 else []
    spaced = False
    for match in _TOKEN.finditer(text, start, end):
        kind = match.lastgroup or "other"
        if kind == "skip":
            spaced = True
            continue
        found = match.group()
        if kind == "times" and tokens and tokens[-1].kind in _ENDS_OPERAND:
            kind, found = "op", "*"
        elif kind == "times":
            kind = "word"
        elif kind == "tight":
            kind, found = "op", FRACTION_SLASH
        tokens.append(_Token(kind, _OPERATORS.get(found, found), match.start(), match.end(), spaced))
        spaced = False
    return [*tokens, _Token("cut", "", end, end, spaced=False)] if end < len(text) else tokens


_ENDS_OPERAND = ("number", "frac", "percent", "word")
_NUMERIC = ("number", "frac", "percent")


def _read_left(tokens: Sequence[_Token], equals: int) -> Side | None:
    """The whole expression that ends at an equals sign; none when it cannot be read to its beginning."""
    at, depth, need_operand = equals - 1, 0, True
    while at >= 0 and equals - at <= _MAX_TOKENS:
        token = tokens[at]
        if need_operand:
            if token.kind == "paren" and token.text == ")":
                depth, at = depth + 1, at - 1
                continue
            start = _operand_start(tokens, at)
            if start < 0:
                break
            at, need_operand = start - 1, False
        elif token.kind == "paren" and token.text == "(" and depth > 0:
            depth, at = depth - 1, at - 1
        elif token.kind == "op":
            need_operand, at = True, at - 1
        else:
            break
    begin = at + 1
    if depth or equals - at > _MAX_TOKENS:
        return None
    if need_operand and _is_list_mark(tokens, begin):
        return _side(tokens, begin + 1, equals)
    if (need_operand and not _is_sign(tokens, begin)) or _runs_on_before(tokens, begin):
        return None
    return None if _is_label(tokens, begin, equals) else _side(tokens, begin, equals)


def _is_list_mark(tokens: Sequence[_Token], at: int) -> bool:
    """Whether an operator at the beginning of a line is the mark of a list item: "- 5 + 3 = 8"."""
    return _before(tokens, at).kind == "end" and tokens[at].text in ("-", "+", "*") and tokens[at + 1].spaced


def _is_sign(tokens: Sequence[_Token], at: int) -> bool:
    """Whether a minus belongs to what stands behind it alone: "is -5 + 3"."""
    return tokens[at].text == "-" and not tokens[at + 1].spaced


def _before(tokens: Sequence[_Token], at: int) -> _Token:
    return tokens[at - 1] if at else _NOTHING


def _after(tokens: Sequence[_Token], at: int) -> _Token:
    return tokens[at] if at < len(tokens) else _NOTHING


def _runs_on_before(tokens: Sequence[_Token], begin: int) -> bool:
    """Whether the text before an expression belongs to it, so that it cannot be evaluated alone."""
    token, first = _before(tokens, begin), tokens[begin]
    if token.kind == "word":
        glued = token.end == first.start and first.kind != "money"
        return glued or _is_unit_of_longer(tokens, begin) or _links_to_number(tokens, begin)
    if token.kind == "other":
        return _is_part_of_number(_before(tokens, begin - 1), token, first) or token.text[0] in f"{_ROOTS}\\_"
    return token.kind in (*_NUMERIC, "op", "cut") or token.text == ")"


def _is_unit_of_longer(tokens: Sequence[_Token], begin: int) -> bool:
    """5 feet 6 inches."""
    return _unit(tokens[begin - 1].text) in _COMPOUND and _before(tokens, begin - 1).kind in _NUMERIC


def _links_to_number(tokens: Sequence[_Token], begin: int) -> bool:
    """Whether the words before lead back to a number or an operation: "20% of", "divided by", "twice"."""
    at = begin - 1
    while at > 0 and tokens[at].text.casefold() in _LINKS:
        at -= 1
    word = tokens[at]
    if word.kind == "word":
        return word.text.casefold() in _OPERATIONS | _VALUES
    return at < begin - 1 and (word.kind in (*_NUMERIC, "cut") or word.text == ")")


def _is_part_of_number(one: _Token, between: _Token, other: _Token) -> bool:
    """12:30, 1.2.3 and 1,23."""
    if not (one.kind in _NUMERIC and other.kind in _NUMERIC):
        return False
    return one.end == between.start and between.end == other.start


def _is_label(tokens: Sequence[_Token], begin: int, equals: int) -> bool:
    """Whether a bare number only names what follows: "day 2 = 5 + 3", "2 pens = 2 * 3 = 6"."""
    if any(token.kind == "op" for token in tokens[begin + 1 : equals]):
        return False
    behind = (token.kind for token in tokens[equals + 1 : equals + _MAX_TOKENS])
    chained = next((kind for kind in behind if kind in ("equals", "end", "other")), "end") == "equals"
    return chained or _before(tokens, begin).kind == "word"


def _operand_start(tokens: Sequence[_Token], at: int) -> int:
    """Where the operand that ends at a token begins, units passed over; −1 when there is none."""
    words = 0
    while at >= 0 and tokens[at].kind in ("word", "money", "percent") and words < _MAX_UNIT_WORDS:
        words += tokens[at].kind == "word"
        if tokens[at].kind == "word" and at and tokens[at - 1].text == "/":
            at -= 1  # "$4/hour"
        at -= 1
    if at < 0 or tokens[at].kind not in ("number", "frac"):
        return -1
    if at and tokens[at - 1].kind == "money":
        at -= 1
    attached = at > 0 and tokens[at - 1].text == "-" and not tokens[at].spaced
    if attached and (
        at == 1 or tokens[at - 2].kind in ("equals", "op", "other", "end") or tokens[at - 2].text == "("
    ):
        at -= 1
    return at


def _read_right(tokens: Sequence[_Token], equals: int) -> Side | None:
    """The whole expression that begins after an equals sign; none when it cannot be read to its end."""
    at, depth, need_operand = equals + 1, 0, True
    while at < len(tokens) and at - equals <= _MAX_TOKENS:
        token = tokens[at]
        if need_operand:
            if token.kind == "paren" and token.text == "(":
                depth, at = depth + 1, at + 1
                continue
            stop = _operand_stop(tokens, at)
            if stop < 0:
                break
            at, need_operand = stop, False
        elif token.kind == "paren" and token.text == ")" and depth > 0:
            depth, at = depth - 1, at + 1
        elif token.kind == "op":
            need_operand, at = True, at + 1
        else:
            break
    if need_operand or depth or at - equals > _MAX_TOKENS or _runs_on_after(tokens, at):
        return None
    return _side(tokens, equals + 1, at)


def _runs_on_after(tokens: Sequence[_Token], end: int) -> bool:
    """Whether the text behind an expression belongs to it, so that it cannot be evaluated alone."""
    last, token, following = tokens[end - 1], _after(tokens, end), _after(tokens, end + 1)
    if token.text == "(":
        comment = following.kind == "money" or (following.kind == "word" and len(following.text) > 1)
        return token.start == last.end or not comment
    if token.kind == "other":
        return _is_part_of_number(last, token, following) or token.text in _ROOTS
    if token.kind in ("number", "frac"):
        return (
            last.kind != "word"
            or _unit(last.text) in _COMPOUND
            or last.text.casefold() in _LINKS | _OPERATIONS
        )
    glued = token.kind == "word" and token.start == last.end
    return glued or (token.kind == "cut" and last.kind != "word")


def _operand_stop(tokens: Sequence[_Token], at: int) -> int:
    """The token after the operand that begins at a token; −1 when there is none."""
    for kind in ("money", "op", "money"):
        if at < len(tokens) and tokens[at].kind == kind and (kind == "money" or tokens[at].text == "-"):
            at += 1
    if at >= len(tokens) or tokens[at].kind not in ("number", "frac"):
        return -1
    at += 1
    words = 0
    while at < len(tokens) and words < _MAX_UNIT_WORDS:
        per = tokens[at].text == "/" and at + 1 < len(tokens) and tokens[at + 1].kind == "word"
        if tokens[at].kind not in ("word", "percent", "money") and not per:
            break
        words += tokens[at].kind == "word"
        at += 1
    return at


def _side(tokens: Sequence[_Token], begin: int, end: int) -> Side | None:
    """Operands and operators of tokens begin..end, units aside; none when the units forbid to compute."""
    parts: list[Part] = []
    terms: list[set[str]] = [set()]
    last = tokens[begin].end
    for at in range(begin, end):
        token = tokens[at]
        if token.kind in ("number", "frac"):
            operand = _operand(token, percent=at + 1 < end and tokens[at + 1].kind == "percent")
            if operand is None:
                return None
            parts.append(operand)
            last = token.end
        elif token.kind in ("op", "paren"):
            if token.text in ("+", "-"):
                terms.append(set())
            parts.append(token.text)
            last = token.end if token.kind == "paren" else last
        elif token.kind == "word":
            if _is_unknown(tokens[at - 1], token):
                return None
            terms[-1].add(_unit(token.text))
            if parts and parts[-1] == "/":
                parts.pop()  # "$4/hour": a unit, no division
        elif token.kind == "money" and at + 1 < end and tokens[at + 1].kind == "number":
            terms[-1].add("dollar")
    named = [units for units in terms if units]
    if len(named) > 1 and not set.intersection(*named):
        return None
    return Side(tuple(parts), frozenset().union(*terms), tokens[begin].start, last)


def _is_unknown(number: _Token, word: _Token) -> bool:
    """Whether the word behind a number is no unit: 2y, 3ab, 5², 2 dozen, 5 times."""
    if number.kind not in _NUMERIC:
        return False
    letters = word.text.rstrip("²³")
    glued = word.start == number.end and len(letters) <= 2 and letters not in _SHORT_UNITS
    return glued or word.text in "xX" or word.text.casefold() in _VALUES


def _operand(token: _Token, *, percent: bool) -> Operand | None:
    span = (token.start, token.end)
    if token.kind == "frac":
        *whole, top, bottom = (int(part) for part in re.findall(r"\d+", token.text))
        return Operand(sum(whole) + Fraction(top, bottom), span, 0, percent) if bottom else None
    digits = token.text.replace(",", "").rstrip(".…")
    value = Fraction(digits) if "." in digits else Fraction(int(digits))
    decimals = len(digits.partition(".")[2])
    if percent:
        value, decimals = value / 100, decimals + 2
    return Operand(value, span, decimals, percent)


def _unit(word: str) -> str:
    return word.casefold().rstrip("s")
