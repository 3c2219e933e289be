"""Time one Phase 2 sweep on the bundled reasoner: all arms in one engine run, or one by one.

Run: python benchmarks/phase2.py [--problems 120] [--samples 4] [--apart]
"""

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from backtracking.config.phase2 import Subset
from backtracking.config.schema import DetectionConfig, ExperimentConfig, ModelConfig, PromptingConfig
from backtracking.engine.generate import Prompt, SamplingParams
from backtracking.interventions import BASELINE_ARM, Arm, Condition, Intervention, When
from backtracking.measurements.events import EventReader
from backtracking.model.arms import Resources, scale_arms, subset_arms
from backtracking.model.loading import LoadedModel, load_model
from backtracking.model.random_control import random_arm
from backtracking.sources.problems import load_problems
from backtracking.sweeps.sweep import SweepJob, SweepResult, run_arms
from backtracking.text.prompts import render_prompt
from backtracking.text.tokenization import TokenMap

VARIANT = "baseline_think_newline"


def main() -> None:
    asked = _arguments()
    model = load_model(ModelConfig(hf_id="bundled"))
    arms, vectors = _arms(model)
    print(f"{len(arms)} arms, {asked.problems} problems x {asked.samples} samples, {asked.tokens} tokens")
    together, apart, rows = [], [], 0
    for _ in range(asked.repeats):
        start = time.perf_counter()
        rows = len(_run(model, arms, vectors, asked).events)
        together.append(time.perf_counter() - start)
        if asked.apart:
            start = time.perf_counter()
            for arm in arms[1:]:
                _run(model, [BASELINE_ARM, arm], vectors, asked)
            apart.append(time.perf_counter() - start)
    print(f"one engine run: {np.median(together):.1f} s for {rows:,} rows, measured and tabulated")
    if apart:
        print(f"arm by arm:     {np.median(apart):.1f} s (each beside its own baseline)")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--problems", type=int, default=120)
    parser.add_argument("--samples", type=int, default=4)
    parser.add_argument("--tokens", type=int, default=160)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--apart", action="store_true", help="also run the arms one by one")
    return parser.parse_args()


def _arms(model: LoadedModel) -> tuple[Sequence[Arm], dict[str, Tensor]]:
    """Baseline, five subsets, five scales, ten random components, ten random directions."""
    last = model.n_layers - 1
    available = Resources(model.n_layers, model.n_heads, When())
    subsets = {
        "mlp_last": Subset(components=[["mlp", last]]),
        "attn_last": Subset(components=[["attn", last]]),
        "mlp_late": Subset(components=[["mlp", last - 1], ["mlp", last]]),
        "attn_late": Subset(components=[["attn", last - 1], ["attn", last]]),
        "late": Subset(components=[["mlp", last], ["attn", last]]),
    }
    arms = [BASELINE_ARM, *subset_arms(subsets, 0.0, available)]
    arms += scale_arms("mlp_late", subsets["mlp_late"], [0.1, 0.25, 0.5, 0.75, 0.9], available)
    members = arms[3].members[0].interventions
    arms += [random_arm(f"random_{k}", members, 1, available.shape, available.seed) for k in range(10)]
    generator = torch.Generator().manual_seed(0)
    vectors: dict[str, Tensor] = {}
    for k in range(10):
        vectors[f"direction_{k}"] = torch.randn(model.hidden_size, generator=generator)
        change = Intervention(
            component="resid", layer=last, mode="project", strength=1.0, vector=f"direction_{k}"
        )
        condition = Condition(name=f"direction_{k}", interventions=(change,))
        arms.append(Arm(condition.name, condition.name, None, (condition,)))
    return arms, vectors


def _run(
    model: LoadedModel, arms: Sequence[Arm], vectors: dict[str, Tensor], asked: argparse.Namespace
) -> SweepResult:
    config = ExperimentConfig.model_validate(
        {"dataset": {"name": "tiny_arithmetic", "max_examples": asked.problems}}
    )
    problems = load_problems(config.dataset)
    prompting = PromptingConfig(template="{question}")
    prompts = []
    for problem in problems:
        text, ids = render_prompt(problem.question, prompting, VARIANT, model.tokenizer)
        prompts.append(Prompt(problem.id, VARIANT, text, tuple(ids)))
    gold = {problem.id: problem.answer_value for problem in problems}
    with tempfile.TemporaryDirectory() as folder:
        job = SweepJob(
            model=model,
            prompts=prompts,
            reader=EventReader(DetectionConfig(), prompting, TokenMap(model.tokenizer), gold),
            sampling=SamplingParams(max_new_tokens=asked.tokens, temperature=0.8),
            samples=asked.samples,
            seed=0,
            folder=Path(folder),
            resources=Resources(model.n_layers, model.n_heads, When()),
            vectors=vectors,
        )
        return run_arms(job, arms)


if __name__ == "__main__":
    main()
