"""What may stand behind a number and leave it as it is: units, circumstances, reasons, what it is not."""

import re
from collections.abc import Callable, Sequence

from backtracking.text.answers.plain import verbs
from backtracking.text.answers.plain import words as plain
from backtracking.text.answers.plain.phrases import is_circumstance, is_errand, phrase_end
from backtracking.text.answers.plain.sober import is_sober
from backtracking.text.answers.plain.things import (
    NEAR,
    is_concrete,
    is_counted,
    is_figure,
    is_plural,
    names_only_things,
    names_things,
    said,
)
from backtracking.text.numbers.lexer import Token, token_at
from backtracking.text.numbers.lexicon import NUMBER_WORDS, UNITS

_MATHS = ("equals", "times", "over", "plus", "power", "raised", "root", "about", "percent", "command")
_MOST_UNIT_WORDS = 4
_FRAGMENT = 3
_TIMED = frozenset(unit for unit, (dimension, _) in UNITS.items() if dimension in ("time", "age"))
_MAY_BEHIND = plain.TAIL | plain.CONNECTS
_OPERATES = (
    r"(?:minus|plus|less(?! than)|(?<!\d )times(?! (?:a|an|per|as|the|more)\b)|halved?|doubled?|tripled?"
    r"|subtract\w*|deduct\w*|multipl\w+|divid\w+|(?<!is )(?<!are )(?<!was )(?:half|twice)(?! as\b))"
)
_CALCULATES_ON = re.compile(
    rf"(?:[,;:—–-]|\b(?:and|but|which|then|to be)\b)(?:(?!\b(?:since|because|by|from|as)\b).)*\b{_OPERATES}\b"
    r"|[,;] (?:and )?then\b.*\d|\band then\b.*\d|\bof (?:which|these|those|that)\b.*\b(?:half|third)\b"
    r"|\b(?:and|but) (?:she|he|they|we)\b.*\d"
    r"|\bbefore (?:(?:we|you|i|she|he|they|any|\w+ing)\b"
    rf"|(?:the |her |his )?(?:tips?|tax(?:es)?|fees?|{'|'.join(sorted(plain.AMOUNTS))})\b)"
)
_NAMES_ANOTHER = re.compile(
    r"\b(?:and|while|whereas|but)\b(?! (?:that|this|it) is\b)"
    r".*\b(?:as (?:much|many|long|far|old|fast|often|tall|heavy)\b"
    r"|(?<!no )(?:more|fewer|less|twice)(?: \.)?$)"
)


def calculates_on(tail: Sequence[Token]) -> bool:
    """Whether a result is only a step: "= 18, minus the 3 she ate", "= 18, which has to be halved"."""
    return _CALCULATES_ON.search(said(tail[:NEAR])) is not None


def names_another(tail: Sequence[Token]) -> bool:
    """Whether a second quantity is told by the first: "it takes Tim 18 minutes and Tom half as long"."""
    return _NAMES_ANOTHER.search(said(tail[:NEAR])) is not None


def leaves_it(tail: Sequence[Token], *, counts: bool) -> bool:
    """Whether the rest of a sentence leaves the number before it as it is.

    Where it says how many of what, the words behind are about the things.
    """
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
    if token_at(tail, 0).word == "times":
        return 1 if _are_occasions(tail) else None
    if token_at(tail, 0).word in plain.NO_UNIT or (
        token_at(tail, 0).word.endswith("ing") and token_at(tail, 0).word not in _MAY_BEHIND
    ):
        return None
    while _is_part_of_unit(tail, at):
        if tail[at].word in plain.SCALES_BEHIND or (
            _is_done_to_it(tail[at]) and not names_only_things(token_at(tail, at + 1))
        ):
            return None
        at += 1
    verb = next((k for k in range(min(at, _MOST_UNIT_WORDS)) if _acts_at(tail, k)), -1)
    if verb == 0 or (verb > 0 and is_counted(tail[verb - 1])):
        return verb
    doing = next((k for k in range(1, at) if tail[k].word in verbs.STATING and is_counted(tail[k - 1])), -1)
    if doing > 0:
        return at
    last = token_at(tail, at - 1)
    named = names_things(last) and (
        last.text[:1].islower() or is_plural(last.word) or last.word in plain.UNIT_WORDS
    )
    named = named or (last.text[:1].isupper() and token_at(tail, at - 2).word == "degrees")
    return at if at == 0 or (at <= _MOST_UNIT_WORDS and named) else None


def _acts_at(tail: Sequence[Token], at: int) -> bool:
    """18 remain; 18 people got on the bus."""
    before = token_at(tail, at - 1)
    things = at > 0 and (is_plural(before.word) or before.word in plain.UNIT_WORDS)
    return tail[at].word in plain.HAPPENS or (things and tail[at].word in plain.ACTS)


