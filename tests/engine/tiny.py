"""Tiny randomly initialised models of every supported family, and small helpers for engine tests."""

from functools import cache
from typing import Any

import torch
import transformers

from backtracking.engine.rows import Prompt
from backtracking.model.loading import LoadedModel

VOCAB = 320
_COMMON = {
    "vocab_size": VOCAB,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    "eos_token_id": 1,
    "bos_token_id": 2,
    "pad_token_id": 0,
    "initializer_range": 0.3,
}
_GEMMA = {**_COMMON, "head_dim": 8, "sliding_window": 12, "query_pre_attn_scalar": 8}
CONFIGS: dict[str, Any] = {
    "llama": lambda: transformers.LlamaConfig(**_COMMON),
    "qwen2": lambda: transformers.Qwen2Config(**_COMMON),
    "qwen3": lambda: transformers.Qwen3Config(**_COMMON, head_dim=8),
    "mistral": lambda: transformers.MistralConfig(**_COMMON, sliding_window=12),
    "gemma2": lambda: transformers.Gemma2Config(**_GEMMA, layer_types=_alternating()),
    "gemma3": lambda: transformers.Gemma3TextConfig(**_GEMMA, layer_types=_alternating()),
    "phi3": lambda: transformers.Phi3Config(**_COMMON),
    "gpt2": lambda: transformers.GPT2Config(
        vocab_size=VOCAB,
        n_embd=32,
        n_layer=3,
        n_head=4,
        n_positions=256,
        eos_token_id=1,
        initializer_range=0.3,
    ),
    "gpt_neox": lambda: transformers.GPTNeoXConfig(
        **{k: v for k, v in _COMMON.items() if k != "num_key_value_heads"}
    ),
}
FAMILIES = tuple(CONFIGS)


def _alternating() -> list[str]:
    return ["sliding_attention", "full_attention", "sliding_attention"]


class NumberTokenizer:
    """Writes token ids as numbers; the engine needs no more of a tokenizer."""

    eos_token_id = 1

    def decode(self, ids: Any, **_: Any) -> str:
        return " ".join(str(int(i)) for i in ids)

    def __len__(self) -> int:
        return VOCAB


def build(config: Any, seed: int = 0, dtype: torch.dtype = torch.float32) -> LoadedModel:
    torch.manual_seed(seed)
    model = transformers.AutoModelForCausalLM.from_config(config).to(dtype)
    return LoadedModel.wrap(model, NumberTokenizer(), name=config.model_type)


@cache
def tiny(family: str, dtype: torch.dtype = torch.float32) -> LoadedModel:
    return build(CONFIGS[family](), dtype=dtype)


def wide() -> LoadedModel:
    """Wide heads, six queries to a key head, and room for rows of many pages."""
    return build(
        transformers.LlamaConfig(
            vocab_size=VOCAB, hidden_size=192, intermediate_size=128, num_hidden_layers=2,
            num_attention_heads=12, num_key_value_heads=2, head_dim=32, max_position_embeddings=1024,
            eos_token_id=1, initializer_range=0.2,
        )
    )  # fmt: skip


def prompt(example: int, length: int = 9, variant: str = "plain") -> Prompt:
    ids = tuple((example * 37 + 13 * i * i + 5) % (VOCAB - 3) + 3 for i in range(length))
    return Prompt(str(example), variant, f"prompt {example}", ids)
