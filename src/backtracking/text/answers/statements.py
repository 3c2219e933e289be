"""What a statement says about its numbers: which it claims, denies, hedges, or only mentions.

One pass over the tokens of a sentence. Words act where they stand: "not" on the numbers up to the next
break, "at least" on the next number, "or so" on the one before, "cannot be determined" on all of them.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import pairwise

from backtracking.text.answers.plain.form import is_plain
from backtracking.text.answers.plain.leads import all_known
from backtracking.text.answers.plain.words import HEAD
from backtracking.text.answers.restatements import with_restatements
from backtracking.text.answers.stances import words as say
from backtracking.text.answers.stances.moods import is_unsure, says_unknown, taken_back
from backtracking.text.answers.stances.stances import Mention, Stance, read_mentions
from backtracking.text.numbers.lexer import Token, token_at, tokens_of
from backtracking.text.numbers.lexicon import GLUED_UNITS
from backtracking.text.numbers.quantities import Quantity, read_quantity

_POINTS_BACK = re.compile(r"\W{1,4}(?:that|this|which|it|or|i\.e\.)\b[^\d\n]{0,25}", re.IGNORECASE)
_OPERATORS = ("times", "over", "plus", "dash", "apart", "raised")
_OPERATOR_WORDS = ("times", "plus", "minus", "x", "mod", "divided", "multiplied")
_OPERATIONS_BEHIND = ("minus", "mod", "modulo", "divided", "multiplied")


@dataclass
class Statement:
    """A sentence with its numbers."""

    tokens: list[Token]
    mentions: list[Mention] = field(default_factory=list)
    unknown: bool = False
    """Whether it says that nothing can be said."""
    unsure: bool = False
    """Whether all of it is a question, a guess or a supposition."""
    begin: int = 0
    """The first token whose numbers count; those before only say how to take them."""

    @property
    def counted(self) -> list[Mention]:
        """The mentions that count, labels aside."""
        return [m for m in self.mentions if m.first >= self.begin and m.stance is not Stance.NAMED]

    @property
    def claims(self) -> list[Mention]:
        """The numbers that it claims."""
        return [mention for mention in self.counted if mention.stance is Stance.CLAIMED]

    @property
    def has_expression(self) -> bool:
        """Whether some number is part of a computation."""
        return any(mention.stance is Stance.PART for mention in self.counted)

    @property
    def denies_none(self) -> bool:
        """Whether it has numbers and denies none of them."""
        stances = {mention.stance for mention in self.counted}
        return bool(stances) and Stance.DENIED not in stances

    def denies(self, quantity: Quantity) -> bool:
        """Whether it denies a value."""
        return any(
            mention.stance is Stance.DENIED and set(mention.quantity.readings) & set(quantity.readings)
            for mention in self.mentions
        )


def read_statement(text: str, start: int = 0, end: int | None = None, counted_from: int = 0) -> Statement:
    """Read one sentence; a question's numbers, a guess's and a supposition's are not claimed."""
    stop = len(text) if end is None else end
    statement = Statement(tokens_of(text, start, stop))
    small = lowered(text, start, stop)
    words = {token.word for token in statement.tokens}
    statement.unknown = says_unknown(small)
    statement.unsure = (
        is_unsure(small)
        or not words.isdisjoint(say.SUPPOSES)
        or text[stop : stop + 1] == "?"
        or small.rstrip(' *_)"”').endswith("?")
    )
    statement.begin = next((k for k, t in enumerate(statement.tokens) if t.start >= counted_from), 0)
    statement.mentions = _with_expressions(statement.tokens, list(read_mentions(statement.tokens)))
    statement.mentions = with_restatements(statement.tokens, statement.mentions)
    denied = [m.quantity for m in statement.mentions if m.stance is Stance.DENIED]
    if denied:
        statement.mentions = [
            replace(m, stance=Stance.DENIED) if m.quantity.readings and _is_one_of(m.quantity, denied) else m
            for m in statement.mentions
        ]
    retracted = taken_back(small)
    if retracted >= 0:
        statement.mentions = [
            replace(m, stance=Stance.DENIED) if m.quantity.end <= start + retracted else m
            for m in statement.mentions
        ]
    if statement.unsure or statement.unknown:
        statement.mentions = [replace(m, stance=Stance.HEDGED) for m in statement.mentions]
    return statement


def told_before(text: str, mention: Mention, before: tuple[int, int], stop: int) -> Mention:
    """The same, in either unit where the sentence before tells it too: "90 minutes. That is 1.5 hours"."""
    start, end = before
    if not _POINTS_BACK.fullmatch(text, end, mention.quantity.start):
        return mention
    both = read_statement(text, start, stop)
    told = (m for m in both.claims if m.quantity.start < mention.quantity.start < m.quantity.end)
    return next((m for m in told if is_plain(both.tokens, m.first, m.stop)), mention)


def lowered(text: str, start: int, end: int) -> str:
    """A sentence in small letters, apostrophes made straight."""
    return text[start:end].lower().replace("’", "'")


def _is_one_of(quantity: Quantity, others: Sequence[Quantity]) -> bool:
    return any(other.readings == quantity.readings for other in others)


