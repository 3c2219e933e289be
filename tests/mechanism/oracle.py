"""The scan's oracle: whole forwards with hooks of their own, and every reading computed anew.

It shares no code with `backtracking.mechanism`: modules are found by their names in each architecture, one
change is one hook, and readings are numpy in double precision.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

NAMES = {
    "qwen2": ("model.layers", "self_attn", "mlp", "self_attn.o_proj"),
    "mistral": ("model.layers", "self_attn", "mlp", "self_attn.o_proj"),
    "gpt2": ("transformer.h", "attn", "mlp", "attn.c_proj"),
    "gemma3_text": (
        "model.layers",
        "post_attention_layernorm",
        "post_feedforward_layernorm",
        "self_attn.o_proj",
    ),
    "granite": ("model.layers", "self_attn", "mlp", "self_attn.o_proj"),
    "cohere": ("model.layers", "self_attn", "mlp", "self_attn.o_proj"),
    "bloom": ("transformer.h", "self_attention.dense", "mlp.dense_4h_to_h", "self_attention.dense"),
    "lfm2": ("model.layers", "self_attn or conv", "feed_forward", "self_attn.out_proj"),
}
"""Per architecture: the layers, what attention and MLP write with, and the projection behind the heads."""


@dataclass(frozen=True)
class Change:
    """One component's output at one position: multiplied by a number, or replaced."""

    component: str
    layer: int
    head: int | None
    position: int
    value: float | Tensor


def _changed(output: Tensor, change: Change, part: slice) -> Tensor:
    output = output.clone()
    old = output[0, change.position, part]
    is_factor = isinstance(change.value, float)
    output[0, change.position, part] = old * change.value if is_factor else change.value.to(old.dtype)
    return output


def _install(model: Any, change: Change) -> Any:
    layers, attention, mlp, projection = NAMES[model.config.model_type]
    layer = model.get_submodule(f"{layers}.{change.layer}")
    if change.head is not None:
        width = getattr(model.config, "head_dim", None)
        width = width or model.config.hidden_size // model.config.num_attention_heads
        part = slice(change.head * width, (change.head + 1) * width)
        return layer.get_submodule(projection).register_forward_pre_hook(
            lambda _, args: (_changed(args[0], change, part), *args[1:])
        )

    def after(_: nn.Module, __: Any, output: Any) -> Any:
        if isinstance(output, tuple):
            return (_changed(output[0], change, slice(None)), *output[1:])
        return _changed(output, change, slice(None))

    name, _, otherwise = attention.partition(" or ")
    mixer = name if hasattr(layer, name.partition(".")[0]) else otherwise
    module = layer.get_submodule(mixer if change.component == "attn" else mlp)
    return module.register_forward_hook(after)


@torch.no_grad()
def whole_forward(model: Any, ids: Sequence[int], changes: Iterable[Change] = ()) -> tuple[Tensor, Tensor]:
    """One plain call under the changes: the last layer's output and the logits, both at the last position."""
    last = model.get_submodule(NAMES[model.config.model_type][0])[-1]
    kept: list[Tensor] = []

    def keep(_: nn.Module, __: Any, output: Any) -> None:
        kept.append(output[0] if isinstance(output, tuple) else output)

    with ExitStack() as stack:
        for change in changes:
            stack.callback(_install(model, change).remove)
        stack.callback(last.register_forward_hook(keep).remove)
        logits = model(input_ids=torch.tensor([list(ids)]), use_cache=False).logits
    return kept[0][0, -1], logits[0, -1]


def chances(model: Any, ids: Sequence[int], phrases: Iterable[Sequence[int]]) -> dict[int, float]:
    """Per first token the chance that one of its phrases goes on from there: a plain call for each piece."""
    found: dict[int, float] = {}
    for first, *rest in phrases:
        said, chance = [*ids, first], 1.0
        for token in rest:
            chance *= float(whole_forward(model, said)[1].double().softmax(-1)[token])
            said.append(token)
        found[first] = found.get(first, 0.0) + chance
    return found


def readings(
    before: Tensor,
    after: Tensor,
    *,
    onset: int,
    family: Mapping[int, float],
    triggers: Mapping[int, float],
    contrast: Sequence[int],
    next_id: int,
) -> Mapping[str, float]:
    """What a change did to the next token: every number by its definition."""
    x, y = (np.asarray(logits.double()) for logits in (before, after))
    p, q = (np.exp(z - z.max()) / np.exp(z - z.max()).sum() for z in (x, y))

    def of(share: np.ndarray, some: Mapping[int, float]) -> tuple[float, float]:
        """Log-mass and log-odds of some first tokens, each with the chance that its phrase goes on."""
        mass = sum(share[token] * chance for token, chance in some.items())
        return float(np.log(mass)), float(np.log(mass / (1 - mass)))

    def gap(z: np.ndarray) -> float:
        return float(z[onset] - z[list(contrast)].mean()) if contrast else float("nan")

    return {
        "logit": float(y[onset] - x[onset]),
        "logprob": float(np.log(q[onset]) - np.log(p[onset])),
        "family": of(q, family)[0] - of(p, family)[0],
        "log_odds": of(q, family)[1] - of(p, family)[1],
        "triggers": of(q, triggers)[0] - of(p, triggers)[0],
        "trigger_log_odds": of(q, triggers)[1] - of(p, triggers)[1],
        "gap": gap(y) - gap(x),
        "next_logprob": float(np.log(q[next_id]) - np.log(p[next_id])),
        "kl": float((p * (np.log(p) - np.log(q))).sum()),
    }
