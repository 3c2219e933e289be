"""Numbers told in a sentence of any words: how many things there are, or what was worked out just before.

Such a sentence is open: a word that is not known names a person, a thing or what is done. Only words that
make a reserve of what they stand beside, and verbs whose object need not be so, leave the number ungraded.
"""

from collections.abc import Collection, Sequence

from backtracking.text.answers.plain import verbs
from backtracking.text.answers.plain import words as plain
from backtracking.text.answers.plain.leads import all_known, only_leads_on, tells_by_itself
from backtracking.text.answers.plain.sober import is_sober
from backtracking.text.answers.plain.things import is_counted, is_figure, is_plural, names_only_things
from backtracking.text.answers.stances.words import TIMES_NUMBERED
from backtracking.text.numbers.lexer import NOTHING, Token, token_at
from backtracking.text.numbers.lexicon import DENOMINATORS, NUMBER_WORDS, UNITS, word_set

_NEXT_TO_UNIT = 3
_FEW = 8
_PLACING = plain.PLACED_BY | plain.PARTICLES
_JOINING = plain.CONCLUDES | {"and", "then", "if"}
_SAYS_WHAT_IT_IS = plain.COPULAS | plain.ANSWERS | {"solution"}
_DOES = frozenset(("are", "were", "do", "did", "have"))
_DO_NOT = frozenset(("aren't", "weren't", "don't", "didn't", "haven't", "can't", "couldn't", "won't"))
_NOT_SO = frozenset(("", "all", "the", "what", "it", "that", "enough", "right", "correct", "true", "so"))
"""Behind a negation, what makes it one of the number: "18 weren't all of them"."""
_WHEN = frozenset(("before", "after", "once", "when", "while"))
_PRAISES = word_set(
    "measly whopping mere paltry handsome tidy hefty meagre meager modest staggering impressive full whole "
    "further"
)
"""What is thought of a number, which stays as it is."""
_RESTS = frozenset(("the rest", "the remainder", "the others"))
_UNREADABLE = frozenset(
    ("open", "equals", "bound", "about", "unequal", "power", "raised", "root", "command", "times", "over")
)


def tells(tokens: Sequence[Token], first: int, stop: int, *, counts: bool, confirmed: bool) -> bool:
    """Whether a sentence tells the number at some of its tokens in words that make no reserve.

    One that confirms a calculation may be built in any way; else a verb leads to the number of things.
    """
    head, tail = tokens[:first], tokens[stop:]
    if token_at(head, first - 1).kind == "open" or any(token.kind in _UNREADABLE for token in tail):
        return False
    tail = _without_rest(tail)
    *leads, main = _clauses(_without_praise(head))
    behind, near = _clauses(tail), _clauses(_without_circumstance(tail))
    labelled = bool(leads) and _is_answer_label(leads[0]) and (bool(main) or _things_do(behind[0]))
    leads = leads[labelled:]
    plainly = tells_by_itself(head, first) and not _is_scaled(near[0])
    apposed = _is_apposition(leads, main, behind)
    if not main or all(token.word in _JOINING for token in main):
        near = [_without_negation(near[0]), *near[1:]]
    sober = plainly and (apposed or is_sober(main)) and all(map(is_sober, near))
    if not sober or not (apposed or all(_is_lead(lead, confirmed=confirmed) for lead in leads)):
        return False
    if confirmed:
        return not _is_altered(main)
    if apposed or _is_point_in_time(leads, main, behind):
        return True
    of_them = bool(leads) and (any(map(is_figure, leads[-1])) or token_at(leads[-1], 0).word in _WHEN)
    shared = of_them and _does(behind[0])  # of the 20, 7 were sold; after the stop, 7 were left
    happened = token_at(behind[0], 0).word == "times" and _is_about_certain(main)  # babysits 5 times
    if _tells_time(tokens, first, stop):
        return len(behind) == 1 and _has_certain_subject(main)
    told = counts or happened or shared or (not behind[0] and not labelled and _is_about_certain(main))
    return told and len(behind) == 1 and (happened or _leads_to(main, behind[0]))


