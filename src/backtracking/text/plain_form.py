"""Whether a number is stated in a plain assertive form: what is not understood around it leaves it ungraded.

What stands right before and behind a number, and all of an announcement ("the answer is …"), is looked up in
closed lists of words. A number behind an equals sign is the result of what stands before it, and is only
spoiled by words that show doubt or a mistake.
"""

from collections.abc import Collection, Sequence

from backtracking.text import plain_words as plain
from backtracking.text.doubt_words import DOUBTS, MENDED, RESERVES
from backtracking.text.lexer import Token, token_at
from backtracking.text.lexicon import NUMBER_WORDS
from backtracking.text.plain_tails import is_counted, is_figure, leaves_it
from backtracking.text.stance_words import MENDS

_LONG_CLAUSE = 12
_STRANGE = 3
"""So many unknown words make a phrase unknown."""


def is_plain(tokens: Sequence[Token], first: int, stop: int) -> bool:
    """Whether a sentence says of the number at some of its tokens nothing but that it is so."""
    begin = _after_contrast(tokens, first)
    result = _is_result(tokens[begin:], first - begin)
    said = " ".join(token.word or token.text for token in tokens[begin : _before_comparison(tokens, stop)])
    said = MENDED.sub("", said)
    if DOUBTS.search(said) or (not result and RESERVES.search(said)):
        return False
    if result:
        return True
    if token_at(tokens, first - 2).kind == "dash" and not token_at(tokens, first - 1).spaced:
        return False  # a would-be 18
    told = _is_only_told(tokens[:first], tokens[stop:])
    counts = any(token.kind == "word" and is_counted(token) for token in tokens[stop : stop + 3])
    counts = counts or tokens[first].kind == "money"
    return not told and _leads_plainly(tokens[begin:first], counts=counts) and leaves_it(tokens[stop:])


def _is_only_told(head: Sequence[Token], tail: Sequence[Token]) -> bool:
    """The paper printed 18; "printed 18 pages" counts something."""
    verb = next((token for token in reversed(head) if token.kind == "word"), None)
    if verb is None or verb.word not in plain.TELLING or token_at(tail, 0).kind == "word":
        return False
    return not any(token.word in ("we", "i", "you", "us") or is_figure(token) for token in head[-6:])


def _after_contrast(tokens: Sequence[Token], first: int) -> int:
    """Behind the last "but" or "so" of a sentence: "some say 20, but it is 18", "20; I meant 18"."""
    begin = 0
    for at in range(first):
        if _turns(tokens, begin, at) or (tokens[at].text in plain.BREAKS and _denies(tokens[begin:at])):
            begin = at + 1
    return begin


def _turns(tokens: Sequence[Token], begin: int, at: int) -> bool:
    word, previous, following = tokens[at].word, token_at(tokens, at - 1), token_at(tokens, at + 1)
    breaks = at == 0 or previous.text in plain.BREAKS
    if word == "but":
        negated = any(token.word == "not" or token.word.endswith("n't") for token in tokens[begin:at])
        return breaks or negated or following.word in plain.SUBJECT_OPENERS
    if word in plain.MISSTEPS:
        return previous.word == "i" and following.text in plain.BREAKS
    if word in plain.CORRECTS:
        return breaks or previous.word == "i"
    return word in plain.CONCLUDES and breaks and at > 0


def _denies(tokens: Sequence[Token]) -> bool:
    """It isn't 20, …"""
    negated = any(token.word in ("not", "no", "wrong") or token.word.endswith("n't") for token in tokens)
    return negated and any(is_figure(token) for token in tokens)


def _before_comparison(tokens: Sequence[Token], stop: int) -> int:
    """Where a remark begins that says what the number is not: "18, not 20", "18 instead of 20"."""
    for at in range(stop, len(tokens)):
        behind = [token.word for token in tokens[at : at + 3]]
        rejects = behind[:1] in (["not"], ["instead"], ["rather"]) or behind == ["which", "is", "not"]
        if rejects and any(is_figure(token) for token in tokens[at:]):
            return at
    return len(tokens)


def _is_result(tokens: Sequence[Token], at: int) -> bool:
    """Whether a calculation leads to the number: "9 * 2 = 18", "30 / 2 = shoe size 15"."""
    while token_at(tokens, at - 1).kind in ("open", "money") or token_at(tokens, at - 1).text in ("-", "*"):
        at -= 1
    named = next((k for k in (1, 2, 3) if token_at(tokens, at - k).kind == "equals"), 0)
    between = tokens[max(0, at - named + 1) : at]
    if not named or any(token.kind != "word" or token.word in plain.CONNECTS for token in between):
        return token_at(tokens, at - 1).kind == "about"
    return any(token.kind in ("number", "frac", "vulgar", "money") for token in tokens[: at - named])


