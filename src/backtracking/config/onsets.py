"""The kinds of onset, and what a rule for one says."""

from collections.abc import Mapping
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, Field

from backtracking.config.base import Section

TurnKind = Literal["doubt", "redo"]
"""Kinds that rules find; each has a key in `TurnSection` and its bundled rules in `assets/onsets/`.

Columns, rates and counts of a kind follow from its name. At one place the rules of the last kind
are tried first, and the first that fits has the onset: a kind that is added at the end takes onsets
from those before it.
"""
TURN_KINDS: tuple[TurnKind, ...] = get_args(TurnKind)
THE_WRITER: Mapping[TurnKind, str] = {
    "doubt": "questions what was written",
    "redo": "drops what was written and goes another way",
}
"""What the writer does at an onset of each kind, in the words of reports."""
OnsetKind = Literal["strict", "relaxed", TurnKind]
StudiedOnsets = Literal["strict", "relaxed", TurnKind, "doubt_or_redo"]
TOGETHER: Mapping[StudiedOnsets, tuple[TurnKind, ...]] = {"doubt_or_redo": ("doubt", "redo")}
"""Kinds that are counted and rated as one, beside each for itself."""
MEMBERS: Mapping[StudiedOnsets, tuple[OnsetKind, ...]] = {
    "strict": ("strict",),
    "relaxed": ("strict", "relaxed"),
    **{kind: (kind,) for kind in TURN_KINDS},
    **TOGETHER,
}
"""Which kinds an analysis of these onsets takes in."""

Label = Literal[TurnKind, "none"]
LABELS: tuple[Label, ...] = (*TURN_KINDS, "none")
"""What somebody may call a sentence."""

_LONGEST, _MOST_OPTIONAL = 600, 6


def _readable(phrase: str) -> str:
    """Refuse what begins nowhere, and what could take a pattern long."""
    tokens = phrase.split()
    required = [token for token in tokens if not token.endswith("?")]
    if not required:
        raise ValueError("a phrase needs a word that may not be missing")
    if len(phrase) > _LONGEST or len(tokens) - len(required) > _MOST_OPTIONAL:
        raise ValueError(
            f"a phrase has at most {_LONGEST} characters and {_MOST_OPTIONAL} words that may be missing"
        )
    if any(not choice.strip("_") for token in tokens for choice in token.removesuffix("?").split("|")):
        raise ValueError("a choice is empty")
    return phrase


def _begins_with_a_word(phrases: tuple[str, ...]) -> tuple[str, ...]:
    if any(phrase.split()[0].startswith(("*", "#")) for phrase in phrases):
        raise ValueError("the phrase of a rule begins with a word, not with * or #")
    return phrases


_Words = Annotated[str, AfterValidator(_readable)]
_Phrases = Annotated[tuple[_Words, ...], Field(max_length=200)]


class OnsetRule(Section):
    """Phrases that mark an onset where everything else that is said here holds."""

    phrases: Annotated[
        tuple[_Words, ...], Field(min_length=1, max_length=200), AfterValidator(_begins_with_a_word)
    ]
    """`a|b` is either word, `a_b` two in one choice, `word?` may be missing, `*` is a word, `#` a number."""
    next: _Phrases = ()
    """One of these must stand directly behind the phrase."""
    not_next: _Phrases = ()
    """None of these may stand directly behind it."""
    later: _Phrases = ()
    """One of these must stand further on in the same sentence."""
    not_later: _Phrases = ()
    """None of these may stand further on in the same sentence."""
    question: bool | None = None
    """Whether the sentence must, or must not, end in a question mark."""
    position: Literal["clause_start", "anywhere"] = "clause_start"
    """Where the phrase must stand."""


class TurnSection(Section):
    """The rules of each kind that rules find; at one place those of the last kind are tried first."""

    doubt: tuple[OnsetRule, ...] | None = None
    """Rules for questioning what was written; null means the bundled ones."""
    redo: tuple[OnsetRule, ...] | None = None
    """Rules for dropping what was written and going another way; null means the bundled ones. At one
    place they are tried before those of `doubt`, which lose the onset to them."""
