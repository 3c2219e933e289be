"""Load a causal language model, find its blocks, and prove the map numerically."""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from backtracking.config.schema import NO_MODEL, ModelConfig
from backtracking.errors import UserError
from backtracking.interventions import Shape
from backtracking.model.source import check_source, loading_error, reaching
from backtracking.run.bundled import BUNDLED
from backtracking.run.provenance import digest

_FINAL_NORMS = ("norm", "ln_f", "final_layer_norm", "final_layernorm")
_ATTENTIONS = ("self_attn", "attn", "attention")
_MLPS = ("mlp", "feed_forward")
_HEAD_PROJECTIONS = ("o_proj", "c_proj", "dense", "out_proj")
_POST_NORMS = ("post_attention_layernorm", "post_feedforward_layernorm")
_PROBE_LENGTH = 12


@dataclass(frozen=True)
class Block:
    """One decoder layer and the modules whose outputs it adds to the residual stream."""

    layer: nn.Module
    attn: nn.Module
    mlp: nn.Module
    head_projection: nn.Module | None
    """Attention's output projection, whose input is the concatenation of the heads."""


@dataclass(frozen=True)
class LoadedModel:
    """A model, its tokenizer, and what the rest of the program needs to know about them."""

    name: str
    model: Any
    tokenizer: Any
    blocks: tuple[Block, ...]
    final_norm: nn.Module
    eos_token_ids: frozenset[int]
    context_length: int | None
    device: torch.device
    dtype: torch.dtype

    @property
    def n_layers(self) -> int:
        """How many decoder blocks the model has."""
        return len(self.blocks)

    @property
    def n_heads(self) -> int:
        """How many query heads a block's attention has."""
        return int(_text_config(self.model).num_attention_heads)

    @property
    def shape(self) -> Shape:
        """What an intervention can name here."""
        return Shape(self.n_layers, self.n_heads)

    @property
    def head_dim(self) -> int:
        """The width of one head."""
        config = _text_config(self.model)
        return int(getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads)

    @property
    def hidden_size(self) -> int:
        """The width of the residual stream."""
        return int(_text_config(self.model).hidden_size)

    @property
    def vocab_size(self) -> int:
        """How many tokens the output can choose from."""
        return int(self.model.get_output_embeddings().weight.shape[0])

    def has_separable_heads(self, layer: int) -> bool:
        """Whether the layer's output projection takes the heads end to end, `head_dim` wide each."""
        projection = self.blocks[layer].head_projection
        # `nx` is the name in GPT-2's layers.
        width = getattr(projection, "in_features", getattr(projection, "nx", None))
        return width == self.n_heads * self.head_dim

    def fingerprint(self) -> str:
        """A digest of the weights, the same on every machine until some value changes."""
        sums = {name: _sum_of_bits(weights) for name, weights in self.model.state_dict().items()}
        return digest([[name, list(shape), total] for name, (shape, total) in sums.items()])

    def readout(self, hidden: Tensor) -> Tensor:
        """Logits of a residual-stream state, through the final norm and the output embedding."""
        normed = self.final_norm(hidden)
        check_finite(self.name, normed)
        logits: Tensor = self.model.get_output_embeddings()(normed)
        cap = getattr(_text_config(self.model), "final_logit_softcapping", None)
        return logits if cap is None else torch.tanh(logits / cap) * cap

    @classmethod
    def wrap(cls, model: Any, tokenizer: Any, name: str = "model") -> "LoadedModel":
        """Take a model that is in memory already; its map is verified as at load."""
        if not hasattr(getattr(model, "config", None), "get_text_config"):
            raise _unmapped(name, f"a {type(model).__name__} is not a causal language model of transformers")
        model.eval()
        layers = _find_layers(model, name)
        with torch.no_grad(), _recorded_outputs(layers) as (inputs, outputs):
            logits = model(input_ids=_probe_ids(model), use_cache=False).logits
        check_finite(name, logits)
        blocks = tuple(_map_block(layer, index, name, inputs, outputs) for index, layer in enumerate(layers))
        loaded = cls(
            name=name,
            model=model,
            tokenizer=tokenizer,
            blocks=blocks,
            final_norm=_find_final_norm(model, name),
            eos_token_ids=_eos_token_ids(model, tokenizer),
            context_length=_context_length(model),
            device=model.device,
            dtype=model.dtype,
        )
        _verify_readout(loaded, outputs[layers[-1]], logits)
        _check_end_tokens(loaded)
        return loaded


