"""What voids a number by the words around it: bounds, ranges, alternatives, scalings, remarks behind it."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from backtracking.text.answers.plain.verbs import STATING
from backtracking.text.answers.stances import words as say
from backtracking.text.answers.stances.remarks import leaves_open
from backtracking.text.numbers.lexer import Token, token_at
from backtracking.text.numbers.lexicon import DENOMINATORS, NUMBER_WORDS, ORDINAL_ENDINGS
from backtracking.text.numbers.quantities import Quantity, read_quantity

_REMARK = 12
_FIGURES = ("number", "frac", "vulgar", "money")


class NumberPlace(NamedTuple):
    """A number with the words on both sides, nearest first, up to a break or another number."""

    tokens: Sequence[Token]
    quantity: Quantity
    at: int
    stop: int
    before: list[str]
    behind: list[str]
    remark: str
    """The text right behind it, as `remarks` reads it."""

    @property
    def previous(self) -> Token:
        """The token before the number."""
        return token_at(self.tokens, self.at - 1)

    @property
    def following(self) -> Token:
        """The token behind the number."""
        return token_at(self.tokens, self.stop)

    @property
    def beyond(self) -> Token:
        """The second token behind the number."""
        return token_at(self.tokens, self.stop + 1)


def words_before(tokens: Sequence[Token], at: int, count: int) -> list[str]:
    """The words right before a place, nearest first, up to a break."""
    words: list[str] = []
    for token in reversed(tokens[max(0, at - count) : at]):
        if token.text in say.BREAKS or token.kind in ("number", "equals"):
            break
        words.append(token.word or token.text)
    return words


def words_behind(tokens: Sequence[Token], at: int, count: int) -> list[str]:
    """The words right behind a place, up to a number or an equals sign."""
    words: list[str] = []
    for token in tokens[at : at + count]:
        if token.kind in ("number", "equals"):
            break
        words.append(token.word or token.text)
    return words


def remark_behind(tokens: Sequence[Token], at: int) -> str:
    """The text behind a number, words in small letters and one space between tokens."""
    return " ".join(token.word or token.text for token in tokens[at : at + _REMARK])


def _is_ellipsis(place: NumberPlace) -> bool:
    """36..40"""
    before = place.previous.text.startswith("..") and token_at(place.tokens, place.at - 2).kind == "number"
    return before or (place.following.text.startswith("..") and place.beyond.kind == "number")


def _is_at_bound(place: NumberPlace) -> bool:
    """>18, 18±2, 18 ≠ x, 18+, !18."""
    if "apart" in (place.previous.kind, place.following.kind) or place.previous.kind == "bound":
        return True
    if place.previous.text in ("!", "¬", "_") and not place.tokens[place.at].spaced:
        return True
    if place.previous.text in ("✗", "✘", "❌"):
        return True
    if place.following.kind in ("bound", "unequal") or _is_ellipsis(place):
        return True
    if place.following.text == "," and place.beyond.text in ("∞", "\\infty"):
        return True
    return place.following.kind == "plus" and not place.following.spaced and place.beyond.kind not in _FIGURES


def nearest_words(place: NumberPlace) -> tuple[str, list[str]]:
    """The word right before a number and at least three farther ones, empty where there are none."""
    words = [*place.before, "", "", "", ""]
    return words[0], words[1:]


def _is_compared(place: NumberPlace) -> bool:
    """At least 18, more than 18, over 18, larger than or equal to 18, capped at 18, not quite 18."""
    nearest, farther = nearest_words(place)
    if nearest in ("like", "formerly", "previously"):
        return True
    if nearest in say.BOUNDS:
        return farther[0] != "other" and not (nearest == "over" and farther[0] in ("hand", "hands", "handed"))
    if nearest == "to":
        return _is_compared_to(farther)
    befores = {
        "of": ("minimum", "maximum", "short"),
        "at": say.CAPS,
        "as": ("many", "much", "such"),
        "quite": ("not",),
    }
    return farther[0] in befores.get(nearest, ()) and farther[1] != "twice"


def _is_compared_to(farther: list[str]) -> bool:
    """Up to 18, close to 18, compared to 18; not adds up to 18."""
    if farther[0] == "up":
        return farther[1] not in say.SUMS_UP
    return farther[0] in say.CLOSE_TO or farther[:3] == ["equal", "or", "than"]


def _is_base_of_comparison(place: NumberPlace) -> bool:
    """18 less than 30."""
    return (
        place.behind[1:2] == ["than"]
        and place.behind[0] in say.LESSER
        and token_at(place.tokens, place.stop + 2).kind in _FIGURES
    )


def _is_loosened_behind(place: NumberPlace) -> bool:
    """18 or so, 18 dollars or more, 18 at most, 18-ish, 18 plus, 18, give or take; 18 to the power of 2."""
    behind = place.behind
    if behind[:2] == [",", "or"] or behind[:1] in (["or"], ["root"]) or _is_power(behind):
        return True
    if behind[:1] in (["plus"], ["ish"]) and place.beyond.kind in ("none", "stop", "word"):
        return True
    if place.following.kind == "dash" and place.beyond.word == "ish":
        return True
    pairs = {tuple(behind[k : k + 2]) for k in range(3)}
    return not pairs.isdisjoint(say.LOOSENING_PAIRS)


def _is_power(behind: list[str]) -> bool:
    """To the power of 2, to the third power."""
    return behind[:2] == ["to", "the"] and "power" in behind[2:4]


def _is_attributive(place: NumberPlace) -> bool:
    """A 36-hour week."""
    joined = place.following.kind == "dash" and not place.following.spaced and not place.beyond.spaced
    return joined and place.beyond.kind == "word"


def _is_place_in_a_row(place: NumberPlace) -> bool:
    """The 18th prime; the answer is 18th; not a box with 18th or "= 18th place": a rank was asked for."""
    suffix = place.tokens[place.stop - 1]
    if suffix.word not in ORDINAL_ENDINGS or place.following.word in say.NUMBER_KINDS:
        return suffix.word in ORDINAL_ENDINGS
    return suffix.start == place.tokens[place.at].end and place.previous.kind not in ("equals", "none")


def _is_one_of_several(place: NumberPlace) -> bool:
    """18 or 20, between 18 and 20, 18–20, 18 to 20."""
    clause = {token.word for token in place.tokens[max(0, place.at - 6) : place.at]}
    if place.before[:1] == ["or"] or (place.before[:1] == ["and"] and "between" in clause):
        return True
    if _is_range(place.tokens, place.stop) or _is_range(place.tokens, place.at - 1):
        return True
    for to in (place.stop, place.stop + 1):
        other = read_quantity(place.tokens, to + 1) if token_at(place.tokens, to).word == "to" else None
        if other is not None and place.quantity.percent <= other[0].percent:
            return True
    if token_at(place.tokens, place.at - 2).kind == "percent" and not place.quantity.percent:
        return False  # falls by 25% to 18
    figures = any(token_at(place.tokens, place.at - 2 - k).kind in (*_FIGURES, "percent") for k in range(2))
    spelled = token_at(place.tokens, place.at - 2).word in NUMBER_WORDS
    return (
        place.previous.word == "to"
        and (figures or spelled)
        and ("from" not in clause or not clause.isdisjoint(say.ANYWHERE))
    )


def _is_range(tokens: Sequence[Token], dash: int) -> bool:
    """18–20, an unspaced dash between two numbers; a hyphen only if the second one is larger."""
    before, sign, behind = (token_at(tokens, dash + k) for k in (-1, 0, 1))
    figures = before.kind == "number" and behind.kind in ("number", "money")
    if sign.kind != "dash" or not figures or sign.spaced or behind.spaced:
        return False
    ascends = (len(before.text), before.text) < (len(behind.text), behind.text)
    return sign.text in "–—" or behind.kind == "money" or ascends


def _is_rounded_away(place: NumberPlace) -> bool:
    """About 18: rounding to a whole number says no digit for certain, 18.33 does."""
    return not say.ABOUT.isdisjoint(place.before[:2]) and place.quantity.decimals == 0


def _is_scaled(place: NumberPlace) -> bool:
    """Half of 18, twice 18, the square root of 18; twice what we found (18)."""
    nearest, farther = nearest_words(place)
    if place.previous.kind == "open":
        ahead = place.tokens[max(0, place.at - 6) : place.at - 1]
        figures = any(token.kind in _FIGURES or token.word in NUMBER_WORDS - say.SCALING for token in ahead)
        return not figures and any(token.word in say.SCALING for token in ahead)
    if farther[0] in ("log", "\\log"):
        return True  # log₂ 64
    if nearest in say.SCALING:
        return nearest not in DENOMINATORS
    scales = say.SCALING | NUMBER_WORDS - {"grand"}  # a grand total of 18
    return nearest == "of" and any(word in scales for word in farther[:2])


def _is_unreached(place: NumberPlace) -> bool:
    """Far from earning 18; stopped short of making 18; quit painting 18 doors; not "by selling 18"."""
    doing = next((at for at, word in enumerate(place.before) if word in STATING), None)
    if doing is None or not all(word in say.DETERMINERS for word in place.before[:doing]):
        return False
    governor, farther = [*place.before[doing + 1 :], "", ""][:2]
    return governor in say.UNREACHING and (farther, governor) not in say.GOES_ON_DOING


def _may_only_be_done(place: NumberPlace) -> bool:
    """She could earn 18; not "by selling the hat she could earn 18", "could be 18"."""
    if place.before[1:2] != ["could"] and place.before[2:3] != ["could"]:
        return False
    others = (token for at, token in enumerate(place.tokens) if not place.at <= at < place.stop)
    return not any(token.kind in _FIGURES or token.word in say.MEANS for token in others)


def _is_left_open(place: NumberPlace) -> bool:
    previous = place.previous
    bare = previous.kind == "none" or previous.text == ":" or previous.word == "is"
    return leaves_open(place.remark, bare=bare, result=previous.kind == "equals")


HEDGES: tuple[Callable[[NumberPlace], bool], ...] = (
    _is_at_bound,
    _is_compared,
    _is_base_of_comparison,
    _is_loosened_behind,
    _is_place_in_a_row,
    _is_attributive,
    _is_one_of_several,
    _is_rounded_away,
    _is_scaled,
    _is_unreached,
    _may_only_be_done,
    _is_left_open,
)
