"""The one number that a statement is about, chosen by the first rule that names exactly one."""

from collections.abc import Sequence
from itertools import pairwise

from backtracking.text.answers.ambiguous import has_two_signs, is_contrast, names_no_single
from backtracking.text.answers.plain.verbs import STATES
from backtracking.text.answers.plain.words import GREATER, PLACED_BY
from backtracking.text.answers.stances import words as say
from backtracking.text.answers.stances.hedges import words_before
from backtracking.text.answers.stances.stances import Mention, Stance
from backtracking.text.answers.statements import Statement
from backtracking.text.numbers.lexer import Token, token_at
from backtracking.text.numbers.lexicon import UNITS

_WORDS_OF_CLAUSE = 2
_LEADS_TO = {"than": frozenset(("other",)), "by": say.CHANGES | say.LESSER | GREATER}
"""Words before a preposition that make its number the one meant: "older than Tom by 18 years"."""
_SECOND = frozenset(("and", "or", "but", "while", "whereas", "vs", "versus", "than"))
"""Words that put a number beside the one before it."""
_DEFINITE = (say.DETERMINERS | {"these", "those"}) - {"a", "an", "about", "exactly", "just"}
_TIMES = ("time", "age")
_WHOLE = frozenset(("can", "whole", "full", "complete", "completely"))
_LEFT_OVER = frozenset((("left", "over"), ("to", "spare")))


def meant(statement: Statement, text: str) -> Mention | None:
    """The one number that a statement is about; none when several could be."""
    claims = statement.claims
    if not claims or names_no_single(statement) or _only_circumstances(statement):
        return None
    chosen: Mention | None = None
    if len({mention.quantity.readings for mention in claims}) == 1:
        chosen = claims[-1]
    for choose in _RULES:
        chosen = chosen or choose(statement, text, claims)
    return chosen if chosen and not has_two_signs(statement, chosen) else None


def is_placed_by(statement: Statement, chosen: Mention) -> bool:
    """Whether an announced number only says where the answer lies: "the next prime after 18"."""
    word = token_at(statement.tokens, chosen.first - 1).word
    return word in say.PLACED and chosen.first - 1 > statement.begin


def _only_circumstances(statement: Statement) -> bool:
    """Whether all that a sentence claims is from what, after what or of what something is said."""
    claims = statement.claims
    if not all(mention.aside for mention in claims):
        return False
    hedged = any(m.stance is Stance.HEDGED and not m.aside for m in statement.counted)
    return hedged or not any(_may_be_asked_for(statement, mention) for mention in claims)


def _may_be_asked_for(statement: Statement, mention: Mention) -> bool:
    """Whether a circumstance may be the answer: left with 18, at 18 km/h, for 18 days, 18 more than Tom."""
    tokens = statement.tokens
    if (
        token_at(tokens, mention.first - 1).kind == "equals"
        or token_at(tokens, mention.stop).word in say.LESSER
    ):
        return True
    word, *farther = [*words_before(tokens, mention.first, 6), ""]
    if word in ("the", "these", "those", "of", "remaining") or word in say.DETERMINERS:
        return word not in ("the", "these", "those", "both") or "all" in farther[:1]
    if word == "with" and not say.KEEPS.isdisjoint(farther[:4]):
        return True
    if word in _LEADS_TO:
        marked = word == "by" and mention.quantity.percent  # marked down by 25%
        return marked or not _LEADS_TO[word].isdisjoint(farther)
    if word in ("after", "into", "with", "out", "over", "through", "off"):
        timed = word == "after" and UNITS.get(token_at(tokens, mention.stop).word, ("",))[0] in _TIMES
        only_time = timed and len(statement.counted) == 1
        return only_time or (len(statement.claims) == 1 and len(farther) > _WORDS_OF_CLAUSE)
    year = mention.quantity.value is not None and 1000 <= mention.quantity.value <= 2100
    return word in ("for", "at", "only", "another", "all", "each", "to", "minimum") or (
        word == "in" and not year
    )


