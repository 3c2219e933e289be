"""When an intervention acts: the `When` record evaluated over the positions of a forward pass."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backtracking.errors import UserError
from backtracking.interventions import When
from backtracking.text.onsets.triggers import Phrase

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Positions:
    """What a gate may look at; every array is [rows, positions of the pass]."""

    tokens: NDArray[np.int64]
    """The token fed in at the position."""
    steps: NDArray[np.int64]
    """The completion step produced from the position; 0 for all of the prompt."""
    onset_seen: Mask
    """Whether the completion holds an onset up to and including this token."""

    @classmethod
    def of_prompt(cls, prompt_ids: Sequence[int]) -> "Positions":
        """The positions of one prompt, read in one pass."""
        tokens = np.asarray([prompt_ids], dtype=np.int64)
        return cls(tokens, np.zeros_like(tokens), np.zeros(tokens.shape, dtype=np.bool_))


def active(when: When, at: Positions) -> Mask:
    """Where `when` holds; all its conditions must."""
    is_prompt = at.steps == 0
    if when.phase == "all":
        mask = np.ones(at.steps.shape, dtype=np.bool_)
    else:
        mask = is_prompt if when.phase == "prefill" else ~is_prompt
    if when.steps is not None:
        mask = mask & np.isin(at.steps, when.steps)
    if when.after_tokens is not None:
        mask = mask & np.isin(at.tokens, sorted(when.after_tokens))
    if when.onset != "any":
        mask = mask & (at.onset_seen if when.onset == "from_first" else ~at.onset_seen)
    return mask


def acts_on_prompt(when: When) -> bool:
    """Whether `when` can hold at a prompt position, so that the prompt's keys and values depend on it."""
    return when.phase != "decode" and when.onset != "from_first" and (when.steps is None or 0 in when.steps)


def ends_with_onset(completion: Sequence[int], phrases: Collection[Phrase]) -> bool:
    """Whether the last token completes one of the onset phrases."""
    return any(len(completion) >= len(p) and tuple(completion[-len(p) :]) == p for p in phrases)


def onset_seen(completion: Sequence[int], phrases: Collection[Phrase]) -> Mask:
    """For each completion token, whether an onset phrase ends at it or before it."""
    ends = [ends_with_onset(completion[: i + 1], phrases) for i in range(len(completion))]
    return np.logical_or.accumulate(np.asarray(ends, dtype=np.bool_))


def check_when(when: When, has_onsets: bool, vocab_size: int) -> None:
    """Refuse schedules that can never hold."""
    first, last = {"prefill": (0, 0), "decode": (1, np.inf), "all": (0, np.inf)}[when.phase]
    if when.steps is not None and not any(first <= step <= last for step in when.steps):
        raise UserError(
            f"an intervention with steps={list(when.steps)} and phase={when.phase!r} never acts",
            "the first new token (step 0) is produced by the prompt's pass, later ones by decoding",
            "use phase='all' or 'prefill' for step 0, phase='all' or 'decode' for later steps",
        )
    if when.after_tokens is not None and not any(0 <= token < vocab_size for token in when.after_tokens):
        raise UserError(
            f"an intervention with after_tokens={sorted(when.after_tokens)} never acts",
            f"none of them is in the model's vocabulary of {vocab_size} tokens",
        )
    if when.phase == "prefill" and when.onset == "from_first":
        raise UserError(
            "an intervention with phase='prefill' and onset='from_first' never acts",
            "no onset exists while the prompt is read",
            "use phase='decode' or 'all'",
        )
    if when.onset != "any" and not has_onsets:
        raise UserError(
            f"an intervention waits for an onset ({when.onset!r}), but no onset phrases were given",
            "the engine recognises onsets by their token ids",
            "pass onset_phrases=[(token id, …), …]",
        )


def times_active(
    when: When, prompt_ids: Sequence[int], fed_ids: Sequence[int], phrases: Collection[Phrase] = ()
) -> int:
    """In how many passes of a row the schedule must hold: one over the prompt, one per token fed back."""
    tokens = np.asarray([fed_ids], dtype=np.int64)
    steps = np.arange(1, len(fed_ids) + 1, dtype=np.int64)[None, :]
    seen = onset_seen(fed_ids, phrases)[None, :] if phrases else np.zeros(tokens.shape, dtype=np.bool_)
    in_prompt = active(when, Positions.of_prompt(prompt_ids)).any()
    return int(in_prompt) + int(active(when, Positions(tokens, steps, seen)).sum())
