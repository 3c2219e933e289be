"""Trigger phrases and sentence ends as token ids of one tokenizer."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from backtracking.text.tokenization import Tokenizer, decode, families_of, phrase_forms

Phrase = tuple[int, ...]
"""Token ids that spell a phrase."""
_ENDS = (".", "!", "?", "\n", "。", "！", "？")
_CLOSERS = "\"'”’)]}*_ \t"


@dataclass(frozen=True)
class Triggers:
    """The token sequences that spell each trigger phrase.

    A first piece is distinctive where it is a sequence of its own: it holds the whole of a one-word phrase.
    Any other (" But" of "but wait", "W" of "WAIT") is the phrase only together with what follows.
    """

    spelled: Mapping[str, tuple[Phrase, ...]]

    @classmethod
    def of(cls, tokenizer: Tokenizer, phrases: Iterable[str]) -> "Triggers":
        """Derived from the vocabulary: all case and space variants that it can spell."""
        spell = Speller(tokenizer)
        return cls({phrase: spell(phrase) for phrase in phrases})

    @property
    def phrases(self) -> tuple[Phrase, ...]:
        """Every sequence that spells one of them."""
        return shortest(ids for spelled in self.spelled.values() for ids in spelled)

    @property
    def families(self) -> dict[str, frozenset[int]]:
        """The tokens that begin each phrase."""
        return {phrase: frozenset(ids[0] for ids in spelled) for phrase, spelled in self.spelled.items()}

    @property
    def tokens(self) -> frozenset[int]:
        """The tokens that begin any of them."""
        return frozenset(ids[0] for ids in self.phrases)

    @property
    def distinctive(self) -> frozenset[int]:
        """The tokens that are a trigger whatever follows."""
        return frozenset(ids[0] for ids in self.phrases if len(ids) == 1)

    def places(self, ids: Sequence[int]) -> set[int]:
        """The positions of a text whose token is part of a trigger, the whole of which stands there."""
        begun: dict[int, list[Phrase]] = {}
        for phrase in self.phrases:
            begun.setdefault(phrase[0], []).append(phrase)
        return {
            place
            for start, token in enumerate(ids)
            for phrase in begun.get(token, ())
            if tuple(ids[start : start + len(phrase)]) == phrase
            for place in range(start, start + len(phrase))
        }


class Speller:
    """How a tokenizer spells phrases."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._families = families_of(tokenizer)

    def __call__(self, phrase: str) -> tuple[Phrase, ...]:
        """Every case and space variant in the pieces that the tokenizer cuts it into.

        Where the first word is one piece, any token that is this word may stand for it.
        """
        forms = phrase_forms(phrase)
        cut = {tuple(map(int, self._tokenizer.encode(form, add_special_tokens=False))) for form in forms}
        known = {ids for ids in cut if ids and decode(self._tokenizer, ids, skip_special=False) in forms}
        first, *others = phrase.split()
        whole = self._families.whole(first)
        rests = {ids[1:] for ids in known if ids[0] in whole} if others else {()}
        return shortest(known | {(token, *rest) for token in whole for rest in rests})


class Pieces:
    """What each token of a vocabulary adds to a text, in lower case."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        # Alone or in front, some tokenizers drop a piece's space.
        ahead = next(k for k in range(len(tokenizer)) if decode(tokenizer, [k]).strip().isalnum())
        shown = len(decode(tokenizer, [ahead]))
        self.texts = [decode(tokenizer, [ahead, token])[shown:].lower() for token in range(len(tokenizer))]
        self.tokens: dict[str, list[int]] = {}
        for token, text in enumerate(self.texts):
            self.tokens.setdefault(text, []).append(token)

    def end_of(self, ids: Sequence[int], length: int) -> str:
        """The last characters of a text, at least so many where there are."""
        parts: list[str] = []
        for token in reversed(ids):
            if length <= 0:
                break
            parts.append(self.texts[token] if token < len(self.texts) else "")
            length -= len(parts[-1])
        return "".join(reversed(parts))


def pieces_of(tokenizer: Any) -> Pieces:
    """The pieces of a tokenizer, looked through once."""
    return _kept(tokenizer)


_kept = lru_cache(maxsize=2)(Pieces)


def shortest(phrases: Iterable[Phrase]) -> tuple[Phrase, ...]:
    """Sequences without those that go on from another one of them: where that stands, they say no more."""
    ways = set(phrases)
    return tuple(sorted(ids for ids in ways if not any(ids[:k] in ways for k in range(1, len(ids)))))


def sentence_end_tokens(tokenizer: Tokenizer) -> frozenset[int]:
    """Tokens after which a sentence or a line may begin."""
    texts = ((token, decode(tokenizer, [token], skip_special=False)) for token in range(len(tokenizer)))
    return frozenset(token for token, text in texts if text.rstrip(_CLOSERS).endswith(_ENDS))
