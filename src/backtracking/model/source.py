"""Where a model's files lie, and the shape that its config.json gives: nothing is loaded, no network used."""

import json
from pathlib import Path
from typing import Any

from backtracking.config.schema import ModelConfig
from backtracking.errors import UserError
from backtracking.interventions import Shape
from backtracking.run.bundled import BUNDLED, bundled_folder


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


def known_shape(config: ModelConfig) -> Shape | None:
    """The shape by the model's config.json; None where that is not on this disk or does not say."""
    path = _config_file(config)
    if path is None or config.gguf_file is not None:
        return None
    try:
        data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        data = data.get("text_config") or data
        layers = data.get("num_hidden_layers", data.get("n_layer"))
        heads = data.get("num_attention_heads", data.get("n_head"))
        return Shape(int(layers), int(heads)) if layers and heads else None
    except (OSError, ValueError, AttributeError, TypeError):
        return None  # whoever loads the model says what is wrong with it


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
