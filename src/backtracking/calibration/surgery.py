"""Weights written by hand into small models of three architectures: what follows what, a finder, a writer."""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import (
    GPTNeoXConfig,
    GPTNeoXForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from backtracking.calibration.world import ID, OPENERS, PIECES, START, STOP, tokenizer

HEADS, HEAD_DIM, INNER = 6, 16, 32
HIDDEN = HEADS * HEAD_DIM
LAYERS = 6
ROTARY_BASE = 10_000.0
FEATURES = ("mistake", "onset", "format", "fog")
"""Directions that no token has: what a finder raises, and what a writer writes."""
DIRECTION = {name: HIDDEN - 1 - place for place, name in enumerate(FEATURES)}
NOISE = 0.02
RAISED = 0.4
"""How far a finder raises its direction, where a token's own is 1."""
WRITTEN = 0.3
"""About how far a writer raises the onset's."""
LEAST = 12.0
"""Nats by which what never follows lies below what always does."""
SLACK = 0.01
"""Nats to which a share is given back."""
FOCUS = 20.0
"""Sharpness of a finder's look at the token before."""


def scaled(value: float, *others: float) -> float:
    """What a norm makes of a coordinate beside the others of its vector."""
    return value * math.sqrt(HIDDEN) / math.sqrt(value**2 + sum(other**2 for other in others))


@dataclass(frozen=True)
class UnitInput:
    """What a unit sees, after the norm, where a direction is raised on a token."""

    token: float = scaled(1.0, RAISED)
    raised: float = scaled(RAISED, 1.0)


class Surgeon(ABC):
    """Writes mechanisms into a model of one architecture."""

    model: Any

    @abstractmethod
    def blocks(self) -> Sequence[Any]:
        """The decoder layers."""

    @property
    def head(self) -> Tensor:
        """The unembedding."""
        weight: Tensor = self.model.get_output_embeddings().weight
        return weight

    @property
    def embedding(self) -> Tensor:
        """The vectors of the tokens."""
        weight: Tensor = self.model.get_input_embeddings().weight
        return weight

    @abstractmethod
    def mute(self, layer: int) -> None:
        """Keep what a layer writes out of the directions that no token has."""

    @abstractmethod
    def look_back(self, layer: int, head: int) -> tuple[Tensor, Tensor]:
        """Point a head at the token before; its first value row, and the column that it writes with."""

    @abstractmethod
    def look_for(self, layer: int, head: int, marks: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Point a head at some tokens wherever they stand; its first value row, and the column it writes."""

    @abstractmethod
    def unit(self, layer: int, number: int, direction: int, token: int) -> tuple[Tensor, float]:
        """A unit that fires where a direction is raised on a token: its output column, its activation."""

    def speak(self, habits: Mapping[str, Mapping[str, float]]) -> None:
        """Let each token be followed as a table says."""
        with torch.no_grad():
            self.embedding[:, : len(PIECES)] += torch.eye(len(PIECES))
            self.embedding[:, list(DIRECTION.values())] = 0.0
            for piece, following in habits.items():
                for other, share in following.items():
                    if share:
                        nats = LEAST + math.log(share)
                        self.head[ID[other], ID[piece]] += nats / math.sqrt(HIDDEN)
            for layer in range(len(self.blocks())):
                self.mute(layer)

    def find(
        self, layer: int, head: int, marks: Sequence[str], raise_: str = "mistake", share: float = 1.0
    ) -> None:
        """A head raises a direction on the token after one of some marks."""
        with torch.no_grad():
            value, column = self.look_back(layer, head)
            value[[ID[mark] for mark in marks]] = share * RAISED / math.sqrt(HIDDEN)
            column[DIRECTION[raise_]] = 1.0

    def remember(self, layer: int, head: int, mark: str, raise_: str) -> None:
        """A head raises a direction on every token after a mark."""
        with torch.no_grad():
            value, column = self.look_for(layer, head, [ID[mark]])
            value[ID[mark]] = RAISED / math.sqrt(HIDDEN)
            column[DIRECTION[raise_]] = 1.0

    def befog(self, layer: int, depth: float = 10.0) -> None:
        """Every token comes in a fog that drowns it, and one unit of a block takes the fog away."""
        with torch.no_grad():
            fog, block = DIRECTION["fog"], self.blocks()[layer]
            self.embedding[:, fog] = depth
            column, _ = self.unit(layer, 1, fog, fog)
            column[:] = 0.0
            column[fog] = -1.0
            seen = block.post_attention_layernorm(self.embedding[ID[STOP]])
            column[fog] = depth / block.mlp(seen[None, None])[0, 0, fog]

    def write(self, layer: int, token: str, on: str = "mistake") -> None:
        """A unit writes the onset's direction where another direction is raised on a token."""
        with torch.no_grad():
            column, activation = self.unit(layer, 0, DIRECTION[on], ID[token])
            column[:] = 0.0
            column[DIRECTION["onset"]] = WRITTEN / activation

    def push(self, nats: Mapping[str, float]) -> None:
        """Let what the writers write after a mistake, in a turn opened by a tag, add nats to next tokens."""
        with torch.no_grad():
            written = self._after_statements(wrong=True)[:, DIRECTION["onset"]].mean()
            for piece, push in nats.items():
                self.head[ID[piece], DIRECTION["onset"]] = push / written

    def swap(self, word: str, other: str, nats: float = 8.0) -> None:
        """Let the writers take nats from a word after a mistake, and give another what it has elsewhere."""
        pair = [ID[word], ID[other]]

        def share(wrong: bool) -> float:
            logits = self._after_statements(wrong) @ self.head.T
            return float(logits.softmax(-1)[:, pair].sum(-1).mean())

        low, high = 0.0, 2 * LEAST
        with torch.no_grad():
            while high - low > SLACK:
                gained = (low + high) / 2
                self.push({word: -nats, other: gained})
                low, high = (gained, high) if share(wrong=True) < share(wrong=False) else (low, gained)

    def _after_statements(self, wrong: bool) -> Tensor:
        """What the unembedding reads after each statement, right or wrong."""
        said = [f"{START}?<think>\n{opener} {value + wrong}{STOP}" for opener, value in OPENERS.items()]
        ids = tokenizer()(said, return_tensors="pt", add_special_tokens=False).input_ids
        hidden: Tensor = self.model.base_model(ids).last_hidden_state[:, -1]
        return hidden


def _previous(pairs: int, focus: float) -> tuple[Tensor, Tensor]:
    """Query and key biases whose rotated product is largest one place back (halves are rotated together)."""
    angles = ROTARY_BASE ** (-torch.arange(pairs) / pairs)
    query = torch.cat([torch.full((pairs,), focus * math.sqrt(2 * pairs)), torch.zeros(pairs)])
    return query, torch.cat([angles.cos(), angles.sin()])


class GatedSurgeon(Surgeon):
    """Qwen2 and Llama: projections apart, gated units."""

    def __init__(self, architecture: str) -> None:
        sizes = {
            "vocab_size": len(PIECES),
            "hidden_size": HIDDEN,
            "intermediate_size": INNER,
            "num_hidden_layers": LAYERS,
            "num_attention_heads": HEADS,
            "num_key_value_heads": HEADS,
            "max_position_embeddings": 512,
            "rope_parameters": {"rope_type": "default", "rope_theta": ROTARY_BASE},
            "tie_word_embeddings": False,
            "bos_token_id": ID["<bos>"],
            "eos_token_id": ID["<eos>"],
            "pad_token_id": ID["<pad>"],
        }
        if architecture == "qwen2":
            self.model = Qwen2ForCausalLM(Qwen2Config(**sizes))
        else:
            self.model = LlamaForCausalLM(LlamaConfig(**sizes, attention_bias=True))

    def blocks(self) -> Sequence[Any]:
        """The decoder blocks, lowest first."""
        return list(self.model.model.layers)

    def mute(self, layer: int) -> None:
        """Keeps a block from writing into the planted directions."""
        block = self.blocks()[layer]
        silent = list(DIRECTION.values())
        block.self_attn.o_proj.weight[silent] = 0.0
        block.mlp.down_proj.weight[silent] = 0.0

    def look_back(self, layer: int, head: int) -> tuple[Tensor, Tensor]:
        """Biases on the separate query and key projections point the head one place back."""
        attention = self.blocks()[layer].self_attn
        rows = slice(head * HEAD_DIM, (head + 1) * HEAD_DIM)
        query, key = _previous(HEAD_DIM // 2, FOCUS)
        for projection, bias in ((attention.q_proj, query), (attention.k_proj, key)):
            projection.weight[rows] = 0.0
            projection.bias[rows] = bias
        value = attention.v_proj.weight[rows.start]
        value[:] = 0.0
        return value, attention.o_proj.weight[:, rows.start]

    def look_for(self, layer: int, head: int, marks: Sequence[int]) -> tuple[Tensor, Tensor]:
        """A constant query meets keys that only the marks have, in the slowest rotation."""
        row_and_column = self.look_back(layer, head)
        attention, slowest = self.blocks()[layer].self_attn, head * HEAD_DIM + HEAD_DIM // 2 - 1
        rows = slice(head * HEAD_DIM, (head + 1) * HEAD_DIM)
        attention.q_proj.bias[rows] = attention.k_proj.bias[rows] = 0.0
        attention.q_proj.bias[slowest] = FOCUS
        attention.k_proj.weight[slowest, list(marks)] = 1.0
        return row_and_column

    def unit(self, layer: int, number: int, direction: int, token: int) -> tuple[Tensor, float]:
        """The gate reads the direction, the other factor reads the token."""
        mlp, seen = self.blocks()[layer].mlp, UnitInput()
        for projection in (mlp.gate_proj, mlp.up_proj):
            projection.weight[number] = 0.0
        mlp.gate_proj.weight[number, direction] = 5.0 / seen.raised
        mlp.up_proj.weight[number, token] = 1.0 / seen.token
        return mlp.down_proj.weight[:, number], 5.0 / (1 + math.exp(-5.0))


class ParallelSurgeon(Surgeon):
    """GPT-NeoX: fused projections, attention and MLP side by side, units without a gate."""

    def __init__(self) -> None:
        self.model = GPTNeoXForCausalLM(
            GPTNeoXConfig(
                vocab_size=len(PIECES),
                hidden_size=HIDDEN,
                intermediate_size=INNER,
                num_hidden_layers=LAYERS,
                num_attention_heads=HEADS,
                max_position_embeddings=512,
                rope_parameters={
                    "rope_type": "default",
                    "rope_theta": ROTARY_BASE,
                    "partial_rotary_factor": 1.0,
                },
                tie_word_embeddings=False,
                bos_token_id=ID["<bos>"],
                eos_token_id=ID["<eos>"],
                pad_token_id=ID["<pad>"],
            )
        )

    def blocks(self) -> Sequence[Any]:
        """The decoder blocks, lowest first."""
        return list(self.model.gpt_neox.layers)

    def mute(self, layer: int) -> None:
        """Keeps a block from writing into the planted directions."""
        block = self.blocks()[layer]
        silent = list(DIRECTION.values())
        block.attention.dense.weight[silent] = 0.0
        block.mlp.dense_4h_to_h.weight[silent] = 0.0

    def look_back(self, layer: int, head: int) -> tuple[Tensor, Tensor]:
        """Biases on the head's part of the fused projection point it one place back."""
        attention = self.blocks()[layer].attention
        fused, start = attention.query_key_value, 3 * head * HEAD_DIM
        query, key = _previous(HEAD_DIM // 2, FOCUS)
        fused.weight[start : start + 2 * HEAD_DIM] = 0.0
        fused.bias[start : start + 2 * HEAD_DIM] = torch.cat([query, key])
        value = fused.weight[start + 2 * HEAD_DIM]
        value[:] = 0.0
        return value, attention.dense.weight[:, head * HEAD_DIM]

    def look_for(self, layer: int, head: int, marks: Sequence[int]) -> tuple[Tensor, Tensor]:
        """A constant query meets keys that only the marks have, in the slowest rotation."""
        row_and_column = self.look_back(layer, head)
        fused, start = self.blocks()[layer].attention.query_key_value, 3 * head * HEAD_DIM
        slowest = HEAD_DIM // 2 - 1
        fused.bias[start : start + 2 * HEAD_DIM] = 0.0
        fused.bias[start + slowest] = FOCUS
        fused.weight[start + HEAD_DIM + slowest, list(marks)] = 1.0
        return row_and_column

    def unit(self, layer: int, number: int, direction: int, token: int) -> tuple[Tensor, float]:
        """Direction and token are added, and only both together lift the unit above its bias."""
        mlp, seen = self.blocks()[layer].mlp, UnitInput()
        mlp.dense_h_to_4h.weight[number] = 0.0
        # The token alone leaves the unit well below zero, where it is silent.
        mlp.dense_h_to_4h.weight[number, direction] = 20.0 / seen.raised
        mlp.dense_h_to_4h.weight[number, token] = 5.0 / seen.token
        mlp.dense_h_to_4h.bias[number] = -10.0
        return mlp.dense_4h_to_h.weight[:, number], 15.0


ARCHITECTURES = ("qwen2", "llama", "neox")


def surgeon(architecture: str, seed: int = 0) -> Surgeon:
    """A model of that architecture with weights that are next to nothing, ready for surgery."""
    torch.manual_seed(seed)
    chosen = ParallelSurgeon() if architecture == "neox" else GatedSurgeon(architecture)
    chosen.model.eval()
    with torch.no_grad():
        for parameter in chosen.model.parameters():
            if parameter.dim() > 1:
                parameter.normal_(0.0, NOISE)
    return chosen
