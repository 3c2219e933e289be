"""The tokens of arithmetic in running text: numbers, operators, units, LaTeX looked through.

Braces that group an exponent or a fraction become parentheses; those of other commands are left out.
"""

import re

from backtracking.text.arithmetic.expressions import FRACTION_SLASH, Span
from backtracking.text.numbers.lexer import Token

_TOKEN = re.compile(
    r"""[ \t]*+(?:(?P<end2>(?m:^)\(?\d{1,2}\)(?=[ \t]+[\d$\\]))
    |(?P<word1>[a-wyzA-WYZ][^\W\d_]*+)
    |(?P<number1>(?<!\d)\d{1,18}+(?!\d|[.,]\d|\{|[ ]?\\|[ ]\d|[½¼¾⅐-⅞]))
    |(?P<other1>[.,:;?!](?!\d))
    |(?P<equals1>=(?!=))
    |(?P<op1>[-+]|\*(?!\*))
    |(?P<end1>\n)
    |(?P<paren1>[()\[\]])
    |(?P<times>[xX](?<!\b0[xX])(?=[ ]*[\d.($\\]|[ ]+-))
    |(?P<raised>(?<=[\d)])[⁰¹²³⁴⁵⁶⁷⁸⁹]{1,2})
    |(?P<frac2>(?<![\d.,])\d{0,9}[½¼¾⅐-⅞])
    |(?P<word>[^\W\d_]+)
    |(?P<skip>\*\*|&|°|\^\s?\{?\s?(?:\\circ\b|°)\s?\}?|\\[,;:! ]
        |\\(?:left|right|bigl?|bigr|Bigl?|Bigr|text|mathrm|mathbf|textbf|boxed|displaystyle)(?![A-Za-z]))
    |(?P<edge>\\[()\[\]])
    |(?P<frac>(?:\d{1,9}[ ]?)?\\[dt]?frac\{\d{1,15}\}\{\d{1,15}\}|\d{1,9}[ ]\d{1,4}/\d{1,4}(?![.,]?\d|/)
        |\\sqrt\{\d{1,9}\}|√\d{1,9}(?![\d.,]))
    |(?P<group>\\[dtc]?frac\s?\{|\^\s?\{|[{}])
    |(?P<number>(?<!\d)\d{1,3}(?:(?:,|\{,\}|\\,)\d{3}){1,6}(?!\d|,\d)(?:\.\d{1,12})?
        |(?<!\d)\d{1,18}(?:\.\d{1,12}(?:\.\.\.|…)?)?(?!\d)|(?<!\d)\.\d{1,12})
    |(?P<tight>(?<=\d)/(?=\d))
    |(?P<op>[-+*/^×·⋅÷−–∗]|\\(?:times|cdot|div)(?![A-Za-z]))
    |(?P<equals>==?|≈|\\approx(?![A-Za-z]))
    |(?P<paren>[()\[\]])
    |(?P<percent>\\?%)
    |(?P<money>\\?[$€£¥])
    |(?P<end>\n|\\\\|\\(?:begin|end)\{[a-z*]{1,20}\}|\\(?:quad|qquad|implies|therefore|because|to|[Rr]ightarrow)\b)
    |(?P<other>\\[A-Za-z]+|.))""",
    re.VERBOSE,
)
_EQUALS = re.compile(r"[=≈\\](?:(?<!\\)|approx\b)(?![ \t]*[A-Za-z])")
"""An equals sign that a number may follow."""
_OPERATION = re.compile(
    r"[-+*/^×·⋅÷−–∗%√⁰¹²³⁴⁵⁶⁷⁸⁹]|\\(?:times|cdot|div|sqrt|[dtc]?frac)"
    r"|[\d)}%$a-z] ?[xX](?![a-zA-Z])|[\d)][ ]?\(|\d[ ]\d|[ ](?:plus|minus|times|by)[ ]"
)
"""What a stretch without any of it cannot compute."""
_WORDED = re.compile(r"[ ](?:is|equals|gives|makes|yields|→)[ ](?=[\\($€£]{0,3}\d)")
_COMPUTED = re.compile(
    r"(?:[+×*÷→](?=[ ])|[ ]-(?=[ ])|\\(?:times|cdot|div)(?![A-Za-z])|\b(?:plus|minus|times|by)\b"
    r"|(?:%|/\d{1,9}|\})[ ]of\b)"
    r"[ ]?\\?[$€£]?\d[\d,.]*(?:[ ][a-z]{1,12}){0,2}[)\\$]{0,3},?(?:[ ]which)?\Z"
)
"""3 + 4 which is 7; 3 times 4 equals 12: what it is in words, behind an operation between numbers."""
_READ_WORDS = re.compile(r"[ ](?:plus|minus|times|divided|multiplied|of)[ ][\\($€£]{0,3}(?:\d|by)")
"""What else is said in words between numbers."""
_WORD_OPERATORS = {"plus": "+", "minus": "-", "times": "*", "divided": "/", "multiplied": "*"}
_IS = "is"
_WORD_EQUALS = frozenset(("is", "equals", "gives", "makes", "yields", "→"))
_MAY_BE_SIGNS = _WORD_EQUALS | _WORD_OPERATORS.keys() | {"of", "by"}
_SPACE = re.compile(r"\s")
_REACH_BACK, _REACH_ON, _MAX_JOINT = 100, 50, 12
_OPERATORS = {
    "×": "*",
    "·": "*",
    "⋅": "*",
    "∗": "*",
    "÷": "/",
    "−": "-",
    "–": "-",
    "\\times": "*",
    "\\cdot": "*",
    "\\div": "/",
}
_RAISED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789")
_TIGHT = ("", "\\left")
_BRACKETS = ("(", "[")
_STANDS_IN_THE_WAY = frozenset(("\n", "\\\\", "\\(", "\\[", "\\)", "\\]"))
"""What an operator or an equals sign behind it may swallow: ends of lines, edges of formulas."""
NUMERIC = ("number", "frac", "percent")
_ENDS_OPERAND = (*NUMERIC, "word")


