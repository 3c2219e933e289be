"""The job of a sweep: its rows, its problems in two halves, and the arms that are on disk."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backtracking.artifacts import phase2 as files
from backtracking.artifacts.kinds import Artifact, Table
from backtracking.config.phase2 import Subset
from backtracking.errors import UserError
from backtracking.interventions import Arm
from backtracking.measurements.events import EventReader
from backtracking.measurements.halves import Half, split_problems
from backtracking.measurements.hook_debug import add_start
from backtracking.measurements.looks import Looks, planned
from backtracking.model.arms import Resources
from backtracking.run.inputs import FirstRows, Input, Whole
from backtracking.run.records import BASELINE_NAME
from backtracking.stages.base import SAMPLING_KEYS, Completions, RunContext, select_keys
from backtracking.stages.phase1.generate import note_model
from backtracking.stages.phase1.prepare_data import dataset_input, read_problems
from backtracking.stages.phase2.from_phase1 import vectors
from backtracking.stages.phase2.subsets import resources, selection_input
from backtracking.stages.vouched import rows_vouched
from backtracking.text.prompts import check_variants, render_prompt
from backtracking.text.tokenization import TokenMap

if TYPE_CHECKING:
    from backtracking.sweeps.sweep import SweepJob, SweepResult


TEXT_KEYS = (
    "run.seed",
    "model",
    "prompting",
    *SAMPLING_KEYS,
    "-model.use_cache",
)
"""Config keys that decide what a sweep's rows say."""
SWEEP_KEYS = (
    *TEXT_KEYS,
    "detection",
    "ablation_generation",
    "-ablation_generation.fixed_prefixes",
    "phase2.max_examples",
    "phase2.num_samples_per_prompt",
    "phase2.decode_only",
    "phase2.accuracy_margin",
    "phase2.stop_early",
    "phase2.hook_debug",
    "analysis.max_events",
)


def sweep_inputs(ctx: RunContext, subsets: Iterable[Subset]) -> Sequence[Input]:
    """What every sweep reads."""
    return [dataset_input(ctx), *selection_input(ctx, subsets)]


def sweep_job(
    ctx: RunContext,
    variant: str,
    available: Resources,
    arms: Sequence[Arm],
    left_out: Mapping[str, str] | None = None,
) -> "SweepJob":
    """The rows of a sweep: the first problems of the dataset, prompted and sampled as in Phase 1.

    Arms that a sweep leaves out are told with what the hooks did.
    """
    from backtracking.engine.generate import Prompt, SamplingParams
    from backtracking.sweeps.sweep import SweepJob

    model = ctx.model()
    note_model(ctx)
    config, prompting = ctx.config, ctx.config.prompting
    check_variants(prompting, model.tokenizer)
    problems = read_problems(ctx)[: ctx.phase2.max_examples]
    prompts = []
    for problem in problems:
        text, ids = render_prompt(problem.question, prompting, variant, model.tokenizer)
        prompts.append(Prompt(example_id=problem.id, variant=variant, text=text, ids=tuple(ids)))
    return SweepJob(
        model=model,
        prompts=prompts,
        reader=event_reader(ctx),
        sampling=SamplingParams.from_config(config.generation),
        samples=ctx.phase2.num_samples_per_prompt,
        seed=config.run.seed,
        folder=variant_folder(ctx, variant),
        resources=available,
        margin=ctx.phase2.accuracy_margin,
        slots=config.generation.batch_size,
        engine=config.generation.engine,
        shard_rows=config.generation.shard_rows,
        vectors=vectors(ctx, variant, arms),
        onset_phrases=onset_phrases(ctx, arms),
        made_with=select_keys(config.model_dump(mode="json"), TEXT_KEYS) | {"weights": ctx.weights()},
        reporter=ctx.reporter,
        executor=ctx.executor,
        note_hooks=partial(_write_hook_debug, ctx, left_out),
        rows_vouched=partial(rows_vouched, ctx),
    )


def in_waves(ctx: RunContext, job: "SweepJob") -> "SweepJob":
    """The job of a sweep over all problems whose settled arms stop, where that is asked for."""
    from backtracking.sweeps.waves import wave_order

    return in_waves_of(ctx, job, wave_order(len(job.prompts)))


def in_waves_of(ctx: RunContext, job: "SweepJob", order: Sequence[int]) -> "SweepJob":
    """The job in waves that take its problems in this order, where arms may stop."""
    return replace(job, looks=planned(len(order)), order=order) if ctx.phase2.stop_early else job


def waves(ctx: RunContext, table: Table) -> list[Table]:
    """What a sweep writes of its waves, where there are any."""
    return [table] if ctx.phase2.stop_early else []


def publish_waves(ctx: RunContext, table: Table, result: "SweepResult") -> None:
    """Write what a sweep says of its waves, or take away what an earlier one in waves has left."""
    from backtracking.figures import catalogue

    if waves(ctx, table):
        catalogue.publish(ctx.paths, table, result.waves)
    else:
        catalogue.withdraw(ctx.paths, table)