def _without_rest(tail: Sequence[Token]) -> Sequence[Token]:
    """The same without "and 2 m are left over" at its end."""
    if [token.word for token in tail[-2:]] != ["left", "over"]:
        return tail
    begin = next((at for at, token in enumerate(tail) if token.word in ("and", "with")), len(tail))
    figures = sum(map(is_figure, tail[begin:]))
    return tail[: begin - (token_at(tail, begin - 1).text == ",")] if figures == 1 else tail


def _without_praise(head: Sequence[Token]) -> Sequence[Token]:
    """The same without "a measly" right before the number."""
    article = token_at(head, len(head) - 2).word
    praised = token_at(head, len(head) - 1).word in _PRAISES and article in ("a", "an")
    return head[:-2] if praised else head


def _is_point_in_time(
    leads: Sequence[Sequence[Token]], main: Sequence[Token], behind: Sequence[Sequence[Token]]
) -> bool:
    """After 22 hours; so, after 20 hours, the tank is half empty."""
    unit, *clause = behind[0] or [NOTHING]
    timed = UNITS.get(unit.word, ("", 0))[0] in ("time", "age")
    after = [token.word for token in main if token.word not in _JOINING] == ["after"]
    then = [clause, *behind[1:]] if clause else behind[1:]
    opened = all(all_known(lead, plain.OPENERS) for lead in leads)
    return after and opened and timed and (not then or (len(then) == 1 and _happens_then(then[0])))


def _happens_then(words: Sequence[Token]) -> bool:
    """The tank is half empty: what is so at a time, in few words and without another number."""
    figures = any(is_figure(token) and token.word not in DENOMINATORS for token in words)
    return 0 < len(words) <= _FEW and not figures and _has_certain_subject(words)


def _is_apposition(
    leads: Sequence[Sequence[Token]], main: Sequence[Token], behind: Sequence[Sequence[Token]]
) -> bool:
    """They sold twice as many, 36 tickets; the rest, 18 eggs; 60% of the students, or 18 students, passed."""
    offered = [token.word for token in main] == ["or"]
    if not leads or (main and not offered) or not 0 < len(behind[0]) < _NEXT_TO_UNIT:
        return False
    told = [token.word for token in leads[-1]]
    alike = told[-2:] in (["as", "many"], ["as", "much"]) or " ".join(told[-2:]) in _RESTS
    share = offered and any(map(is_figure, leads[-1][:2])) and "of" in told[1:3]
    figures = any(is_figure(token) for clause in behind for token in clause)
    named = names_only_things(behind[0][-1]) and not figures
    return named and (share or (alike and not offered))


def _tells_time(tokens: Sequence[Token], first: int, stop: int) -> bool:
    """They get back to camp at 5 PM; she is done at 4:30."""
    clock = ":" in tokens[first].text or token_at(tokens, stop).word in ("am", "pm", "o'clock")
    return clock and token_at(tokens, first - 1).word in ("at", "by")


def _without_negation(behind: list[Token]) -> list[Token]:
    """What counted things do, without what says that they don't: 6 kids | didn't | have cake."""
    for at in range(1, min(len(behind), _NEXT_TO_UNIT + 2)):
        apart = behind[at].word == "not" and behind[at - 1].word in _DOES
        joined = behind[at].word in _DO_NOT and names_only_things(behind[at - 1])
        if (apart or joined) and token_at(behind, at + 1).word not in _NOT_SO:
            return behind[:at] + behind[at + 1 :]
    return behind


def _behind_name(words: Sequence[Token], at: int) -> int:
    """The first word that begins with a small letter."""
    return next((k for k in range(at, len(words)) if not words[k].text[:1].isupper()), len(words))


def _is_about_certain(words: Sequence[Token]) -> bool:
    """Whether it is told what certain persons or things do, or come to, so that the things need no name.

    Not what they are: "the next candidate is 18".
    """
    said = {token.word for token in words}
    return _has_certain_subject(words) and said.isdisjoint(_SAYS_WHAT_IT_IS)


def _is_answer_label(words: Sequence[Token]) -> bool:
    """The final answer: Ann earned 18."""
    return token_at(words, len(words) - 1).word in plain.ANSWERS and all_known(words, plain.HEAD)


