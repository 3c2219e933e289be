"""Whether a number is stated in a plain assertive form: what is not understood around it leaves it ungraded.

What stands right before and behind a number, and all of an announcement ("the answer is …"), is looked up in
closed lists of words. A number behind an equals sign is the result of what stands before it, and is only
spoiled by words that show doubt or a mistake.
"""

from collections.abc import Sequence

from backtracking.text.answers.plain import verbs
from backtracking.text.answers.plain import words as plain
from backtracking.text.answers.plain.leads import (
    all_known,
    clause_begin,
    is_fact,
    leads_on_to,
    only_leads_on,
    tells_by_itself,
)
from backtracking.text.answers.plain.others import is_anothers
from backtracking.text.answers.plain.sober import is_sober
from backtracking.text.answers.plain.subjects import belongs_to_standard, is_quantity, sums_up, takes_number
from backtracking.text.answers.plain.tails import calculates_on, leaves_it, names_another
from backtracking.text.answers.plain.tellings import tells
from backtracking.text.answers.plain.things import (
    is_concrete,
    is_counted,
    is_figure,
    is_plural,
    is_superlative,
)
from backtracking.text.answers.stances.doubts import DOUBTS, MENDED, RESERVES
from backtracking.text.numbers.lexer import NOTHING, Token, token_at
from backtracking.text.numbers.lexicon import NUMBER_WORDS

_JOINS = (
    (plain.BASE_SUBJECTS - plain.SUBJECT_OPENERS)
    | plain.PLACED_BY
    | verbs.STATES
    | verbs.STATING
    | plain.COPULAS
    | plain.GIVES
    | frozenset(("and", "than", "as", "or", "all", "both", "but"))
)
"""Words that what follows belongs to: no subject begins behind them."""


def is_plain(
    tokens: Sequence[Token], first: int, stop: int, *, alone: bool = False, confirmed: bool = False
) -> bool:
    """Whether a sentence says of the number at some of its tokens nothing but that it is so."""
    begin = _after_contrast(tokens, first)
    result = _is_result(tokens[begin:], first - begin)
    end = _before_comparison(tokens, stop)
    said = " ".join(token.word or token.text for token in tokens[begin:end])
    said = MENDED.sub("", said)
    if DOUBTS.search(said) or (not result and RESERVES.search(said)):
        return False
    if belongs_to_standard(tokens[begin:first]) or names_another(tokens[stop:end]):
        return False
    if result:
        return not calculates_on(tokens[stop:end])
    would_be = token_at(tokens, first - 2).kind == "dash" and not token_at(tokens, first - 1).spaced
    concluded = token_at(tokens, 0).word in plain.CONCLUDES  # so 18 is what Ann earns
    if would_be or (not concluded and is_anothers(tokens[stop:end])):
        return False
    counts = any(token.kind == "word" and is_counted(token) for token in tokens[stop : stop + 3])
    counts = counts or tokens[first].kind == "money" or token_at(tokens, stop - 1).kind == "percent"
    told = _is_only_told(tokens[:first], tokens[stop:], counts=counts)
    if (
        not told
        and _leads_plainly(tokens[begin:first], counts=counts)
        and leaves_it(tokens[stop:], counts=counts)
    ):
        return True
    return (confirmed or (alone and not told)) and tells(
        tokens[begin:], first - begin, stop - begin, counts=counts, confirmed=confirmed
    )


def _is_only_told(head: Sequence[Token], tail: Sequence[Token], *, counts: bool) -> bool:
    """The paper printed 18; "printed 18 pages" counts something, and so does "got $18"."""
    verb = next((token for token in reversed(head) if token.kind == "word"), None)
    labelled = bool(head) and head[-1].text == ":"
    if verb is None or verb.word not in plain.TELLING or labelled or token_at(tail, 0).kind == "word":
        return False
    if counts and verb.word in ("get", "gets", "got"):
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
    if word in ("no", "nope") and following.kind == "word" and following.word not in plain.SUBJECT_OPENERS:
        return False
    if word in plain.CORRECTS:
        return breaks or previous.word == "i"
    starts = (
        following.word in plain.SUBJECT_OPENERS - {"that"}
        or is_figure(following)
        or following.kind == "money"
    )
    return (
        word in plain.CONCLUDES
        and at > 0
        and (breaks or (word == "so" and (starts or following.text == ",")))
    )


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
    head = _without_choice(head)
    words = [token for token in head if token.kind in ("word", "stop", "equals", "open") or is_figure(token)]
    words = _without_inclusion(words)
    announced = max((at for at in range(len(words)) if words[at].word in plain.ANSWERS), default=-1)
    opened = max((at + 1 for at in range(announced) if words[at].text == ":"), default=0)
    if announced >= 0 and not any(map(is_figure, words[:opened])):
        words, announced = words[opened:], announced - opened
    if [token.word for token in words[announced + 1 : announced + 3]] == ["is", "that"] and announced >= 0:
        words, announced = words[announced + 3 :], -1
    colon = next((at for at in range(announced + 1, len(words)) if words[at].text == ":"), -1)
    if announced >= 0 and not any(token.kind == "equals" for token in words[announced:]):
        stop = len(words) if colon < 0 else colon
        return _announces(words[:stop], announced) and (
            colon < 0 or _states(words[colon + 1 :], labelled=True, counts=counts)
        )
    return _states(words, labelled=False, counts=counts)


