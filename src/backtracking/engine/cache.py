"""Keys and values: read off a prompt's pass once, then kept in one preallocated slot per row.

Keys are kept transposed, [width, positions], so that the scores are a product of two row-major matrices: on a
CPU this is several times faster in bfloat16 than the usual layout, and as fast in float32.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import Cache, CacheLayerMixin


# transformers' caches carry no types; a strict checker lets nobody subclass them without the `ignore`s here.
class _Layer(CacheLayerMixin):  # type: ignore[misc]
    """What transformers asks of a layer; positions and masks are given to the model explicitly."""

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        self.is_initialized = True

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        # A model that asks would build a mask for another layout of positions; `check_numbers` refuses it.
        raise NotImplementedError("the engine's attention builds its own masks")

    def get_seq_length(self) -> int:
        return 0

    def get_max_length(self) -> int:
        return -1


class _CapturingLayer(_Layer):
    """Remembers the keys and values of the one pass that it sees."""

    def update(self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        self.keys, self.values = key_states, value_states
        return key_states, value_states


class PromptCache(Cache):  # type: ignore[misc]
    """The cache of a prompt pass."""

    def __init__(self, n_layers: int) -> None:
        super().__init__(layers=[_CapturingLayer() for _ in range(n_layers)])

    def stacked(self) -> tuple[Tensor, Tensor]:
        """All layers' keys [layers, heads, width, tokens] and values [layers, heads, tokens, width]."""
        return (
            torch.stack([layer.keys[0].transpose(1, 2) for layer in self.layers]),
            torch.stack([layer.values[0] for layer in self.layers]),
        )


class _SlotLayer(_Layer):
    """Writes the new token of every row into its slot and hands out the slots' filled part."""

    def __init__(self, cache: "SlotCache", index: int) -> None:
        super().__init__()
        self._cache, self._index = cache, index

    def update(self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        cache, rows = self._cache, len(key_states)
        keys, values = cache.all_keys[self._index], cache.all_values[self._index]
        keys[cache.row_numbers[:rows], :, :, cache.positions] = key_states[:, :, 0]
        values[cache.row_numbers[:rows], :, cache.positions] = value_states[:, :, 0]
        return keys[:rows, ..., : cache.length], values[:rows, :, : cache.length]


class SlotCache(Cache):  # type: ignore[misc]
    """One slot per row: keys [layers, slots, heads, width, capacity], values [.., capacity, width]."""

    def __init__(self, like: tuple[Tensor, Tensor], slots: int, capacity: int) -> None:
        super().__init__(layers=[_SlotLayer(self, index) for index in range(len(like[0]))])
        # Zeros, not garbage: masked positions still enter the weighted sum, with weight 0.
        keys, values = like
        layers, heads, width, _ = keys.shape
        self.all_keys = keys.new_zeros((layers, slots, heads, width, capacity))
        self.all_values = values.new_zeros((layers, slots, heads, capacity, values.shape[3]))
        self.row_numbers = torch.arange(slots, device=self.all_keys.device)
        self.positions = self.row_numbers
        self.length = 0

    @property
    def capacity(self) -> int:
        """How many positions a slot has room for."""
        return int(self.all_keys.shape[4])

    def set_pass(self, positions: Tensor, length: int) -> None:
        """The positions that the next pass writes, and how much of the slots it reads."""
        self.positions, self.length = positions, length

    def resize(self, capacity: int) -> None:
        """Make room for longer rows, or give it back."""
        # Both or none: memory may run out in between.
        keys, values = _resized(self.all_keys, 4, capacity), _resized(self.all_values, 3, capacity)
        self.all_keys, self.all_values = keys, values

    def shrink(self, slots: int) -> None:
        """Keep only the first slots."""
        if slots < self.all_keys.shape[1]:
            self.all_keys = self.all_keys[:, :slots].clone()
            self.all_values = self.all_values[:, :slots].clone()

    def fill(self, slot: int, keys: Tensor, values: Tensor) -> None:
        """Put a prompt's keys and values at the start of a slot."""
        self.all_keys[:, slot, ..., : keys.shape[3]] = keys
        self.all_values[:, slot, :, : values.shape[2]] = values

    def move(self, source: int, target: int, length: int) -> None:
        """Copy a row to another slot."""
        self.all_keys[:, target, ..., :length] = self.all_keys[:, source, ..., :length]
        self.all_values[:, target, :, :length] = self.all_values[:, source, :, :length]

    def wipe(self, slots: int | slice) -> None:
        """Clear slots that may hold numbers that are not finite: weight 0 would not hide them."""
        self.all_keys[:, slots] = 0
        self.all_values[:, slots] = 0


def _resized(old: Tensor, dim: int, capacity: int) -> Tensor:
    """The tensor with another size along one dimension; what is new is zero."""
    kept = min(capacity, old.shape[dim])
    new = old.new_empty([capacity if d == dim else size for d, size in enumerate(old.shape)])
    new.narrow(dim, 0, kept).copy_(old.narrow(dim, 0, kept))
    new.narrow(dim, kept, capacity - kept).zero_()
    return new


@dataclass(frozen=True)
class Prefilled:
    """What a prompt leaves behind: keys and values as `PromptCache` stacks them, and the next logits."""

    keys: Tensor
    values: Tensor
    logits: Tensor
