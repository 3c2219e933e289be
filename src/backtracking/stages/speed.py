"""Ten seconds of decoding as a run would do it, kept beside the runs so that later plans know the speed."""

import itertools
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backtracking.errors import UserError
from backtracking.run import io
from backtracking.run.provenance import digest, machine_digest, now
from backtracking.run.records import Problem
from backtracking.stages.base import RunContext
from backtracking.stages.phase1.prepare_data import read_problems

if TYPE_CHECKING:
    from backtracking.engine.generate import Row
    from backtracking.engine.speed import Speed

SECONDS = 10.0
PROBLEMS = 256


def speed_file(ctx: RunContext) -> Path:
    """Where measured speeds of this machine are kept."""
    return ctx.paths.output_dir / ".speed.json"


def known_speed(ctx: RunContext) -> dict[str, Any] | None:
    """The last measurement of this model under these settings on this machine."""
    path = speed_file(ctx)
    speed = io.read_json(path, made_by="backtracking plan").get(_key(ctx)) if path.exists() else None
    return speed if isinstance(speed, dict) else None


def measure(ctx: RunContext, seconds: float = SECONDS) -> dict[str, Any]:
    """Decode for some seconds with the run's own model, prompts and settings; the measurement is kept."""
    from backtracking.engine.generate import SamplingParams
    from backtracking.engine.speed import measure_speed

    generation, model = ctx.config.generation, ctx.model()
    speed = measure_speed(
        model,
        _rows(ctx),
        SamplingParams.from_config(generation),
        seed=ctx.config.run.seed,
        slots=generation.batch_size,
        seconds=seconds,
    )
    if speed is None:
        raise UserError("the measurement decoded no token", next_step="run: backtracking doctor")
    measured = _described(speed) | {"device": str(model.device), "measured": now()}
    path = speed_file(ctx)
    known = io.read_json(path, made_by="backtracking plan") if path.exists() else {}
    # Earlier versions wrote the machine's name into their entries.
    unnamed = {key: old for key, old in known.items() if "host" not in old}
    io.write_json(path, {**unnamed, _key(ctx): measured})
    return measured


def _described(speed: "Speed") -> dict[str, Any]:
    return {name: _rounded(value) for name, value in asdict(speed).items()}


def _rounded(value: float | None) -> float | None:
    return float(f"{value:.6g}") if isinstance(value, float) else value


def _key(ctx: RunContext) -> str:
    """What a speed belongs to."""
    rows = {"num_samples_per_prompt", "shard_rows"}
    generation = ctx.config.generation.model_dump(mode="json", exclude=rows)
    settings = [machine_digest(), ctx.config.model.model_dump(mode="json"), generation]
    return digest([*settings, ctx.config.prompting.model_dump(mode="json")])[:16]


def _rows(ctx: RunContext) -> "Iterator[Row]":
    """The run's baseline rows in the order in which it generates them, again and again."""
    from backtracking.engine.generate import Prompt, Row
    from backtracking.interventions import BASELINE
    from backtracking.text.prompts import render_prompt

    prompting, tokenizer = ctx.config.prompting, ctx.model().tokenizer
    variant = prompting.variant_names[0]
    prompts = []
    for problem in _problems(ctx):
        text, ids = render_prompt(problem.question, prompting, variant, tokenizer)
        prompts.append(Prompt(example_id=problem.id, variant=variant, text=text, ids=tuple(ids)))
    samples = ctx.config.generation.num_samples_per_prompt
    for again in itertools.count():
        for prompt in prompts:
            for sample in range(samples):
                yield Row(prompt=prompt, sample_id=again * samples + sample, condition=BASELINE)


def _problems(ctx: RunContext) -> list[Problem]:
    """The run's problems; those that its config names, or small sums where these are not on this disk."""
    from backtracking.config.schema import MADE_HERE, DatasetConfig
    from backtracking.sources.problems import load_problems

    if ctx.dataset_path.exists():
        return read_problems(ctx)[:PROBLEMS]
    asked = ctx.config.dataset
    if asked.path is None and asked.name != MADE_HERE:
        asked = DatasetConfig(name=MADE_HERE, max_examples=PROBLEMS)
    return load_problems(asked)[:PROBLEMS]
