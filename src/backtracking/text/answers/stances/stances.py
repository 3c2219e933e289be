"""Each number of a sentence with the stance that the words before and behind it give.

Words act where they stand: "not" on the numbers up to the next break, "at least" on the next number, "or
so" on the one before.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction

from backtracking.text.answers.stances import words as say
from backtracking.text.answers.stances.hedges import (
    HEDGES,
    NumberPlace,
    nearest_words,
    remark_behind,
    words_before,
    words_behind,
)
from backtracking.text.answers.stances.remarks import denies
from backtracking.text.numbers.lexer import Token, token_at
from backtracking.text.numbers.lexicon import UNITS
from backtracking.text.numbers.quantities import Quantity, read_quantity

_EXPRESSION = (
    "number",
    "frac",
    "vulgar",
    "money",
    "percent",
    "times",
    "over",
    "plus",
    "dash",
    "open",
    "close",
)


class Stance(Enum):
    """How a statement stands to a number in it."""

    CLAIMED = "claimed"
    DENIED = "denied"
    HEDGED = "hedged"
    PART = "part"
    """An operand, or part of an expression that was not evaluated."""
    NAMED = "named"
    """A label, such as step 3."""


@dataclass(frozen=True)
class Mention:
    """A number in a statement."""

    quantity: Quantity
    stance: Stance
    aside: bool
    """Whether it only says from what, for whom or when: "for 9 eggs", "in 3 days", "to clean 45 rooms"."""
    first: int
    stop: int
    """Its tokens."""


class _Scope:
    """What the words passed so far say about the numbers to come."""

    def __init__(self) -> None:
        self.denied = self.guessed = self._sticky = False

    def take(self, tokens: Sequence[Token], at: int) -> None:
        """Take in one token that is no part of a number."""
        token = tokens[at]
        if _denies(tokens, at):
            self.denied, self._sticky = True, _is_about_truth(tokens, at) or token.word in say.REJECTS
        elif _is_someones_mistake(tokens, at):
            self.denied = self._sticky = True
        elif _is_guess(tokens, at):
            self.guessed, self._sticky = True, token.word in say.OTHERS
        elif self.denied and _excludes_all_others(tokens, at):
            self.denied = False
        elif token.text in say.BREAKS or (token.word in say.JOINTS and not self._reaches_past(token)):
            self.denied = self.guessed = self._sticky = False
        elif not self._sticky and _begins_clause(tokens, at):
            self.denied = False

    def _reaches_past(self, token: Token) -> bool:
        """No way it's 18: a denial of the whole statement."""
        return self._sticky and token.word == "it's"


def read_mentions(tokens: Sequence[Token]) -> Iterator[Mention]:
    """Every number with its stance, in order."""
    scope = _Scope()
    has_figures = any(token.kind in ("number", "frac", "vulgar") for token in tokens)
    at = 0
    while at < len(tokens):
        read = read_quantity(tokens, at) if _may_begin(tokens[at]) else None
        if read is None or _is_grand_total(tokens, read[1]):
            scope.take(tokens, at)
            at += 1
            continue
        quantity, stop = read
        before, behind = words_before(tokens, at, 5), words_behind(tokens, stop, 6)
        place = NumberPlace(tokens, quantity, at, stop, before, behind, remark_behind(tokens, stop))
        if quantity.spelled and _is_only_a_word(place, has_figures=has_figures):
            at = stop
            continue
        yield Mention(quantity, _stance(place, scope), _is_aside(place), at, stop)
        at = stop


def _is_grand_total(tokens: Sequence[Token], stop: int) -> bool:
    """A grand total: no thousand."""
    return tokens[stop - 1].word == "grand" and token_at(tokens, stop).word in ("total", "sum")


def _may_begin(token: Token) -> bool:
    return token.kind not in ("stop", "equals", "close", "open", "times", "over", "other", "percent")


