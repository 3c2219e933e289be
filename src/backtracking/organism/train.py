"""Train the reasoner from a seed: `python -m backtracking.organism.train --out DIR`."""

import argparse
import json
import math
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from torch.nn.functional import cross_entropy
from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM
from transformers.utils.logging import disable_progress_bar

from backtracking.errors import UserError
from backtracking.organism.batches import (
    CHAIN_WEIGHTS,
    FULL_WEIGHTS,
    Batch,
    BatchSource,
    Sample,
    chain_sample,
    problem_sample,
)
from backtracking.organism.evaluate import evaluate
from backtracking.organism.probe import CouplingProbe
from backtracking.organism.release import write_card, write_weights
from backtracking.organism.table import console_table
from backtracking.organism.tokenizer import train_tokenizer
from backtracking.organism.traces import Piece
from backtracking.run import io


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the weights, but for the platform's arithmetic."""

    seed: int = 0
    layers: int = 6
    width: int = 128
    inner: int = 256
    heads: int = 4
    kv_heads: int = 2
    tokens: int = 3000
    """Tokens of one step; small, because noticing takes many steps rather than many tokens."""
    chain_steps: int = 1500
    chain_rate: float = 5e-3
    problem_steps: int = 7000
    problem_rate: float = 3e-3
    warm_up: int = 100
    weight_decay: float = 0.1

    @property
    def steps(self) -> int:
        """Steps of both phases."""
        return self.chain_steps + self.problem_steps

    def learning_rate(self, step: int) -> float:
        """Warm-up and cosine, once for the bare chains and once for the problems."""
        if step < self.chain_steps:
            peak, done, length, floor = self.chain_rate, step, self.chain_steps, 0.3
        else:
            peak, done, length, floor = self.problem_rate, step - self.chain_steps, self.problem_steps, 0.01
        cosine = floor + (1 - floor) * (1 + math.cos(math.pi * done / length)) / 2
        return peak * min(1.0, (done + 1) / self.warm_up) * cosine


SMOKE = Recipe(
    layers=2,
    width=64,
    inner=128,
    heads=2,
    kv_heads=1,
    tokens=1000,
    chain_steps=100,
    problem_steps=200,
    warm_up=10,
)


