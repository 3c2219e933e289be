"""The contenders of the generation benchmark: each does the same work, in a process of its own, on request.

Run by `generation.py` as `python contenders.py NAME MODEL DTYPE TOKENS`; every line read is `ROWS
CONDITIONS`, every line written is the time it took. The work: complete ROWS rows by TOKENS tokens at
temperature 0.7, top-p 0.95, while the outputs of six MLPs are halved at every generated token.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

TEMPERATURE, TOP_P, STRENGTH = 0.7, 0.95, 0.5
SAMPLES_PER_PROMPT = 4
Run = Callable[[list[list[int]], int], None]
"""Complete these prompts, under this many conditions where the contender can."""

NAMES = ("Natalia", "Weng", "Betty", "Julie", "Albert", "Tina", "Ken", "Alexis")
GOODS = ("clips", "pages", "dollars", "flowers", "slices", "hours", "boxes", "shirts")


def questions(count: int) -> list[str]:
    """Word problems of the length and manner of GSM8K."""
    return [
        f"{NAMES[i % 8]} sold {40 + i} {GOODS[i // 8 % 8]} to her friends in April, and then she sold half "
        f"as many in May. In June she sold {3 * i + 7} more than in April"
        + (f" and gave {i % 5 + 2} of them to her sister, who had {9 + i} already" if i % 2 else "")
        + ". How many did she sell altogether in the three months?\nLet's think step by step.\n"
        for i in range(count)
    ]


def prompt_rows(tokenizer: Any, count: int) -> list[list[int]]:
    """Token ids of `count` rows, several samples of each prompt."""
    prompts = [tokenizer(question).input_ids for question in questions(-(-count // SAMPLES_PER_PROMPT))]
    return [prompt for prompt in prompts for _ in range(SAMPLES_PER_PROMPT)][:count]


def middle_layers(model: Any) -> list[int]:
    """Six layers from two thirds of the depth on."""
    depth = model.config.num_hidden_layers
    start = min(2 * depth // 3, depth - 6)
    return list(range(max(start, 0), depth))[:6]


def sampled(tokens: int, **more: Any) -> GenerationConfig:
    return GenerationConfig(
        max_new_tokens=tokens,
        do_sample=True,
        temperature=TEMPERATURE,
        top_p=TOP_P,
        top_k=0,
        pad_token_id=0,
        **more,
    )  # no end-of-text token: every row has the same length


def left_padded(rows: list[list[int]]) -> dict[str, torch.Tensor]:
    longest = max(map(len, rows))
    ids = torch.tensor([[0] * (longest - len(row)) + row for row in rows])
    mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in rows])
    return {"input_ids": ids, "attention_mask": mask}


def hooked(model: Any) -> Any:
    def halve(module: Any, args: Any, output: torch.Tensor) -> torch.Tensor:
        return output * STRENGTH if output.shape[1] == 1 else output

    for layer in middle_layers(model):
        model.model.layers[layer].mlp.register_forward_hook(halve)
    return model


def one_by_one(model: Any, tokenizer: Any, tokens: int) -> Run:
    """(a) One hooked `generate` call per row."""
    hooked(model)

    def run(rows: list[list[int]], conditions: int) -> None:
        for row in rows:
            model.generate(**left_padded([row]), generation_config=sampled(tokens))

    return run


def padded_batch(model: Any, tokenizer: Any, tokens: int) -> Run:
    """(b) One left-padded hooked `generate` call over all rows."""
    hooked(model)
    return lambda rows, conditions: model.generate(**left_padded(rows), generation_config=sampled(tokens))


def continuous(model: Any, tokenizer: Any, tokens: int) -> Run:
    """(c) transformers' continuous batching, without any intervention."""
    config = sampled(tokens, eos_token_id=-1)

    def run(rows: list[list[int]], conditions: int) -> None:
        outputs = model.generate_batch(inputs=rows, generation_config=config, progress_bar=False)
        assert len(outputs) == len(rows)
        assert all(len(output.generated_tokens) == tokens for output in outputs.values())

    return run


def with_nnsight(model: Any, tokenizer: Any, tokens: int) -> Run:
    """(d) nnsight's tracing around `generate`."""
    from nnsight import LanguageModel

    wrapped = LanguageModel(model, tokenizer=tokenizer)
    layers = middle_layers(model)

    def run(rows: list[list[int]], conditions: int) -> None:
        with wrapped.generate(left_padded(rows), generation_config=sampled(tokens)) as tracer:
            for _ in tracer.iter[1:tokens]:
                for layer in layers:
                    wrapped.model.layers[layer].mlp.output = wrapped.model.layers[layer].mlp.output * STRENGTH
            tracer.result.save()

    return run


