"""Equalities in running text, both sides read whole.

An expression that runs on into something that cannot be evaluated is refused: an unknown, a root, a number
without an operator, words such as "times". Half of it would have a value that nobody meant.
"""

from collections.abc import Iterator, Sequence

from backtracking.text.arithmetic import equality_words as say
from backtracking.text.arithmetic.equality_sides import Side, is_letter, is_unknown_name, side_of, unit_of
from backtracking.text.arithmetic.equality_tokens import NOTHING, NUMERIC, marked_tokens, neighbourhoods
from backtracking.text.numbers.lexer import Token

_MAX_UNIT_WORDS = 3
_MAX_TOKENS = 40
_NEVER_BEHIND = "√∛∜_|²³!^["
_MAX_REMARK = 8


def read_equalities(text: str) -> Iterator[tuple[Side, Side, bool]]:
    """Left side, right side, and whether the sign means "about", for every equality with an operator."""
    for start, end in neighbourhoods(text):
        tokens = marked_tokens(text, start, end)
        for place, token in enumerate(tokens):
            if token.kind != "equals":
                continue
            begin = _left_begin(tokens, place)
            stop = None if begin is None else _right_stop(tokens, place)
            if begin is None or stop is None:
                continue
            if not _computes(tokens, begin, stop) or _is_supposed(tokens, begin):
                continue
            left, right = side_of(tokens, begin, place), side_of(tokens, place + 1, stop)
            said = token.text == "is"
            if (
                left
                and right
                and (left.has_operator or right.has_operator)
                and not (said and right.has_operator)
            ):
                yield left, right, not said and token.text[0] != "="


def _computes(tokens: Sequence[Token], begin: int, stop: int) -> bool:
    """Whether there is an operation on either side."""
    kinds = [token.kind for token in tokens[begin:stop]]
    return "op" in kinds or "frac" in kinds


def _left_begin(tokens: Sequence[Token], equals: int) -> int | None:
    """Where the whole expression before an equals sign begins; none if it can't be read to its beginning."""
    at, depth, need_operand = equals - 1, 0, True
    while at >= 0 and equals - at <= _MAX_TOKENS:
        token = tokens[at]
        if need_operand:
            if token.kind == "paren" and token.text == ")":
                depth, at = depth + 1, at - 1
                continue
            start = _operand_start(tokens, at)
            if start is None:
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
        return begin + 1
    if (need_operand and not _is_sign(tokens, begin)) or _runs_on_before(tokens, begin):
        return None
    return None if _is_label(tokens, begin, equals) else begin


def _is_list_mark(tokens: Sequence[Token], at: int) -> bool:
    """Whether an operator at the beginning of a line is the mark of a list item: "- 5 + 3 = 8"."""
    return _before(tokens, at).kind == "end" and tokens[at].text in ("-", "+", "*") and tokens[at + 1].spaced


def _is_sign(tokens: Sequence[Token], at: int) -> bool:
    """Whether a minus belongs to what stands behind it alone: "is -5 + 3"."""
    return tokens[at].text == "-" and not tokens[at + 1].spaced


def _before(tokens: Sequence[Token], at: int) -> Token:
    return tokens[at - 1] if at else NOTHING


def _after(tokens: Sequence[Token], at: int) -> Token:
    return tokens[at] if at < len(tokens) else NOTHING


def _runs_on_before(tokens: Sequence[Token], begin: int) -> bool:
    """Whether the text before an expression belongs to it, so that it cannot be evaluated alone."""
    token, first = _before(tokens, begin), tokens[begin]
    if token.kind == "word":
        if _before(tokens, begin - 1).kind == "op" and not _is_list_mark(tokens, begin - 2):
            return True  # 25 friends + his 1 teacher
        glued = token.end == first.start and first.kind != "money"
        if token.text in say.FUNCTIONS:
            return True
        if glued or is_unknown_name(token) or _is_second_of_two(tokens, begin):
            return True
        return _is_unit_of_longer(tokens, begin) or _links_to_number(tokens, begin)
    if token.kind == "other":
        bar = token.text == "|" and not first.spaced  # a spaced one parts the cells of a table
        return (
            bar or _is_part_of_number(_before(tokens, begin - 1), token, first) or token.text[0] in "√∛∜\\_"
        )
    return token.kind in (*NUMERIC, "op", "cut") or (token.text == ")" and not _is_list_label(tokens, begin))


