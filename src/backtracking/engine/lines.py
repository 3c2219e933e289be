"""The lines of a decoding pass: whose query each page is multiplied with, and how the parts are added up."""

from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import functional

from backtracking.engine.books import PassSize
from backtracking.engine.pages import PAGE


def least_lines(dtype: torch.dtype) -> int:
    """From how many lines on a product with a page treats each the same, whatever its place and their number.

    Smaller products in float32 go through kernels that round differently. So who else reads a row's prompt
    changes no bit of it.
    """
    return 4 if dtype == torch.float32 else 1


@dataclass
class DecodePass:
    """One new token per row, at its position, and the pages that rows look at; `PassLayout` as tensors."""

    size: PassSize
    positions: Tensor
    counts: Tensor
    rows: Tensor
    ranks: Tensor
    starts: Tensor
    ends: Tensor
    _lines: dict[tuple[int, int], "PageLines"] = field(init=False, default_factory=dict)

    def lines(self, heads: int, key_heads: int) -> "PageLines":
        """The lines of a layer with so many heads; made once per pass."""
        if (heads, key_heads) not in self._lines:
            self._lines[heads, key_heads] = PageLines(self, heads, key_heads)
        return self._lines[heads, key_heads]


class PageLines:
    """A line is a head of a row, the asker, and a page that it looks at.

    A page has a line for every head of each of its readers; those that share a key head lie side by side, so
    that a page's part of that key head is multiplied with all of them at once.
    """

    def __init__(self, at: DecodePass, heads: int, key_heads: int) -> None:
        self._at, self._heads, self._key_heads = at, heads, key_heads
        head = torch.arange(heads, device=at.rows.device)
        self.askers = self._by_line(at.rows[:, None] * heads + head)
        """Rows' heads are numbered through; those of nobody come last."""
        self._asking = self.askers.clamp(max=len(at.positions) * heads - 1)
        self._counts = at.counts.repeat_interleave(heads)
        self._ends = functional.pad(self._counts.cumsum(0), (1, 0))
        places = self._ends[self.askers] + self._by_line(at.ranks[:, None].expand(-1, heads))
        numbers = torch.arange(len(places), device=places.device)
        self._order = torch.empty_like(numbers).scatter_(0, places, numbers)
        """The lines asker by asker, each asker's by position."""
        self._masks: dict[int | None, Tensor] = {}

    def asked(self, query: Tensor) -> Tensor:
        """The query of each line, [lines, width]; nobody's asks for whatever there is."""
        return query.reshape(-1, query.shape[-1]).index_select(0, self._asking)

    def products(self, lines: Tensor, pages: Tensor) -> Tensor:
        """Every page, [pages, key heads, …], times its lines."""
        prompts, own = self._at.size.prompt_pages, self._at.size.own_pages
        of_prompts = self._heads * prompts * self._at.size.places
        result = lines.new_empty((lines.shape[0], pages.shape[3]))
        _multiply(lines[:of_prompts], pages[pages.shape[0] - prompts :], result[:of_prompts])
        _multiply(lines[of_prompts:], pages[:own], result[of_prompts:])
        return result

    def mask(self, window: int | None) -> Tensor:
        """0 where a line may look, else -inf, [lines, PAGE]; made once per pass."""
        if window not in self._masks:
            at, device = self._at, self.askers.device
            index = at.starts[:, None] + torch.arange(PAGE, device=device)
            hidden = index >= at.ends[:, None]
            if window is not None:
                position = functional.pad(at.positions, (0, 1)).index_select(0, at.rows)
                hidden |= index <= position[:, None] - window
            mask = torch.zeros(hidden.shape, dtype=torch.float32, device=device)
            mask.masked_fill_(hidden, -torch.inf)
            self._masks[window] = self._by_line(mask[:, None].expand(-1, self._heads, -1))
        return self._masks[window]

    def largest(self, scores: Tensor) -> Tensor:
        """Each asker's largest score, of one per line."""
        ordered = scores.index_select(0, self._order)
        return torch.segment_reduce(ordered, "max", lengths=self._counts, axis=0, unsafe=True)

    def sums(self, parts: Tensor) -> Tensor:
        """Each asker's sum, [askers, …] of [lines, …], added up in the order of positions."""
        return functional.embedding_bag(self._order, parts, self._ends, mode="sum", include_last_offset=True)

    def _by_line(self, pairs: Tensor) -> Tensor:
        """What is said of every pair's heads, [pairs, heads, …], line by line."""
        size = self._at.size
        prompts, own = torch.split(pairs, [size.prompt_pages * size.places, size.own_pages])
        shape = (size.prompt_pages, size.places, self._key_heads, -1, *pairs.shape[2:])
        return torch.cat([prompts.reshape(shape).transpose(1, 2).flatten(0, 3), own.flatten(0, 1)])


def _multiply(lines: Tensor, pages: Tensor, out: Tensor) -> None:
    """Every page times its lines."""
    batches = pages.flatten(0, 1)
    count, length, width = batches.shape
    torch.bmm(lines.view(count, -1, length), batches, out=out.view(count, -1, width))
