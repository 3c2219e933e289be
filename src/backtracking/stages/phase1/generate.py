"""generate: completions of every problem in one prompt format under one condition."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from backtracking.errors import UserError
from backtracking.interventions import Arm
from backtracking.model.arms import Selected, check_condition, condition_arm, targeted_members
from backtracking.model.random_control import components_of, limits
from backtracking.run import io
from backtracking.run.provenance import digest
from backtracking.run.records import BASELINE_NAME, GenerationRecord, Problem
from backtracking.stages.base import (
    FileInput,
    Input,
    Result,
    RunContext,
    Stage,
    flatten,
    select_keys,
    set_aside,
)
from backtracking.stages.phase1.prepare_data import dataset_input, read_problems
from backtracking.text.prompts import check_variants, render_prompt

if TYPE_CHECKING:
    from backtracking.engine.generate import Row


@dataclass(frozen=True)
class Generate(Stage):
    variant: str
    condition: str

    name: ClassVar[str] = "generate"
    phase: ClassVar[Literal[1, 2]] = 1
    config_keys: ClassVar[tuple[str, ...]] = (
        "run.seed",
        "model",
        "prompting",
        "-prompting.formatting_variants",
        "generation",
        "-generation.batch_size",
        "-model.use_cache",
    )

    def inputs(self, ctx: RunContext) -> Sequence[Input]:
        needed: list[Input] = [dataset_input(ctx)]
        if check_condition(self.condition) != BASELINE_NAME:
            needed.append(selected_layers_input(ctx))
        return needed

    def outputs(self, ctx: RunContext) -> Sequence[Path]:
        return [ctx.paths.generation(ctx.check_variant(self.variant), self.condition)]

    def config_values(self, ctx: RunContext) -> dict[str, Any]:
        count = {"generation.num_samples_per_prompt": ctx.config.generation.num_samples_per_prompt}
        return flatten(self._text_config(ctx)) | count

    def _text_config(self, ctx: RunContext) -> dict[str, Any]:
        """What decides a row's text; how many rows there are does not."""
        keys = [*self.config_keys, "-generation.num_samples_per_prompt"]
        if self.condition != BASELINE_NAME:
            keys += ["ablation_generation.mode", "ablation_generation.scale"]
        if self.condition == "random_ablation":
            keys += ["ablation_generation.random_control_seed", "ablation_generation.random_draws"]
        chosen = [v.model_dump() for v in ctx.config.prompting.formatting_variants if v.name == self.variant]
        return select_keys(ctx.config.model_dump(mode="json"), keys) | {"variant": chosen}

    def run(self, ctx: RunContext) -> Result:
        from backtracking.engine.generate import SamplingParams, generate_rows
        from backtracking.model.ledger import Ledger

        model = ctx.model()
        note_model(ctx)
        problems = read_problems(ctx)
        check_variants(ctx.config.prompting, model.tokenizer)
        arm = self._arm(ctx)
        path = self.outputs(ctx)[0]
        rows = list(self._rows(ctx, problems, arm))
        done = self._rows_kept(ctx, path, rows, arm)
        pending = [row for row in rows if (row.prompt.example_id, row.sample_id) not in done]
        if done and pending:
            ctx.reporter.say(f"  resuming: {len(done):,} of {len(rows):,} rows done")
        with io.JsonlAppender(path) as file, ctx.reporter.bar(self.key, len(pending)) as bar:
            ledger = Ledger()
            for record in generate_rows(
                model,
                pending,
                SamplingParams.from_config(ctx.config.generation),
                seed=ctx.config.run.seed,
                slots=ctx.config.generation.batch_size,
                engine=ctx.config.generation.engine,
                ledger=ledger,
                progress=bar,
            ):
                file.append(record)
        ledger.verify()
        order = {(row.prompt.example_id, row.sample_id): place for place, row in enumerate(rows)}
        sort_rows(path, order)
        return Result(rows=len(rows), notes=self._notes(ctx, arm))

    def resumes_from(self, ctx: RunContext) -> Sequence[Path]:
        return self.outputs(ctx)

    def _rows(self, ctx: RunContext, problems: list[Problem], arm: Arm) -> "Iterator[Row]":
        from backtracking.engine.generate import Prompt, Row

        for index, problem in enumerate(problems):
            text, ids = render_prompt(
                problem.question, ctx.config.prompting, self.variant, ctx.model().tokenizer
            )
            prompt = Prompt(example_id=problem.id, variant=self.variant, text=text, ids=tuple(ids))
            for sample in range(ctx.config.generation.num_samples_per_prompt):
                yield Row(prompt=prompt, sample_id=sample, condition=arm.for_row(index, sample))

    def _rows_kept(self, ctx: RunContext, path: Path, rows: "list[Row]", arm: Arm) -> set[tuple[str, int]]:
        """Keys of finished rows that this config would write again to the letter."""
        record = ctx.meta.stages[self.key]
        notes = self._notes(ctx, arm)
        if record.notes != notes:
            set_aside(path, ctx.reporter)
        record.notes = notes
        ctx.meta.save(ctx.paths.meta)
        if not path.exists():
            return set()
        io.heal_jsonl(path)
        wanted = {(row.prompt.example_id, row.sample_id): row for row in rows}
        kept: set[tuple[str, int]] = set()
        keep_lines = []
        unwanted = 0
        for number, old in enumerate(io.read_jsonl(path, GenerationRecord, made_by="backtracking generate")):
            key = (old.example_id, old.sample_id)
            row = wanted.get(key)
            same = row is not None and list(row.prompt.ids) == old.prompt_ids
            unwanted += not same
            if same and key not in kept and old.finish_reason != "error":
                kept.add(key)
                keep_lines.append(number)
        if unwanted:
            ctx.reporter.say(f"  {unwanted:,} finished rows are not part of this plan")
            set_aside(path, ctx.reporter, copy=True)
        io.keep_lines(path, keep_lines)
        return kept

    def _arm(self, ctx: RunContext) -> Arm:
        asked, selected, shape = ctx.config.ablation_generation, self._selected(ctx), ctx.model().shape
        arm = condition_arm(self.condition, asked, selected, shape)
        if arm.kind == "random control":
            targeted = targeted_members(self.condition, asked, selected, shape)
            if note := limits(targeted, asked.random_draws, shape):
                ctx.reporter.say(f"  note: {note}")
        return arm

    def _notes(self, ctx: RunContext, arm: Arm) -> dict[str, Any]:
        """What rows were made with; of a random control, what each draw consists of."""
        members = [member.model_dump(mode="json") for member in arm.members]
        drawn = {"draws": [*map(components_of, arm.members)]} if arm.kind == "random control" else {}
        made_with = digest([self._text_config(ctx), members, ctx.weights()])
        return {"rows_made_with": made_with, **drawn}

    def _selected(self, ctx: RunContext) -> Selected | None:
        if self.condition == BASELINE_NAME:
            return None
        selected: Selected = read_selected_layers(ctx.paths.selected_layers)
        return selected


