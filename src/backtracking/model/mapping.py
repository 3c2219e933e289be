"""Find what each layer adds to the residual stream, and prove it on a short input."""

import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from backtracking.errors import UserError, is_out_of_memory

_FINAL_NORMS = ("norm", "ln_f", "final_layer_norm", "final_layernorm")
_ATTENTIONS = ("self_attn", "attn", "attention", "self_attention")
_OTHER_MIXERS = ("linear_attn", "mamba", "mixer", "conv", "temporal_block")
_MLPS = ("mlp", "feed_forward")
_HEAD_PROJECTIONS = ("o_proj", "c_proj", "dense", "out_proj")
_POST_NORMS = ("post_attention_layernorm", "post_feedforward_layernorm")
_LOGIT_CAPS = ("final_logit_softcapping", "logits_soft_cap", "output_logit_soft_cap")
_PROBE_LENGTH = 12
_PADDING = 3
_SMALLEST_SCALE = 1e-3
_MOST_ALIKE = 0.999
"""Two parts that point the same way in every position are one part, seen twice."""


@dataclass(frozen=True)
class Block:
    """One decoder layer and the modules whose outputs it adds to the residual stream."""

    layer: nn.Module
    attn: nn.Module
    """What mixes positions: attention, or in a layer without it the state-space or convolution mixer."""
    mlp: nn.Module
    head_projection: nn.Module | None
    """Attention's output projection, whose input is the concatenation of the heads."""
    attn_scale: float = 1.0
    """What the layer multiplies attention's output by when it adds it."""
    mlp_scale: float = 1.0


@dataclass(frozen=True)
class ModelMap:
    """Where a model's residual stream is written and read."""

    blocks: tuple[Block, ...]
    final_norm: nn.Module
    logit_scale: float
    """What the model multiplies the output embedding's logits by."""
    reads_padded: bool
    """Whether a text with padding in front gives the same numbers as without."""


def map_model(model: Any, name: str) -> ModelMap:
    """The blocks, final norm and logit scale; refused unless the numbers of a short pass prove them."""
    try:
        text_config(model)
    except ValueError as error:  # transformers' own: several language models in one
        raise unmapped(name, "it holds more than one language model") from error
    head = model.get_output_embeddings()
    if head is None or getattr(head, "weight", None) is None:
        raise unmapped(name, "the model has no output embedding that scores every token of the vocabulary")
    with torch.no_grad():
        _check_weights(model, name)
        with _recording(model) as seen:
            logits = _probe(model, name)
        check_finite(name, logits)
        layers = _find_layers(model, name, seen)
        blocks = tuple(_map_block(layer, index, name, seen) for index, layer in enumerate(layers))
        _check_removal(model, name, blocks, seen)
        final_norm = _find_final_norm(model, name, seen, layers[-1], head)
        scale = _logit_scale(model, name, final_norm, seen.outputs[layers[-1]], logits)
        reads_padded = _reads_padded(model, logits)
    return ModelMap(blocks, final_norm, scale, reads_padded)


def text_config(model: Any) -> Any:
    """The part of a config that speaks of the language model."""
    return model.config.get_text_config()


def config_number(model: Any, name: str) -> int | None:
    """A whole number of the config, or None where it has none, or another one in every layer."""
    try:
        value = getattr(text_config(model), name, None)
    # A config whose layers differ raises an error of its own when asked for the one number.
    except (AttributeError, ValueError):
        return None
    return value if isinstance(value, int) else None


def head_count(model: Any) -> int:
    """How many query heads a layer has; 1 where the config counts none."""
    return config_number(model, "num_attention_heads") or config_number(model, "num_heads") or 1


def final_logits(model: Any, normed: Tensor, scale: float) -> Tensor:
    """What the output embedding makes of a state behind the final norm, scaled and capped as in the model."""
    logits: Tensor = model.get_output_embeddings()(normed)
    if scale != 1.0:
        logits = logits * scale
    config = text_config(model)
    cap = next((cap for name in _LOGIT_CAPS if (cap := getattr(config, name, None)) is not None), None)
    return logits if cap is None else torch.tanh(logits / cap) * cap


def unmapped(name: str, why: str) -> UserError:
    """The error for a model whose residual stream is not the sum of its parts."""
    return UserError(
        f"{name}: this architecture cannot be intervened on",
        why,
        "choose one with standard decoder blocks (Llama, Qwen, Mistral, Gemma, Phi-3, GPT-2, GPT-NeoX; "
        "docs/models.md lists the families)",
    )