def _leads_plainly(head: Sequence[Token], *, counts: bool) -> bool:
    words = [token for token in head if token.kind in ("word", "stop", "equals", "open") or is_figure(token)]
    announced = max((at for at in range(len(words)) if words[at].word in plain.ANSWERS), default=-1)
    colon = next((at for at in range(announced + 1, len(words)) if words[at].text == ":"), -1)
    if announced >= 0 and not any(token.kind == "equals" for token in words[announced:]):
        stop = len(words) if colon < 0 else colon
        return _announces(words[:stop], announced) and (
            colon < 0 or _states(words[colon + 1 :], labelled=True, counts=counts)
        )
    return _states(words, labelled=False, counts=counts)


def _states(words: Sequence[Token], *, labelled: bool, counts: bool) -> bool:
    """Whether words that announce nothing lead to a number in a plain way."""
    at = len(words) - 1
    while at >= 0 and (_is_skipped(words, at) or words[at].kind == "open"):
        at -= 1
    if at < 0 or _is_restatement(words, at):
        return True
    if words[at].text in (",", "\n"):
        return _only_leads_on(words[:at])
    if words[at].kind == "equals":
        said = any(token.word in plain.COPULAS for token in words[:at])
        return (
            _leads_on_to(words, at) and _tells_by_itself(words, at) and _is_quantity(words[:at], counts=said)
        )
    if words[at].text == ":":
        return labelled or _is_label(words[:at], counts=counts)
    if _known(words[: at + 1], plain.OPENERS) or (words[at].word == "that" and _known(words, plain.HEAD)):
        return True
    pointed = token_at(words, at - 1).word in ("there", "it", "that", "this")
    named = words[at].word in plain.COPULAS and not pointed
    return (named or _is_introduced(words, at)) and _takes_number(words, at, counts=counts)


def _is_skipped(words: Sequence[Token], at: int) -> bool:
    """Whether a word may stand between a verb and its number."""
    word = words[at].word
    if word == "in":
        return token_at(words, at + 1).word in ("total", "all")
    if word == "of":
        return token_at(words, at - 1).word == "total" and token_at(words, at - 2).word == "a"
    named = at > 1 and words[at].text[:1].isupper() and words[at - 1].word in plain.STATES  # "takes Ann 18"
    owner, verb = token_at(words, at - 1).word, token_at(words, at - 2).word
    named = named or (owner in plain.OWNERS and verb in plain.STATES)  # "owes his sister 18"
    return word in plain.ADVERBS or word in NUMBER_WORDS or named


def _announces(words: Sequence[Token], answer: int) -> bool:
    """So, since 2 + 3 = 5, the final answer is: only words that say no more than that."""
    begin = 0
    while token_at(words, begin).word in plain.ADVERBS or token_at(words, begin).text == ",":
        begin += 1
    comma = max((at for at in range(answer) if words[at].text == ","), default=-1)
    if token_at(words, begin).word in plain.LEADING_CLAUSES and any(map(is_figure, words[begin:comma])):
        begin = comma + 1
    in_what = range(answer + 2, len(words))
    named = {k for k in in_what if words[k - 1].text in ("(", "in") and is_counted(words[k])}
    return _known([words[k] for k in range(begin, len(words)) if k not in named], plain.HEAD)


def _known(words: Sequence[Token], known: Collection[str]) -> bool:
    return all(token.word in known or token.kind != "word" or token.word in NUMBER_WORDS for token in words)


def _only_leads_on(words: Sequence[Token]) -> bool:
    """Of the 30 students, …; so, …"""
    while words and (words[0].word in plain.CONCLUDES or words[0].text == ","):
        words = words[1:]
    if not words or _known(words, plain.OPENERS) or _says_how(words):
        return True
    if any(token.word in plain.VAGUE for token in words):
        return False
    return _is_fact(words) or any(token.word in MENDS for token in words) or _is_known_lead(words)


def _is_known_lead(words: Sequence[Token]) -> bool:
    """Whether hardly a word of what leads to a statement is unknown."""
    strange = sum(not _is_part_of_quantity(token) for token in words[1:])
    if _has_figures(words):
        return strange < _STRANGE
    leading = words[0].word in plain.LEADING_CLAUSES or words[0].word in plain.STATING
    names = len(words) > 1 and all(token.text[:1].isupper() for token in words if token.kind == "word")
    return strange == 0 and ((leading and words[0].word != "if") or names)