def _are_occasions(tail: Sequence[Token]) -> bool:
    """18 times; 18 times a week; not "18 times the number"."""
    following = token_at(tail, 1)
    often = following.word in ("a", "per", "each", "every") and token_at(tail, 2).word in plain.TIMES
    return (
        often or following.kind in ("none", "stop") or following.word in ("in", "on", "to", "during", "for")
    )


def _is_done_to_it(token: Token) -> bool:
    """Compounded, provisionally: words that say more of a number than what it counts."""
    known = token.word in verbs.STATES or token.word in plain.TAIL or token.word in plain.HAPPENS
    return len(token.word) > _FRAGMENT and token.word.endswith(("ed", "ly")) and not known


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


def _behind_segment(tail: Sequence[Token], at: int) -> int | None:
    """The token behind one more part of the sentence; none where it may change the number."""
    token = tail[at]
    if all(rest.kind not in ("word", "number") for rest in tail[at:]):
        return len(tail)
    if token.kind == "open":
        return _behind_bracket(tail, at)
    if token.kind == "dash" or token.text in (",", ":", ";", "←"):
        return _behind_remark(tail, at)
    if token.kind in _MATHS or is_figure(token) or token.kind in ("close", "money", "other"):
        return at + 1
    if token.text in (".", "\n", "!"):
        return at + 1
    return _behind_word(tail, at) if token.kind == "word" else None


def _behind_word(tail: Sequence[Token], at: int) -> int | None:
    word = tail[at].word
    end = phrase_end(tail, at + 1)
    if word in _BEHIND:
        return _BEHIND[word](tail, at)
    if word in ("because", "since", "rather", "instead", "equals"):
        return len(tail)
    if (
        word in ("who", "that")
        and at
        and is_plural(tail[at - 1].word) | (tail[at - 1].word in plain.UNIT_WORDS)
    ):
        return _behind_clause(tail, at)
    if word == "that" and token_at(tail, at + 1).word in plain.TIMES:
        return at + 2
    if word in plain.CONNECTS:
        return max(end, at + 1) if _goes_on_plainly(tail, at, end) else None
    return at + 1 if word in plain.HAPPENS or names_things(tail[at]) else None


def _behind_clause(tail: Sequence[Token], at: int) -> int | None:
    """18 students who were enrolled; not "who say it is 20"."""
    rest = tail[at + 1 :]
    stop = next((k for k, token in enumerate(rest) if token.kind == "stop"), len(rest))
    said = any(token.word in plain.COUNTING or is_figure(token) for token in rest[:stop])
    return at + 1 + stop if stop and not said and is_concrete(rest[:stop]) else None


def _behind_as(tail: Sequence[Token], at: int) -> int | None:
    """As the final result."""
    end = phrase_end(tail, at + 1)
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
        done = bool(phrase) and phrase[0].word in verbs.STATES and is_concrete(phrase)
        return done or (bool(phrase) and all(map(_is_said, phrase)))
    if word in ("a", "an", "each", "every", "per"):
        return not any(
            t.word in plain.SCALES_BEHIND - plain.SETS or t.word in NUMBER_WORDS or t.word == "the"
            for t in phrase
        )
    if word == "to":
        return bool(phrase) and phrase[0].word != "be" and is_errand(phrase)
    if word == "than":
        return _is_greater(tail, at)
    return word in plain.PLACED_BY and is_circumstance(word, tail, at + 1, end)


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
        or (not any(map(is_figure, tail[at:])) and following.word in verbs.STATES)
        or (is_plural(following.word) and token_at(tail, at + 2).kind in ("none", "stop"))
    ):
        return len(tail)
    return None


def _behind_over(tail: Sequence[Token], at: int) -> int | None:
    """Left over; over 3 days."""
    if token_at(tail, at - 1).word == "left":
        return at + 1
    end = phrase_end(tail, at + 1)
    return end if is_circumstance("over", tail, at + 1, end) else None


def _behind_out(tail: Sequence[Token], at: int) -> int | None:
    """Out of the 30 students."""
    end = phrase_end(tail, at + 1)
    counted = token_at(tail, at + 1).word == "of" and any(map(is_figure, tail[at:end]))
    return end if counted and is_circumstance("out", tail, at + 1, end) else None


def _behind_until(tail: Sequence[Token], at: int) -> int | None:
    """7 years until the tree has paid for itself; not "18 until she gives 3 away"."""
    timed = token_at(tail, 0).word in _TIMED and token_at(tail, at + 1).word in plain.DEFINITE
    rest = [token for token in tail[at + 1 :] if token.kind == "word"]
    return len(tail) if timed and at == 1 and is_sober(rest) else None


def _behind_is(tail: Sequence[Token], at: int) -> int | None:
    """Is what each of them pays; is how long it burns."""
    if _says_what(tail[at:]):
        return len(tail)
    end = phrase_end(tail, at + 1)
    return max(end, at + 1) if _goes_on_plainly(tail, at, end) else None