def first_tensor(output: Any) -> Tensor:
    """A module's hidden state: the output itself, or its first member."""
    tensor: Tensor = output[0] if isinstance(output, tuple) else output
    return tensor


def check_finite(name: str, output: Tensor) -> None:
    """Refuse numbers that are none: whatever is computed from them would be none either."""
    if not bool(output.isfinite().all()):
        raise UserError(
            f"{name}: the model's output is not finite",
            "the weights hold NaN or infinity, or the numbers overflow in this dtype",
            "load the weights again, or set model.torch_dtype: float32",
        )


def _check_weights(model: Any, name: str) -> None:
    """Refuse weights that are no numbers, also where a short input does not meet them."""
    for key, weight in model.named_parameters():
        # Formats of a byte have scales of their own.
        is_plain = weight.is_floating_point() and weight.itemsize > 1 and weight.numel() > 0
        if is_plain and not all(bool(end.isfinite()) for end in weight.aminmax()):
            raise UserError(
                f"{name}: the weights hold NaN or infinity ({key})",
                "whatever is computed from them would be none either",
                "load the weights again",
            )


@dataclass
class _Seen:
    """What the modules of a model took in and gave out in one pass, in the order in which they ended."""

    inputs: dict[nn.Module, Tensor] = field(default_factory=dict)
    outputs: dict[nn.Module, Tensor] = field(default_factory=dict)
    runs: dict[nn.Module, int] = field(default_factory=dict)

    def once(self, module: nn.Module) -> bool:
        """Whether it ran once, from a tensor to a tensor."""
        return self.runs.get(module) == 1 and module in self.inputs and module in self.outputs