def _result(statement: Statement, text: str, claims: list[Mention]) -> Mention | None:
    """What follows the last equals sign, unless the sentence goes on to another number."""
    tokens = enumerate(statement.tokens)
    equals = [
        at
        for at, token in tokens
        if (token.kind == "equals" or token.word in say.EVALUATES)
        and not any(mention.first < at < mention.stop for mention in statement.mentions)
    ]
    if not equals or equals[-1] < statement.begin:
        return None
    behind = [mention for mention in statement.mentions if mention.first > equals[-1]]
    if not behind or behind[0].stance is not Stance.CLAIMED:
        return None
    return None if any(_goes_on_to(statement.tokens, behind[0], other) for other in claims) else behind[0]


def _goes_on_to(tokens: Sequence[Token], result: Mention, other: Mention) -> bool:
    """2 × 9 = $18 in the morning and $4 in the evening; 1 mile = 1.6 km, the trail is 3.2 km long."""
    between = tokens[result.stop : other.first]
    said = bool(between) and between[-1].word in ("is", "are", "was", "were")
    clause = any(t.text == "," and between[at + 1].word in _DEFINITE for at, t in enumerate(between[:-1]))
    joined = any(token.word == "and" for token in between) or (said and clause)
    alike = result.quantity.currency == other.quantity.currency
    same = result.quantity.readings == other.quantity.readings
    return other.first > result.first and joined and alike and not same and not other.aside


def _only_currency(statement: Statement, text: str, claims: list[Mention]) -> Mention | None:
    amounts = [m for m in claims if m.quantity.currency and not _is_paid_with(statement.tokens, m.first)]
    return _single(amounts) or _single([mention for mention in amounts if not mention.aside])


def _is_paid_with(tokens: Sequence[Token], at: int) -> bool:
    """Whether an amount of money is what something was made of: "with $9 he can buy 18 pencils"."""
    before = [word for word in words_before(tokens, at, 3) if word not in say.DETERMINERS]
    return before[:1] != [] and before[0] in ("with", "after", "out", "than", "per")


def _before_reason(statement: Statement, text: str, claims: list[Mention]) -> Mention | None:
    """What "because" gives the reason for: "he is 18 because 2 × 18 = 36"."""
    places = enumerate(statement.tokens)
    reason = next((at for at, token in places if token.word in ("because", "since") and at), 0)
    before = [mention for mention in claims if mention.first < reason]
    return _single(before) or _single([mention for mention in before if not mention.aside])


def _behind_colon(statement: Statement, text: str, claims: list[Mention]) -> Mention | None:
    """The number that a colon leads to: "$3 a week for 6 weeks: $18"."""
    colons = [at for at, token in enumerate(statement.tokens) if token.text == ":"]
    last = claims[-1]
    alone = last.first - 1 in colons and len(colons) == 1
    return last if alone and token_at(statement.tokens, last.stop).kind in ("none", "stop") else None


def _main_clause(statement: Statement, text: str, claims: list[Mention]) -> Mention | None:
    """What stands behind the comma of "because …, …", "if …, …"."""
    begin = statement.begin
    while token_at(statement.tokens, begin).word in say.OPENERS or (
        begin > statement.begin and token_at(statement.tokens, begin).text == ","
    ):
        begin += 1
    opening = token_at(statement.tokens, begin).word
    commas = [at for at, t in enumerate(statement.tokens) if t.text == "," and at > begin]
    comma = commas[0] if commas else -1
    comma = next((at for at in commas if token_at(statement.tokens, at + 1).word == "then"), comma)
    opens = opening in say.CONDITIONS or opening.endswith("ing")  # having sold 12, he has 18
    if not opens or comma < 0:
        return None
    behind = [mention for mention in claims if mention.first > comma]
    return _single(behind) or _single([mention for mention in behind if not mention.aside])


def _after_contrast(statement: Statement, text: str, claims: list[Mention]) -> Mention | None:
    """What is said behind the last "but": "I thought of 20, but it is 18"."""
    places = (at for at in range(len(statement.tokens)) if is_contrast(statement.tokens, at))
    last = max(places, default=-1)
    behind = [mention for mention in claims if mention.first > last > statement.begin]
    return _single(behind) or _single([mention for mention in behind if not mention.aside])


