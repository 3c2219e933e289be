"""What may lead on to a statement of a number: how it was worked out, what is so, where and when."""

from collections.abc import Collection, Sequence

from backtracking.text.answers.plain import verbs
from backtracking.text.answers.plain import words as plain
from backtracking.text.answers.plain.things import is_concrete, is_counted, is_figure
from backtracking.text.answers.stances.words import MENDS
from backtracking.text.numbers.lexer import Token, token_at
from backtracking.text.numbers.lexicon import NUMBER_WORDS

_LONG_CLAUSE = 12
_STRANGE = 3
"""So many unknown words make a phrase unknown."""


def all_known(words: Sequence[Token], known: Collection[str]) -> bool:
    """Whether all words are among those known, numbers aside."""
    return all(token.word in known or token.kind != "word" or token.word in NUMBER_WORDS for token in words)


def only_leads_on(words: Sequence[Token]) -> bool:
    """Of the 30 students, …; so, …"""
    while words and (words[0].word in plain.CONCLUDES or words[0].text == ","):
        words = words[1:]
    if not words or all_known(words, plain.OPENERS) or _says_how(words) or _is_setting(words):
        return True
    if any(token.word in plain.VAGUE for token in words):
        return False
    return is_fact(words) or any(token.word in MENDS for token in words) or _is_known_lead(words)


def _is_known_lead(words: Sequence[Token]) -> bool:
    """Whether hardly a word of what leads to a statement is unknown."""
    strange = sum(not is_part_of_quantity(token) for token in words[1:])
    if _has_figures(words):
        return strange < _STRANGE
    opens = words[0].word in plain.LEADING_CLAUSES or words[0].word in verbs.STATING
    leading = opens and words[0].word not in plain.OMITTING
    names = len(words) > 1 and all(token.text[:1].isupper() for token in words if token.kind == "word")
    return strange == 0 and ((leading and words[0].word != "if") or names)


def _says_how(words: Sequence[Token]) -> bool:
    """Counting Sunday too, …: a participle tells how it was worked out, unless it omits or assumes."""
    first = words[0].word
    if " ".join(token.word for token in words if token.kind == "word") in plain.LEADING_IDIOMS:
        return True
    return first.endswith("ing") and first not in plain.OMITTING and len(words) < _LONG_CLAUSE


def _is_setting(words: Sequence[Token]) -> bool:
    """For the whole journey; in those 3 hours; to hold all of her books; after buying the can."""
    first, second = words[0].word, token_at(words, 1)
    if first not in plain.SETTINGS or len(words) > _LONG_CLAUSE or second.word in plain.OMITTING:
        return False
    if first == "to":
        things = [token for token in words[2:] if token.word not in plain.LOOSE]
        return second.word not in plain.UNDOING and is_concrete(things)
    if first == "with" and words[-1].word.endswith("ed"):
        return False  # with the sign flipped
    certain = second.word in plain.DEFINITE or is_figure(second) or second.word in ("total", "all", "them")
    doing = second.word in verbs.STATING and first in ("after", "by")
    return (certain or doing) and is_concrete(words[1:])


def is_fact(words: Sequence[Token]) -> bool:
    """Although she sold fewer in May, …: a clause of its own that tells what is so, whatever follows."""
    begin = 1 + (words[0].word == "even")
    subject = token_at(words, begin)
    told = subject.word in plain.SUBJECT_OPENERS or subject.word in plain.WHOLES or subject.text[:1].isupper()
    return token_at(words, begin - 1).word in plain.FACTS and told and len(words) < _LONG_CLAUSE


def _has_figures(words: Sequence[Token]) -> bool:
    return any(is_figure(token) and token.word not in ("one", "half", "third", "quarter") for token in words)


def leads_on_to(words: Sequence[Token], at: int) -> bool:
    """Whether the clause before the one at a place only leads on to it."""
    begin = clause_begin(words[:at])
    comma = begin > 0 and words[begin - 1].text == ","
    if token_at(words, begin).word in plain.GOES_ON:
        return True
    return not comma or only_leads_on(_last_clause(words[: begin - 1]))


def _last_clause(words: Sequence[Token]) -> Sequence[Token]:
    """The words behind the last stop."""
    begin = max((at + 1 for at in range(len(words)) if words[at].text in ";:.\n"), default=0)
    return words[begin:]


def clause_begin(words: Sequence[Token]) -> int:
    """Where the last clause begins."""
    places = range(len(words))
    return max(
        (at + 1 for at in places if words[at].text in plain.BREAKS or words[at].word == "because"), default=0
    )


def tells_by_itself(words: Sequence[Token], at: int) -> bool:
    """Whether nothing but "we see" or the like stands before "that"."""
    begin = clause_begin(words[:at])
    told = max((k for k in range(begin, at) if words[k].word == "that"), default=begin)
    return all_known(words[begin:told], plain.HEAD) or only_leads_on(words[begin:told])


def is_part_of_quantity(token: Token) -> bool:
    """Whether a word may belong to the name of a quantity or of a person."""
    return (
        token.kind != "word"
        or token.word in plain.QUANTITIES
        or token.word in plain.PLACES
        or token.word in verbs.STATES
        or token.word.endswith("'s")
        or is_counted(token)
        or is_figure(token)
        or token.word in plain.HEAD
        or token.word in verbs.STATING
    )
