"""What may stand behind a number and leave it as it is: units, circumstances, reasons, what it is not."""

from collections.abc import Callable, Sequence

from backtracking.text import plain_words as plain
from backtracking.text.lexer import Token, token_at
from backtracking.text.lexicon import NUMBER_WORDS

_MATHS = ("equals", "times", "over", "plus", "power", "raised", "root", "about", "percent", "command")
_MOST_UNIT_WORDS = 4
_NO_PLURALS = ("ss", "us", "is", "as")


def is_figure(token: Token) -> bool:
    """Whether a token is a number in figures or words."""
    return token.kind in ("number", "frac", "vulgar") or token.word in NUMBER_WORDS


def is_counted(token: Token) -> bool:
    """Whether a word may name what is counted: units, plurals, names."""
    return token.word in plain.UNIT_WORDS or is_plural(token.word) or token.text[:1].isupper()


def is_plural(word: str) -> bool:
    """Whether a word looks like the plural of a noun."""
    ends = word.endswith("s") and len(word) > 2 and not word.endswith(_NO_PLURALS)
    return ends and word not in plain.NO_THINGS


def leaves_it(tail: Sequence[Token]) -> bool:
    """Whether the rest of a sentence leaves the number before it as it is."""
    words = " ".join(token.word for token in tail if token.kind == "word")
    if words in plain.CLOSING_REMARKS:
        return True
    if tail and tail[0].kind in ("power", "raised", "root"):
        return False
    at = _behind_unit(tail)
    while at is not None and at < len(tail):
        at = _behind_segment(tail, at)
    return at is not None


def _behind_unit(tail: Sequence[Token]) -> int | None:
    """The token behind the name of what is counted; none where it may be something else."""
    at = 0
    if token_at(tail, 0).word in plain.NO_UNIT or (
        token_at(tail, 0).word.endswith("ing") and token_at(tail, 0).word not in plain.TAIL
    ):
        return None
    while _is_part_of_unit(tail, at):
        if tail[at].word in plain.SCALES_BEHIND or _is_done_to_it(tail[at]):
            return None
        at += 1
    verb = next((k for k in range(min(at, _MOST_UNIT_WORDS)) if tail[k].word in plain.HAPPENS), -1)
    if verb == 0 or (verb > 0 and is_counted(tail[verb - 1])):
        return verb
    doing = next((k for k in range(1, at) if tail[k].word in plain.STATING and is_counted(tail[k - 1])), -1)
    if doing > 0:
        return at
    last = token_at(tail, at - 1)
    named = _closes(last) and (
        last.text[:1].islower() or is_plural(last.word) or last.word in plain.UNIT_WORDS
    )
    named = named or (last.text[:1].isupper() and token_at(tail, at - 2).word == "degrees")
    return at if at == 0 or (at <= _MOST_UNIT_WORDS and named) else None


def _is_done_to_it(token: Token) -> bool:
    """Compounded, provisionally: words that say more of a number than what it counts."""
    known = token.word in plain.STATES or token.word in plain.TAIL or token.word in plain.HAPPENS
    return token.word.endswith(("ed", "ly")) and not known


def _is_part_of_unit(tail: Sequence[Token], at: int) -> bool:
    token = token_at(tail, at)
    if token.kind == "dash":
        return at > 0 and not token.spaced and not token_at(tail, at + 1).spaced
    begins_clause = token.word == "the" and at and is_counted(tail[at - 1])
    return (
        token.kind == "word"
        and not begins_clause
        and token.word not in plain.CONNECTS
        and not token.word.endswith("n't")
    )


def _closes(token: Token) -> bool:
    word = token.word
    done = word in plain.STATES and word.endswith("ed")
    return is_counted(token) or done or word in plain.TAIL or word in plain.PLACES


def _behind_segment(tail: Sequence[Token], at: int) -> int | None:
    """The token behind one more part of the sentence; none where it may change the number."""
    token = tail[at]
    if all(rest.kind not in ("word", "number") for rest in tail[at:]):
        return len(tail)
    if token.kind == "open":
        return _behind_bracket(tail, at)
    if token.kind == "dash" or token.text in (",", ":", ";"):
        return _behind_remark(tail, at)
    if token.kind in _MATHS or is_figure(token) or token.kind in ("close", "money", "other"):
        return at + 1
    if token.text in (".", "\n", "!"):
        return at + 1
    return _behind_word(tail, at) if token.kind == "word" else None