@contextmanager
def _recording(model: nn.Module) -> Iterator[_Seen]:
    """Keep copies of what every module takes in and gives out: some models add in place."""
    seen = _Seen()

    def before(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        given = args[0] if args else kwargs.get("hidden_states")
        if isinstance(given, Tensor):
            seen.inputs[module] = given.clone()

    def after(module: nn.Module, _: Any, output: Any) -> None:
        seen.runs[module] = seen.runs.get(module, 0) + 1
        given = output[0] if isinstance(output, (tuple, list)) and output else output
        if isinstance(given, Tensor):
            seen.outputs[module] = given.clone()

    handles = []
    for module in model.modules():
        handles.append(module.register_forward_pre_hook(before, with_kwargs=True))
        handles.append(module.register_forward_hook(after))
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def _probe(model: Any, name: str) -> Tensor:
    """The logits of a short input."""
    try:
        logits: Tensor = model(input_ids=_probe_ids(model), use_cache=False).logits
    # What a model raises that wants more than tokens is its own choice.
    except (TypeError, ValueError, RuntimeError, AttributeError, NotImplementedError, IndexError) as error:
        if is_out_of_memory(error):
            raise
        raise unmapped(name, f"it does not read plain tokens: {error}") from error
    return logits


def _probe_ids(model: Any) -> Tensor:
    vocabulary = int(model.get_input_embeddings().weight.shape[0])
    return ((torch.arange(_PROBE_LENGTH) * 7919 + 11) % vocabulary).unsqueeze(0).to(model.device)


def _reads_padded(model: Any, plain: Tensor) -> bool:
    """Compare the short input with itself behind padding, beside a longer one."""
    ids = _probe_ids(model)
    batch = torch.stack([functional.pad(ids[0], (_PADDING, 0)), torch.cat([ids[0], ids[0, :_PADDING]])])
    mask = torch.ones_like(batch)
    mask[0, :_PADDING] = 0
    positions = (mask.cumsum(1) - 1).clamp(min=0)
    try:
        read = model(input_ids=batch, attention_mask=mask, position_ids=positions, use_cache=False).logits
    # What a model raises that takes no mask or positions is its own choice.
    except (TypeError, ValueError, RuntimeError, AttributeError, NotImplementedError, IndexError) as error:
        if is_out_of_memory(error):
            raise
        return False
    away = (_exact(read[0, _PADDING:]) - _exact(plain[0])).abs().max()
    # Roundings differ between kernels; a mask that is not heeded differs by the logits' own size.
    scale = max(float(plain.abs().max()), 1.0)
    return bool(away <= 2 * torch.finfo(plain.dtype).eps ** 0.5 * scale)


def _exact(tensor: Tensor) -> Tensor:
    """On the host in float64, which not every device has."""
    return tensor.cpu().double()


def _child(module: nn.Module, names: Sequence[str]) -> nn.Module | None:
    children = dict(module.named_children())
    return next((children[name] for name in names if name in children), None)


def _find_layers(model: Any, name: str, seen: _Seen) -> list[nn.Module]:
    """The longest list of modules that hand the residual stream from one to the next."""
    lists = [list(module) for module in model.modules() if isinstance(module, nn.ModuleList)]
    chains = [layers for layers in lists if _is_chain(layers, seen)]
    if not chains:
        raise unmapped(
            name, "no list of layers was found that hand one residual stream from each to the next"
        )
    return max(chains, key=len)


def _is_chain(layers: Sequence[nn.Module], seen: _Seen) -> bool:
    if not layers or not all(seen.once(layer) for layer in layers):
        return False
    shapes = {tensor.shape for layer in layers for tensor in (seen.inputs[layer], seen.outputs[layer])}
    if len(shapes) != 1 or next(iter(shapes))[:-1] != (1, _PROBE_LENGTH):
        return False
    return all(
        torch.equal(seen.outputs[one], seen.inputs[next_]) for one, next_ in itertools.pairwise(layers)
    )


def _map_block(layer: nn.Module, index: int, name: str, seen: _Seen) -> Block:
    """Choose the two modules whose outputs, each times a number, are what the layer adds."""
    whole = _exact(seen.outputs[layer]) - _exact(seen.inputs[layer])
    size = _exact(seen.inputs[layer]).abs()
    eps = torch.finfo(seen.outputs[layer].dtype).eps
    worst = float("inf")
    for attn, mlp in _pairs(layer, seen):
        parts = [_exact(seen.outputs[part]) for part in (attn, mlp)]
        for scales in ((1.0, 1.0), _scales(parts, whole)):
            scaled = [scale * part for scale, part in zip(scales, parts, strict=True)]
            error = (whole - scaled[0] - scaled[1]).abs()
            # Each addition and each multiplication rounds once to the model's own format.
            rounding = 4 * eps * (size + scaled[0].abs() + scaled[1].abs())
            worst = min(worst, float(error.max()))
            if min(map(abs, scales)) > _SMALLEST_SCALE and bool((error <= rounding + 1e-12).all()):
                return Block(layer, attn, mlp, _heads(layer, attn), *scales)
    raise unmapped(
        name, f"layer {index} ({type(layer).__name__}) {_why_not(layer, whole, size, seen, worst)}"
    )


def _why_not(layer: nn.Module, whole: Tensor, size: Tensor, seen: _Seen, worst: float) -> str:
    """Why no two modules explain what a layer adds."""
    eps = torch.finfo(seen.outputs[layer].dtype).eps
    alike = [module for module in layer.modules() if seen.outputs.get(module, whole[:0]).shape == whole.shape]
    for module in (module for module in alike if module is not layer):
        part = _exact(seen.outputs[module])
        if bool(((whole - part).abs() <= 4 * eps * (size + part.abs()) + 1e-12).all()):
            return f"adds one part alone ({type(module).__name__}), where a mixer and an MLP are needed"
    why = f"does not add up: residual-in + attention + MLP differs from residual-out by up to {worst:.3g}"
    flat = [place for place, module in layer.named_modules() if _is_flat(seen.outputs.get(module), whole)]
    if not flat:
        return why
    return f"{why}; {' and '.join(flat)} could not be tried, which give the positions of all rows in one list"


def _is_flat(output: Tensor | None, whole: Tensor) -> bool:
    """Whether an output has every position of the residual stream, but does not tell rows apart."""
    return output is not None and output.ndim == 2 and output.shape == whole.flatten(0, 1).shape


def _pairs(layer: nn.Module, seen: _Seen) -> Iterator[tuple[nn.Module, nn.Module]]:
    """Modules to try as (attention, MLP): those of the usual names first, then any two of the layer."""
    shape = seen.outputs[layer].shape
    places = {module: place for place, module in layer.named_modules() if place}
    usable = [module for module in seen.outputs if module in places and seen.outputs[module].shape == shape]
    usable = [module for module in usable if seen.runs[module] == 1]
    for attentions, mlps in ((_ATTENTIONS, _MLPS), (_OTHER_MIXERS, _MLPS), _POST_NORMS):
        attn = _child(layer, attentions if isinstance(attentions, tuple) else (attentions,))
        mlp = _child(layer, mlps if isinstance(mlps, tuple) else (mlps,))
        if attn in usable and mlp in usable:
            yield attn, mlp
    found = [
        (one, other)
        for i, one in enumerate(usable)
        for other in usable[i + 1 :]
        if not _are_one(seen.outputs[one], seen.outputs[other])
    ]
    mixers = (*_ATTENTIONS, *_OTHER_MIXERS)
    for one, other in sorted(found, key=lambda pair: sum(places[module].count(".") for module in pair)):
        is_turned = places[other].partition(".")[0] in mixers and places[one].partition(".")[0] not in mixers
        yield (other, one) if is_turned else (one, other)


def _are_one(part: Tensor, other: Tensor) -> bool:
    likeness = torch.cosine_similarity(part.flatten().float(), other.flatten().float(), dim=0)
    return bool(likeness.abs() > _MOST_ALIKE)


def _scales(parts: Sequence[Tensor], whole: Tensor) -> tuple[float, float]:
    """The two numbers with which the parts come closest to the whole."""
    columns = torch.stack([part.flatten() for part in parts], dim=1)
    first, second = torch.linalg.lstsq(columns, whole.flatten()[:, None]).solution[:, 0].tolist()
    return first, second


def _heads(layer: nn.Module, attn: nn.Module) -> nn.Module | None:
    """The output projection of the layer's attention; other mixers have no heads to tell apart."""
    attention = _child(layer, _ATTENTIONS)
    if attention is None:
        return None
    other = _child(layer, _OTHER_MIXERS)
    if other is not None and any(module is attn for module in other.modules()):
        return None
    return _child(attention, _HEAD_PROJECTIONS)


def _check_removal(model: Any, name: str, blocks: Sequence[Block], seen: _Seen) -> None:
    """With every part's output put to zero, the residual stream must pass through unchanged."""

    def zero(_: nn.Module, __: Any, output: Any) -> Any:
        nothing = torch.zeros_like(first_tensor(output))
        return (nothing, *output[1:]) if isinstance(output, tuple) else nothing

    handles = [part.register_forward_hook(zero) for block in blocks for part in (block.attn, block.mlp)]
    last: list[Tensor] = []
    end = blocks[-1].layer
    keep = end.register_forward_hook(lambda _, __, output: last.append(first_tensor(output).clone()))
    try:
        _probe(model, name)
    finally:
        for handle in (*handles, keep):
            handle.remove()
    if not torch.equal(last[0], seen.inputs[blocks[0].layer]):
        raise unmapped(name, "with every attention and MLP removed, the residual stream still changes")


def _find_final_norm(model: Any, name: str, seen: _Seen, last: nn.Module, head: nn.Module) -> nn.Module:
    """The module between the last layer and the output embedding."""
    norm = _child(model.base_model, _FINAL_NORMS)
    if norm is not None:
        return norm
    for module in seen.outputs:
        if seen.once(module) and head in seen.inputs and _hands_on(seen, last, module, head):
            return module
    raise unmapped(name, "no norm was found between the last layer and the output embedding")


def _hands_on(seen: _Seen, last: nn.Module, module: nn.Module, head: nn.Module) -> bool:
    return torch.equal(seen.inputs[module], seen.outputs[last]) and torch.equal(
        seen.outputs[module], seen.inputs[head]
    )


def _logit_scale(model: Any, name: str, final_norm: nn.Module, last: Tensor, logits: Tensor) -> float:
    """What the output embedding's logits are multiplied by, 1 in most models; proved on the probe."""
    normed = final_norm(last)
    expected, plain = _exact(logits), _exact(model.get_output_embeddings()(normed))
    if plain.shape != expected.shape:
        raise unmapped(name, "the model's logits are not one per token of its output embedding")
    fitted = float((plain * expected).sum() / (plain * plain).sum().clamp(min=1e-300))
    error = torch.tensor(torch.inf)
    for scale in (1.0, fitted):
        error = (_exact(final_logits(model, normed, scale)) - expected).abs().max()
        if float(error) <= 8 * torch.finfo(logits.dtype).eps * float(logits.abs().max()):
            return scale
    raise unmapped(
        name, f"final norm and output embedding give other logits than the model (by {float(error):.3g})"
    )