def stance_of_box(text: str, start: int, box: tuple[int, int], end: int) -> Stance:
    """How the sentence around a box stands to what is in it; hedged where it says another value."""
    placeholder = Token("number", "1.5", *box, spaced=True)
    before = _behind_equation(tokens_of(text, start, box[0]))
    behind = tokens_of(text, box[1], end)
    if behind and behind[0].start == box[1]:
        behind[0] = behind[0]._replace(spaced=False)
    tokens = [*before, placeholder, *behind]
    if text[end : end + 1] == "?" or is_unsure(lowered(text, start, box[0])):
        return Stance.HEDGED
    mentions = _with_expressions(tokens, list(read_mentions(tokens)))
    mention = next((m for m in mentions if m.first <= len(before) < m.stop), None)
    if mention is None:
        return Stance.CLAIMED
    inside = tokens_of(text, text.index("{", box[0]) + 1, box[1] - 1)
    as_written = [*before, *inside, *behind]
    number = read_quantity(as_written, len(before)) if inside else None
    last = not any(token.kind == "word" for token in behind)
    plain = is_plain(tokens, len(before), len(before) + 1) or (
        number is not None
        and number[1] <= len(before) + len(inside)
        and is_plain(as_written, len(before), number[1], alone=last)
    )
    if mention.stance is not Stance.DENIED and not plain:
        return Stance.HEDGED
    changed = mention.quantity.value != Fraction(3, 2) or mention.stance is Stance.PART
    return Stance.HEDGED if changed and mention.stance is not Stance.DENIED else mention.stance


def _behind_equation(before: list[Token]) -> list[Token]:
    """What stands before a box, without an equation that is whole: 20 + 80 = 100 and then the box."""
    equals = max((at for at, token in enumerate(before) if token.kind == "equals"), default=len(before))
    result = before[equals + 1 :]
    ended = any(token.kind in ("number", "frac") for token in result) and all(
        token.kind in ("number", "frac", "money", "percent", "stop") for token in result
    )
    return [] if ended and all_known(before, HEAD) else before


def _with_expressions(tokens: Sequence[Token], mentions: list[Mention]) -> list[Mention]:
    """The same with the operands of expressions and the members of lists marked as parts."""
    parts = {place for place, mention in enumerate(mentions) if _touches_formula(tokens, mention)}
    for place, (one, other) in enumerate(pairwise(mentions)):
        if _is_joined(tokens, one, other):
            parts |= {place, place + 1}
    return [
        replace(m, stance=Stance.PART) if place in parts and m.stance is Stance.CLAIMED else m
        for place, m in enumerate(mentions)
    ]


def _is_joined(tokens: Sequence[Token], one: Mention, other: Mention) -> bool:
    """Whether two numbers in a row belong to one expression or list: 3 × 6, 10% of 18, 5 and 6."""
    between = [t for t in tokens[one.stop : other.first] if t.kind not in ("open", "close")]
    if not between:
        opened = token_at(tokens, one.stop)
        return opened.kind != "open" or not opened.spaced
    if len(between) == 1 and (between[0].word in ("and", "of") or between[0].text == ","):
        if between[0].text == ",":
            told_again = one.quantity.readings[:1] == other.quantity.readings[:1]
            return not told_again and token_at(tokens, other.stop).word != "of"  # 18, half of 36
        return between[0].word != "of" or one.quantity.percent or (one.quantity.value or 0) < 1
    if len(between) > 4 or any(token.kind in ("stop", "equals", "unequal") for token in between):
        return False
    operator = next((token for token in between if token.kind in _OPERATORS), None)
    if operator is not None:
        return operator.kind != "dash" or operator.text == "-" or len(between) == 1
    words = [token.word for token in between]
    over = words == ["over"] and _ends(tokens, other.stop)
    return over or words[0] in _OPERATOR_WORDS or "plus" in words or "minus" in words


def _ends(tokens: Sequence[Token], at: int) -> bool:
    return token_at(tokens, at).kind in ("none", "stop")


def _touches_formula(tokens: Sequence[Token], mention: Mention) -> bool:
    """Whether an operator joins a number to something that is none: x + 18, 18/n, f(18), |18|."""
    return _is_operand_behind(tokens, mention.first) or _is_operand_before(tokens, mention.stop)


def _is_operand_behind(tokens: Sequence[Token], at: int) -> bool:
    """Whether what stands before a number takes it as an operand."""
    farther, before = token_at(tokens, at - 2), token_at(tokens, at - 1)
    if before.kind == "times":
        return farther.kind not in ("none", "stop", "word")  # else the mark of a list item
    if before.kind in ("over", "plus", "raised", "command") or before.word in ("times", "plus", "minus"):
        return True
    if before.word == "by":
        return farther.word in ("divided", "multiplied", "divisible")
    glued = not tokens[at].spaced
    call = before.kind == "open" and not before.spaced and farther.kind in ("word", "number", "command")
    return glued and (call or before.text == "|")


def _is_operand_before(tokens: Sequence[Token], stop: int) -> bool:
    """Whether what stands behind a number takes it as an operand."""
    behind, beyond = token_at(tokens, stop), token_at(tokens, stop + 1)
    if behind.word in _OPERATIONS_BEHIND:
        return beyond.kind not in ("none", "stop")
    if behind.kind in ("times", "plus"):
        emphasis = behind.text == "*" and beyond.kind == "word"
        return beyond.kind not in ("none", "stop") and not emphasis
    if behind.kind == "close":
        return beyond.kind in ("power", "raised", "times", "over")
    if behind.kind in ("over", "dash"):
        return len(beyond.word) == 1 and beyond.text not in GLUED_UNITS and beyond.word not in ("a", "i")
    return behind.kind == "raised" or (behind.text == "|" and not behind.spaced)