def _behind_word(tail: Sequence[Token], at: int) -> int | None:
    word = tail[at].word
    end = _phrase_end(tail, at + 1)
    if word in _BEHIND:
        return _BEHIND[word](tail, at)
    if word in ("because", "since", "rather", "instead", "equals"):
        return len(tail)
    if word in plain.CONNECTS:
        return max(end, at + 1) if _goes_on_plainly(tail, at, end) else None
    return at + 1 if word in plain.HAPPENS or _closes(tail[at]) else None


def _behind_as(tail: Sequence[Token], at: int) -> int | None:
    """As the final result."""
    end = _phrase_end(tail, at + 1)
    phrase = tail[at + 1 : end]
    return end if phrase and all(t.word in plain.PREDICATES or t.word in plain.HEAD for t in phrase) else None


def _behind_down(tail: Sequence[Token], at: int) -> int | None:
    """18 dollars, down from 24; not "upside down"."""
    return at + 1 if token_at(tail, at + 1).word == "from" else None


def _behind_apart(tail: Sequence[Token], at: int) -> int | None:
    """18 miles apart; not "apart from the tip"."""
    return at + 1 if token_at(tail, at + 1).kind in ("none", "stop") else None


def _behind_while(tail: Sequence[Token], at: int) -> int | None:
    """While Ann gets 6."""
    return len(tail) if token_at(tail, at + 1).text[:1].isupper() else None


def _behind_when(tail: Sequence[Token], at: int) -> int | None:
    """When they met; not "when rounded"."""
    return len(tail) if token_at(tail, at + 1).word in plain.SUBJECTS else None


def _goes_on_plainly(tail: Sequence[Token], at: int, end: int) -> bool:
    """Whether a word and the phrase that it opens leave the number as it is."""
    word, phrase = tail[at].word, tail[at + 1 : end]
    if word in ("is", "are", "was", "were"):
        return bool(phrase) and all(map(_is_said, phrase))
    if word in ("a", "an", "each", "every", "per"):
        return not any(
            t.word in plain.SCALES_BEHIND or t.word in NUMBER_WORDS or t.word == "the" for t in phrase
        )
    if word == "to":
        return bool(phrase) and phrase[0].word != "be" and _is_errand(phrase)
    if word == "than":
        return _is_greater(tail, at)
    return word in plain.PLACED_BY and _is_circumstance(word, tail, at + 1, end)


def _behind_not(tail: Sequence[Token], at: int) -> int | None:
    """Not 20; but "not counting the six" changes it."""
    following = token_at(tail, at + 1).word
    return len(tail) if following != "counting" and any(map(is_figure, tail[at + 1 : at + 4])) else None


def _behind_and(tail: Sequence[Token], at: int) -> int | None:
    """And no goats; and Ann gets the rest; and nothing else."""
    following = token_at(tail, at + 1)
    if any(token.text == ":" for token in tail[at:]):
        return len(tail)  # another thing begins
    if (
        following.word in ("no", "nothing", "not")
        or following.word in plain.PLACES
        or following.text[:1].isupper()
        or following.word in plain.SUBJECTS
    ):
        return len(tail)
    return None


def _behind_over(tail: Sequence[Token], at: int) -> int | None:
    """Left over; over 3 days."""
    if token_at(tail, at - 1).word == "left":
        return at + 1
    end = _phrase_end(tail, at + 1)
    return end if _is_circumstance("over", tail, at + 1, end) else None


def _behind_out(tail: Sequence[Token], at: int) -> int | None:
    """Out of the 30 students."""
    end = _phrase_end(tail, at + 1)
    counted = token_at(tail, at + 1).word == "of" and any(map(is_figure, tail[at:end]))
    return end if counted and _is_circumstance("out", tail, at + 1, end) else None


def _behind_the(tail: Sequence[Token], at: int) -> int | None:
    """18 people attended the concert; 18 guests the costs will be equal."""
    if at == 0 or tail[at - 1].word in plain.HAPPENS:
        return at + 1
    return len(tail) if any(token.word in ("will", "are") for token in tail[at:]) else None


