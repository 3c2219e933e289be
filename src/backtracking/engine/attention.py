"""The engine's attention, registered through transformers' attention interface.

Two kinds of pass exist: prompts laid end to end without padding, each attending within itself; and one new
token per row, attending to its prompt's pages and its own. Every page is multiplied by itself, with all rows
that read it at once, and what a row gets from its pages is added up in the order of their positions: a row's
numbers know nothing of other rows, and a pass costs what its pages cost. Queries that share a key head are
multiplied together, so keys and values are never repeated.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import AttentionInterface, PreTrainedModel

from backtracking.engine.lines import DecodePass
from backtracking.errors import UserError
from backtracking.model.loading import LoadedModel

IMPLEMENTATION = "backtracking_pages"
_LOG2_E = math.log2(math.e)
"""Weights are powers of 2, which a CPU computes faster than those of e."""


@dataclass
class PromptPass:
    """Prompts end to end: where each begins and ends."""

    segments: list[tuple[int, int]]
    windows: list[int | None] = field(default_factory=list)
    """The sliding window that each layer's attention was told of."""
    queries: list[int] = field(default_factory=list)
    """How many heads share a key head in each layer."""


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
    engine_pass.queries.append(query.shape[1] // key.shape[1])
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
    """Attention of one new token per row; keys are [pages, key heads, width, positions].

    A head's sink is one more score that takes its weight and gives nothing.
    """
    rows, heads = query.shape[:2]
    lines = at.lines(heads, key.shape[1])
    scores = lines.products(lines.asked(query), key)
    if cap is not None:
        scores, scale = torch.tanh(scores.float() * (scale / cap)), cap
    scores = scores.float()
    # In place: memory that was not just touched costs more than the sum.
    torch.add(lines.mask(window), scores, alpha=scale * _LOG2_E, out=scores)
    largest = lines.largest(scores.amax(-1))
    if sinks is not None:
        sink = (sinks.float() * _LOG2_E).repeat(rows + 1)
        largest = torch.maximum(largest, sink)
    weights = scores.sub_(largest.index_select(0, lines.askers)[:, None]).exp2_()
    totals = lines.sums(weights.sum(-1, keepdim=True))
    if sinks is not None:
        totals += (sink - largest).exp2_()[:, None]
    sums = lines.sums(lines.products(weights.to(value.dtype), value).float())
    # The largest score of a row weighs 1; only slots without a row have less in all.
    return (sums / totals.clamp_(min=1.0))[: rows * heads].view(rows, 1, heads, -1).to(query.dtype)


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
