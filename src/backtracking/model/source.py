"""Where a model's files lie, how the hub is asked for them, and the shape that its config.json gives."""

import json
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backtracking.config.schema import ModelConfig
from backtracking.errors import UserError
from backtracking.interventions import Shape
from backtracking.run.bundled import BUNDLED, bundled_folder
from backtracking.run.hub import asking_hub


def check_source(config: ModelConfig) -> None:
    """Refuse a local folder that is not there; the hub would only complain about its name."""
    named = config.hf_id
    if named.startswith("bundled:") and bundled_folder(named) is None:
        raise UserError(
            f"model.hf_id: no model called {named!r} ships with the package",
            next_step=f"give one of {', '.join(BUNDLED)}",
        )
    is_path = named.startswith(("/", ".", "~")) or named.count("/") > 1 or "\\" in named
    if is_path and not Path(named).is_dir():
        why = "`~` is not written out here" if named.startswith("~") else ""
        raise UserError(
            f"model.hf_id: there is no folder {named}",
            why,
            "give the folder of a model, a hub id (owner/name), or `bundled`",
        )


_UNREADABLE = (OSError, ValueError, AttributeError, TypeError, ZeroDivisionError)
"""What reading a config.json may raise; whoever loads the model says what is wrong with it."""


def known_shape(config: ModelConfig) -> Shape | None:
    """The shape by the model's config.json; None where that is not on this disk or does not say."""
    try:
        data = _text_config(config)
        layers, heads = _layers_and_heads(data)
        return Shape(layers, heads) if layers and heads else None
    except _UNREADABLE:
        return None


def _text_config(config: ModelConfig) -> dict[str, Any]:
    """What config.json says of the part that reads and writes text; nothing where there is no such file."""
    path = _config_file(config)
    if path is None or config.gguf_file is not None:
        return {}
    data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return {**data, **(data.get("text_config") or {})}


def _layers_and_heads(data: Mapping[str, Any]) -> tuple[int, int]:
    layers = data.get("num_hidden_layers", data.get("n_layer"))
    heads = data.get("num_attention_heads", data.get("n_head"))
    return int(layers or 0), int(heads or 0)


@dataclass(frozen=True)
class Footprint:
    """What a model takes in memory."""

    weights: int
    """Bytes."""
    per_token: int
    """Bytes that the keys and values of one token of a completion take while it is made."""
    dtype: str


def known_footprint(config: ModelConfig) -> Footprint | None:
    """The memory by the model's files; None where they are not on this disk or do not say.

    Where the machine decides the number format, a CPU's is taken: it is the largest.
    """
    try:
        data = _text_config(config)
        layers, heads = _layers_and_heads(data)
        stored = str(data.get("dtype") or data.get("torch_dtype") or "float32").removeprefix("torch.")
        decided = config.torch_dtype == "auto" and not config.device.startswith("cuda")
        used = "float32" if decided else stored if config.torch_dtype == "auto" else config.torch_dtype
        on_disk = sum(file.stat().st_size for file in _weight_files(config))
        width = data.get("head_dim") or data.get("hidden_size", data.get("n_embd", 0)) // heads
        kept = 2 * layers * (data.get("num_key_value_heads") or heads) * width
        weights = on_disk * _BYTES[used] // _BYTES[stored]
        return Footprint(weights, kept * _BYTES[used], used) if weights and kept else None
    except (*_UNREADABLE, KeyError):
        return None


_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}


def _weight_files(config: ModelConfig) -> list[Path]:
    path = _config_file(config)
    found = {ending: list(path.parent.glob(f"*{ending}")) for ending in _WEIGHTS} if path else {}
    return next(filter(None, found.values()), [])


_WEIGHTS = (".safetensors", ".bin")
"""Files of weights; where a model comes in both formats, the first is loaded."""


def _config_file(config: ModelConfig) -> Path | None:
    bundled = bundled_folder(config.hf_id)
    if bundled is not None:
        return bundled / "config.json"
    if Path(config.hf_id).is_dir():
        return Path(config.hf_id) / "config.json"
    from huggingface_hub import try_to_load_from_cache

    try:
        cached = try_to_load_from_cache(config.hf_id, "config.json", revision=config.revision)
    except ValueError:  # no hub id
        return None
    return Path(cached) if isinstance(cached, str) else None


def reaching(source: str) -> AbstractContextManager[object]:
    """Where a model lies on the hub, ask for it before its files are asked for, again and again."""
    if Path(source).is_dir():
        return nullcontext()
    return asking_hub("model", source, "model.hf_id", "give a local folder or `bundled`")


def loading_error(config: ModelConfig, error: Exception) -> UserError:
    """What the libraries said when a model could not be had, with what the person can do."""
    text = str(error)
    first_line = text.strip().splitlines()[0] if text.strip() else type(error).__name__
    what = f"model.hf_id: {config.hf_id!r} could not be loaded"
    if "gated" in text.lower() or "401" in text or "403" in text:
        return UserError(
            what,
            "the repository is gated or private: " + first_line,
            "accept its terms on the hub and run `hf auth login`, or point model.hf_id at a local folder",
        )
    if isinstance(error, ImportError) and config.gguf_file is not None:
        return UserError(what, first_line, "run: pip install 'backtracking[gguf]'")
    if Path(config.hf_id).is_dir() or isinstance(error, ImportError):
        files = "config.json, weights, tokenizer"
        return UserError(what, first_line, f"check the folder's files ({files}) and model.gguf_file")
    if "trust_remote_code" in text:
        return UserError(what, first_line, "read that code, then set model.trust_remote_code: true")
    return UserError(
        what,
        f"there is no folder of that name here; the hub: {first_line}",
        "check the id and the network; offline, give a local folder or `bundled`",
    )