_BEHIND: dict[str, Callable[[Sequence[Token], int], int | None]] = {
    "not": _behind_not,
    "and": _behind_and,
    "over": _behind_over,
    "out": _behind_out,
    "apart": _behind_apart,
    "down": _behind_down,
    "as": _behind_as,
    "up": _behind_down,
    "the": _behind_the,
    "while": _behind_while,
    "when": _behind_when,
}
"""What reads on behind a word that needs a reading of its own."""


def _is_said(token: Token) -> bool:
    """What a number may be said to be: "18 is the answer", "18 eggs are sold"."""
    known = token.word in plain.PREDICATES or token.word in plain.STATES or token.word in plain.PLACES
    return known or token.kind != "word" or is_figure(token) or is_plural(token.word)


def _is_greater(tail: Sequence[Token], at: int) -> bool:
    """18 more eggs than Tom; "18 more than Tom" leaves open whether 18 is what is asked for."""
    words = [token.word for token in tail[:at]]
    compared = not plain.GREATER.isdisjoint(words) and len(words) > 1
    return compared and (
        token_at(tail, at + 1).text[:1].isupper() or token_at(tail, at + 1).word in plain.SUBJECTS
    )


def _phrase_end(tail: Sequence[Token], at: int) -> int:
    while at < len(tail) and (tail[at].kind in ("word", "money", "percent") or is_figure(tail[at])):
        if tail[at].word in plain.CONNECTS and tail[at].word not in plain.INSIDE_PHRASES:
            return at
        at += 1
        if token_at(tail, at).text in ("'", "’"):
            at += 1  # the farmers' market
    return at


def _is_errand(phrase: Sequence[Token]) -> bool:
    """To go; to rent the boat; to her friends."""
    done = [token for token in phrase[1:] if is_figure(token)]
    if any(token.word in plain.SCALES_BEHIND for token in phrase):
        return False
    vague = any(token.word in plain.VAGUE or token.word in plain.PERSONS for token in phrase)
    packs = phrase[0].word in plain.BASES and len(phrase) == 2 and not vague
    return not is_figure(phrase[0]) and (
        len(phrase) == 1 or bool(done) or packs or _is_harmless(phrase[1:]) or _is_harmless(phrase)
    )


def _is_circumstance(preposition: str, tail: Sequence[Token], begin: int, end: int) -> bool:
    phrase = tail[begin:end]
    words = [token.word for token in phrase if token.kind == "word"]
    if " ".join((preposition, *words)) in plain.INNOCENT_PHRASES:
        return True
    scaled = bool(phrase) and phrase[0].word in plain.SCALES_BEHIND  # in dozens
    if not phrase or scaled or (preposition == "by" and not _tells_how(phrase)):
        return False
    if preposition in ("of", "out"):
        figures = any(map(is_figure, phrase))
        return _is_share(tail, begin, end) or (not figures and _is_harmless(phrase))
    if any(map(is_figure, phrase)):
        numbered = is_figure(phrase[-1]) or phrase[-1].word in plain.PLACES
        return is_counted(phrase[-1]) or (numbered and preposition not in ("to", "over", "within", "in"))
    if preposition == "in" and any(token.word.endswith("'s") for token in phrase):
        return False  # in Tom's notes
    errand = preposition == "for" and token_at(tail, end).word == "to"
    return (
        errand
        or _is_done_before(preposition, phrase)
        or _is_harmless(phrase)
        or _is_known_place(preposition, tail, begin, end)
    )


def _is_done_before(preposition: str, phrase: Sequence[Token]) -> bool:
    """After shopping; after paying taxes; not "after rounding"."""
    first = phrase[0].word
    done = preposition == "after" and first.endswith("ing") and first not in plain.OPERATING
    return done and (len(phrase) == 1 or (len(phrase) == 2 and _is_harmless(phrase[1:])))


def _tells_how(phrase: Sequence[Token]) -> bool:
    """By selling eggs; by Friday; by 6 kids."""
    timed = phrase[0].word == "the" and phrase[-1].word in plain.TIMES
    named = phrase[0].word in plain.STATING or phrase[-1].text[:1].isupper()
    return timed or named or any(map(is_figure, phrase))