def _says_how(words: Sequence[Token]) -> bool:
    """Counting Sunday too, …: a participle tells how it was worked out, unless it omits or assumes."""
    first = words[0].word
    if " ".join(token.word for token in words if token.kind == "word") in plain.LEADING_IDIOMS:
        return True
    return first.endswith("ing") and first not in plain.OMITTING and len(words) < _LONG_CLAUSE


def _is_fact(words: Sequence[Token]) -> bool:
    """Although she sold fewer in May, …: a clause of its own that tells what is so, whatever follows."""
    begin = 1 + (words[0].word == "even")
    subject = token_at(words, begin)
    told = subject.word in plain.SUBJECT_OPENERS | plain.WHOLES or subject.text[:1].isupper()
    return words[begin - 1].word in plain.FACTS and told and len(words) < _LONG_CLAUSE


def _has_figures(words: Sequence[Token]) -> bool:
    return any(is_figure(token) and token.word not in ("one", "half", "third", "quarter") for token in words)


def _is_introduced(words: Sequence[Token], at: int) -> bool:
    """Whether what stands before a subject only leads on to it: "so", "after 3 hours,", "we see that"."""
    begin = _clause_begin(words[:at])
    if not _leads_on_to(words, at):
        return False
    subject = at
    while subject > begin and not _begins_subject(words, subject, begin):
        subject -= 1
    return _known(words[begin:subject], plain.HEAD) or _only_leads_on(words[begin:subject])


def _leads_on_to(words: Sequence[Token], at: int) -> bool:
    """Whether the clause before the one at a place only leads on to it."""
    begin = _clause_begin(words[:at])
    comma = begin > 0 and words[begin - 1].text == ","
    if token_at(words, begin).word in plain.GOES_ON:
        return True
    return not comma or _only_leads_on(_last_clause(words[: begin - 1]))


def _last_clause(words: Sequence[Token]) -> Sequence[Token]:
    """The words behind the last stop."""
    begin = max((at + 1 for at in range(len(words)) if words[at].text in ";:.\n"), default=0)
    return words[begin:]


def _begins_subject(words: Sequence[Token], at: int, begin: int) -> bool:
    """Whether a subject begins here that is no part of a longer one: "the bus" in "we see the bus"."""
    token, before = words[at], words[at - 1]
    if token.word not in plain.SUBJECT_OPENERS and not (token.text[:1].isupper() and at > begin):
        return False
    if before.text[:1].isupper() and token.text[:1].isupper() and at > begin + 1:
        return False  # Main Street
    if token.word == "each" and before.word in plain.SUBJECT_OPENERS:
        return False  # they each
    joins = plain.PLACED_BY | plain.STATES | plain.STATING | plain.COPULAS | plain.GIVES
    if token.word in ("we", "you") and before.word == "and":
        return True  # multiply and you get
    return before.word not in joins and before.word not in ("and", "than", "as", "or", "all", "both", "but")


def _is_restatement(words: Sequence[Token], at: int) -> bool:
    """4 cubed, i.e. 64; 2.5, or 5/2; eighteen (18)."""
    said = " ".join(token.word for token in words[max(0, at - 3) : at + 1] if token.kind == "word")
    if said.endswith((" i e", " namely")) or said in ("i e", "namely"):
        return True
    if words[at].word != "or" and token_at(words, at + 1).kind != "open":
        return False
    before = words[max(0, at - 4) : at + (words[at].word != "or")]
    return any(is_figure(token) for token in before)


def _is_label(words: Sequence[Token], *, counts: bool) -> bool:
    """Total cost: 18; apples left: 18; Ann: 18; $9 a week for 2 weeks: 18."""
    if words and words[0].word in plain.LEADING_CLAUSES and words[0].word.endswith("ing"):
        return _only_leads_on(words)
    return any(map(is_figure, words)) or all(
        token.word in plain.LABELS
        or token.word in plain.HEAD
        or token.word in plain.PLACES
        or token.word.endswith("'s")
        or (is_counted(token) and (counts or place > 0))
        for place, token in enumerate(words)
        if token.kind == "word"
    )