def new_model(recipe: Recipe, tokenizer: PreTrainedTokenizerFast) -> Qwen2ForCausalLM:
    """An untrained model of the recipe's size."""
    torch.manual_seed(recipe.seed)
    return Qwen2ForCausalLM(
        Qwen2Config(
            vocab_size=math.ceil(len(tokenizer) / 16) * 16,
            hidden_size=recipe.width,
            intermediate_size=recipe.inner,
            num_hidden_layers=recipe.layers,
            num_attention_heads=recipe.heads,
            num_key_value_heads=recipe.kv_heads,
            max_position_embeddings=256,
            tie_word_embeddings=True,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


def weighted_loss(model: Qwen2ForCausalLM, batch: Batch) -> torch.Tensor:
    """Mean cross-entropy over the targets, by weight; logits are made for the targets alone."""
    hidden = model.model(input_ids=batch.ids, use_cache=False).last_hidden_state[:, :-1]
    weights = batch.weights[:, 1:]
    wanted = weights > 0
    losses = cross_entropy(model.lm_head(hidden[wanted]), batch.ids[:, 1:][wanted], reduction="none")
    return (losses * weights[wanted]).sum() / weights.sum()


def make_optimizers(model: Qwen2ForCausalLM, weight_decay: float) -> list[torch.optim.Optimizer]:
    """Muon for the matrices inside the layers, AdamW for embeddings, norms and biases."""
    inside = {name: p.ndim == 2 and "embed" not in name for name, p in model.named_parameters()}
    matrices = [p for name, p in model.named_parameters() if inside[name]]
    others = [p for name, p in model.named_parameters() if not inside[name]]
    return [
        torch.optim.Muon(matrices, weight_decay=weight_decay, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(others, betas=(0.9, 0.98), weight_decay=weight_decay, fused=True),
    ]


class Training:
    """A model on its way: steps, log lines, checkpoints."""

    def __init__(self, recipe: Recipe, out: Path) -> None:
        self.recipe = recipe
        self.out = out
        self.tokenizer = train_tokenizer()
        self.model = new_model(recipe, self.tokenizer)
        self.optimizers = make_optimizers(self.model, recipe.weight_decay)
        self.probe = CouplingProbe(self.tokenizer)
        self.step = 0
        self.chains = self._source("chains", chain_sample, CHAIN_WEIGHTS, mean_length=71)
        self.problems = self._source("problems", problem_sample, FULL_WEIGHTS, mean_length=80)

    def _source(
        self,
        name: str,
        draw: Callable[[random.Random], Sample],
        weights: Mapping[Piece, float],
        mean_length: int,
    ) -> BatchSource:
        return BatchSource(
            self.tokenizer,
            draw,
            weights,
            tokens=self.recipe.tokens,
            mean_length=mean_length,
            seed=f"{self.recipe.seed}/{name}",
        )

    @property
    def log(self) -> Path:
        """Where the lines of the log are kept."""
        return self.out / "log.jsonl"

    @property
    def checkpoint(self) -> Path:
        """Where the state is kept."""
        return self.out / "checkpoint.pt"

    def save(self) -> None:
        """Write the state; a run that is cut off goes on from here."""
        state = {
            "recipe": asdict(self.recipe),
            "step": self.step,
            "model": self.model.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
        }
        part = self.checkpoint.with_suffix(".part")
        torch.save(state, part)
        part.replace(self.checkpoint)

    def resume(self) -> None:
        """Go on from the last checkpoint, if there is one of this recipe."""
        if not self.checkpoint.exists():
            return
        state = torch.load(self.checkpoint, weights_only=True)
        if state["recipe"] != asdict(self.recipe):
            raise UserError(
                f"{self.checkpoint} belongs to another recipe",
                next_step="choose another --out, or remove the folder",
            )
        self.step = state["step"]
        self.model.load_state_dict(state["model"])
        for optimizer, kept in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(kept)

    def advance(self) -> float:
        """One step of training; its loss."""
        rate = self.recipe.learning_rate(self.step)
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate
        chains = self.recipe.chain_steps
        batch = (
            self.chains.batch(self.step) if self.step < chains else self.problems.batch(self.step - chains)
        )
        loss = weighted_loss(self.model, batch)
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        self.step += 1
        return float(loss.detach())

    def run(self, *, log_every: int = 100, save_every: int = 500) -> Iterator[dict[str, Any]]:
        """Train to the end; yields a line of the log now and then."""
        begun, losses = time.monotonic(), list[float]()
        self._forget_lines_after(self.step)
        while self.step < self.recipe.steps:
            losses.append(self.advance())
            if self.step % log_every == 0 or self.step == self.recipe.steps:
                line = {
                    "step": self.step,
                    "phase": "chains" if self.step <= self.recipe.chain_steps else "problems",
                    "loss": round(sum(losses) / len(losses), 4),
                    **self.probe.measure(self.model),
                    "seconds": round(time.monotonic() - begun, 1),
                }
                with self.log.open("a") as log:
                    log.write(json.dumps(line) + "\n")
                losses = []
                yield line
            if self.step % save_every == 0 or self.step == self.recipe.steps:
                self.save()

    def _forget_lines_after(self, step: int) -> None:
        """Steps that are trained again are logged again."""
        if self.log.exists():
            io.heal_jsonl(self.log)
            lines = self.log.read_text().splitlines()
            io.keep_lines(self.log, [n for n, line in enumerate(lines) if json.loads(line)["step"] <= step])


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, write the release folder, and show the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--out", type=Path, required=True, help="folder for log, checkpoint and release; resumes there"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--smoke", action="store_true", help="a tiny model, about a minute; it misses the bars"
    )
    parser.add_argument("--problems", type=int, default=1000, help="test problems of the evaluation")
    options = parser.parse_args(arguments)
    recipe = replace(SMOKE if options.smoke else Recipe(), seed=options.seed)
    console = Console()
    disable_progress_bar()
    options.out.mkdir(parents=True, exist_ok=True)
    training = Training(recipe, options.out)
    training.resume()
    for line in training.run(save_every=100 if options.smoke else 500):
        console.print(
            f"step {line['step']}/{recipe.steps} ({line['phase']})  loss {line['loss']:.3f}  P(trigger) "
            f"{line['wrong']:.2f} if wrong, {line['right']:.2f} if right  {line['seconds']:.0f} s"
        )
    folder = options.out / "release"
    write_weights(training.model, training.tokenizer, folder)
    evaluation = evaluate(folder, problems=20 if options.smoke else options.problems)
    write_card(folder, recipe, training.model.num_parameters(), evaluation)
    console.print(console_table(evaluation))


if __name__ == "__main__":
    main()