def _is_known_place(preposition: str, tail: Sequence[Token], begin: int, end: int) -> bool:
    """For her lawnmower; 18 students in the hall."""
    phrase = tail[begin:end]
    owned = phrase[0].word in ("her", "his", "their", "its")
    placed = phrase[0].word == "the" and tail[0].kind == "word" and is_counted(tail[0])
    vague = any(token.word in plain.VAGUE for token in phrase)
    return (owned or placed) and not vague and len(phrase) <= 2 + owned


def _is_share(tail: Sequence[Token], begin: int, end: int) -> bool:
    """Of milk; of the 60 students; out of 60 students passed; ¾ of it."""
    phrase = [token for token in tail[begin:end] if token.word != "of"]
    rate = next((k for k, token in enumerate(phrase) if token.word in ("a", "an", "per", "each") and k), None)
    phrase = phrase[:rate]  # of coffee a week
    words = [token.word for token in phrase]
    if not words or not plain.PERSONS.isdisjoint(words):
        return False
    if words[0] in ("sorts", "kind", "sort"):
        return False
    if any(map(is_figure, phrase)):
        return words[0] == "the" or _acts(phrase) or token_at(tail, end).word in ("is", "are", "was", "were")
    if begin == 1:
        return words[0] in ("the", "it", "them", "her", "his", "their", "its") or _acts(phrase)
    return len(words) <= 2 and plain.VAGUE.isdisjoint(words)


def _acts(phrase: Sequence[Token]) -> bool:
    """Of the 60 students passed."""
    last = phrase[-1].word
    return last in plain.HAPPENS or last in plain.STATES or last.endswith("ed")


def _is_harmless(phrase: Sequence[Token]) -> bool:
    """Things, names or known places; nobody's view."""
    words = [token.word for token in phrase if token.kind == "word"]
    if not words or not plain.PERSONS.isdisjoint(words) or plain.VAGUE.intersection(words):
        return False
    if any(word.endswith("est") or word in plain.SCALES_BEHIND or word in NUMBER_WORDS for word in words):
        return False
    if words[0] in plain.STATING:
        return True
    return all(map(_is_known, phrase))


def _is_known(token: Token) -> bool:
    known = token.word in plain.QUANTITIES or token.word in plain.PLACES or _closes(token)
    return known or token.kind != "word" or is_figure(token) or token.word in plain.PREDICATES


def _behind_bracket(tail: Sequence[Token], at: int) -> int | None:
    closing = next((k for k in range(at, len(tail)) if tail[k].kind == "close"), len(tail))
    inside = tail[at:closing]
    denied = token_at(inside, 1).word in ("not", "and") and any(map(is_figure, inside))
    reason = token_at(inside, 1).word in ("since", "because")
    known = reason or all(
        token.kind != "word" or token.word in plain.IN_BRACKETS or is_counted(token) or is_figure(token)
        for token in inside
    )
    return closing + 1 if denied or known else None


def _behind_remark(tail: Sequence[Token], at: int) -> int | None:
    """What stands behind a comma or a dash: another name of the value, what it is not, why it is so."""
    following, rest = token_at(tail, at + 1), tail[at + 2 :]
    figures = any(map(is_figure, tail[at:]))
    if following.word == "which":
        return len(tail) if _identifies(rest) else None
    if following.word in ("not", "or") and not figures and token_at(rest, 0).word != "counting":
        return None
    abbreviates = following.word == "i" and token_at(rest, 0).text == "."  # i.e.
    if abbreviates or following.word in plain.REASONS or _is_remark(tail[at + 1 :]):
        return len(tail)
    if is_figure(following) or following.kind in ("equals", "money"):
        return len(tail) if tail[at].text == ":" else at + 1
    return at + 1 if following.word in plain.FOLLOWS_COMMA else None


def _identifies(clause: Sequence[Token]) -> bool:
    """Which is 3 more than Tom; which matches our estimate."""
    known = all(map(_is_said, clause)) or any(map(is_figure, clause))
    verb = token_at(clause, 0).word
    return verb == "matches" or (known and verb in plain.IDENTIFIES)


def _is_remark(rest: Sequence[Token]) -> bool:
    """Obviously; twice as many as Ann; to be exact."""
    words = [token for token in rest if token.kind == "word"]
    if " ".join(token.word for token in words) in plain.CLOSING_REMARKS:
        return True
    return all(token.word in plain.REMARKS or is_figure(token) or token.text[:1].isupper() for token in words)