def _takes_number(words: Sequence[Token], at: int, *, counts: bool) -> bool:
    """Whether a verb states the number, or a preposition behind a word that takes it."""
    word, before = words[at].word, token_at(words, at - 1).word
    if word in plain.PREPOSITION_LEADS:
        if _has_amount_of(words, at):
            return True
        of_sum = word in ("of", "to", "as", "in")
        return _takes_preposition(words, at) and (not of_sum or _is_quantity(words[: at - 1], counts=False))
    if word in plain.COPULAS:
        return _leads_on_to(words, at) and _is_quantity(words[:at], counts=counts)
    if word in plain.GIVES and _is_calculation(words[:at]):
        return True
    if word in plain.STATING:
        return token_at(words, at - 1).kind in ("stop", "none") or before in ("and", "for", "by")
    return word in plain.STATES and _has_subject(words, at)


def _has_amount_of(words: Sequence[Token], at: int) -> bool:
    """The rectangle has an area of."""
    noun, article, verb = (token_at(words, at - k).word for k in (1, 2, 3))
    return noun in plain.PREPOSITION_LEADS["of"] and article in ("a", "an") and verb in ("has", "have", "had")


def _takes_preposition(words: Sequence[Token], at: int) -> bool:
    """Total of, comes to, left with, drives at."""
    takers = plain.PREPOSITION_LEADS[words[at].word]
    if words[at].word in ("for", "in", "with"):
        return not takers.isdisjoint(token.word for token in words[max(0, at - 7) : at])
    if words[at].word == "to" and any(token.word in plain.BRINGS for token in words[max(0, at - 4) : at]):
        return True  # brings her total to
    back = at - 1 - (token_at(words, at - 1).word in ("up", "down", "out", "off", "back", "only"))
    return token_at(words, back).word in takers or (
        words[at].word == "to" and is_figure(token_at(words, back))
    )


def _is_quantity(subject: Sequence[Token], *, counts: bool) -> bool:
    """Whether a subject is a quantity or a person: the cost of the two shirts; not the closest multiple.

    Of what it is the cost may be anything, and so may that be which is so many feet long.
    """
    begin = _clause_begin(subject)
    strange = [at for at in range(begin, len(subject)) if not _is_part_of_quantity(subject[at])]
    if len(strange) > 1 and not (counts and len(strange) < _STRANGE):
        return False
    return not strange or counts or token_at(subject, strange[0] - 2).word in ("of", "for")


def _clause_begin(words: Sequence[Token]) -> int:
    places = range(len(words))
    return max(
        (at + 1 for at in places if words[at].text in plain.BREAKS or words[at].word == "because"), default=0
    )


def _is_part_of_quantity(token: Token) -> bool:
    return (
        token.kind != "word"
        or token.word in plain.QUANTITIES
        or token.word in plain.PLACES
        or token.word in plain.STATES
        or token.word.endswith("'s")
        or is_counted(token)
        or is_figure(token)
        or token.word in plain.HEAD
        or token.word in plain.STATING
    )


def _has_subject(words: Sequence[Token], at: int) -> bool:
    """Whether somebody does what the verb says, in a sentence of its own."""
    word, before = words[at].word, token_at(words, at - 1).word
    if before == "to":
        governed = token_at(words, at - 2).word in plain.TO_GOVERNORS
        return governed or (word in plain.REACHES and any(map(is_figure, words[:at])))
    if word in plain.BASES and not (
        before in plain.BASE_SUBJECTS or (at and (is_counted(words[at - 1]) or is_figure(words[at - 1])))
    ):
        return False
    if not _tells_by_itself(words, at):
        return False
    hurried = any(
        t.text[:1].islower()
        and t.word.endswith("ly")
        and t.word not in plain.ADVERBS | plain.TAIL | plain.PLACES
        for t in words[:at]
    )
    return not hurried and before not in ("could", "might", "may", "not", "or")


def _tells_by_itself(words: Sequence[Token], at: int) -> bool:
    """Whether nothing but "we see" or the like stands before "that"."""
    begin = _clause_begin(words[:at])
    told = max((k for k in range(begin, at) if words[k].word == "that"), default=begin)
    return _known(words[begin:told], plain.HEAD) or _only_leads_on(words[begin:told])


def _is_calculation(words: Sequence[Token]) -> bool:
    """This gives; adding the two gives; 3 times 6 gives."""
    begin = max((at + 1 for at in range(len(words)) if words[at].text in plain.BREAKS), default=0)
    while token_at(words, begin).word in plain.ADVERBS:
        begin += 1
    first = token_at(words, begin)
    return first.word in ("this", "that", "which", "it", "we", "") or first.word.endswith("ing")
