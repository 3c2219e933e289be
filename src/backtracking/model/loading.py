"""Load a causal language model, find its blocks, and prove the map numerically."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from backtracking.config.schema import NO_MODEL, ModelConfig
from backtracking.errors import UserError
from backtracking.interventions import Shape
from backtracking.model.mapping import (
    Block,
    check_finite,
    config_number,
    final_logits,
    head_count,
    map_model,
    text_config,
    unmapped,
)
from backtracking.model.source import check_source, loading_error, reaching
from backtracking.run.bundled import BUNDLED
from backtracking.run.provenance import digest


@dataclass(frozen=True)
class LoadedModel:
    """A model, its tokenizer, and what the rest of the program needs to know about them."""

    name: str
    model: Any
    tokenizer: Any
    blocks: tuple[Block, ...]
    final_norm: nn.Module
    logit_scale: float
    """What the model multiplies the output embedding's logits by."""
    reads_padded: bool
    """Whether texts of different lengths can be read side by side, padded on the left."""
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
        return head_count(self.model)

    @property
    def shape(self) -> Shape:
        """What an intervention can name here."""
        return Shape(self.n_layers, self.n_heads)

    @property
    def head_dim(self) -> int:
        """The width of one head."""
        return int(config_number(self.model, "head_dim") or self.hidden_size // self.n_heads)

    @property
    def hidden_size(self) -> int:
        """The width of the residual stream."""
        return int(text_config(self.model).hidden_size)

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
        return final_logits(self.model, normed, self.logit_scale)

    @classmethod
    def wrap(cls, model: Any, tokenizer: Any, name: str = "model") -> "LoadedModel":
        """Take a model that is in memory already; its map is verified as at load."""
        if not hasattr(getattr(model, "config", None), "get_text_config"):
            raise unmapped(name, f"a {type(model).__name__} is not a causal language model of transformers")
        model.eval()
        found = map_model(model, name)
        loaded = cls(
            name=name,
            model=model,
            tokenizer=tokenizer,
            blocks=found.blocks,
            final_norm=found.final_norm,
            logit_scale=found.logit_scale,
            reads_padded=found.reads_padded,
            eos_token_ids=_eos_token_ids(model, tokenizer),
            context_length=_context_length(model),
            device=model.device,
            dtype=model.dtype,
        )
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
    return config_number(model, "max_position_embeddings")


def _sum_of_bits(weights: Tensor) -> tuple[torch.Size, int]:
    """A tensor's shape and its bytes summed as whole numbers: exact, whatever the order and the device."""
    flat = weights.detach().contiguous().flatten().view(torch.uint8)
    wide = flat.numel() % 8 == 0 and flat.storage_offset() % 8 == 0
    return weights.shape, int((flat.view(torch.int64) if wide else flat).sum(dtype=torch.int64))


def _check_end_tokens(loaded: LoadedModel) -> None:
    outside = sorted(token for token in loaded.eos_token_ids if not 0 <= token < loaded.vocab_size)
    if outside:
        raise UserError(
            f"{loaded.name}: the end token {outside[0]} is outside the vocabulary ({loaded.vocab_size})",
            "no completion could ever end with it: tokenizer and weights do not belong together",
            "give the tokenizer that the model was trained with",
        )
