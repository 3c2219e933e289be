"""A small world for Phase 2 tests: a word tokenizer, random tiny models, and problems with answers."""

from functools import cache
from pathlib import Path
from typing import Any

import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

from backtracking.config.schema import DetectionConfig, FormattingVariant, PromptingConfig
from backtracking.engine.generate import Prompt, SamplingParams
from backtracking.interventions import When
from backtracking.measurements.events import EventReader
from backtracking.model.arms import Resources
from backtracking.model.loading import LoadedModel
from backtracking.sweeps.sweep import SweepJob
from backtracking.text.tokenization import TokenMap

WORDS = (
    "<unk>", "<eos>", "<think>", "</think>", "\n", ".", ",", "=", "+", " Wait", "Wait", " wait", " Actually",
    " Hold", " on", " So", " Now", " Then", " the", " sum", " is", " Final", ":", " we", " get", " Q",
    *(str(digit) for digit in range(10)), *(f" {digit}" for digit in range(10)),
)  # fmt: skip
IDS = {word: index for index, word in enumerate(WORDS)}
VARIANT = "plain"
PROMPTING = PromptingConfig(
    use_chat_template=False, formatting_variants=(FormattingVariant(name=VARIANT, think_open="<think>\n"),)
)


@cache
def tokenizer() -> PreTrainedTokenizerFast:
    words = sorted(WORDS, key=len, reverse=True)
    pattern = "|".join(word.replace(".", r"\.").replace("+", r"\+").replace("|", r"\|") for word in words)
    raw = Tokenizer(models.WordLevel(IDS, unk_token="<unk>"))
    raw.pre_tokenizer = pre_tokenizers.Split(Regex(pattern), "isolated")
    raw.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(tokenizer_object=raw, eos_token="<eos>")


def random_model(seed: int = 0, layers: int = 3) -> LoadedModel:
    torch.manual_seed(seed)
    config = Qwen2Config(
        vocab_size=len(WORDS),
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=256,
        initializer_range=0.25,
        eos_token_id=IDS["<eos>"],
        bos_token_id=None,
    )
    return LoadedModel.wrap(Qwen2ForCausalLM(config), tokenizer(), name="random")


def prompts(count: int) -> list[Prompt]:
    texts = [f" Q {k % 10} + {(3 * k) % 10}\n<think>\n" for k in range(count)]
    return [
        Prompt(f"p{k}", VARIANT, text, tuple(tokenizer().encode(text, add_special_tokens=False)))
        for k, text in enumerate(texts)
    ]


def job(model: LoadedModel, folder: Path, *, problems: int = 4, samples: int = 2, **changes: Any) -> SweepJob:
    asked = prompts(problems)
    gold = {prompt.example_id: str((k % 10 + (3 * k) % 10) % 10) for k, prompt in enumerate(asked)}
    settings: dict[str, Any] = {
        "model": model,
        "prompts": asked,
        "reader": EventReader(DetectionConfig(), PROMPTING, TokenMap(model.tokenizer), gold),
        "sampling": SamplingParams(max_new_tokens=24, temperature=1.0),
        "samples": samples,
        "seed": 7,
        "folder": folder,
        "resources": Resources(model.n_layers, model.n_heads, When()),
    }
    return SweepJob(**(settings | changes))