def _says_what(words: Sequence[Token]) -> bool:
    asked = token_at(words, 1).word in ("what", "how")
    past = words[0].word == "is" and any(token.word in ("was", "were") for token in words)
    if not asked or past or any(map(is_figure, words)):
        return False
    return is_sober([token for token in words if token.kind == "word"])


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
    "until": _behind_until,
    **dict.fromkeys(("is", "are", "was", "were"), _behind_is),
}
"""What reads on behind a word that needs a reading of its own."""


def _is_said(token: Token) -> bool:
    """What a number may be said to be: "18 is the answer", "18 eggs are sold"."""
    known = token.word in plain.PREDICATES or token.word in verbs.STATES or token.word in plain.PLACES
    return known or token.kind != "word" or is_figure(token) or is_plural(token.word)


def _is_greater(tail: Sequence[Token], at: int) -> bool:
    """18 more eggs than Tom; "18 more than Tom" leaves open whether 18 is what is asked for."""
    words = [token.word for token in tail[:at]]
    compared = not plain.GREATER.isdisjoint(words) and len(words) > 1
    known = token_at(tail, at + 1).text[:1].isupper() or token_at(tail, at + 1).word in plain.SUBJECTS
    figures = any(map(is_figure, tail[at:]))
    return compared and (known or (not figures and is_concrete(tail[at + 1 :])))


def _behind_bracket(tail: Sequence[Token], at: int) -> int | None:
    closing = next((k for k in range(at, len(tail)) if tail[k].kind == "close"), len(tail))
    inside = tail[at:closing]
    denied = token_at(inside, 1).word in ("not", "and") and any(map(is_figure, inside))
    reason = token_at(inside, 1).word in ("since", "because")
    known = reason or all(
        token.kind != "word" or token.word in plain.IN_BRACKETS or is_counted(token) or is_figure(token)
        for token in inside
    )
    figures = [k for k, token in enumerate(inside) if is_figure(token)]
    worked = len(figures) > 1 and any(token.word in ("plus", "minus", "times") for token in inside)
    return closing + 1 if denied or known or worked else None


def _behind_remark(tail: Sequence[Token], at: int) -> int | None:
    """What stands behind a comma or a dash: another name of the value, what it is not, why it is so."""
    following, rest = token_at(tail, at + 1), tail[at + 2 :]
    figures = any(map(is_figure, tail[at:]))
    if following.word == "which" or (following.word == "that" and token_at(rest, 0).word == "is"):
        return len(tail) if _identifies(rest) else None
    even_though = following.word == "even" and token_at(rest, 0).word == "though"
    if even_though or (following.word == "of" and token_at(rest, 0).word in ("which", "whom")):
        return len(tail)
    if following.word in ("not", "or") and not figures and token_at(rest, 0).word != "counting":
        return None
    abbreviates = following.word == "i" and token_at(rest, 0).text == "."  # i.e.
    includes = following.word == "including" and not figures and is_concrete(rest)
    tells_more = not figures and _tells_more(tail[at + 1 :])
    if includes or tells_more or abbreviates or following.word in plain.REASONS or _is_remark(tail[at + 1 :]):
        return len(tail)
    if is_figure(following) or following.kind in ("equals", "money"):
        return len(tail) if tail[at].text == ":" else at + 1
    return at + 1 if following.word in plain.FOLLOWS_COMMA else None


def _tells_more(words: Sequence[Token]) -> bool:
    """Whether a clause of its own makes no reserve: both shops charge the same; Dave fails by a hair."""
    subject = token_at(words, 0)
    named = subject.word in plain.SUBJECT_OPENERS | plain.WHOLES or subject.text[:1].isupper()
    done = any(token.word in plain.COPULAS or token.word in verbs.STATES for token in words)
    return named and done and is_sober([token for token in words if token.kind == "word"])


def _identifies(clause: Sequence[Token]) -> bool:
    """Which is 3 more than Tom; which matches our estimate."""
    if [token.word for token in clause] == ["makes", "sense"]:
        return True
    known = all(map(_is_said, clause)) or any(map(is_figure, clause))
    verb = token_at(clause, 0).word
    if verb in plain.COPULAS and _says_what(clause):
        return True
    return verb in ("matches", "agrees", "fits", "confirms") or (known and verb in plain.IDENTIFIES)


def _is_remark(rest: Sequence[Token]) -> bool:
    """Obviously; twice as many as Ann; to be exact."""
    words = [token for token in rest if token.kind == "word"]
    if " ".join(token.word for token in words) in plain.CLOSING_REMARKS:
        return True
    return all(token.word in plain.REMARKS or is_figure(token) or token.text[:1].isupper() for token in words)