def search_looks(ctx: RunContext, problems: int) -> Looks | None:
    """The looks that arms had on the half that they are picked on, where settled arms stop."""
    every = min(ctx.problem_count(), ctx.phase2.max_examples)
    return planned(every).within(problems) if ctx.phase2.stop_early else None


def rows_of_an_arm(ctx: RunContext) -> int:
    """The completions of every arm of a sweep."""
    return min(ctx.problem_count(), ctx.phase2.max_examples) * ctx.phase2.num_samples_per_prompt


def sweep_completions(ctx: RunContext, variant: str, arms: Iterable[str]) -> Completions:
    """The rows of a sweep: arms of the same name and prompts share theirs; settled ones may stop."""
    asked = ctx.phase2
    rows = rows_of_an_arm(ctx)
    asked_for = {files.ARM_ROWS.path(ctx.paths, variant=variant, arm=arm): rows for arm in arms}
    return Completions(asked_for, ctx.config.generation.max_new_tokens, at_most=asked.stop_early)


def problem_halves(ctx: RunContext) -> dict[Half, list[str]]:
    """The problems of Phase 2, split into those that arms are picked on and those that confirm."""
    return split_problems([problem.id for problem in read_problems(ctx)[: ctx.phase2.max_examples]])


def current_arms(ctx: RunContext, variant: str, names: Iterable[str]) -> "tuple[SweepJob, list[Arm]]":
    """The arms of these names whose rows were made as the config now says, and the job they belong to."""
    from backtracking.sweeps.sweep import is_current, load_arm

    arms = [load_arm(variant_folder(ctx, variant), name) for name in names]
    job = sweep_job(ctx, variant, resources(ctx, variant, []), arms)
    current = [arm for arm in arms if is_current(job, arm)]
    if BASELINE_NAME not in {arm.name for arm in current}:
        raise UserError(
            "the sweep's completions were made with other settings",
            "model, prompts, sampling or seed have changed since",
            "run: backtracking phase2-subset-sweep",
        )
    for arm in arms:
        if arm not in current:
            ctx.reporter.say(f"  note: {arm.name} is left out: its completions were made with other settings")
    return job, current


def hook_debug_file(ctx: RunContext) -> list[Artifact]:
    """What all sweeps add to, where it is asked for."""
    return [files.HOOK_DEBUG] if ctx.phase2.hook_debug else []


def _write_hook_debug(ctx: RunContext, left_out: Mapping[str, str] | None, start: dict[str, Any]) -> None:
    """Add what the hooks did in this start to what they did before."""
    if ctx.phase2.hook_debug:
        before = files.HOOK_DEBUG.read(ctx.paths) if files.HOOK_DEBUG.exists(ctx.paths) else {}
        said = before.get("left_out", {}) if left_out is None else dict(left_out)
        files.HOOK_DEBUG.write(ctx.paths, add_start(before, start) | {"left_out": said})


def event_reader(ctx: RunContext) -> EventReader:
    """Reads completions as `detect-events` does."""
    gold = {problem.id: problem.answer_value for problem in read_problems(ctx)}
    return EventReader(ctx.config.detection, ctx.config.prompting, TokenMap(ctx.model().tokenizer), gold)


def onset_phrases(ctx: RunContext, arms: Sequence[Arm]) -> tuple[tuple[int, ...], ...]:
    """How the engine recognises an onset, where an arm waits for one."""
    from backtracking.text.onsets.triggers import Triggers

    waits = any(i.when.onset != "any" for arm in arms for member in arm.members for i in member.interventions)
    if not waits:
        return ()
    return Triggers.of(ctx.model().tokenizer, ctx.config.detection.triggers_strict).phrases


def arms_made(job: "SweepJob", names: Iterable[str]) -> list[Input]:
    """What a sweep leaves of its arms: the rows there are now (others may add some), and the cards."""
    from backtracking.sweeps.sweep import arm_path, card_path

    made: list[Input] = []
    for name in names:
        made += [FirstRows.now_in(arm_path(job.folder, name)), Whole(card_path(job.folder, name))]
    return made


def kept_rows(ctx: RunContext, variant: str, arms: Iterable[str]) -> list[Path]:
    """The rows kept so far of these arms; those that another sweep alone made are not among them."""
    rows = [files.ARM_ROWS.path(ctx.paths, variant=variant, arm=arm) for arm in dict.fromkeys(arms)]
    return [path for path in rows if path.exists()]


def arm_files(ctx: RunContext, variant: str) -> list[Path]:
    """The rows of all arms kept so far."""
    rows = sorted(variant_folder(ctx, variant).glob(files.ARM_ROWS.file.format(arm="*")))
    return [path for path in rows if ".previous" not in path.name]


def variant_folder(ctx: RunContext, variant: str) -> Path:
    """Where the rows of all arms of a variant lie."""
    return files.ARM_ROWS.path(ctx.paths, variant=ctx.check_variant(variant), arm="any").parent