def _denies(tokens: Sequence[Token], at: int) -> bool:
    """Whether a negation begins here that reaches the numbers behind it."""
    word = tokens[at].word
    if word not in say.NEGATING_PAIRS and word not in say.NEGATORS and not word.endswith("n't"):
        return tokens[at].kind == "unequal"
    following = token_at(tokens, at + 1).word
    if word == "no" and following in ("way", "chance"):
        return True
    if word in say.NEGATING_PAIRS:
        return following == say.NEGATING_PAIRS[word] and token_at(tokens, at - 1).word not in say.UNDENIED
    return following not in say.BENIGN


def _excludes_all_others(tokens: Sequence[Token], at: int) -> bool:
    """It cannot be anything other than 18, it is none other than 18."""
    if (tokens[at].word, token_at(tokens, at + 1).word) != ("other", "than"):
        return False
    return token_at(tokens, at - 1).word in ("anything", "nothing", "none")


def _is_about_truth(tokens: Sequence[Token], at: int) -> bool:
    """It is not true that …; nobody says that …; it is false that …."""
    words = {token.word for token in tokens[at : at + 4]}
    return not words.isdisjoint(say.TRUTH) or tokens[at].word in ("nobody", "wrong", "deny", "doubt", "no")


def _is_someones_mistake(tokens: Sequence[Token], at: int) -> bool:
    """The naive answer, a common mistake, the previous answer, anything but."""
    word = tokens[at].word
    if word == "but":
        return token_at(tokens, at - 1).word in say.ALL_THINGS
    attempted = word == "previous" and token_at(tokens, at + 1).word in say.ATTEMPTS
    named = word in say.MISTAKES or attempted
    return named and token_at(tokens, at - 2).word not in say.MENDS  # after correcting the mistake


def _is_guess(tokens: Sequence[Token], at: int) -> bool:
    """Maybe, I guess, may be, could be, many think."""
    word = tokens[at].word
    if word in say.OTHERS:
        verbs = say.SAY if word in ("you", "you'd", "one") else say.SAY | {"get"}
        return not verbs.isdisjoint(token.word for token in tokens[at + 1 : at + 4])
    if word == "could":
        return token_at(tokens, at + 1).word in ("be", "have")
    if word == "guess":
        return token_at(tokens, at - 1).word in say.GUESSERS
    return word in say.GUESSES or tokens[at].text == "may"


def _begins_clause(tokens: Sequence[Token], at: int) -> bool:
    """Whether a denial ends here: "those not ready are 21", "we need not see that it is 18"."""
    token = tokens[at]
    if token.kind == "equals":
        return not _denies(tokens, _before_expression(tokens, at))
    if token.word in say.IS:
        return not (at and _denies(tokens, at - 1))
    if token.word == "answer":
        return not any(_denies(tokens, k) for k in range(max(0, at - 2), at))
    return token.word == "that"


def _before_expression(tokens: Sequence[Token], at: int) -> int:
    """The last token before an expression that ends here: the answer isn't | 9 × 2 = 18."""
    while at > 0 and tokens[at - 1].kind in _EXPRESSION:
        at -= 1
    return max(0, at - 1)


def _is_only_a_word(place: NumberPlace, *, has_figures: bool) -> bool:
    """Whether a spelled number is none here: "one might", "no one", "the two of them" beside figures."""
    value, (before, behind) = place.quantity.value, (place.before[:1], place.behind[:1])
    of_number = behind == ["of"] and place.beyond.kind == "number"
    if behind == ["left"] and before in (["got"], ["has"], ["have"], ["had"]):
        return False
    if place.behind[:1] == ["altogether"] or place.behind[:2] in (["in", "all"], ["in", "total"]):
        return False
    if value is None or value.denominator != 1:
        return has_figures and not of_number and (value == Fraction(1, 2) or behind == ["of"])
    if value == 1:
        return has_figures or not say.BEFORE_ONE.isdisjoint(before) or not say.BEHIND_ONE.isdisjoint(behind)
    return has_figures and 0 <= value <= 12 and not place.quantity.currency


