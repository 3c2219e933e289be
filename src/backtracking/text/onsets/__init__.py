"""Where a text turns: by trigger phrases, by rules, or by a scorer of sentences."""

from backtracking.text.onsets.detect import (
    DEFAULT_CLOSE,
    Detector,
    Onset,
    first_onset,
    onset_words,
    reasoning_end,
    stands_at_clause_start,
    turn_rules,
)

__all__ = [
    "DEFAULT_CLOSE",
    "Detector",
    "Onset",
    "first_onset",
    "onset_words",
    "reasoning_end",
    "stands_at_clause_start",
    "turn_rules",
]
