"""How well ten seconds of decoding foretell a generation on the bundled reasoner, in processor time.

    python -P benchmarks/plan.py

Processor time, because other work on the machine counts in full in wall time.
"""

import itertools
import time
from collections.abc import Iterator

import torch

from backtracking.config.schema import ModelConfig, PromptingConfig
from backtracking.engine.generate import Prompt, Row, SamplingParams, generate_rows
from backtracking.engine.speed import measure_speed
from backtracking.interventions import BASELINE
from backtracking.model.loading import load_model
from backtracking.organism.task import problems_made_here
from backtracking.text.prompts import render_prompt

SAMPLES, SLOTS, SECONDS = 6, 128, 10.0
SIZES = (100, 200, 400)
SAMPLING = SamplingParams(max_new_tokens=128, temperature=1.0)


def main() -> None:
    torch.set_num_threads(1)
    model, prompting = load_model(ModelConfig()), PromptingConfig()
    prompts = []
    for problem in problems_made_here("test", max(SIZES), 0):
        text, ids = render_prompt(problem.question, prompting, prompting.variant_names[0], model.tokenizer)
        prompts.append(Prompt(problem.id, prompting.variant_names[0], text, tuple(ids)))
    for size in SIZES:
        speed = measure_speed(
            model, rows(prompts), SAMPLING, seed=0, slots=SLOTS, seconds=SECONDS, clock=time.process_time
        )
        assert speed is not None
        assert speed.tokens_per_row is not None
        count = size * SAMPLES
        foretold = speed.seconds_for(count, count * speed.tokens_per_row)
        start = time.process_time()
        for _ in generate_rows(model, itertools.islice(rows(prompts), count), SAMPLING, seed=0, slots=SLOTS):
            pass
        print(f"{count:,} rows: {foretold:.1f} s foretold, {time.process_time() - start:.1f} s taken")


def rows(prompts: list[Prompt]) -> Iterator[Row]:
    """Samples of every prompt, again and again."""
    for again in itertools.count():
        for prompt in prompts:
            for sample in range(SAMPLES):
                yield Row(prompt, again * SAMPLES + sample, BASELINE)


if __name__ == "__main__":
    main()