def _clauses(tokens: Sequence[Token]) -> list[list[Token]]:
    """The words and numbers between commas, colons and dashes."""
    clauses: list[list[Token]] = [[]]
    for token in tokens:
        if token.text in (",", ";", ":", "\n") or (token.kind == "dash" and token.spaced):
            clauses.append([])
        elif token.kind == "word" or is_figure(token):
            clauses[-1].append(token)
    return clauses


def _without_circumstance(tail: Sequence[Token]) -> Sequence[Token]:
    """What stands before a clause that tells when: "18 rooms | before she runs out of paint"."""
    return next((tail[:at] for at in range(1, len(tail)) if _tells_when(tail, at)), tail)


def _tells_when(tail: Sequence[Token], at: int) -> bool:
    following = token_at(tail, at + 1)
    certain = following.word in plain.CERTAIN or following.word == "all" or following.text[:1].isupper()
    return tail[at].word in _WHEN and certain and token_at(tail, at + 2).kind == "word"


def _is_lead(words: Sequence[Token], *, confirmed: bool) -> bool:
    """Whether a clause may stand before the one with the number: if each of them has 3; after the storm."""
    if only_leads_on(words) or all(token.word in plain.ORDERS for token in words):
        return True
    first, second = words[0].word, token_at(words, 1).word
    if (
        (len(words) == 1 and first in plain.DAYS)
        or first == "regardless"
        or (first, second) == ("no", "matter")
    ):
        return True
    opens = first in plain.SETTINGS or first in plain.LEADING_CLAUSES
    certain = any(t.word in plain.CERTAIN or is_figure(t) or is_plural(t.word) for t in words)
    undone = first == "with" and words[-1].word.endswith("ed")  # with the sign flipped
    if _has_certain_subject(words) and is_sober(words):
        return True
    return (confirmed or (opens and certain and not undone)) and is_sober(words[first == "if" :], wishes=True)


def _has_certain_subject(words: Sequence[Token]) -> bool:
    """Whether a clause is about certain persons or things: she has; the robe needs; Ann paid."""
    begin = next((at for at, token in enumerate(words) if token.word not in _JOINING), len(words))
    subject = token_at(words, begin)
    verb = token_at(words, _behind_name(words, begin))
    named = subject.text[:1].isupper() and (_is_verb(verb) or verb.word in ("will", "must"))
    return named or subject.word in plain.CERTAIN or subject.word.endswith("'s")


def _leads_to(words: Sequence[Token], behind: Sequence[Token]) -> bool:
    """Whether a verb leads to the number of things, or they begin the clause and do something."""
    at = _last_but(words, len(words) - 1, plain.ADVERBS | NUMBER_WORDS)
    last, before = token_at(words, at), token_at(words, at - 1)
    if at < 0 or last.word == "that" or (at < 2 and last.word in ("remaining", "other", "rest")):
        return _act(behind)
    if _is_verb(last) or last.word == "missing" or (last.word in TIMES_NUMBERED and before.word in _PLACING):
        return True
    if last.word in _PLACING:
        return last.word not in ("down", "aside") and _is_governed(words, at)
    if last.word in verbs.STATING:  # ends up paying; not "has skimming"
        return not _is_verb(before) or _is_verb(token_at(words, at - 2))
    return _is_unknown_verb(words, at, behind)


def _is_governed(words: Sequence[Token], at: int) -> bool:
    """Responds to; comes in at; not "in contrast to", "topping out at"."""
    at = _last_but(words, at, _PLACING)
    governor = token_at(words, at).word
    named = governor in plain.CONNECTS or (governor.endswith("ing") and not _is_named(words, at))
    return (
        at >= 0
        and words[at].kind == "word"
        and not named
        and token_at(words, at - 1).word not in plain.PLACED_BY
    )


def _is_unknown_verb(words: Sequence[Token], at: int, behind: Sequence[Token]) -> bool:
    """The fields yield 18 pounds; pulls in 18 minutes early; not "pays theoretical", "has on the side"."""
    word = words[at].word
    if at == 0 or word in plain.CONNECTS or word == "number" or word.endswith(("'s", "ing", "fold")):
        return False
    if _is_altered(words):
        return False
    verb = max((k for k in range(at) if _is_verb(words[k])), default=-1)
    if verb >= 0 and any(token.word in plain.PLACED_BY for token in words[verb:at]):
        dimension = UNITS.get(token_at(behind, 0).word, ("", 0))[0]
        return dimension in ("time", "age") and token_at(behind, 1).word in plain.APART
    return True


