"""The one place where the organism's own modules sample from the model."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from transformers import PreTrainedTokenizerFast, Qwen2ForCausalLM

ROWS_AT_ONCE = 512


@dataclass(frozen=True)
class SampledText:
    """What the model wrote after a prompt, and whether it ended by itself."""

    text: str
    finished: bool


def sample(
    model: Qwen2ForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    prompts: Sequence[str],
    *,
    temperature: float,
    max_new_tokens: int,
    seed: int,
    banned: Sequence[int] = (),
) -> list[SampledText]:
    """One completion per prompt, in order; `banned` tokens are never chosen."""
    torch.manual_seed(seed)
    tokenizer.padding_side = "left"
    completions = []
    for begin in range(0, len(prompts), ROWS_AT_ONCE):
        rows = list(prompts[begin : begin + ROWS_AT_ONCE])
        encoded = tokenizer(rows, return_tensors="pt", padding=True, add_special_tokens=False)
        written = model.generate(
            **encoded,
            do_sample=True,
            temperature=temperature,
            top_k=0,
            top_p=1.0,
            max_new_tokens=max_new_tokens,
            suppress_tokens=list(banned) or None,
        )[:, encoded.input_ids.shape[1] :]
        finished = (written == tokenizer.eos_token_id).any(dim=1).tolist()
        texts = tokenizer.batch_decode(written, skip_special_tokens=True)
        completions += [SampledText(text, done) for text, done in zip(texts, finished, strict=True)]
    return completions