def load_model(config: ModelConfig) -> LoadedModel:
    """Load weights and tokenizer as the config asks, onto the resolved device and dtype."""
    from transformers import AutoModelForCausalLM

    device = resolve_device(config.device)
    attention = (
        {} if config.attn_implementation is None else {"attn_implementation": config.attn_implementation}
    )
    source, options = _source(config)
    tokenizer = load_tokenizer(config)
    try:
        with reaching(source), _without_progress_bars():
            model = AutoModelForCausalLM.from_pretrained(
                source, dtype=_resolve_dtype(config.torch_dtype, device), **attention, **options
            )
    except (OSError, ValueError, ImportError) as error:
        raise loading_error(config, error) from error
    return LoadedModel.wrap(model.to(device), tokenizer, config.hf_id)


def load_tokenizer(config: ModelConfig) -> Any:
    """The tokenizer alone, for what reads text and no weights."""
    from transformers import AutoTokenizer

    source, options = _source(config)
    try:
        with reaching(source):
            return AutoTokenizer.from_pretrained(source, **options)
    except (OSError, ValueError, ImportError) as error:
        raise loading_error(config, error) from error


@contextmanager
def _without_progress_bars() -> Iterator[None]:
    """Keep transformers' "Loading weights" off the caller's terminal."""
    from transformers.utils import logging

    if not logging.is_progress_bar_enabled():
        yield
        return
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.enable_progress_bar()


def _source(config: ModelConfig) -> tuple[str, dict[str, Any]]:
    """Where the files lie, and how transformers is asked for them."""
    check_source(config)
    source = config.hf_id
    if source == NO_MODEL:
        raise UserError(
            "this run has no model",
            "its completions were imported, and what they were written with is not known",
            "name the model, or its tokenizer, with --set model.hf_id=...",
        )
    if source in BUNDLED:
        from backtracking.organism.bundle import bundled_reasoner_path

        source = str(bundled_reasoner_path(source))
    if config.trust_remote_code:
        warnings.warn(
            f"model.trust_remote_code is on: code that comes with {source} runs here with all your rights",
            stacklevel=3,
        )
    options: dict[str, Any] = {"revision": config.revision, "trust_remote_code": config.trust_remote_code}
    if config.gguf_file is not None:
        options["gguf_file"] = config.gguf_file
    return source, options


def resolve_device(wanted: str) -> torch.device:
    """`auto` picks cuda, then mps, then cpu; a device that is absent is the user's mistake."""
    if wanted == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    device = torch.device(wanted)
    present = {
        "cpu": True,
        "cuda": torch.cuda.is_available() and (device.index or 0) < torch.cuda.device_count(),
        "mps": torch.backends.mps.is_available(),
    }
    if not present.get(device.type, False):
        raise UserError(
            f"model.device: {wanted!r} is not available on this machine",
            "this build of torch finds no such device",
            "set model.device: auto, or cpu",
        )
    return device


def _resolve_dtype(wanted: str, device: torch.device) -> torch.dtype | str:
    if wanted == "auto":
        return torch.float32 if device.type == "cpu" else "auto"
    dtype: torch.dtype = getattr(torch, wanted)
    return dtype


def _text_config(model: Any) -> Any:
    return model.config.get_text_config()


def _eos_token_ids(model: Any, tokenizer: Any) -> frozenset[int]:
    """The first source that names any: generation config, model config, tokenizer."""
    sources = (
        getattr(getattr(model, "generation_config", None), "eos_token_id", None),
        getattr(model.config, "eos_token_id", None),
        getattr(tokenizer, "eos_token_id", None),
    )
    for tokens in sources:
        if tokens is not None:
            return frozenset([tokens] if isinstance(tokens, int) else tokens)
    return frozenset()


def _context_length(model: Any) -> int | None:
    length = getattr(_text_config(model), "max_position_embeddings", None)
    return None if length is None else int(length)


def _find_layers(model: Any, name: str) -> list[nn.Module]:
    wanted = int(_text_config(model).num_hidden_layers)
    for module in model.modules():
        if isinstance(module, nn.ModuleList) and len(module) == wanted and _child(module[0], _ATTENTIONS):
            return list(module)
    raise _unmapped(name, f"no list of {wanted} decoder layers with an attention module was found")


def _find_final_norm(model: Any, name: str) -> nn.Module:
    norm = _child(model.base_model, _FINAL_NORMS)
    if norm is None:
        raise _unmapped(name, f"no final norm was found under any of the names {', '.join(_FINAL_NORMS)}")
    return norm


def _child(module: nn.Module, names: Sequence[str]) -> nn.Module | None:
    children = dict(module.named_children())
    return next((children[name] for name in names if name in children), None)


def _unmapped(name: str, why: str) -> UserError:
    return UserError(
        f"{name}: this architecture cannot be intervened on",
        why,
        "choose one with standard decoder blocks (Llama, Qwen, Mistral, Gemma, Phi-3, GPT-2, GPT-NeoX)",
    )