NOTHING = Token("end", "", -1, -1, spaced=True)


def neighbourhoods(text: str) -> list[Span]:
    """The stretches of text around equals signs; the rest cannot hold a statement."""
    spans: list[Span] = []
    signs = [match.span() for match in _EQUALS.finditer(text)]
    worded = [match.span() for match in _WORDED.finditer(text) if _is_worded(text, match.start())]
    for sign, behind in sorted(signs + worded) if worded else signs:
        start, end = max(0, sign - _REACH_BACK), min(len(text), behind + _REACH_ON)
        line = sign - _line_joint(text, sign)
        start = max(start, text.rfind(". ", start, sign), text.rfind("\n", start, line))
        if spans and start <= spans[-1][1]:
            spans[-1] = (spans[-1][0], end)
        else:
            spans.append((start, end))
    computing = (span for span in spans if worded or _OPERATION.search(text, *span))
    return [(_word_begin(text, start), _word_end(text, end)) for start, end in computing]


def _is_worded(text: str, at: int) -> bool:
    """Whether an operation between numbers ends at a place."""
    return _COMPUTED.search(text[max(0, at - _COMPUTED_REACH) : at]) is not None


_COMPUTED_REACH = 45


def _line_joint(text: str, at: int) -> int:
    """How many characters lead from the line before to an equals sign that a line begins with."""
    joint = text[max(0, at - _MAX_JOINT) : at]
    return len(joint) - len(joint.rstrip(" \t\n\\&"))


def _word_begin(text: str, at: int) -> int:
    """The next space, unless a text, a line or a sentence begins here."""
    return at if at == 0 or text[at] in ".\n" else _word_end(text, at)


def _word_end(text: str, at: int) -> int:
    """Move on to the next space, if one is near, so that no number is cut in two."""
    space = _SPACE.search(text, at, at + _REACH_BACK)
    return space.start() if space else min(len(text), at + _REACH_BACK)


