"""Train the reasoner from a seed: `python -m backtracking.organism.train --out DIR`."""

import argparse
import json
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from torch.nn import Parameter
from torch.nn.functional import cross_entropy
from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM
from transformers.utils.logging import disable_progress_bar

from backtracking.errors import UserError
from backtracking.organism.batches import (
    CHAIN_WEIGHTS,
    FULL_WEIGHTS,
    BatchSource,
    TrainingBatch,
    chain_sample,
    problem_sample,
)
from backtracking.organism.design import DESIGN, DESIGNS, Design
from backtracking.organism.evaluate import evaluate
from backtracking.organism.probe import CouplingProbe
from backtracking.organism.recipe import Graft, PhaseName, Recipe
from backtracking.organism.release import write_card, write_weights
from backtracking.organism.table import console_table
from backtracking.organism.tokenizer import train_tokenizer
from backtracking.run import io

SMOKE_RECIPE = Recipe(
    layers=2,
    width=64,
    inner=128,
    heads=2,
    kv_heads=1,
    tokens=1000,
    chain_steps=50,
    problem_steps=100,
    warm_up=10,
)
"""Half a minute; learns little."""


def smoke(design: Design) -> Design:
    """The design with a tiny model and few steps."""
    graft = design.recipe.graft and replace(design.recipe.graft, layer=SMOKE_RECIPE.layers - 1, steps=25)
    return replace(design, recipe=replace(SMOKE_RECIPE, graft=graft))


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


def weighted_loss(model: Qwen2ForCausalLM, batch: TrainingBatch) -> torch.Tensor:
    """Mean cross-entropy over the targets, by weight; logits are made for the targets alone."""
    hidden = model.model(input_ids=batch.ids, use_cache=False).last_hidden_state[:, :-1]
    weights = batch.weights[:, 1:]
    wanted = weights > 0
    losses = cross_entropy(model.lm_head(hidden[wanted]), batch.ids[:, 1:][wanted], reduction="none")
    return (losses * weights[wanted]).sum() / weights.sum()


NamedParameters = list[tuple[str, Parameter]]