def _stance(place: NumberPlace, scope: _Scope) -> Stance:
    """What the words around a number make of it."""
    if _is_label(place):
        return Stance.NAMED
    if scope.denied or place.before[:1] in (["no"], ["non"]) or denies(place.remark):
        return Stance.DENIED
    if scope.guessed or any(hedges(place) for hedges in HEDGES):
        return Stance.HEDGED
    if _is_given(place):
        return Stance.PART if place.following.kind == "equals" else Stance.HEDGED
    return Stance.CLAIMED


def _is_label(place: NumberPlace) -> bool:
    """Step 3, day 18, #4, and the number of a list item."""
    token = place.tokens[place.at]
    if place.previous.word in say.LABELS or (place.previous.text == "#" and not token.spaced):
        return token.kind == "number" and place.following.word not in UNITS and not _tells_when(place)
    if place.previous.text in say.MONTHS or place.following.text in say.MONTHS:
        return True
    opens = place.at == 0 and place.stop == 1 and place.following.text in (".", ")")
    return opens and len(token.text) <= 2 and place.beyond.kind != "none" and place.beyond.spaced


def _tells_when(place: NumberPlace) -> bool:
    """Whether a label is what a sentence tells: "he finishes on day 5"; not "see step 5"."""
    placed = token_at(place.tokens, place.at - 2).word in ("on", "in", "by", "until")
    alone = sum(token.kind == "number" for token in place.tokens) == 1
    ends = place.following.kind == "none" or place.following.text == "."
    return place.previous.word in say.TIMES_NUMBERED and placed and alone and ends


def _is_aside(place: NumberPlace) -> bool:
    """Whether a number is only a circumstance or a comparison, by the words around it."""
    if place.behind[:1] and place.behind[0] in say.LESSER and "than" in place.behind[:5]:
        return True
    before = place.before
    if before[1:2] == ["than"] and before[0].endswith("'s"):
        return True  # 3 more than Tom's 12
    definite = bool(before) and before[0] in ("the", "these", "those", "all", "both")
    bare = _without_determiners(before)
    said = next((k for k, word in enumerate(before) if word in say.IS or word in ("be", "get")), len(before))
    if not say.SUBORDINATORS.isdisjoint(before[:said]):
        return True
    if bare[:1] == ["in"] and not say.BRINGS_IN.isdisjoint(bare[1:2]):
        return False
    if bare and bare[0] in say.ASIDE:
        return bare[0] != "of" or not _is_amount_of(place)
    needed = not say.NEEDS.isdisjoint(bare[2:3])  # has to read 18
    reaching = bare[:1] == ["to"] and bare[2:3] == ["to"]  # to get to 18
    infinitive = reaching or (bare[1:2] == ["to"] and bare[0] not in say.TAKES_RESULT and not needed)
    return definite or infinitive


def _without_determiners(words: list[str]) -> list[str]:
    skipped = next((k for k, word in enumerate(words) if word not in say.DETERMINERS), len(words))
    return words[skipped:]


def _is_amount_of(place: NumberPlace) -> bool:
    """A total of 18, a profit of $18; not a multiple of 18, the price of 18 eggs, the rest of the 18."""
    of, (noun, *more) = nearest_words(place)
    if of != "of":
        return False
    return (
        noun in say.SUMS
        or more[:1] == ["total"]
        or (noun not in say.NO_AMOUNTS and not {"a", "an"}.isdisjoint(more))
    )


def _is_given(place: NumberPlace) -> bool:
    """Whether the words before a number put it into the question: "from the 18 eggs", "of the 18"."""
    bare = _without_determiners(place.before)[:1]
    return bare == ["from"] or (bare == ["of"] and not _is_amount_of(place))