def marked_tokens(text: str, start: int, end: int) -> list[Token]:
    """The tokens of a stretch, with a mark where the text goes on beyond it."""
    reader = _Reader(text)
    tokens, kinds, new = reader.tokens, _KINDS, tuple.__new__  # without __new__'s defaults: half the time
    add = tokens.append
    if start > 0:
        add(Token("cut", "", start, start, spaced=False))
    spaced, stop = False, start
    for match in _TOKEN.finditer(text, start, end):  # each begins where the one before stopped
        group, last = match.lastindex or 0, stop
        begin, stop = match.span(group)
        if group in _AS_THEY_ARE:
            add(new(Token, (kinds[group], text[begin:stop], begin, stop, spaced or begin > last, "")))
            spaced = False
            continue
        kind, apart, spaced = kinds[group], spaced or begin > last, False
        if kind == "skip":
            spaced = True
        elif kind in ("op", "equals") and not (tokens and tokens[-1].text in _STANDS_IN_THE_WAY):
            word = text[begin:stop]
            add(new(Token, (kind, _OPERATORS.get(word, word), begin, stop, apart, "")))
        elif kind == "paren":
            bracket = "(" if text[begin] in "([" else ")"
            if bracket == "(":
                reader.multiply(begin)
            add(new(Token, (kind, bracket, begin, stop, apart, "")))
        else:
            spaced = reader.take(kind, begin, stop, spaced=apart)
    if end < len(text):
        tokens.append(Token("cut", "", end, end, spaced=False))
    says = _READ_WORDS.search(text, start, end) or _WORDED.search(text, start, end)
    return _with_words_read(tokens) if says else tokens


def _with_words_read(tokens: list[Token]) -> list[Token]:
    """The same, with signs for the words that stand for them: 3 times 4 is 12, 10% of 50."""
    read: list[Token] = []
    for at, token in enumerate(tokens):
        if token.text not in _MAY_BE_SIGNS:
            read.append(token)
            continue
        last, following = read[-1] if read else NOTHING, tokens[at + 1] if at + 1 < len(tokens) else NOTHING
        if token.kind not in ("word", "other") or not (_opens_value(following) or following.text == "by"):
            read.append(token)
        elif token.text in _WORD_EQUALS and _is_computed(read):
            if last.text == "which":
                read.pop()
                if read[-1].text == ",":
                    read.pop()
            read.append(token._replace(kind="equals", text=_IS))
        elif token.text in _WORD_OPERATORS and last.kind in _ENDS_OPERAND and not _is_mixed(read, tokens, at):
            read.append(token._replace(kind="op", text=_WORD_OPERATORS[token.text]))
        elif token.text == "of" and _is_portion(read):
            read.append(token._replace(kind="op", text="*"))
        elif not (token.text == "by" and last.kind == "op"):
            read.append(token)
    return read


def _is_mixed(read: list[Token], tokens: list[Token], at: int) -> bool:
    """12 divided by 3 + 1: what goes first is not said."""
    adds = tokens[at].text in ("plus", "minus")
    near = (*read[-2:-1], *tokens[at + 2 : at + 4])
    return any(token.kind == "op" and not (adds and token.text in "+-") for token in near)


def _is_portion(tokens: list[Token]) -> bool:
    """10%, 1/3: what "of" multiplies."""
    slash = tokens[-2].text if len(tokens) > 1 else ""
    return bool(tokens) and (tokens[-1].kind in ("percent", "frac") or slash == FRACTION_SLASH)


def _opens_value(token: Token) -> bool:
    return token.kind in ("number", "frac", "money") or token.text == "("


def _is_computed(tokens: list[Token]) -> bool:
    """Whether the last few tokens compute something, and no equality was just read."""
    for token in reversed(tokens[-_WORDED_REACH:]):
        if token.kind == "op":
            return token.spaced or token.text == "*"
        if token.kind in ("equals", "end"):
            return False
    return False