def _sum_of_bits(weights: Tensor) -> tuple[torch.Size, int]:
    """A tensor's shape and its bytes summed as whole numbers: exact, whatever the order and the device."""
    flat = weights.detach().contiguous().flatten().view(torch.uint8)
    wide = flat.numel() % 8 == 0 and flat.storage_offset() % 8 == 0
    return weights.shape, int((flat.view(torch.int64) if wide else flat).sum(dtype=torch.int64))


def first_tensor(output: Any) -> Tensor:
    """A module's hidden state: the output itself, or its first member."""
    tensor: Tensor = output[0] if isinstance(output, tuple) else output
    return tensor


def _probe_ids(model: Any) -> Tensor:
    vocabulary = int(model.get_input_embeddings().weight.shape[0])
    ids = (torch.arange(_PROBE_LENGTH) * 7919 + 11) % vocabulary
    return ids.unsqueeze(0).to(model.device)


def check_finite(name: str, output: Tensor) -> None:
    """Refuse numbers that are none: whatever is computed from them would be none either."""
    if not bool(output.isfinite().all()):
        raise UserError(
            f"{name}: the model's output is not finite",
            "the weights hold NaN or infinity, or the numbers overflow in this dtype",
            "load the weights again, or set model.torch_dtype: float32",
        )


def _check_end_tokens(loaded: LoadedModel) -> None:
    outside = sorted(token for token in loaded.eos_token_ids if not 0 <= token < loaded.vocab_size)
    if outside:
        raise UserError(
            f"{loaded.name}: the end token {outside[0]} is outside the vocabulary ({loaded.vocab_size})",
            "no completion could ever end with it: tokenizer and weights do not belong together",
            "give the tokenizer that the model was trained with",
        )


Recorded = dict[nn.Module, Tensor]


@contextmanager
def _recorded_outputs(layers: Sequence[nn.Module]) -> Iterator[tuple[Recorded, Recorded]]:
    """Record each layer's input and the outputs of the layer and its children during one call."""
    inputs: Recorded = {}
    outputs: Recorded = {}

    def before(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        inputs[module] = args[0] if args else kwargs["hidden_states"]

    def after(module: nn.Module, _: Any, output: Any) -> None:
        outputs[module] = first_tensor(output)

    handles = [layer.register_forward_pre_hook(before, with_kwargs=True) for layer in layers]
    watched = [module for layer in layers for module in (layer, *layer.children())]
    handles += [module.register_forward_hook(after) for module in watched]
    try:
        yield inputs, outputs
    finally:
        for handle in handles:
            handle.remove()


def _exact(tensor: Tensor) -> Tensor:
    """On the host in float64, which not every device has."""
    return tensor.cpu().double()


def _map_block(layer: nn.Module, index: int, name: str, inputs: Recorded, outputs: Recorded) -> Block:
    """Choose the pair of modules that satisfies residual-in + attention + MLP = residual-out."""
    attention, mlp = _child(layer, _ATTENTIONS), _child(layer, _MLPS)
    if attention is None or mlp is None:
        raise _unmapped(name, f"layer {index} has no attention or no MLP under a known name")
    pairs = [(attention, mlp)]
    post_norms = tuple(_child(layer, (norm,)) for norm in _POST_NORMS)
    if post_norms[0] is not None and post_norms[1] is not None:
        pairs.append((post_norms[0], post_norms[1]))
    worst = float("inf")
    for attn_out, mlp_out in pairs:
        if attn_out not in outputs or mlp_out not in outputs:
            continue
        parts = [_exact(part) for part in (inputs[layer], outputs[attn_out], outputs[mlp_out])]
        error = (parts[0] + parts[1] + parts[2] - _exact(outputs[layer])).abs()
        # Each of the two additions rounds once to the model's own format.
        rounding = 4 * torch.finfo(outputs[layer].dtype).eps * sum(part.abs() for part in parts)
        worst = min(worst, float(error.max()))
        if bool((error <= rounding + 1e-12).all()):
            return Block(layer, attn_out, mlp_out, _child(attention, _HEAD_PROJECTIONS))
    raise _unmapped(
        name,
        f"layer {index} ({type(layer).__name__}): residual-in + attention + MLP differs from residual-out "
        f"by up to {worst:.3g}",
    )


def _verify_readout(loaded: LoadedModel, last_hidden: Tensor, logits: Tensor) -> None:
    with torch.no_grad():
        error = (_exact(loaded.readout(last_hidden)) - _exact(logits)).abs().max()
    if float(error) > 8 * torch.finfo(logits.dtype).eps * float(logits.abs().max()):
        raise _unmapped(
            loaded.name,
            f"final norm and output embedding give other logits than the model (by {float(error):.3g})",
        )
