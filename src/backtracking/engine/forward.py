"""The engine's two forward passes, and the proof that they equal the model's own."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from backtracking.engine.attention import PromptPass, attention_refusal
from backtracking.engine.books import PassSize
from backtracking.engine.cache import PagedCache, Prefilled, PromptCache
from backtracking.engine.lines import DecodePass
from backtracking.engine.pages import PAGE
from backtracking.errors import is_out_of_memory
from backtracking.model.loading import LoadedModel

# Matrix products of at least this many rows treat each row the same, however many there are: smaller ones go
# through other kernels that round differently. Padding to it makes a row's numbers independent of its batch.
MIN_ROWS = 16
_LAYER_TYPES = {"full_attention", "sliding_attention"}
_GROWING_ROPES = {"dynamic", "longrope"}


@dataclass(frozen=True)
class PackedPrompts:
    """Prompts laid end to end, padded to MIN_ROWS tokens where they are fewer."""

    tokens: NDArray[np.int64]
    positions: NDArray[np.int64]
    owners: NDArray[np.int64]
    """Which prompt each token belongs to."""
    segments: list[tuple[int, int]]
    attention: PromptPass
    """The segments as attention sees them, padding included."""

    @classmethod
    def of(cls, prompts: Sequence[Sequence[int]]) -> Self:
        """Packs prompts, and says where each begins and ends."""
        lengths = [len(prompt) for prompt in prompts]
        ends = np.cumsum(lengths)
        spare = max(MIN_ROWS - int(ends[-1]), 0)
        segments = [(int(end) - n, int(end)) for n, end in zip(lengths, ends, strict=True)]
        padding = [(segments[-1][1], MIN_ROWS)] if spare else []
        return cls(
            tokens=np.pad(np.concatenate(prompts), (0, spare)).astype(np.int64),
            positions=np.concatenate([np.arange(n) for n in [*lengths, spare]]),
            owners=np.pad(np.repeat(np.arange(len(prompts)), lengths), (0, spare)),
            segments=segments,
            attention=PromptPass(segments + padding),
        )


def prompt_pass(model: LoadedModel, packed: PackedPrompts) -> list[Prefilled]:
    """Read several prompts in one pass."""
    ends = [end - 1 for _, end in packed.segments]
    ends += ends[-1:] * (MIN_ROWS - len(ends))
    cache = PromptCache(model.n_layers)
    logits = model.model(
        input_ids=torch.from_numpy(packed.tokens).to(model.device)[None, :],
        position_ids=torch.from_numpy(packed.positions).to(model.device)[None, :],
        past_key_values=cache,
        use_cache=True,
        logits_to_keep=torch.tensor(ends, device=model.device),
        engine_pass=packed.attention,
    ).logits[0]
    keys, values = cache.stacked()
    return [
        Prefilled.of(keys[:, :, a:b], values[:, :, a:b], logits[i], min(packed.attention.queries))
        for i, (a, b) in enumerate(packed.segments)
    ]


def decode_pass(
    model: LoadedModel, cache: PagedCache, tokens: NDArray[np.int64], positions: NDArray[np.int64]
) -> Tensor:
    """Feed one token to each of the first rows of the cache; logits [rows, vocabulary]."""
    numbers = StepNumbers.of(cache, tokens, positions, cache.books.size)
    return model_step(model, cache, numbers.to(model.device))


@dataclass(frozen=True)
class StepNumbers:
    """All that a decoding pass is told, in one tensor, so that a device gets it in one copy."""

    packed: Tensor
    rows: int
    size: PassSize

    @classmethod
    def of(
        cls, cache: PagedCache, tokens: NDArray[np.int64], positions: NDArray[np.int64], size: PassSize
    ) -> Self:
        """For a pass over so many pages of the cache, which may be more than are given out."""
        rows, books = len(tokens), cache.books
        layout = books.layout(positions, size)
        offsets = (positions - books.begins[:rows]) % PAGE
        parts = (
            tokens, positions, books.own.newest[:rows], offsets,
            layout.counts, layout.rows, layout.ranks, layout.starts, layout.ends,
        )  # fmt: skip
        return cls(torch.from_numpy(np.concatenate(parts)), rows, size)

    def to(self, device: torch.device) -> Self:
        """The same on a device."""
        return replace(self, packed=self.packed.to(device))

    def unpacked(self) -> tuple[Tensor, ...]:
        """Tokens, positions, written pages and places in them by row; then the layout."""
        rows, pairs = self.rows, self.size.pairs
        return torch.split(self.packed, [rows] * 4 + [rows + 1] + [pairs] * 4)


def model_step(model: LoadedModel, cache: PagedCache, numbers: StepNumbers) -> Tensor:
    """`decode_pass` on numbers that are in place already; nothing here waits for the device."""
    tokens, positions, pages, offsets, *layout = numbers.unpacked()
    cache.set_pass(pages, offsets)
    logits: Tensor = model.model(
        input_ids=tokens[:, None],
        position_ids=positions[:, None],
        past_key_values=cache,
        use_cache=True,
        engine_pass=DecodePass(numbers.size, positions, *layout),
    ).logits
    return logits[:, 0]


def check_layers(model: LoadedModel) -> None:
    """Refuse by name the kinds of layer that keep more than keys and values of every position."""
    kinds = set(getattr(model.model.config.get_text_config(), "layer_types", None) or ())
    if unknown := kinds - _LAYER_TYPES:
        raise attention_refusal(
            model, f"layers of type {', '.join(sorted(unknown))} keep another state than keys and values"
        )
    if getattr(model.model.config.get_text_config(), "kv_lora_rank", None):
        raise attention_refusal(
            model, "its attention is latent: it keeps compressed keys and values, the engine whole ones"
        )


def check_length(model: LoadedModel, longest: int) -> None:
    """Refuse rotary embeddings that change with the longest row of a batch, where a row may get that long."""
    config = model.model.config.get_text_config()
    rope = getattr(config, "rope_parameters", None) or {}
    for parameters in [rope, *(value for value in rope.values() if isinstance(value, dict))]:
        kind = parameters.get("rope_type")
        limit = parameters.get("original_max_position_embeddings") or config.max_position_embeddings
        if kind in _GROWING_ROPES and longest > limit:
            raise attention_refusal(
                model,
                f"its {kind} rotary embedding changes past {limit} positions with the longest row of a batch",
            )


def check_numbers(model: LoadedModel) -> None:
    """Compare prompt pass and decoding steps with the model's own forward pass on short inputs."""
    ids = [[(7 * i + 3 * row) % model.vocab_size for i in range(length)] for row, length in enumerate((5, 9))]
    try:
        packed = PackedPrompts.of([row[:-2] for row in ids])
        read = prompt_pass(model, packed)
        cache = PagedCache(read[0], MIN_ROWS)
        cache.reserve(len(read), read, most=len(read))
        for slot, prompt in enumerate(read):
            cache.join(slot, prompt)
        cache.books.own.give(range(len(read)))
        logits = [torch.stack([prompt.logits for prompt in read])]
        for back in (2, 1):
            tokens, positions = np.zeros((2, MIN_ROWS), dtype=np.int64)
            tokens[:2] = [row[-back] for row in ids]
            positions[:2] = [len(row) - back for row in ids]
            logits.append(decode_pass(model, cache, tokens, positions)[:2])
        _compare(model, ids, torch.stack(logits, dim=1))
    # What a forward pass raises that was made for other arguments or caches is its own choice.
    except (NotImplementedError, TypeError, AttributeError, LookupError, RuntimeError) as error:
        if is_out_of_memory(error):
            raise
        raise attention_refusal(model, f"its forward pass does not fit the engine ({error})") from error
    _check_windows(model, packed.attention.windows)


