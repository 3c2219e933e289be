"""Keys and values: read off a prompt's pass once, then kept in pages, as many as prompts and rows take.

Keys are kept transposed, [width, positions], so that the scores are a product of two row-major matrices: on a
CPU this is several times faster in bfloat16 than the usual layout, and as fast in float32.
"""

import math
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from transformers.cache_utils import Cache, CacheLayerMixin

from backtracking.engine.books import PageBooks
from backtracking.engine.lines import least_lines
from backtracking.engine.pages import PAGE, pages_for
from backtracking.errors import is_out_of_memory

_ROOM, _ROOM_ON_A_CPU = 1.25, 4.0
"""Growing makes room for so many times what is needed; on a CPU room takes no memory until it is used."""
_ALIGNED = 64
"""Bytes that tensors on a CPU begin at multiples of, so that no kernel takes another way through them."""


# transformers' caches carry no types, and a strict checker lets nobody subclass what is untyped: hence the
# `ignore` at this class and at the two caches below.
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
        """All layers' keys and values, each [layers, heads, tokens, width]."""
        if len({(layer.keys.shape, layer.values.shape) for layer in self.layers}) > 1:
            # Some architectures do; `check_numbers` turns this into a refusal that names the model.
            raise NotImplementedError("its layers keep keys and values of different sizes")
        return (
            torch.stack([layer.keys[0] for layer in self.layers]),
            torch.stack([layer.values[0] for layer in self.layers]),
        )


