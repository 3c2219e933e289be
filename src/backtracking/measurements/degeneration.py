"""Signs that a completion fell apart: loops, emptiness, bursts of foreign characters, poor vocabulary."""

import re
from collections.abc import Sequence
from typing import Any

from backtracking.run.records import GenerationRecord

_NON_ASCII_BURST = re.compile(r"(?:[^\x00-\x7f]\s*){8,}")
_LOOP_REPEATS = 4
_LOOP_MIN_TOKENS = 16


def degeneration(record: GenerationRecord) -> dict[str, Any]:
    """One completion's signs; rates of them are taken per arm."""
    ids = record.completion_ids
    return {
        "is_loop": record.finish_reason == "loop" or ends_in_loop(ids),
        "is_empty": not record.completion.strip(),
        "non_ascii_burst": bool(_NON_ASCII_BURST.search(record.completion)),
        "distinct_3": distinct_share(ids, 3),
    }


def ends_in_loop(ids: Sequence[int]) -> bool:
    """Whether the text ends by repeating one stretch at least four times over sixteen tokens or more."""
    for period in range(1, len(ids) // _LOOP_REPEATS + 1):
        span = max(period * _LOOP_REPEATS, _LOOP_MIN_TOKENS)
        if span > len(ids) or ids[-1] != ids[-1 - period]:
            continue
        tail = ids[-span:]
        if tail[period:] == tail[:-period]:
            return True
    return False


def distinct_share(ids: Sequence[int], n: int) -> float | None:
    """Different n-grams as a share of all; none for texts too short to have any."""
    grams = list(zip(*(ids[offset:] for offset in range(n)), strict=False))
    return len(set(grams)) / len(grams) if grams else None