def _without_inclusion(words: list[Token]) -> list[Token]:
    """The bill, including the tip, is: the same without what stands between the commas."""
    begin = next((at for at, token in enumerate(words) if token.word == "including"), 0)
    end = next((at for at in range(begin + 1, len(words)) if words[at].text == ","), 0)
    enclosed = token_at(words, begin - 1).text == "," and is_concrete(words[begin:end])
    return words[: begin - 1] + words[end + 1 :] if begin and end and enclosed else words


def _without_choice(head: Sequence[Token]) -> Sequence[Token]:
    """The same without the letter of the choice that the number is: "(B) 18", "the answer is B, 18"."""
    letter, behind = token_at(head, len(head) - 2), token_at(head, len(head) - 1)
    lettered = len(letter.text) == 1 and letter.text in "ABCDEF"
    if not lettered or not (behind.kind == "close" or behind.text in (",", ":", ".")):
        return head
    return head[: len(head) - 2 - (token_at(head, len(head) - 3).kind == "open")]


def _states(words: Sequence[Token], *, labelled: bool, counts: bool) -> bool:
    """Whether words that announce nothing lead to a number in a plain way."""
    at = _before_receiver(words, len(words) - 1)
    while at >= 0 and (_is_skipped(words, at) or words[at].kind == "open"):
        at -= 1
    if at < 0 or _is_restatement(words, at) or sums_up(words, len(words) - 1):
        return True
    if words[at].text in (",", "\n"):
        return only_leads_on(words[:at])
    if words[at].kind == "equals":
        said = any(token.word in plain.COPULAS for token in words[:at])
        return leads_on_to(words, at) and tells_by_itself(words, at) and is_quantity(words[:at], counts=said)
    if words[at].text == ":":
        return labelled or _is_label(words[:at], counts=counts)
    if all_known(words[: at + 1], plain.OPENERS) or (
        words[at].word == "that" and all_known(words, plain.HEAD)
    ):
        return True
    pointed = token_at(words, at - 1).word in ("there", "it", "that", "this")
    named = words[at].word in plain.COPULAS and not pointed
    return (named or _is_introduced(words, at)) and takes_number(words, at, counts=counts)


def _before_receiver(words: Sequence[Token], at: int) -> int:
    """Where the verb stands, if somebody stands between it and the number: "gave the cashier 18"."""
    giving = next((k for k in range(at - 1, max(-1, at - 5), -1) if words[k].word in plain.HANDS), None)
    if giving is None or words[giving + 1].word not in plain.DEFINITE:
        return at
    concrete = all(token.kind == "word" for token in words[giving + 1 : at + 1])
    return giving if concrete and is_concrete(words[giving + 1 : at + 1]) else at


def _is_verb(words: Sequence[Token], at: int) -> bool:
    """Whether a verb stands at a place that keeps its meaning beside "up" or "in"."""
    verb, before = token_at(words, at).word, token_at(words, at - 1).word
    named = before in plain.DEFINITE or before in ("a", "an")
    return verb in verbs.STATES and verb not in plain.PUTS_ASIDE and not named


def _is_skipped(words: Sequence[Token], at: int) -> bool:
    """Whether a word may stand between a verb and its number."""
    word = words[at].word
    if word in plain.PARTICLES and _is_verb(words, at - 1):
        return True
    if word == "it":
        return token_at(words, at - 1).word in ("makes", "make", "made")
    if word == "in":
        return token_at(words, at + 1).word in ("total", "all")
    if word == "of":
        return token_at(words, at - 1).word == "total" and token_at(words, at - 2).word in ("a", "grand")
    named = at > 1 and words[at].text[:1].isupper() and words[at - 1].word in verbs.STATES  # "takes Ann 18"
    owner, verb = token_at(words, at - 1).word, token_at(words, at - 2).word
    named = named or (owner in plain.OWNERS and verb in verbs.STATES)  # "owes his sister 18"
    return word in plain.ADVERBS or word in NUMBER_WORDS or named