def _is_list_label(tokens: Sequence[Token], begin: int) -> bool:
    """(b) in front of a statement."""
    opening, letter = _before(tokens, begin - 2), _before(tokens, begin - 1)
    labelled = opening.text == "(" and letter.kind == "word" and len(letter.text) == 1
    return labelled and _before(tokens, begin - 3).kind == "end"


def _is_second_of_two(tokens: Sequence[Token], begin: int) -> bool:
    """The product of 3 and 4 - 2."""
    if _before(tokens, begin).text != "and" or _before(tokens, begin - 1).kind not in NUMERIC:
        return False
    words = tokens[max(0, begin - 6) : begin]
    since = max((at for at, token in enumerate(words) if token.kind == "equals"), default=-1)
    return any(token.text.casefold() in say.JOINS_NUMBERS for token in words[since + 1 :])


def _is_unit_of_longer(tokens: Sequence[Token], begin: int) -> bool:
    """5 feet 6 inches."""
    return unit_of(tokens[begin - 1].text) in say.COMPOUND and _before(tokens, begin - 1).kind in NUMERIC


def _links_to_number(tokens: Sequence[Token], begin: int) -> bool:
    """Whether the words before lead back to a number or an operation: "20% of", "divided by", "twice"."""
    at = begin - 1
    while at > 0 and tokens[at].text.casefold() in say.LINKS:
        at -= 1
    word = tokens[at]
    if word.kind == "word":
        return word.text.casefold() in say.OPERATIONS | say.VALUES
    return at < begin - 1 and (word.kind in (*NUMERIC, "cut") or word.text == ")")


def _is_part_of_number(one: Token, between: Token, other: Token) -> bool:
    """12:30, 1.2.3 and 1,23."""
    if not (one.kind in NUMERIC and other.kind in NUMERIC):
        return False
    return one.end == between.start and between.end == other.start


def _is_label(tokens: Sequence[Token], begin: int, equals: int) -> bool:
    """Whether a bare number only names what follows: "day 2 = 5 + 3", "2 pens = 2 * 3 = 6"."""
    operators = (at for at in range(begin + 1, equals) if tokens[at].kind == "op")
    if any(tokens[at].text != "/" or tokens[at + 1].kind != "word" for at in operators):
        return False
    behind = (token.kind for token in tokens[equals + 1 : equals + _MAX_TOKENS])
    chained = next((kind for kind in behind if kind in ("equals", "end", "other")), "end") == "equals"
    before = _before(tokens, begin)
    return chained or (before.kind == "word" and before.text.casefold() not in say.CONNECTIVES)


def _is_unit(token: Token) -> bool:
    """Whether a token may stand behind a number without changing it."""
    return token.kind in ("money", "percent") or (
        token.kind == "word" and token.text.casefold() not in say.NEVER_UNITS
    )


def _operand_start(tokens: Sequence[Token], at: int) -> int | None:
    """Where the operand that ends at a token begins, units passed over; none when there is none."""
    words = 0
    while at >= 0 and _is_unit(tokens[at]) and words < _MAX_UNIT_WORDS:
        words += tokens[at].kind == "word"
        if tokens[at].kind == "word" and at and tokens[at - 1].text == "/":
            if is_letter(tokens[at]):
                return None  # 1/n
            at -= 1  # "$4/hour"
        at -= 1
    if at < 0 or tokens[at].kind not in ("number", "frac"):
        return None
    if at and tokens[at - 1].kind == "money":
        at -= 1
    attached = at > 0 and tokens[at - 1].text == "-" and not tokens[at].spaced
    if attached and (
        at == 1 or tokens[at - 2].kind in ("equals", "op", "other", "end") or tokens[at - 2].text == "("
    ):
        at -= 1
    return at


def _right_stop(tokens: Sequence[Token], equals: int) -> int | None:
    """Where the whole expression after an equals sign stops; none when it cannot be read to its end."""
    at, depth, need_operand = equals + 1, 0, True
    while at < len(tokens) and at - equals <= _MAX_TOKENS:
        token = tokens[at]
        if need_operand:
            if token.kind == "paren" and token.text == "(":
                depth, at = depth + 1, at + 1
                continue
            stop = _operand_stop(tokens, at)
            if stop is None:
                break
            at, need_operand = stop, False
        elif token.kind == "paren" and token.text == ")" and depth > 0:
            depth, at = depth - 1, at + 1
        elif token.kind == "op":
            need_operand, at = True, at + 1
        else:
            break
    if need_operand or depth or at - equals > _MAX_TOKENS:
        return None
    return None if _runs_on_after(tokens, at) or _is_qualified(tokens, at) else at