def with_bridge(model: Any, tokenizer: Any, tokens: int) -> Run:
    """(e) TransformerLens' bridge with its hooks."""
    from transformer_lens.model_bridge import TransformerBridge

    bridge = TransformerBridge.boot_transformers(
        model.name_or_path, hf_model=model, tokenizer=tokenizer, dtype=model.dtype
    )

    def halve(value: torch.Tensor, hook: Any) -> torch.Tensor:
        return value * STRENGTH if value.shape[1] == 1 else value

    hooks = [(f"blocks.{layer}.hook_mlp_out", halve) for layer in middle_layers(model)]

    def run(rows: list[list[int]], conditions: int) -> None:
        batch = left_padded(rows)
        with bridge.hooks(fwd_hooks=hooks):
            out = bridge.generate(
                batch["input_ids"], attention_mask=batch["attention_mask"], max_new_tokens=tokens,
                stop_at_eos=False, temperature=TEMPERATURE, top_p=TOP_P, verbose=False, return_type="tokens",
            )  # fmt: skip
        assert out.shape[1] == batch["input_ids"].shape[1] + tokens

    return run


def this_project(model: Any, tokenizer: Any, tokens: int) -> Run:
    """This project's engine; 0 conditions means no hooks at all."""
    from dataclasses import replace

    from backtracking.engine.generate import Prompt, Row, SamplingParams, generate_rows
    from backtracking.interventions import BASELINE, Condition, Intervention
    from backtracking.model.hooks import Ledger
    from backtracking.model.loading import LoadedModel

    loaded = replace(LoadedModel.wrap(model, tokenizer), eos_token_ids=frozenset())
    layers = middle_layers(model)

    def arm(number: int, count: int) -> Condition:
        strength = STRENGTH * (1 + number / count)
        halving = tuple(Intervention(component="mlp", layer=layer, strength=strength) for layer in layers)
        return Condition(name=f"arm {number}", interventions=halving)

    def run(rows: list[list[int]], conditions: int) -> None:
        arms = [arm(i, conditions) for i in range(conditions)] or [BASELINE]
        queue = [
            Row(
                Prompt(str(i // SAMPLES_PER_PROMPT), "bench", "", tuple(row)),
                i % SAMPLES_PER_PROMPT,
                arms[i % len(arms)],
            )
            for i, row in enumerate(rows)
        ]
        ledger = Ledger()
        params = SamplingParams(tokens, TEMPERATURE, TOP_P)
        records = list(generate_rows(loaded, queue, params, seed=0, slots=len(rows), ledger=ledger))
        ledger.verify()
        assert all(record.completion_tokens == tokens for record in records)

    return run


def matrix_products(model: Any, tokenizer: Any, tokens: int) -> Run:
    """The floor: only the products with the weights, each prompt read once and one step per further token."""
    weights = [m.weight for m in model.modules() if isinstance(m, torch.nn.Linear)]

    def products(count: int, weights: list[torch.Tensor]) -> None:
        widths = {weight.shape[1] for weight in weights}
        inputs = {width: torch.ones(count, width, dtype=weights[0].dtype) for width in widths}
        for weight in weights:
            torch.nn.functional.linear(inputs[weight.shape[1]], weight)

    def run(rows: list[list[int]], conditions: int) -> None:
        products(sum(map(len, rows[::SAMPLES_PER_PROMPT])), weights[:-1])
        for _ in range(tokens - 1):
            products(len(rows), weights)

    return run


CONTENDERS = {
    "one by one": one_by_one,
    "padded batch": padded_batch,
    "continuous": continuous,
    "nnsight": with_nnsight,
    "bridge": with_bridge,
    "engine": this_project,
    "floor": matrix_products,
}


def main(name: str, folder: str, dtype: str, tokens: str) -> None:
    answers, sys.stdout = sys.stdout, sys.stderr  # libraries may print; answers must not mix with that
    tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="left")
    tokenizer.pad_token = tokenizer.eos_token
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, dtype)).eval()
    model.generation_config = GenerationConfig()
    run = CONTENDERS[name](model, tokenizer, int(tokens))
    for line in sys.stdin:
        count, conditions = map(int, line.split())
        rows = prompt_rows(tokenizer, count)
        start = (time.perf_counter(), time.process_time())
        with torch.no_grad():
            run(rows, conditions)
        spent = {"wall": time.perf_counter() - start[0], "cpu": time.process_time() - start[1]}
        print(json.dumps(spent), file=answers, flush=True)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2] / "src"))
    main(*sys.argv[1:])