def selected_layers_input(ctx: RunContext) -> FileInput:
    return FileInput(ctx.paths.selected_layers, made_by="backtracking ablation-scan")


def read_selected_layers(path: Path) -> Selected:
    data = io.read_json(path, made_by="backtracking ablation-scan")
    try:
        return {"attn": [int(layer) for layer in data["attn"]], "mlp": [int(layer) for layer in data["mlp"]]}
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"{path} does not hold selected layers",
            f"{type(error).__name__}: {error}",
            "run: backtracking ablation-scan",
        ) from error


def note_model(ctx: RunContext) -> None:
    """Record in meta.json which weights are studied, on what device."""
    model = ctx.model()
    ctx.meta.model = {
        "hf_id": ctx.config.model.hf_id,
        "revision": getattr(model.model.config, "_commit_hash", None) or ctx.config.model.revision,
        "device": str(model.device),
        "dtype": str(model.dtype).removeprefix("torch."),
        "layers": model.n_layers,
        "parameters": sum(parameter.numel() for parameter in model.model.parameters()),
    }


def sort_rows(path: Path, order: dict[tuple[str, int], int]) -> None:
    """Put finished rows in the order of the plan, so that equal runs have equal files."""
    places = [
        order[record.example_id, record.sample_id]
        for record in io.read_jsonl(path, GenerationRecord, made_by="backtracking generate")
    ]
    if places != sorted(places):
        io.keep_lines(path, sorted(range(len(places)), key=places.__getitem__))