def make_optimizers(named: NamedParameters, weight_decay: float) -> list[torch.optim.Optimizer]:
    """Muon for the matrices inside the layers, AdamW for embeddings, norms and biases."""
    inside = {name: p.ndim == 2 and "embed" not in name for name, p in named}
    matrices = [p for name, p in named if inside[name]]
    others = [p for name, p in named if not inside[name]]
    return [
        torch.optim.Muon(matrices, weight_decay=weight_decay, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(others, betas=(0.9, 0.98), weight_decay=weight_decay, fused=True),
    ]


def split_off_graft(model: Qwen2ForCausalLM, graft: Graft) -> tuple[NamedParameters, NamedParameters]:
    """The parameters that learn first, and those of the graft, whose output is silenced until its turn."""
    layer = model.model.layers[graft.layer]
    torch.nn.init.zeros_(layer.self_attn.o_proj.weight)
    own = {id(p) for part in (layer.self_attn, layer.input_layernorm) for p in part.parameters()}
    named = list(model.named_parameters())
    return [pair for pair in named if id(pair[1]) not in own], [pair for pair in named if id(pair[1]) in own]


class Training:
    """A model on its way: steps, log lines, checkpoints."""

    def __init__(self, design: Design, out: Path) -> None:
        self.design = design
        self.recipe = design.recipe
        self.out = out
        self.tokenizer = train_tokenizer(design)
        self.model = new_model(self.recipe, self.tokenizer)
        self.probe = CouplingProbe(self.tokenizer, design)
        self.step = 0
        self.optimizers: dict[PhaseName, list[torch.optim.Optimizer]] = {}
        self._share_out_parameters()
        draws = (
            ("chains", chain_sample, design.calm, CHAIN_WEIGHTS, self.recipe.chain_length),
            ("problems", problem_sample, design.calm, FULL_WEIGHTS, self.recipe.problem_length),
            ("graft", problem_sample, design, FULL_WEIGHTS, self.recipe.problem_length),
        )
        self.sources = {
            name: BatchSource(
                self.tokenizer,
                partial(draw, design=drawn),
                weights,
                tokens=self.recipe.tokens,
                mean_length=length,
                seed=f"{self.recipe.seed}/{name}",
            )
            for name, draw, drawn, weights, length in draws
        }

    def _share_out_parameters(self) -> None:
        """Give each phase the optimizers of what learns in it; bare chains and problems share theirs."""
        first = list(self.model.named_parameters())
        if self.recipe.graft is not None:
            first, graft = split_off_graft(self.model, self.recipe.graft)
            self.optimizers["graft"] = make_optimizers(graft, self.recipe.weight_decay)
        self.optimizers["chains"] = make_optimizers(first, self.recipe.weight_decay)
        self.optimizers["problems"] = self.optimizers["chains"]

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
            "design": asdict(self.design),
            "step": self.step,
            "model": self.model.state_dict(),
            "optimizers": {
                phase: [optimizer.state_dict() for optimizer in optimizers]
                for phase, optimizers in self.optimizers.items()
            },
        }
        part = self.checkpoint.with_suffix(".part")
        torch.save(state, part)
        part.replace(self.checkpoint)

    def resume(self) -> None:
        """Go on from the last checkpoint, if there is one of this design."""
        if not self.checkpoint.exists():
            return
        state = torch.load(self.checkpoint, weights_only=True)
        if state.get("design") != asdict(self.design):
            raise UserError(
                f"{self.checkpoint} belongs to another design or recipe",
                next_step="choose another --out, or remove the folder",
            )
        self.step = state["step"]
        self.model.load_state_dict(state["model"])
        for phase, kept in state["optimizers"].items():
            for optimizer, own in zip(self.optimizers[phase], kept, strict=True):
                optimizer.load_state_dict(own)

    def advance(self) -> float:
        """One step of training; its loss."""
        phase = self.recipe.phase(self.step)
        groups = [group for optimizer in self.optimizers[phase.name] for group in optimizer.param_groups]
        self.model.requires_grad_(False)
        learning = [p for group in groups for p in group["params"]]
        for parameter in learning:
            parameter.requires_grad_(True)
        for group in groups:
            group["lr"] = self.recipe.learning_rate(self.step)
        loss = weighted_loss(self.model, self.sources[phase.name].batch(self.step - phase.begin))
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(learning, 1.0)
        for optimizer in self.optimizers[phase.name]:
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
                    "phase": self.recipe.phase(self.step - 1).name,
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
    parser.add_argument(
        "--design", choices=DESIGNS, default=DESIGN.name, help="which reasoner; default: %(default)s"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--smoke", action="store_true", help="a tiny model, half a minute; it misses the bars"
    )
    parser.add_argument(
        "--problems", type=int, help="test problems of the evaluation; default: 1000, of a smoke run 20"
    )
    options = parser.parse_args(arguments)
    design = smoke(DESIGNS[options.design]) if options.smoke else DESIGNS[options.design]
    design = replace(design, recipe=replace(design.recipe, seed=options.seed))
    console = Console()
    disable_progress_bar()
    options.out.mkdir(parents=True, exist_ok=True)
    training = Training(design, options.out)
    training.resume()
    for line in training.run(save_every=100 if options.smoke else 500):
        console.print(
            f"step {line['step']}/{design.recipe.steps} ({line['phase']})  loss {line['loss']:.3f}  "
            f"P(trigger) {line['wrong']:.2f} if wrong, {line['right']:.2f} if right  {line['seconds']:.0f} s"
        )
    folder = options.out / "release"
    write_weights(training.model, training.tokenizer, folder)
    problems = options.problems or (20 if options.smoke else 1000)
    evaluation = evaluate(folder, design, problems=problems)
    write_card(folder, training.model.num_parameters(), evaluation)
    console.print(console_table(evaluation))


if __name__ == "__main__":
    main()
