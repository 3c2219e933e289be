"""Masks for short continuations that share a pass behind one prefix, each of which sees its own alone."""

from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache

from backtracking.errors import UserError
from backtracking.model.loading import LoadedModel


def check_mask_support(loaded: LoadedModel) -> None:
    """Refuse attention kernels that take no mask of ours."""
    kernel = getattr(loaded.model.config, "_attn_implementation", "eager")
    if kernel not in ("eager", "sdpa"):
        raise UserError(
            f"model.attn_implementation: {kernel} cannot run the scans",
            "they need an attention mask of their own",
            "set model.attn_implementation: sdpa for logit-lens, ablation-scan and the analyses after them",
        )


def attention_masks(loaded: LoadedModel, seen: Tensor, prefix: Tensor, positions: Tensor) -> Any:
    """Masks for queries behind a prefix; per layer type where a model mixes full and sliding attention.

    `seen` says what each query may see, [batch, query, key]; the others where prefix and queries stand.
    """
    config = loaded.model.config.get_text_config()
    kinds = set(getattr(config, "layer_types", None) or ())
    window = getattr(config, "sliding_window", None)
    slides = "sliding_attention" in kinds if kinds else window is not None
    near = seen
    if slides and window is not None:
        key_positions = torch.cat([prefix, positions], dim=1)
        near = seen & (positions[:, :, None] - key_positions[:, None, :] < window)
    if len(kinds) > 1:
        return {
            kind: _additive(near if kind == "sliding_attention" else seen, loaded.dtype) for kind in kinds
        }
    return _additive(near, loaded.dtype)


def own_tails(given: Tensor, arms: int, tail: int) -> Tensor:
    """[batch, query, key]: the prefix without its padding, and earlier tokens of the same arm."""
    queries = arms * tail
    device = given.device
    arm = torch.arange(queries, device=device) // tail
    step = torch.arange(queries, device=device) % tail
    own = (arm[:, None] == arm[None, :]) & (step[:, None] >= step[None, :])
    before = given.bool()[:, None, :].expand(-1, queries, -1)
    return torch.cat([before, own.expand(len(given), -1, -1)], dim=2)


def _additive(seen: Tensor, dtype: torch.dtype) -> Tensor:
    return torch.zeros(seen.shape, dtype=dtype, device=seen.device).masked_fill(
        ~seen, torch.finfo(dtype).min
    )[:, None]


def rewind(cache: DynamicCache, width: int) -> None:
    """Forget what was read behind the first `width` positions."""
    for layer in cache.layers:
        layer.keys = layer.keys[:, :, :width]
        layer.values = layer.values[:, :, :width]