def _is_altered(words: Sequence[Token]) -> bool:
    """Whether an unknown word stands between a verb and its number: pays theoretical."""
    at = _last_but(words, len(words) - 1, plain.ADVERBS | NUMBER_WORDS)
    known = at < 0 or _is_verb(words[at]) or words[at].word in _PLACING | verbs.STATING | plain.CONNECTS
    return not known and _is_verb(token_at(words, at - 1)) and not _is_named(words, at - 1)


def _is_named(words: Sequence[Token], at: int) -> bool:
    """The store: a noun, though it looks like a verb."""
    return token_at(words, at - 1).word in plain.BEFORE_NOUN


def _is_verb(token: Token) -> bool:
    return token.word in plain.COPULAS or token.word in verbs.STATES


def _last_but(words: Sequence[Token], at: int, skipped: Collection[str]) -> int:
    """The last place up to one that holds none of some words."""
    while at >= 0 and words[at].word in skipped:
        at -= 1
    return at


def _act(behind: Sequence[Token]) -> bool:
    """18 trees were standing; not "18 counts Tom twice", "18 stamps gets us nowhere"."""
    if _does(behind):
        return True
    named = next((k for k in range(len(behind)) if _names_things_here(behind, k)), len(behind))
    verb = token_at(behind, named + 1)
    singular = verb.word in verbs.STATES and verb.word.endswith("s") and verb.word not in ("has", "does")
    return named < _NEXT_TO_UNIT and verb.kind == "word" and not singular


def _things_do(behind: Sequence[Token]) -> bool:
    """8 friends can sit; not "8 in days gone by"."""
    verb = token_at(behind, 1)
    return names_only_things(token_at(behind, 0)) and (_is_verb(verb) or verb.word in ("can", "will"))


def _does(behind: Sequence[Token]) -> bool:
    """7 were sold, 7 of them stayed; not "18 counts Tom twice"."""
    if token_at(behind, 0).word == "of" and token_at(behind, 1).word in plain.DEFINITE:
        return any(map(_is_verb, behind[2:5]))  # 40% of the flour goes into the loaf
    them = [token.word for token in behind[:2]] == ["of", "them"]
    verb = token_at(behind, 2 * them).word
    return (_is_verb(token_at(behind, 2 * them)) or verb in plain.HAPPENS) and not verb.endswith("s")


def _names_things_here(words: Sequence[Token], at: int) -> bool:
    """18 clips were sold: what is counted, though it looks like a verb."""
    done = token_at(words, at + 1).word in plain.COPULAS and is_counted(words[at])
    return done or names_only_things(words[at])


def _is_scaled(behind: Sequence[Token]) -> bool:
    """Whether some word behind a number makes another one of it."""
    return any(_scales(behind, at) for at in range(len(behind)))


def _scales(behind: Sequence[Token], at: int) -> bool:
    """18 logs; 18 lamps times ten, over 3, and growing; 18 lamps out of thin air; 18 than expected."""
    word, following = behind[at].word, token_at(behind, at + 1)
    certain = token_at(behind, at + 2).word in plain.CERTAIN  # out of the bag, times over the summer
    if at < _NEXT_TO_UNIT and (
        word in plain.SCALES_BEHIND - plain.SETS or (word, following.word, certain) == ("out", "of", False)
    ):
        return True
    if word in ("over", "short"):
        return following.word != "the" and any(map(is_figure, behind[at + 1 :]))
    if word == "before":
        told = UNITS.get(behind[0].word, ("", 0))[0] in ("time", "age")
        return not told and following.word not in plain.TIMES | plain.DAYS
    return {
        "times": is_figure(following) or (following.word == "over" and not certain),
        "than": following.word in ("is", "expected", "needed"),
        "and": following.word.endswith("ing")
        or (following.word in verbs.STATES and any(map(is_figure, behind[at:]))),
        "should": True,
    }.get(word, False)
