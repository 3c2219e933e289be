"""The engine's attention, registered through transformers' attention interface.

Two kinds of pass exist: prompts laid end to end without padding, each attending within itself; and one new
token per row, attending to the row's pages. Every page is multiplied with its row's queries by itself, and
the pages of a row are added up in the order of their positions: a row's numbers know nothing of other rows,
and a pass costs what its pages cost. Grouped queries are multiplied as one batch per key head, so keys and
values are never repeated.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import AttentionInterface, PreTrainedModel

from backtracking.engine.pages import PAGE
from backtracking.errors import UserError
from backtracking.model.loading import LoadedModel

IMPLEMENTATION = "backtracking_pages"


@dataclass
class PromptPass:
    """Prompts end to end: where each begins and ends."""

    segments: list[tuple[int, int]]
    windows: list[int | None] = field(default_factory=list)
    """The sliding window that each layer's attention was told of."""


@dataclass
class DecodePass:
    """One new token per row, at its position, and where the rows' pages lie; `PageLayout` as tensors."""

    positions: Tensor
    owners: Tensor
    starts: Tensor
    order: Tensor
    counts: Tensor
    _biases: dict[int | None, Tensor] = field(default_factory=dict)

    def bias(self, window: int | None, keys: Tensor) -> Tensor:
        """0 where a row may look, else -inf, [pages * key heads, 1, PAGE]; made once per pass and window."""
        if window not in self._biases:
            index = self.starts[:, None] + torch.arange(PAGE, device=self.starts.device)
            position = self.positions[self.owners][:, None]
            visible = index <= position
            if window is not None:
                visible &= index > position - window
            bias = torch.zeros(visible.shape, dtype=keys.dtype, device=keys.device)
            bias.masked_fill_(~visible, -torch.inf)
            self._biases[window] = bias.repeat_interleave(keys.shape[1], dim=0)[:, None]
        return self._biases[window]

    def by_row(self, parts: Tensor, how: str) -> Tensor:
        """Reduce [pages, …] to [rows, …], from each row's first page to its last."""
        ordered = parts.index_select(0, self.order)
        return torch.segment_reduce(ordered, how, lengths=self.counts, axis=0, unsafe=True)


def paged_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    softcap: float | None = None,
    sliding_window: int | None = None,
    engine_pass: PromptPass | DecodePass | None = None,
    **options: Any,
) -> tuple[Tensor, None]:
    """Attention of one layer for the engine's current pass; returns [rows, positions, heads, width]."""
    # `check_numbers` turns these into refusals that name the model.
    if engine_pass is None or attention_mask is not None:
        raise NotImplementedError("the model does not pass the engine's arguments on to its attention")
    sinks = options.get("s_aux")
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    if isinstance(engine_pass, DecodePass):
        return _decode(query, key, value, engine_pass, sliding_window, scale, softcap, sinks), None
    engine_pass.windows.append(sliding_window)
    parts = [
        _within(query[:, :, a:b], key[:, :, a:b], value[:, :, a:b], scale, softcap, sliding_window, sinks)
        for a, b in engine_pass.segments
    ]
    return torch.cat(parts, dim=2).transpose(1, 2).contiguous(), None


def _decode(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    at: DecodePass,
    window: int | None,
    scale: float,
    cap: float | None,
    sinks: Tensor | None,
) -> Tensor:
    """Attention of one new token per row; `key` is [pages, key heads, width, positions].

    A head's sink is one more score that takes its weight and gives nothing.
    """
    rows, heads, _, width = query.shape
    pages, key_heads = key.shape[:2]
    batches = pages * key_heads
    asked = query.reshape(rows, -1).index_select(0, at.owners).view(batches, -1, width)
    bias = at.bias(window, key)
    if cap is None:
        scores = torch.baddbmm(bias, asked, key.flatten(0, 1), alpha=scale)
    else:
        scores = torch.tanh(torch.bmm(asked, key.flatten(0, 1)) * scale / cap) * cap + bias
    scores = scores.float().view(pages, heads, -1)
    largest = at.by_row(scores.amax(-1), "max")
    if sinks is not None:
        largest = torch.maximum(largest, sinks.float())
    weights = scores.sub_(largest.index_select(0, at.owners)[:, :, None]).exp_()
    totals = at.by_row(weights.sum(-1), "sum")[:rows]
    if sinks is not None:
        totals = totals + (sinks.float() - largest[:rows]).exp()
    sums = torch.bmm(weights.to(value.dtype).view(batches, -1, PAGE), value.flatten(0, 1))
    summed = at.by_row(sums.float().view(pages, -1), "sum")[:rows].view(rows, 1, heads, -1)
    # The largest score of a row weighs 1; only slots without a row have less in all.
    return (summed / totals.clamp_(min=1.0)[:, None, :, None]).to(query.dtype)


def _within(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    scale: float,
    cap: float | None,
    window: int | None,
    sinks: Tensor | None,
) -> Tensor:
    """Causal attention of one prompt over itself, [1, heads, tokens, width]."""
    length = query.shape[2]
    is_grouped = query.shape[1] != key.shape[1]
    if cap is None and sinks is None and (window is None or window >= length):
        return functional.scaled_dot_product_attention(
            query, key, value, is_causal=True, scale=scale, enable_gqa=is_grouped
        )
    index = torch.arange(length, device=query.device)
    hidden = index[None, :] > index[:, None]
    if window is not None:
        hidden |= index[None, :] <= index[:, None] - window
    if is_grouped:
        key = key.repeat_interleave(query.shape[1] // key.shape[1], dim=1)
        value = value.repeat_interleave(query.shape[1] // value.shape[1], dim=1)
    scores = query @ key.transpose(2, 3) * scale
    if cap is not None:
        scores = torch.tanh(scores / cap) * cap
    scores = scores.masked_fill(hidden, -torch.inf)
    if sinks is not None:
        sink = sinks.to(scores.dtype)[None, :, None, None].expand(*scores.shape[:3], 1)
        scores = torch.cat([scores, sink], dim=-1)
    weights = torch.softmax(scores, dim=-1, dtype=torch.float32)[..., :length]
    return weights.to(query.dtype) @ value


class AttentionSwitch:
    """Gives a model the engine's attention for a while; refuses models that cannot take it."""

    def __init__(self, model: LoadedModel) -> None:
        AttentionInterface.register(IMPLEMENTATION, paged_attention)
        modules = (module for module in model.model.modules() if isinstance(module, PreTrainedModel))
        self._configs = list({id(module.config): module.config for module in modules}.values())
        before = model.model.config._attn_implementation
        model.model.set_attn_implementation(IMPLEMENTATION)
        is_taken = model.model.config._attn_implementation == IMPLEMENTATION
        model.model.set_attn_implementation(before)
        if not is_taken:
            raise attention_refusal(
                model, "its attention cannot be exchanged through transformers' attention interface"
            )

    @contextmanager
    def on(self) -> Iterator[None]:
        """Set what `set_attn_implementation` sets, without the search through all modules on every turn."""
        before = [config._attn_implementation for config in self._configs]
        for config in self._configs:
            config._attn_implementation = IMPLEMENTATION
        try:
            yield
        finally:
            for config, implementation in zip(self._configs, before, strict=True):
                config._attn_implementation = implementation


def attention_refusal(model: LoadedModel, why: str) -> UserError:
    """The error for a model that the batched engine would get wrong."""
    return UserError(
        f"{model.name}: the batched engine cannot run this model",
        why,
        "set generation.engine: reference (slower, plain `generate`)",
    )
