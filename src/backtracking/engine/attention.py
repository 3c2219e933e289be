"""The engine's attention, registered through transformers' attention interface.

Two kinds of pass exist: prompts laid end to end without padding, each attending within itself; and one new
token per row, attending to the row's slot. Grouped queries are multiplied as one batch per key head, so keys
and values are never repeated.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import AttentionInterface, PreTrainedModel

from backtracking.errors import UserError
from backtracking.model.loading import LoadedModel

IMPLEMENTATION = "backtracking_slots"
_STRETCH = 64


@dataclass
class PromptPass:
    """Prompts end to end: where each begins and ends."""

    segments: list[tuple[int, int]]
    windows: list[int | None] = field(default_factory=list)
    """The sliding window that each layer's attention was told of."""


@dataclass
class DecodePass:
    """One new token per row, at its position; `length` positions of every slot are looked at."""

    positions: Tensor
    length: int
    _biases: dict[int | None, Tensor] = field(default_factory=dict)

    def bias(self, window: int | None, keys: Tensor) -> Tensor:
        """0 where a row may look, else -inf, [rows * key heads, 1, length]; made once per pass and window."""
        if window not in self._biases:
            index = torch.arange(self.length, device=self.positions.device)[None, :]
            position = self.positions[:, None]
            visible = index <= position
            if window is not None:
                visible &= index > position - window
            bias = torch.zeros(visible.shape, dtype=keys.dtype, device=keys.device)
            bias.masked_fill_(~visible, -torch.inf)
            self._biases[window] = bias.repeat_interleave(keys.shape[1], dim=0)[:, None]
        return self._biases[window]


def slot_attention(
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
    if options.get("s_aux") is not None:
        raise NotImplementedError("attention sinks")
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    if isinstance(engine_pass, DecodePass):
        return _decode(query, key, value, engine_pass.bias(sliding_window, key), scale, softcap), None
    engine_pass.windows.append(sliding_window)
    parts = [
        _within(query[:, :, a:b], key[:, :, a:b], value[:, :, a:b], scale, softcap, sliding_window)
        for a, b in engine_pass.segments
    ]
    return torch.cat(parts, dim=2).transpose(1, 2), None


def _decode(
    query: Tensor, key: Tensor, value: Tensor, bias: Tensor, scale: float, cap: float | None
) -> Tensor:
    """Attention of one new token per row; `key` is [rows, key heads, width, length]."""
    rows, heads, _, width = query.shape
    key_heads = key.shape[1]
    grouped = query.reshape(rows * key_heads, heads // key_heads, width)
    keys = key.flatten(0, 1)
    if cap is None:
        scores = torch.baddbmm(bias, grouped, keys, alpha=scale)
    else:
        scores = torch.tanh(torch.bmm(grouped, keys) * scale / cap) * cap + bias
    weights = torch.softmax(scores, dim=-1, dtype=torch.float32).to(query.dtype)
    return _weighted_sum(weights, value.flatten(0, 1)).view(rows, 1, heads, -1)


def _weighted_sum(weights: Tensor, values: Tensor) -> Tensor:
    """Weights [batch, queries, positions] times values, the same to the last bit however long the slots are.

    In float32 a CPU's library adds up a few hundred positions in an order that depends on their number, where
    several queries share a key head; stretches of a fixed number are added up alike.
    """
    is_steady = values.dtype != torch.float32 or values.device.type != "cpu" or weights.shape[1] < 4
    stretch = values.shape[1] if is_steady else _STRETCH
    total = torch.bmm(weights[..., :stretch], values[:, :stretch])
    for start in range(stretch, values.shape[1], stretch):
        end = start + stretch
        total = torch.baddbmm(total, weights[..., start:end], values[:, start:end])
    return total


def _within(
    query: Tensor, key: Tensor, value: Tensor, scale: float, cap: float | None, window: int | None
) -> Tensor:
    """Causal attention of one prompt over itself, [1, heads, tokens, width]."""
    length = query.shape[2]
    is_grouped = query.shape[1] != key.shape[1]
    if cap is None and (window is None or window >= length):
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
    weights = torch.softmax(scores.masked_fill(hidden, -torch.inf), dim=-1, dtype=torch.float32)
    return weights.to(query.dtype) @ value


class AttentionSwitch:
    """Gives a model the engine's attention for a while; refuses models that cannot take it."""

    def __init__(self, model: LoadedModel) -> None:
        AttentionInterface.register(IMPLEMENTATION, slot_attention)
        modules = (module for module in model.model.modules() if isinstance(module, PreTrainedModel))
        self._configs = list({id(module.config): module.config for module in modules}.values())
        before = model.model.config._attn_implementation
        model.model.set_attn_implementation(IMPLEMENTATION)
        is_taken = model.model.config._attn_implementation == IMPLEMENTATION
        model.model.set_attn_implementation(before)
        if not is_taken:
            raise refusal(
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


def refusal(model: LoadedModel, why: str) -> UserError:
    """The error for a model that the batched engine would get wrong."""
    return UserError(
        f"{model.name}: the batched engine cannot run this model",
        why,
        "set generation.engine: reference (slower, plain `generate`)",
    )