_WORDED_REACH = 8


_GROUPS = sorted(_TOKEN.groupindex, key=_TOKEN.groupindex.__getitem__)
_KINDS = ("", *(group.rstrip("12") for group in _GROUPS))
"""The kind of each group of the pattern; what is met most is tried first, in groups of its own."""
_AS_THEY_ARE = frozenset(
    at
    for at, kind in enumerate(_KINDS)
    if kind in ("word", "number", "frac", "percent", "money", "end", "other")
)


class _Reader:
    """Tokens so far, and what the open braces group."""

    def __init__(self, text: str) -> None:
        self.tokens: list[Token] = []
        self._text = text
        self._groups: list[str] = []
        self._bottom_opens = -1

    def take(self, kind: str, start: int, end: int, *, spaced: bool) -> bool:
        """Take in an operator, an equals sign, an edge or a brace; whether it is left out, as space is."""
        taken = self._text[start:end]
        last = self.tokens[-1] if self.tokens else NOTHING
        if kind == "raised":
            self._add("op", "^", start, end)
            self._add("number", taken.translate(_RAISED), start, end)
            return False
        if kind == "group":
            self._group(taken, start, end)
            return False
        if kind == "edge" and last.kind in ("op", "equals") and taken in ("\\(", "\\["):
            return True  # 5 + \(3\)
        while kind == "equals" and self.tokens and self.tokens[-1].text in ("\n", "\\\\"):
            self.tokens.pop()  # a chain that goes on in the next line
        if kind == "times":
            kind, taken = ("op", "*") if last.kind in _ENDS_OPERAND else ("word", taken)
        elif kind == "tight":
            kind, taken = "op", FRACTION_SLASH
        elif kind in ("op", "equals") and last.text in ("\\)", "\\]"):
            self.tokens.pop()  # \(9 \times 2\) = 18
        self.tokens.append(Token(kind, _OPERATORS.get(taken, taken), start, end, spaced))
        return False

    def multiply(self, start: int) -> None:
        """Add the sign that 3(4) and (2 + 1)(3 + 1) leave out; 6 / 2(3) is read in two ways."""
        last, before = (self.tokens[-k] if len(self.tokens) >= k else NOTHING for k in (1, 2))
        factor = last.kind == "number" or last.text == ")"
        if factor and before.text not in ("/", FRACTION_SLASH) and self._text[last.end : start] in _TIGHT:
            self._add("op", "*", start, start)

    def _add(self, kind: str, text: str, start: int, end: int) -> None:
        self.tokens.append(Token(kind, text, start, end, spaced=False))

    def _group(self, taken: str, start: int, end: int) -> None:
        """Braces of fractions and exponents as parentheses, others left out."""
        if taken == "{" and self._text[end : end + 1] in _BRACKETS:
            self._add("paren", "(", start, end)
            self._groups.append("power")
        elif taken == "{":
            if start != self._bottom_opens:
                self._groups.append("plain")
        elif taken[0] == "^":
            self._add("op", "^", start, end)
            self._add("paren", "(", start, end)
            self._groups.append("power")
        elif taken != "}":
            self._add("paren", "(", start, end)
            self._add("paren", "(", start, end)
            self._groups.append("top")
        else:
            self._close(self._groups.pop() if self._groups else "", start, end)

    def _close(self, group: str, start: int, end: int) -> None:
        opens = self._text[end : end + 1] == "{"
        if group == "top" and opens:
            self._add("paren", ")", start, end)
            self._add("op", FRACTION_SLASH, start, end)
            self._add("paren", "(", start, end)
            self._groups.append("bottom")
            self._bottom_opens = end
        elif group in ("bottom", "power"):
            for _ in range(2 if group == "bottom" else 1):
                self._add("paren", ")", start, end)
        elif group == "top" or (not group and opens):
            self._add("other", "}", start, end)
