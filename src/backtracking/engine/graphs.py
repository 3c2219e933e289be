"""Decoding passes as replayed CUDA graphs: one per length bucket, gates in static buffers.

Row count, cache and gate buffers keep their addresses, so a change of rows or conditions is a copy into
buffers and never a new capture; only a longer bucket, a grown cache or a newly hooked module is.
"""

import warnings

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from backtracking.engine.cache import SlotCache
from backtracking.engine.forward import LENGTH_STEP, MIN_ROWS, decode_pass, model_step, round_up
from backtracking.model.hooks import GateHooks
from backtracking.model.loading import LoadedModel
from backtracking.model.schedule import Mask

_BUCKET = 256
_WARMUPS = 2
_TOLERATED_EXCESS = 96


class EagerDecoder:
    """Runs each pass operation by operation."""

    def __init__(self, model: LoadedModel, hooks: GateHooks) -> None:
        self.model, self.hooks = model, hooks

    def padded(self, rows: int) -> int:
        """How many rows a pass over `rows` rows has."""
        return max(rows, MIN_ROWS)

    def capacity(self, needed: int, present: int) -> int:
        """Positions per slot: hardly more than needed, so that products see whole, contiguous slots."""
        wanted = round_up(needed, LENGTH_STEP)
        return wanted if not wanted <= present <= wanted + _TOLERATED_EXCESS else present

    def step(
        self,
        cache: SlotCache,
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
    """Replays passes captured over a fixed number of rows."""

    def __init__(self, model: LoadedModel, hooks: GateHooks, rows: int) -> None:
        super().__init__(model, hooks)
        self._tokens = torch.zeros(rows, dtype=torch.long, device=model.device)
        self._positions = torch.zeros(rows, dtype=torch.long, device=model.device)
        self._graphs: dict[int, tuple[torch.cuda.CUDAGraph, Tensor]] = {}
        self._captured_for: tuple[int, ...] | None = None
        self._can_capture = True

    def padded(self, rows: int) -> int:
        """Always all slots: a captured pass has one size."""
        return len(self._tokens)

    def capacity(self, needed: int, present: int) -> int:
        """Grown in large steps, since captured graphs hold on to the memory that they were captured on."""
        return (
            present if needed <= present else round_up(max(needed + _BUCKET, present * 3 // 2), LENGTH_STEP)
        )

    def step(
        self,
        cache: SlotCache,
        tokens: NDArray[np.int64],
        positions: NDArray[np.int64],
        conditions: NDArray[np.int64],
        is_active: Mask,
    ) -> Tensor:
        """One pass: replayed where it was captured, else run plainly."""
        if not self._can_capture:
            return super().step(cache, tokens, positions, conditions, is_active)
        self._tokens.copy_(torch.from_numpy(tokens))
        self._positions.copy_(torch.from_numpy(positions))
        self.hooks.load(conditions[:, None], is_active, static=True)
        vectors = (len(column.vectors) for column in self.hooks.table.columns)
        needed = (cache.all_keys.data_ptr(), cache.capacity, *vectors)
        if self._captured_for != needed:
            self._graphs.clear()
            self._captured_for = needed
        length = min(round_up(int(positions.max()) + 1, _BUCKET), cache.capacity)
        if length not in self._graphs:
            try:
                self._graphs[length] = self._capture(cache, length)
            except torch.OutOfMemoryError:
                raise
            except RuntimeError as error:
                self._can_capture = False
                warnings.warn(f"no CUDA graphs, so decoding is slower: {error}", RuntimeWarning, stacklevel=2)
                return super().step(cache, tokens, positions, conditions, is_active)
        graph, logits = self._graphs[length]
        graph.replay()
        return logits.clone()

    def _capture(self, cache: SlotCache, length: int) -> tuple[torch.cuda.CUDAGraph, Tensor]:
        """Warm up, then record; writing the same keys and values again changes nothing."""
        for _ in range(_WARMUPS):
            self.hooks.begin_pass()
            model_step(self.model, cache, self._tokens, self._positions, length)
            self.hooks.verify()
        torch.cuda.synchronize(self.model.device)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            logits = model_step(self.model, cache, self._tokens, self._positions, length)
        return graph, logits


def make_decoder(model: LoadedModel, hooks: GateHooks, rows: int) -> EagerDecoder:
    """Graphs where the device has them."""
    return GraphedDecoder(model, hooks, rows) if model.device.type == "cuda" else EagerDecoder(model, hooks)