def _runs_on_after(tokens: Sequence[Token], end: int) -> bool:
    """Whether the text behind an expression belongs to it, so that it cannot be evaluated alone."""
    last, token, following = tokens[end - 1], _after(tokens, end), _after(tokens, end + 1)
    if token.text == "(":
        comment = following.kind == "money" or (following.kind == "word" and len(following.text) > 1)
        comment = comment and following.text.casefold() not in say.MODULAR
        return token.start == last.end or not comment
    if token.kind == "other":
        if token.text[0] == "\\":
            return True
        return _is_part_of_number(last, token, following) or (
            token.text in _NEVER_BEHIND and not (token.text in "!|" and token.spaced)
        )
    if token.kind in ("number", "frac"):
        return (
            last.kind != "word"
            or unit_of(last.text) in say.COMPOUND
            or last.text.casefold() in say.LINKS | say.OPERATIONS
        )
    glued = token.kind == "word" and token.start == last.end
    return glued or (token.kind == "cut" and last.kind != "word")


def _is_qualified(tokens: Sequence[Token], end: int) -> bool:
    """Whether what follows a result says that it is not all: a remainder, a modulus, a question mark."""
    if _is_called_false(tokens, end):
        return True
    for place in range(end, min(len(tokens), end + _MAX_REMARK)):
        token = tokens[place]
        if token.kind == "word":
            word = token.text.casefold()
            behind_number = place > end and tokens[place - 1].kind == "number"
            if word in say.MODULAR or word in say.REFUTES or (behind_number and word in ("left", "over")):
                return True
        elif token.text == "?":
            return place <= end + 2
        elif token.text == "≡":
            return True
        elif token.kind in ("end", "equals") or token.text in (".", ";"):
            return False
    return _adds_smaller_units(tokens, end)


def _is_called_false(tokens: Sequence[Token], end: int) -> bool:
    """5 + 7 = 13 is false; 5 + 7 = 13, which is wrong: nobody's step, unlike one that is taken back later."""
    words = [token.text.casefold() for token in tokens[end : end + 4] if token.text != ","]
    words = words[1:] if words[:1] == ["which"] else words
    return len(words) > 1 and words[0] == "is" and words[1] in say.FALSE


def _adds_smaller_units(tokens: Sequence[Token], end: int) -> bool:
    """52 weeks and 1 day."""
    joint, number, unit, beyond = (_after(tokens, end + k) for k in range(4))
    if joint.text != "and" or number.kind not in NUMERIC:
        return False
    return unit.kind == "word" and beyond.kind not in ("op", "equals")


def _is_supposed(tokens: Sequence[Token], begin: int) -> bool:
    """Whether a statement is only tried, denied or wished for, or belongs to another number system."""
    words = [token.text.casefold() for token in tokens[max(0, begin - _MAX_REMARK) : begin]]
    if words[-1:] in (['"'], ["“"]) or not say.OTHER_RULES.isdisjoint(words):
        return True
    if _SUPPOSING.isdisjoint(words):
        return False
    for back, word in enumerate(reversed(words), 1):
        kind = tokens[begin - back].kind
        if kind in ("end", "equals") or word in (".", "?", "!"):
            return False
        if kind == "word" and word in _SUPPOSING:
            return word in say.MODULAR or not _is_concluded(tokens, begin)
    return False


_SUPPOSING = say.MODULAR | say.SUPPOSES


def _is_concluded(tokens: Sequence[Token], begin: int) -> bool:
    """Whether a comma or "then" stands between the condition and the statement: "if x = 2, 3 * 2 = 6"."""
    near = [token.text.casefold() for token in tokens[max(0, begin - 3) : begin]]
    return "," in near or "then" in near


def _operand_stop(tokens: Sequence[Token], at: int) -> int | None:
    """The token after the operand that begins at a token; none when there is none."""
    for kind in ("money", "op", "money"):
        if at < len(tokens) and tokens[at].kind == kind and (kind == "money" or tokens[at].text == "-"):
            at += 1
    if at >= len(tokens) or tokens[at].kind not in ("number", "frac"):
        return None
    at += 1
    words = 0
    while at < len(tokens) and words < _MAX_UNIT_WORDS:
        following = _after(tokens, at + 1)
        per = tokens[at].text == "/" and following.kind == "word" and not is_letter(following)
        if not _is_unit(tokens[at]) and not per:
            break
        words += tokens[at].kind == "word"
        at += 1
    return at