def _predicate(statement: Statement, text: str, claims: list[Mention]) -> Mention | None:
    """The only number that something is said to be: "the sum of 5 and 13 is 18"."""
    said = _single([m for m in claims if token_at(statement.tokens, m.first - 1).word in say.YIELDS])
    between = statement.tokens[said.stop : claims[-1].first] if said else []
    if any(
        token.text == ":" and between[at + 1 : at + 2] != [] and between[at + 1].word in say.SUBJECTS
        for at, token in enumerate(between)
    ):
        return None  # her pay is 13: with the tips she has 18
    return None if said and any(_is_added(statement, said, other) for other in claims) else said


def _is_added(statement: Statement, said: Mention, other: Mention) -> bool:
    """$18 on some days and $20 on others."""
    joined = token_at(statement.tokens, other.first - 1).word in ("and", "while", "whereas")
    return other.first > said.first and joined and other.quantity.currency == said.quantity.currency


def _head(statement: Statement, text: str, claims: list[Mention]) -> Mention | None:
    """The number that a line begins with, if a remark follows it: "18, not 20", "18 (9 eggs)"."""
    first = claims[0]
    if any(
        token.kind not in ("stop", "other", "open")
        for token in statement.tokens[statement.begin : first.first]
    ):
        return None
    at = first.stop
    while token_at(statement.tokens, at).kind == "word" and at < first.stop + 3:
        at += 1
    token = token_at(statement.tokens, at)
    remark = token.kind == "open" or token.text == "," or token.text in "—–"
    return first if remark and not _lists_more(statement, at) else None


def _lists_more(statement: Statement, at: int) -> bool:
    """18, 20 and 22; 18 (before tax), 20 (after)."""
    if token_at(statement.tokens, at).kind == "open":
        closes = (k for k in range(at, len(statement.tokens)) if statement.tokens[k].kind == "close")
        at = next(closes, at) + 1
    return token_at(statement.tokens, at).text == "," and token_at(statement.tokens, at + 1).kind == "number"


def _reached(statement: Statement, text: str, claims: list[Mention]) -> Mention | None:
    """Multiplying 5 by 7 we obtain 35."""
    tokens = statement.tokens
    return _single(
        [
            m
            for m in claims
            if token_at(tokens, m.first - 1).word in say.REACHES
            and token_at(tokens, m.first - 2).word in ("we", "you", "i", "and")
        ]
    )


def _kept(statement: Statement, text: str, claims: list[Mention]) -> Mention | None:
    """Rosa sold 57 rolls and was left with 15."""
    *_, last = claims
    before = [*words_before(statement.tokens, last.first, 3), ""]
    return last if before[0] == "with" and not say.KEEPS.isdisjoint(before[1:]) else None


def _total(statement: Statement, text: str, claims: list[Mention]) -> Mention | None:
    """April: 48, May: 24, total: 72; 2 blue bolts and 1 white bolt, 3 bolts in all."""
    tokens = statement.tokens
    labelled = [
        m
        for m in claims
        if token_at(tokens, m.first - 1).text == ":" and token_at(tokens, m.first - 2).word in say.TOTALS
    ]
    last = claims[-1]
    behind = [token.word for token in tokens[last.stop : last.stop + 4] if token.kind == "word"]
    sums = behind[-2:] in (["in", "all"], ["in", "total"]) or behind[-1:] in (["altogether"], ["total"])
    summed = sums and token_at(tokens, last.first - 1).text == ","
    return _single(labelled) or (last if summed else None)


def _main(statement: Statement, text: str, claims: list[Mention]) -> Mention | None:
    return _single([mention for mention in claims if not mention.aside])


def _needed(statement: Statement, text: str, claims: list[Mention]) -> Mention | None:
    """She needs 18 eggs to make 6 cakes."""
    if len(claims) != 2:
        return None
    needed, purpose = claims
    between = [token.word for token in statement.tokens[needed.stop : purpose.first]]
    before = {token.word for token in statement.tokens[max(0, needed.first - 3) : needed.first]}
    return needed if "to" in between and not before.isdisjoint(say.REQUIRES) else None


