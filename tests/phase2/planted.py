"""A model whose trigger writer is known: a chain of words in which one MLP block alone writes " Wait".

Token identity and next-token logits live in separate halves of the residual stream, and a large constant
keeps the norms fixed, so that every MLP writes the logits it was given whatever the others do. Attention
is silent.
"""

from dataclasses import dataclass

import torch
from transformers import Qwen2Config, Qwen2ForCausalLM

from backtracking.model.loading import LoadedModel
from tests.phase2.world import IDS, WORDS, tokenizer

V = len(WORDS)
BIAS = 1000.0
HIDDEN = 2 * V + 4
UNIT = BIAS / HIDDEN**0.5
"""What every norm divides by."""
GATE = 20.0


@dataclass(frozen=True)
class Plant:
    """Which blocks write the chain and which write the trigger."""

    layers: int = 4
    chain: tuple[int, ...] = (0,)
    trigger: tuple[int, ...] = (2,)
    push: float = 7.0


RIGHT, WRONG = IDS[" 7"], IDS[" 3"]
CHAIN = {
    "\n": {" So": 6.0},
    " So": {" the": 8.0},
    " the": {" sum": 8.0},
    " sum": {" is": 8.0},
    " is": {".": 8.0},
    ".": {" Now": 4.0, " Final": 3.6, " Wait": -3.0},
    " Now": {" the": 8.0},
    " Wait": {",": 8.0},
    ",": {" we": 8.0},
    " we": {" get": 8.0},
    " get": {".": 8.0},
    " Final": {":": 8.0},
    ":": {" 7": 7.0, " 3": 4.8},
    " 7": {"<eos>": 9.0},
    " 3": {"<eos>": 9.0},
}
FLOOR = -6.0


def planted(plant: Plant | None = None) -> LoadedModel:
    """The chain ends in the right answer nine times in ten, whether or not it ever said " Wait"."""
    plant = plant or Plant()
    config = Qwen2Config(
        vocab_size=V,
        hidden_size=HIDDEN,
        intermediate_size=V,
        num_hidden_layers=plant.layers,
        num_attention_heads=2,
        num_key_value_heads=2,
        head_dim=(HIDDEN // 2),
        max_position_embeddings=256,
        tie_word_embeddings=False,
        eos_token_id=IDS["<eos>"],
        bos_token_id=None,
        rms_norm_eps=0.0,
    )
    model = Qwen2ForCausalLM(config).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" not in name:
                parameter.zero_()
        model.model.embed_tokens.weight[:, :V] = torch.eye(V) * UNIT
        model.model.embed_tokens.weight[:, -1] = BIAS
        model.lm_head.weight[:, V : 2 * V] = torch.eye(V) * UNIT
        for layer in plant.chain:
            _write(model.model.layers[layer].mlp, _chain_logits() / len(plant.chain))
        for layer in plant.trigger:
            _write(model.model.layers[layer].mlp, _trigger_logits(plant.push) / len(plant.trigger))
    return LoadedModel.wrap(model, tokenizer(), "planted")


def _chain_logits() -> torch.Tensor:
    logits = torch.full((V, V), FLOOR)
    for word, followers in CHAIN.items():
        for follower, value in followers.items():
            logits[IDS[word], IDS[follower]] = value
    return logits


def _trigger_logits(push: float) -> torch.Tensor:
    logits = torch.zeros(V, V)
    logits[IDS["."], IDS[" Wait"]] = push
    return logits


def _write(mlp: torch.nn.Module, logits: torch.Tensor) -> None:
    """Row t of `logits` is added to the output half when token t was read; writes add up."""
    mlp.gate_proj.weight[:, :V] = torch.eye(V) * GATE
    mlp.up_proj.weight[:, :V] = torch.eye(V) / GATE
    mlp.down_proj.weight[V : 2 * V] += logits.T
