"""How fast this machine decodes, from a few seconds of the real engine."""

import time
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass
from typing import Literal

from backtracking.engine.batched import run_turns
from backtracking.engine.rows import Row
from backtracking.engine.sampling import SamplingParams
from backtracking.model.gates import GateTable
from backtracking.model.loading import LoadedModel

ENOUGH_GENERATIONS = 3
"""Lengths are believed when this many batches' worth of rows have ended: the first to end are short."""


@dataclass(frozen=True)
class Speed:
    """What a few seconds of decoding showed."""

    tokens_per_second: float
    """With the batch full, prompts read."""
    seconds_per_prompt: float
    """What a row adds by joining the batch."""
    rows_at_once: int
    seconds: float
    tokens_per_row: float | None
    """Mean length, where enough rows ended to tell."""

    def seconds_for(self, rows: float, tokens: float) -> float:
        """How long so many rows with so many tokens in all would take."""
        return rows * self.seconds_per_prompt + tokens / self.tokens_per_second


def measure_speed(
    model: LoadedModel,
    rows: Iterable[Row],
    sampling: SamplingParams,
    *,
    seed: int,
    slots: int | Literal["auto"],
    seconds: float,
    clock: Callable[[], float] = time.monotonic,
) -> Speed | None:
    """Decode rows until the time is over or none is left; None where not a single token was decoded.

    Turns in which rows join are told apart from turns that only decode, so that the prompts at the start of a
    short measurement are not taken for the rule.
    """
    table = GateTable(model, None, ())
    turns = run_turns(model, rows, sampling, seed=seed, slots=slots, table=table)
    tally = _Tally()
    start = last = clock()
    with closing(turns):
        for batch, ended in turns:
            now = clock()
            tally.add(now - last, batch.active, [len(draft.tokens) for draft in ended])
            last = now
            if now - start >= seconds:
                break
    return tally.speed(last - start)


class _Tally:
    """Turns, the rows that joined and left in them, and how long they took."""

    def __init__(self) -> None:
        self._active = 0
        self._joins: list[tuple[int, float]] = []
        self._decodes: list[tuple[int, float]] = []
        self._lengths: list[int] = []

    def add(self, seconds: float, active: int, ended: list[int]) -> None:
        fed = active + len(ended)
        joined = fed - self._active
        self._active = active
        self._lengths += ended
        if joined > 0:
            self._joins.append((joined, seconds))
        else:
            self._decodes.append((fed, seconds))

    def speed(self, seconds: float) -> Speed | None:
        turns = self._decodes or self._joins
        most = max((fed for fed, _ in turns), default=0)
        if not most:
            return None
        # A batch that runs empty at the end of the measurement is not what a long run looks like.
        full = [(fed, spent) for fed, spent in turns if 2 * fed >= most]
        tokens, spent = sum(fed for fed, _ in full), sum(spent for _, spent in full)
        turn = spent / len(full)
        joined = sum(count for count, _ in self._joins)
        reading = sum(max(spent - turn, 0.0) for _, spent in self._joins) if self._decodes else 0.0
        believed = len(self._lengths) >= ENOUGH_GENERATIONS * most
        return Speed(
            tokens_per_second=tokens / max(spent, 1e-9),
            seconds_per_prompt=reading / max(joined, 1),
            rows_at_once=most,
            seconds=seconds,
            tokens_per_row=sum(self._lengths) / len(self._lengths) if believed else None,
        )