class _PagedLayer(_Layer):
    """Writes the new token of every row into its page and hands out all pages."""

    def __init__(self, cache: "PagedCache", index: int) -> None:
        super().__init__()
        self._cache, self._index = cache, index

    def update(self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        cache = self._cache
        keys, values = cache.keys[self._index], cache.values[self._index]
        keys[cache.pages, :, :, cache.offsets] = key_states[:, :, 0]
        values[cache.pages, :, cache.offsets] = value_states[:, :, 0]
        return (keys, values) if cache.taken is None else (keys[cache.taken], values[cache.taken])


class PagedCache(Cache):  # type: ignore[misc]
    """Pages of every layer: keys [pages, heads, width, positions], values [pages, heads, positions, width].

    Rows' own pages lie from the front on and prompts' from the end on, so that each kind is a slice, which is
    no copy. Layers grow one by one, so that growing never takes more than one layer's old and new memory.
    """

    def __init__(self, like: "Prefilled", slots: int) -> None:
        super().__init__(layers=[_PagedLayer(self, index) for index in range(len(like.keys))])
        self.books = PageBooks(slots, least_places=-(-least_lines(like.keys.dtype) // like.queries))
        # Zeros, not garbage: masked positions still enter the weighted sum, with weight 0.
        self.keys = [layer.new_zeros((1, *layer.shape[1:])) for layer in like.keys]
        self.values = [layer.new_zeros((1, *layer.shape[1:])) for layer in like.values]
        self.version = 0
        """Changes when memory moves."""
        self.pages = self.offsets = torch.zeros(0, dtype=torch.long)
        self.taken: Tensor | None = None

    @property
    def capacity(self) -> int:
        """How many pages there is memory for."""
        return min(len(tensor) for tensor in (*self.keys, *self.values))

    def set_pass(self, pages: Tensor, offsets: Tensor, taken: Tensor | None = None) -> None:
        """Which page each row writes in the next pass, and where in it; which pages it reads, if not all."""
        self.pages, self.offsets, self.taken = pages, offsets, taken

    def reserve(self, own: int, joining: Iterable["Prefilled"] = (), *, most: int) -> None:
        """Make sure that rows can be given so many pages, and that rows of these prompts can join.

        `most` is how many pages of their own all rows can come to need.
        """
        books = self.books
        prompts = books.prompt_pages_for([(prompt.reading, prompt.length) for prompt in joining])
        needed = books.extent_with(own, prompts)
        if needed <= self.capacity:
            return
        at_most = max(needed, books.extent_with(most - books.own.used, prompts))
        room = _ROOM_ON_A_CPU if self.keys[0].device.type == "cpu" else _ROOM
        wanted = min(int(needed * room), at_most)
        try:
            self._resize(wanted)
        except (RuntimeError, MemoryError) as error:
            if wanted == needed or not is_out_of_memory(error):
                raise
            self._resize(needed)

    def _resize(self, pages: int) -> None:
        self.version += 1
        front, back = self.books.own.extent, self.books.prompts.extent
        for kept in (self.keys, self.values):
            for layer in range(len(kept)):
                if len(kept[layer]) != pages:
                    kept[layer] = _resized(kept[layer], pages, front, back)

    def shrink(self) -> None:
        """Give back what no row needs, as far as there is memory to do it with."""
        self.compact(wholly=True)
        try:
            self._resize(self.books.extent)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise

    def join(self, slot: int, prompt: "Prefilled") -> None:
        """A row reads a prompt, whose keys and values go into pages unless it joins others that read it."""
        pages = self.books.join(slot, prompt.reading, prompt.length)
        if not len(pages):
            return
        places = torch.from_numpy(pages).to(self.keys[0].device)
        for kept, new in ((self.keys, prompt.keys), (self.values, prompt.values)):
            for layer, states in zip(kept, new, strict=True):
                layer.index_copy_(0, places % len(layer), states)

    def wipe(self, slot: int) -> None:
        """Clear a row that may hold numbers that are not finite: weight 0 would not hide them."""
        pages = torch.from_numpy(self.books.own.pages_of(slot)).to(self.keys[0].device)
        for layer in (*self.keys, *self.values):
            layer.index_fill_(0, pages, 0)

    def compact(self, wholly: bool = False) -> None:
        """Move pages together where too many lie idle between them."""
        sources, targets = self.books.compact(wholly)
        if len(sources):
            device = self.keys[0].device
            source, target = torch.from_numpy(sources).to(device), torch.from_numpy(targets).to(device)
            for layer in (*self.keys, *self.values):
                layer.index_copy_(0, target % len(layer), layer.index_select(0, source % len(layer)))


def _resized(old: Tensor, pages: int, front: int, back: int) -> Tensor:
    """The tensor with room for another number of pages: what lies in front and at the back stays there."""
    new = _zeros(pages, old)
    new[:front] = old[:front]
    new[pages - back :] = old[len(old) - back :]
    return new


def _zeros(pages: int, like: Tensor) -> Tensor:
    """So many empty pages; on a CPU the system gives each its memory when it is first written."""
    shape = (pages, *like.shape[1:])
    if like.device.type != "cpu":
        return like.new_zeros(shape)
    size = math.prod(shape) * like.element_size()
    room = np.zeros(size + _ALIGNED, dtype=np.uint8)
    start = -room.ctypes.data % _ALIGNED
    return torch.from_numpy(room[start : start + size]).view(like.dtype).view(shape)


@dataclass(frozen=True)
class Prefilled:
    """What a prompt leaves behind: keys and values in pages, [layers, pages, …], and the next logits."""

    keys: Tensor
    values: Tensor
    length: int
    logits: Tensor
    queries: int = 1
    """How many heads share a key head, at least."""
    reading: Hashable = field(default_factory=object)
    """What was read, and under what; rows whose prompts have this in common share its pages."""

    @classmethod
    def of(cls, keys: Tensor, values: Tensor, logits: Tensor, queries: int = 1) -> "Prefilled":
        """From keys and values [layers, heads, tokens, width]; the rest of the last page is zero."""
        layers, heads, length, _ = keys.shape
        paged = [
            functional.pad(states, (0, 0, 0, pages_for(length) * PAGE - length))
            .view(layers, heads, -1, PAGE, states.shape[3])
            .transpose(1, 2)
            for states in (keys, values)
        ]
        return cls(
            paged[0].transpose(3, 4).contiguous(), paged[1].contiguous(), length, logits.clone(), queries
        )