def _compare(model: LoadedModel, ids: list[list[int]], logits: Tensor) -> None:
    before = model.model.config._attn_implementation
    model.model.set_attn_implementation("eager")
    try:
        own = torch.stack(
            [model.model(input_ids=torch.tensor([row], device=model.device)).logits[0, -3:] for row in ids]
        )
    finally:
        model.model.set_attn_implementation(before)
    error = float((logits - own).abs().max())
    scale = float(own.abs().max())
    # Roundings differ between kernels; a wrong mask, position or cache differs by the logits' own size.
    if not error <= 2 * torch.finfo(model.dtype).eps ** 0.5 * max(scale, 1.0):
        raise attention_refusal(
            model, f"its logits come out different by {error:.3g} (largest logit {scale:.3g})"
        )


def _check_windows(model: LoadedModel, told: Sequence[int | None]) -> None:
    """Refuse sliding windows that live in masks alone: the engine makes its own, as attention is told."""
    config = model.model.config.get_text_config()
    every_layer = "sliding_attention" if getattr(config, "sliding_window", None) else "full_attention"
    kinds = getattr(config, "layer_types", None) or [every_layer] * len(told)
    if any(k == "sliding_attention" and t is None for k, t in zip(kinds, told, strict=False)):
        raise attention_refusal(
            model, "its layers do not tell their attention of the sliding window in its config"
        )
