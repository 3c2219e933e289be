"""What the Phase 2 stages share: the sweep's job, its resources, and where Phase 1 left things."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from backtracking.analysis.arms import Resources
from backtracking.analysis.events import EventReader
from backtracking.conditions import Selected
from backtracking.prompts import check_variants, render_prompt
from backtracking.stages.base import FileInput, Input, RunContext, select_keys
from backtracking.stages.generate import note_model, read_selected_layers
from backtracking.stages.prepare_data import dataset_input, read_problems
from backtracking.tokenization import TokenMap

if TYPE_CHECKING:
    from backtracking.analysis.sweeps import SweepJob

TEXT_KEYS = (
    "run.seed",
    "model",
    "prompting",
    "generation",
    "-generation.num_samples_per_prompt",
    "-generation.batch_size",
)
"""Config keys that decide what a sweep's rows say."""
SWEEP_KEYS = (
    *TEXT_KEYS,
    "detection",
    "ablation_generation",
    "phase2.max_examples",
    "phase2.num_samples_per_prompt",
    "phase2.decode_only",
    "phase2.accuracy_margin",
)


def sweep_inputs(ctx: RunContext, *, from_selection: bool) -> Sequence[Input]:
    return [dataset_input(ctx), *selection_input(ctx, from_selection)]


def selection_input(ctx: RunContext, from_selection: bool) -> Sequence[Input]:
    """Phase 1's choice of layers, where a subset is made of it."""
    if not from_selection:
        return []
    return [FileInput(ctx.phase1_paths.selected_layers, made_by="backtracking ablation-scan")]


def resources(ctx: RunContext, *, from_selection: bool) -> Resources:
    """The model's shape and what Phase 1 selected."""
    model = ctx.model()
    selected: Selected | None = None
    if from_selection:
        selected = read_selected_layers(ctx.phase1_paths.selected_layers)
    return Resources(model.n_layers, model.n_heads, ctx.phase2.when, selected)


def sweep_job(ctx: RunContext, variant: str, available: Resources) -> "SweepJob":
    """The rows of a sweep: the first problems of the data set, prompted and sampled as in Phase 1."""
    from backtracking.analysis.sweeps import SweepJob
    from backtracking.generate import Prompt, SamplingParams

    model = ctx.model()
    note_model(ctx)
    config, prompting = ctx.config, ctx.config.prompting
    check_variants(prompting, model.tokenizer)
    problems = read_problems(ctx)[: ctx.phase2.max_examples]
    prompts = []
    for problem in problems:
        text, ids = render_prompt(problem.question, prompting, variant, model.tokenizer)
        prompts.append(Prompt(example_id=problem.id, variant=variant, text=text, ids=tuple(ids)))
    gold = {problem.id: problem.answer_value for problem in problems}
    return SweepJob(
        model=model,
        prompts=prompts,
        reader=EventReader(config.detection, prompting, TokenMap(model.tokenizer), gold),
        sampling=SamplingParams.from_config(config.generation),
        samples=ctx.phase2.num_samples_per_prompt,
        seed=config.run.seed,
        folder=variant_folder(ctx, variant),
        resources=available,
        margin=ctx.phase2.accuracy_margin,
        slots=config.generation.batch_size,
        engine=config.generation.engine,
        made_with=select_keys(config.model_dump(mode="json"), TEXT_KEYS),
        reporter=ctx.reporter,
    )


def variant_folder(ctx: RunContext, variant: str) -> Path:
    return ctx.paths.generation(ctx.check_variant(variant), "phase2").parent