def _object(statement: Statement, text: str, claims: list[Mention]) -> Mention | None:
    """What a number of things costs, makes or gets: "16 glasses cost her $64"."""
    tokens, last = statement.tokens, claims[-1]
    verbs_before = range(max(claims[-2].stop, last.first - 3), last.first)
    verb = next((at for at in verbs_before if tokens[at].word in STATES), None)
    if verb is None or any(token.word in PLACED_BY for token in tokens[verb - 1 : last.first]):
        return None
    between = tokens[claims[-2].stop : verb]
    return None if any(t.kind == "stop" or t.word in ("and", "or", "but") for t in between) else last


def _last(statement: Statement, text: str, claims: list[Mention]) -> Mention | None:
    """The new number that a sentence ends in: no second one of two, none that it takes for known."""
    *_, other, last = statement.counted
    between = statement.tokens[other.stop : last.first]
    begin = max((at + 1 for at, token in enumerate(between) if token.kind == "stop"), default=0)
    joined = any(token.word in _SECOND for token in between[begin:])
    before = [*words_before(statement.tokens, last.first, 2), "", ""]
    known = before[0] in _DEFINITE or before[1] == "to"  # for 3 hours to cover 210 miles
    return None if joined or known or last is not claims[-1] else last


def _restated(statement: Statement, text: str, claims: list[Mention]) -> Mention | None:
    """2 hours and 30 minutes, that is 2.5 hours."""
    start, end = statement.tokens[0].start, statement.tokens[-1].end
    start = max((token.end for token in statement.tokens if token.kind == "equals"), default=start)
    last = max((match.end() for match in say.RESTATES.finditer(text, start, end)), default=-1)
    if last < 0:
        return None
    said = next((mention for mention in claims if mention.quantity.start >= last), None)
    if said is None or token_at(statement.tokens, said.stop).word in say.LESSER | {"times"}:
        return None
    return _related(statement, said) or said


def _related(statement: Statement, said: Mention) -> Mention | None:
    """What a share or a rate is told of: 18 eggs, which is 30% of them; 36 cookies, that is 3 per child."""
    before = [mention for mention in statement.counted if mention.first < said.first]
    if any(token.kind == "equals" for token in statement.tokens) or not before or before[-1].quantity.percent:
        return None
    behind = [token.word for token in statement.tokens[said.stop : said.stop + 4]]
    if said.quantity.percent and behind[:1] == ["of"]:
        before = [mention for mention in before if mention.stance is Stance.CLAIMED and not mention.aside]
    elif not said.quantity.percent and say.RATES.isdisjoint(behind):
        return None
    told = before[0] if len(before) == 1 and before[0].stance is Stance.CLAIMED else None
    return None if told is None or _is_rate(statement, told, said) else told


def _is_rate(statement: Statement, mention: Mention, before: Mention) -> bool:
    """Whether a number is told for each of something: $5 a day."""
    between = statement.tokens[mention.stop : before.first]
    return not say.RATES.isdisjoint(token.word for token in between)


def _before_rest(statement: Statement, text: str, claims: list[Mention]) -> Mention | None:
    """It can be cut into 12 whole pieces, and 2 m are left over."""
    if len(claims) != 2:
        return None
    whole, rest = claims
    between = {token.word for token in statement.tokens[whole.stop : rest.first]}
    return whole if is_rest(statement, rest) and not between.isdisjoint(("and", "with")) else None


def is_rest(statement: Statement, mention: Mention) -> bool:
    """Whether a number tells what is left over of what can be done: "12 whole pieces, and 2 m left over"."""
    words = [token.word for token in statement.tokens[mention.stop : mention.stop + 5]]
    over = "leftover" in words or any(pair in _LEFT_OVER for pair in pairwise(words))
    return over and not _WHOLE.isdisjoint(token.word for token in statement.tokens[: mention.first])


def _single(mentions: list[Mention]) -> Mention | None:
    if not mentions or len({mention.quantity.readings for mention in mentions}) > 1:
        return None
    return mentions[-1]


_RULES = (
    _after_contrast,
    _restated,
    _before_reason,
    _main_clause,
    _result,
    _behind_colon,
    _total,
    _reached,
    _kept,
    _before_rest,
    _only_currency,
    _head,
    _needed,
    _main,
    _predicate,
    _object,
    _last,
)
