"""Statements whose numbers name no single one: lists, equations that are not solved, two values on offer."""

from collections.abc import Sequence

from backtracking.text.answers.stances import words as say
from backtracking.text.answers.stances.hedges import words_before
from backtracking.text.answers.stances.stances import Mention
from backtracking.text.answers.statements import Statement
from backtracking.text.numbers.lexer import Token, token_at
from backtracking.text.numbers.lexicon import GLUED_UNITS

_CLAUSE_ENDS = frozenset(",;:.")
_OPERATORS = ("plus", "dash", "times", "over", "power", "raised")


def names_no_single(statement: Statement) -> bool:
    """Whether a statement lists unknowns, offers values, or leaves a calculation or a change open."""
    return (
        _is_list_of_unknowns(statement)
        or _is_unsolved(statement)
        or _offers_two_values(statement)
        or _is_changed_afterwards(statement)
        or _is_turned_into_money(statement)
    )


def has_two_signs(statement: Statement, chosen: Mention) -> bool:
    """|x| = 18, so x = ±18."""
    signed = (m for m in statement.mentions if token_at(statement.tokens, m.first - 1).kind == "apart")
    return any(m.quantity.readings == chosen.quantity.readings for m in signed)


def _is_changed_afterwards(statement: Statement) -> bool:
    """18, but she gives 3 away: a result that is changed without a new one."""
    tokens, last = statement.tokens, statement.claims[-1]
    contrast = max((at for at in range(last.first) if tokens[at].word in ("but", "then")), default=0)
    told = statement.counted if tokens[contrast].word == "then" else statement.claims
    before = any(mention.first < contrast for mention in told)
    return before and not say.LOSES.isdisjoint(words_before(tokens, last.first, 3))


def _is_turned_into_money(statement: Statement) -> bool:
    """9 eggs, which is $18: either may be asked for."""
    if len(statement.counted) != 2 or len(statement.claims) != 2:
        return False
    things, money = statement.claims
    between = [token.word or token.text for token in statement.tokens[things.stop : money.first]]
    rated = not say.RATES.isdisjoint(between) or things.quantity.percent
    worth = money.quantity.currency and not things.quantity.currency and not rated and not things.aside
    return worth and between[-3:-1] == [",", "which"] and between[-1] in ("is", "was")


def _is_list_of_unknowns(statement: Statement) -> bool:
    """x = 5, y = 7."""
    letters = set()
    for at, token in enumerate(statement.tokens):
        farther, previous = token_at(statement.tokens, at - 2), token_at(statement.tokens, at - 1)
        unit = farther.kind == "number" and previous.text in GLUED_UNITS
        if token.kind == "equals" and previous.kind == "word" and len(previous.text) == 1 and not unit:
            letters.add(previous.text)
    return len(letters) > 1


def _offers_two_values(statement: Statement) -> bool:
    """x = 64 or x = 72, depending on the sign."""
    tokens = statement.tokens[statement.begin :]
    chosen = max((at for at in range(len(tokens)) if is_contrast(tokens, at)), default=-1)
    equals = {at for at, token in enumerate(tokens) if token.kind == "equals"}
    ors = [at for at in range(chosen + 1, len(tokens)) if tokens[at].word == "or" and at + 2 in equals]
    return any(min(equals) < at for at in ors)


def _is_unsolved(statement: Statement) -> bool:
    """2x = 18; x + 2 = 18: an only equation with an operation on a letter."""
    tokens = statement.tokens[statement.begin :]
    equals = [at for at, token in enumerate(tokens) if token.kind == "equals"]
    named = any(token_at(statement.tokens, mention.stop).kind == "word" for mention in statement.claims)
    if len(equals) != 1 or named:
        return False
    begin = max((at + 1 for at in range(equals[0]) if tokens[at].text in _CLAUSE_ENDS), default=0)
    end = next((at for at in range(equals[0], len(tokens)) if tokens[at].text in _CLAUSE_ENDS), len(tokens))
    if any(mention.first - statement.begin > end for mention in statement.claims):
        return False  # since 2x = 36, x must be 18
    return any(_is_unknown(tokens, at) for at in range(begin, end))


def _is_unknown(tokens: Sequence[Token], at: int) -> bool:
    """Whether a letter stands beside a number or an operator: 2x, n + 3; not 2 x 3 or 5 m."""
    token, before, behind = (token_at(tokens, at + k) for k in (0, -1, 1))
    if len(token.word) != 1 or token.text in GLUED_UNITS or token.word in ("a", "i"):
        return False
    if token.word == "x" and (before.spaced or token.spaced) and behind.kind in ("number", "money", "open"):
        return False
    glued = before.kind == "number" and not token.spaced
    return glued or before.kind in _OPERATORS or behind.kind in _OPERATORS


def is_contrast(tokens: Sequence[Token], at: int) -> bool:
    """But, however, so; 36, or rather 40; 36, I mean 40."""
    word, following = tokens[at].word, token_at(tokens, at + 1).word
    if word == "rather":
        return following != "than"
    if word == "mean":
        return token_at(tokens, at - 1).word == "i"
    return word in say.CONTRASTS
