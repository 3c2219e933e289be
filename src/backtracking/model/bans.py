"""What a condition never lets a row say: tokens, and the pieces that would complete a phrase."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from backtracking.interventions import Condition
from backtracking.text.onsets.triggers import Pieces, pieces_of
from backtracking.text.tokenization import Tokenizer


class Bans:
    """A condition's forbidden tokens, given what a row said last.

    A phrase is told by its text, however a model may cut it: one that may not say " Wait" would else say
    " W" and "ait". It begins where no letter stands before it, in any case.
    """

    def __init__(self, condition: Condition, tokenizer: Tokenizer) -> None:
        phrases = sorted(phrase.lower() for phrase in condition.suppress_phrases)
        self._pieces: Pieces | None = pieces_of(tokenizer) if phrases else None
        self._longest = max(map(len, phrases), default=0)
        self._always = set(condition.suppress_tokens)
        self._behind: list[tuple[str, list[int]]] = []
        """What was said of a phrase, and the tokens that are all the rest of it."""
        if self._pieces is not None:
            self._always |= _completing(self._pieces, tuple(phrases))
            splits = {(phrase[:k], phrase[k:]) for phrase in phrases for k in range(len(phrase))}
            self._behind = [
                (said, self._pieces.tokens[rest])
                for said, rest in sorted(splits)
                if rest in self._pieces.tokens
            ]

    def as_data(self) -> dict[str, Any]:
        """The same as plain data, for code that has no tokenizer of ours."""
        return {
            "always": sorted(self._always),
            "behind": self._behind,
            "texts": self._pieces.texts if self._pieces is not None else [],
            "longest": self._longest,
        }

    def after(self, said: Sequence[int]) -> list[int]:
        """The tokens that may not come next in a completion."""
        if self._pieces is None:
            return sorted(self._always)
        text = self._pieces.end_of(said, self._longest + 1)
        banned = (tokens for start, tokens in self._behind if _begins(text, start))
        return sorted(self._always.union(*banned))

    def apply(self, logits: Tensor, said: Mapping[int, Sequence[int]]) -> None:
        """Make them impossible, in place, in some rows of logits [rows, vocabulary]; each said something."""
        for row, ids in said.items():
            logits[row, torch.tensor(self.after(ids), device=logits.device, dtype=torch.long)] = -torch.inf


@lru_cache(maxsize=8)
def _completing(pieces: Pieces, phrases: tuple[str, ...]) -> frozenset[int]:
    """The tokens that end in a phrase and hold more than it, whatever was said before."""
    return frozenset(
        token
        for token, text in enumerate(pieces.texts)
        if text.endswith(phrases) and any(_begins(text, phrase) for phrase in phrases if text != phrase)
    )


def _begins(text: str, start: str) -> bool:
    """Whether a text ends in the start of a phrase, no letter before it."""
    if not text.endswith(start):
        return False
    before = text[: len(text) - len(start)]
    return not before[-1:].isalpha()
