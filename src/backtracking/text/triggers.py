"""Trigger phrases and sentence ends as token ids of one tokenizer."""

from collections.abc import Sequence
from dataclasses import dataclass

from backtracking.text.tokenization import TokenFamilies, Tokenizer, decode, phrase_forms

_ENDS = (".", "!", "?", "\n", "。", "！", "？")
_CLOSERS = "\"'”’)]}*_ \t"


@dataclass(frozen=True)
class Triggers:
    """The tokens that begin each trigger phrase, and the token sequences that spell them."""

    families: dict[str, frozenset[int]]
    phrases: tuple[tuple[int, ...], ...]

    @property
    def tokens(self) -> frozenset[int]:
        return frozenset().union(*self.families.values())

    @classmethod
    def of(cls, tokenizer: Tokenizer, phrases: Sequence[str]) -> "Triggers":
        """Derived from the vocabulary: all case and space variants that it can spell."""
        families = TokenFamilies(tokenizer).of_all(phrases)
        forms = {form for phrase in phrases for form in phrase_forms(phrase)}
        spelled = [
            tuple(map(int, tokenizer.encode(form, add_special_tokens=False))) for form in sorted(forms)
        ]
        known = {ids for ids in spelled if ids and decode(tokenizer, ids, skip_special=False) in forms}
        return cls({phrase: frozenset(family) for phrase, family in families.items()}, tuple(sorted(known)))


def sentence_end_tokens(tokenizer: Tokenizer) -> frozenset[int]:
    """Tokens after which a sentence or a line may begin."""
    texts = ((token, decode(tokenizer, [token], skip_special=False)) for token in range(len(tokenizer)))
    return frozenset(token for token, text in texts if text.rstrip(_CLOSERS).endswith(_ENDS))