def _announces(words: Sequence[Token], answer: int) -> bool:
    """So, since 2 + 3 = 5, the final answer is: only words that say no more than that."""
    begin = 0
    while token_at(words, begin).word in plain.ADVERBS or token_at(words, begin).text == ",":
        begin += 1
    comma = max((at for at in range(answer) if words[at].text == ","), default=-1)
    clause = words[begin : max(comma, begin)]
    led = token_at(words, begin).word in plain.LEADING_CLAUSES and any(map(is_figure, clause))
    if clause and (led or is_fact(clause)):
        begin = comma + 1
    in_what = range(answer + 2, len(words))
    named = {k for k in in_what if words[k - 1].text in ("(", "in") and is_counted(words[k])}
    return all_known([words[k] for k in range(begin, len(words)) if k not in named], plain.HEAD)


def _is_introduced(words: Sequence[Token], at: int) -> bool:
    """Whether what stands before a subject only leads on to it: "so", "after 3 hours,", "we see that"."""
    begin = clause_begin(words[:at])
    if not leads_on_to(words, at):
        return False
    subject = at
    while subject > begin and not _begins_subject(words, subject, begin):
        subject -= 1
    return all_known(words[begin:subject], plain.HEAD) or only_leads_on(words[begin:subject])


def _begins_subject(words: Sequence[Token], at: int, begin: int) -> bool:
    """Whether a subject begins here that is no part of a longer one: "the bus" in "we see the bus"."""
    token, before = words[at], words[at - 1]
    if token.word not in plain.SUBJECT_OPENERS and not (token.text[:1].isupper() and at > begin):
        return False
    if (
        before.text[:1].isupper()
        and token.text[:1].isupper()
        and (at > 1 or (before.word not in plain.HEAD and before.word not in plain.LEADING_CLAUSES))
    ):
        return False  # Main Street
    if token.word == "each" and before.word in plain.SUBJECT_OPENERS:
        return False  # they each
    if token.word in ("we", "you") and before.word == "and":
        return True  # multiply and you get
    return before.word not in _JOINS


def _is_restatement(words: Sequence[Token], at: int) -> bool:
    """4 cubed, i.e. 64; 2.5, or 5/2; eighteen (18)."""
    said = " ".join(token.word for token in words[max(0, at - 3) : at + 1] if token.kind == "word")
    if said.endswith((" i e", " namely")) or said in ("i e", "namely"):
        return True
    if words[at].text == "," and [token.word for token in words[at - 2 : at]] == ["that", "is"]:
        return True
    if words[at].word == "or" and words[at - 1].text == ",":
        return True
    if words[at].word != "or" and token_at(words, at + 1).kind != "open":
        return False
    before = words[max(0, at - 4) : at + (words[at].word != "or")]
    return any(is_figure(token) for token in before)


def _is_task(words: Sequence[Token]) -> bool:
    """Then add the cost of the hat; find how many were left."""
    at = next((k for k, token in enumerate(words) if token.word not in plain.ORDERS), len(words))
    return token_at(words, at).word in plain.TASKS


def _names_amount(words: Sequence[Token]) -> bool:
    """Age of the oldest sibling; eggs left to sell; sold on Saturday."""
    first, *more = words or [NOTHING]
    things = is_plural(first.word) and not first.word.endswith("'s")
    named = things or first.word in plain.AMOUNTS | plain.DONE
    return named and is_sober([token for token in more if not is_superlative(token.word)])


def _is_label(words: Sequence[Token], *, counts: bool) -> bool:
    """Total cost: 18; apples left: 18; Ann: 18; $9 a week for 2 weeks: 18."""
    if words and words[0].word in plain.LEADING_CLAUSES and words[0].word.endswith("ing"):
        return only_leads_on(words)
    if _is_task(words):
        return True
    if any(words[at].word in plain.REACHES and words[at - 1].word == "to" for at in range(1, len(words))):
        return True  # subtract the cost to find the profit
    said = " ".join(token.word for token in words if token.word not in ("", *plain.CONCLUDES))
    if said in plain.LEADING_IDIOMS or _names_amount(words):
        return True
    return any(map(is_figure, words)) or all(
        token.word in plain.LABELS
        or token.word in plain.HEAD
        or token.word in plain.PLACES
        or token.word.endswith("'s")
        or (is_counted(token) and (counts or place > 0))
        for place, token in enumerate(words)
        if token.kind == "word"
    )
