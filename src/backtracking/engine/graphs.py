"""Decoding passes as replayed CUDA graphs: one per size of a pass, gates in static buffers.

Cache, gates and numbers of a pass keep their addresses, so a change of rows or conditions is a copy into
buffers and never a new capture; only a pass over more pages, a grown cache, a newly hooked module or a batch
that has run half empty is.
"""

import warnings

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from backtracking.engine.books import PassSize
from backtracking.engine.cache import PagedCache
from backtracking.engine.forward import MIN_ROWS, StepNumbers, decode_pass, model_step
from backtracking.model.hooks import GateHooks
from backtracking.model.loading import LoadedModel
from backtracking.model.schedule import Mask

_LEADING_BITS = 4
_WARMUPS = 2


class EagerDecoder:
    """Runs each pass operation by operation."""

    def __init__(self, model: LoadedModel, hooks: GateHooks) -> None:
        self.model, self.hooks = model, hooks

    def padded(self, rows: int) -> int:
        """How many rows a pass over `rows` rows has."""
        return max(rows, MIN_ROWS)

    def step(
        self,
        cache: PagedCache,
        tokens: NDArray[np.int64],
        positions: NDArray[np.int64],
        conditions: NDArray[np.int64],
        is_active: Mask,
    ) -> Tensor:
        """Feed one token to every row, under its gates; logits [rows, vocabulary]."""
        self.hooks.load(conditions[:, None], is_active)
        logits = decode_pass(self.model, cache, tokens, positions)
        self.hooks.verify()
        return logits


class GraphedDecoder(EagerDecoder):
    """Replays passes captured over a number of rows that halves when half of them are gone."""

    def __init__(self, model: LoadedModel, hooks: GateHooks, rows: int) -> None:
        super().__init__(model, hooks)
        self._rows = self._most = rows
        self._graphs: dict[PassSize, tuple[torch.cuda.CUDAGraph, StepNumbers, Tensor]] = {}
        self._captured_for: tuple[int, ...] | None = None
        self._can_capture = True

    def padded(self, rows: int) -> int:
        """All slots, or half of them as often as that holds the rows: a captured pass has one size."""
        if rows > self._rows:
            self._rows = self._most
        while self._rows // 2 >= max(rows, MIN_ROWS):
            self._rows //= 2
        return self._rows

    def step(
        self,
        cache: PagedCache,
        tokens: NDArray[np.int64],
        positions: NDArray[np.int64],
        conditions: NDArray[np.int64],
        is_active: Mask,
    ) -> Tensor:
        """One pass: replayed where it was captured, else run plainly."""
        if not self._can_capture:
            return super().step(cache, tokens, positions, conditions, is_active)
        self.hooks.load(conditions[:, None], is_active, static=True)
        vectors = (len(column.vectors) for column in self.hooks.table.columns)
        needed = (cache.version, len(tokens), *vectors)
        if self._captured_for != needed:
            self._graphs.clear()
            self._captured_for = needed
        size = rounded_up(cache.books.size, cache.capacity)
        numbers = StepNumbers.of(cache, tokens, positions, size)
        if size not in self._graphs:
            try:
                self._graphs[size] = self._capture(cache, numbers.to(self.model.device))
            except torch.OutOfMemoryError:
                raise
            except RuntimeError as error:
                self._can_capture = False
                warnings.warn(f"no CUDA graphs, so decoding is slower: {error}", RuntimeWarning, stacklevel=2)
                return super().step(cache, tokens, positions, conditions, is_active)
        graph, static, logits = self._graphs[size]
        static.packed.copy_(numbers.packed)
        graph.replay()
        return logits.clone()

    def _capture(
        self, cache: PagedCache, numbers: StepNumbers
    ) -> tuple[torch.cuda.CUDAGraph, StepNumbers, Tensor]:
        """Warm up, then record; writing the same keys and values again changes nothing."""
        for _ in range(_WARMUPS):
            self.hooks.begin_pass()
            model_step(self.model, cache, numbers)
            self.hooks.verify()
        torch.cuda.synchronize(self.model.device)
        graph = torch.cuda.CUDAGraph()
        # Graphs are replayed one after the other and their logits copied at once, so they may share memory.
        pool = next((known.pool() for known, _, _ in self._graphs.values()), None)
        with torch.cuda.graph(graph, pool=pool):
            logits = model_step(self.model, cache, numbers)
        return graph, numbers, logits


def rounded_up(size: PassSize, capacity: int) -> PassSize:
    """A size that holds the pass, and one of a few kinds."""
    return PassSize(
        prompt_pages=min(bucket(size.prompt_pages, 1), capacity),
        own_pages=min(bucket(size.own_pages), capacity),
        places=bucket(size.places, 1),
    )


def bucket(pages: int, leading_bits: int = _LEADING_BITS) -> int:
    """Rounded up to few leading bits: four add an eighth at most, one makes powers of 2."""
    step = 1 << max(pages.bit_length() - leading_bits, 0)
    return -(-pages // step) * step


def make_decoder(model: LoadedModel, hooks: GateHooks, rows: int) -> EagerDecoder:
    """Graphs where the device has them."""
    return GraphedDecoder(model, hooks, rows) if model.device.type == "cuda" else EagerDecoder(model, hooks)
