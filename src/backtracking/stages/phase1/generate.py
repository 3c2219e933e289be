"""generate: completions of every problem in one prompt format under one condition."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import pandas as pd

from backtracking.artifacts import phase1 as files
from backtracking.artifacts import readings
from backtracking.artifacts.kinds import paths
from backtracking.artifacts.registry import with_figures
from backtracking.config.reading import flatten
from backtracking.errors import NotTestable, UserError
from backtracking.interventions import BASELINE_ARM, Arm, ComponentPlace
from backtracking.model.arms import (
    SINGLE,
    Selected,
    check_condition,
    condition_arm,
    targeted_members,
)
from backtracking.model.random_control import components_of, described_sets
from backtracking.run.inputs import Input
from backtracking.run.paths import RunPaths
from backtracking.run.provenance import digest
from backtracking.run.records import BASELINE_NAME, GenerationRecord, Problem, RowId
from backtracking.run.rowfile import RowFile, resume, say_failed, set_aside_and_say, sort_rows
from backtracking.stages.base import (
    Completions,
    Result,
    RunContext,
    Stage,
    select_keys,
)
from backtracking.stages.bounds import baseline_completions, most_components
from backtracking.stages.phase1.onset_study import study_inputs
from backtracking.stages.phase1.prepare_data import dataset_input, read_problems
from backtracking.stages.phase1.regeneration import mean_outputs, mean_positions, way_of_regeneration
from backtracking.text.prompts import check_variants, render_prompt

if TYPE_CHECKING:
    from backtracking.measurements.controls import Reading
    from backtracking.stages.phase1.row_plan import RowPlan

ONE_STANDS_OUT = "one component stands out, so removed alone and together are the same (targeted_ablation)"


@dataclass(frozen=True)
class Generate(Stage):
    """Completions of one variant under one condition."""

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
        "-generation.shard_rows",
        "-model.use_cache",
    )

    def inputs(self, ctx: RunContext) -> Sequence[Input]:
        """The problems; with components removed, also which were selected."""
        needed: list[Input] = [dataset_input(ctx)]
        if check_condition(self.condition) != BASELINE_NAME:
            needed.append(readings.SELECTED.of(ctx.paths))
            if way_of_regeneration(ctx).takes_means:
                needed += [one for one in study_inputs(ctx, self.variant) if one not in needed]
        return needed

    def outputs(self, ctx: RunContext) -> Sequence[Path]:
        """The file of completions; for the random control, also its draws."""
        listed = with_figures([files.RANDOM_SETS] if self.condition == "random_ablation" else [])
        return [self._completions(ctx), *paths(ctx.paths, listed)]

    def _completions(self, ctx: RunContext) -> Path:
        variant = ctx.check_variant(self.variant)
        return files.GENERATIONS.path(ctx.paths, variant=variant, condition=self.condition)

    def config_values(self, ctx: RunContext) -> dict[str, Any]:
        """The keys that shape the text, and the number of samples."""
        count = {"generation.num_samples_per_prompt": ctx.config.generation.num_samples_per_prompt}
        return flatten(self._text_config(ctx)) | count

    def _text_config(self, ctx: RunContext) -> dict[str, Any]:
        """What decides a row's text; how many rows there are does not."""
        keys = [*self.config_keys, "-generation.num_samples_per_prompt"]
        if self.condition != BASELINE_NAME:
            keys += ["ablation_generation.mode", "ablation_generation.scale", "analysis.ablation_scale"]
        if self.condition == "random_ablation":
            keys += ["ablation_generation.random_control_seed", "ablation_generation.random_draws"]
        chosen = [v.model_dump() for v in ctx.config.prompting.formatting_variants if v.name == self.variant]
        return select_keys(ctx.config.model_dump(mode="json"), keys) | {"variant": chosen}

    def check(self, ctx: RunContext) -> None:
        """What is removed was selected in this prompt format."""
        if self.condition != BASELINE_NAME:
            check_selected_in(ctx.paths, self.variant)

    def run(self, ctx: RunContext) -> Result:
        """Generates the rows that are still missing."""
        from backtracking.engine.generate import SamplingParams, generate_rows
        from backtracking.model.ledger import Ledger

        self._selected(ctx)  # before the model is loaded for nothing
        model = ctx.model()
        note_model(ctx)
        problems = read_problems(ctx)
        check_variants(ctx.config.prompting, model.tokenizer)
        arm = self._arm(ctx)
        positions = [] if arm is BASELINE_ARM else mean_positions(ctx, self.variant)
        notes = self._notes(ctx, arm, positions)
        rows = self._rows(ctx, problems, arm)
        file = self._file(ctx, notes)
        done = self._rows_kept(ctx, file, rows, notes)
        pending = rows.without(done)
        if done and pending:
            ctx.reporter.say(f"  resuming: {len(done):,} of {len(rows):,} completions done")
        with file.appending() as append, ctx.reporter.bar("completions", len(pending)) as bar:
            ledger, failed = Ledger(), list[str]()
            for record in generate_rows(
                model,
                pending,
                SamplingParams.from_config(ctx.config.generation),
                seed=ctx.config.run.seed,
                slots=ctx.config.generation.batch_size,
                engine=ctx.config.generation.engine,
                ledger=ledger,
                progress=bar,
                vectors=mean_outputs(ctx, [arm], positions),
                executor=ctx.executor,
                unfinished={self.condition: file.unfinished},
            ):
                append(record)
                failed += [record.error] if record.error else []
        ledger.verify()
        say_failed(failed, len(pending), ctx.reporter)
        sort_rows(file, rows.place)
        file.unfinished.clear()
        return Result(rows=len(rows), notes=notes)

    def completions(self, ctx: RunContext) -> Completions:
        """All rows of the variant under the condition."""
        generation = ctx.config.generation
        is_ablated = self.condition != BASELINE_NAME
        fewest = 2 if self.condition == SINGLE else 1
        is_testable = not is_ablated or most_components(ctx) >= fewest
        rows = baseline_completions(ctx) if is_testable else 0
        at_most = is_ablated and not ctx.stands(readings.SELECTED.path(ctx.paths))
        return Completions({self._completions(ctx): rows}, generation.max_new_tokens, at_most=at_most)

    def resumes_from(self, ctx: RunContext) -> Sequence[Path]:
        """The file that a stopped run goes on with."""
        return [self._completions(ctx)]

    def _rows(self, ctx: RunContext, problems: list[Problem], arm: Arm) -> "RowPlan":
        from backtracking.engine.generate import Prompt
        from backtracking.stages.phase1.row_plan import RowPlan

        prompting, tokenizer = ctx.config.prompting, ctx.model().tokenizer

        def render(problem: Problem) -> Prompt:
            text, ids = render_prompt(problem.question, prompting, self.variant, tokenizer)
            return Prompt(example_id=problem.id, variant=self.variant, text=text, ids=tuple(ids))

        return RowPlan(problems, ctx.config.generation.num_samples_per_prompt, arm, render)

    def _file(self, ctx: RunContext, notes: Mapping[str, Any]) -> RowFile[GenerationRecord]:
        command = f"backtracking generate --variant {self.variant} --condition {self.condition}"
        made_with = notes["rows_made_with"]
        most = ctx.config.generation.shard_rows
        return RowFile(self._completions(ctx), GenerationRecord, made_with, made_by=command, shard_rows=most)

    def _rows_kept(
        self,
        ctx: RunContext,
        file: RowFile[GenerationRecord],
        rows: "RowPlan",
        notes: dict[str, Any],
    ) -> set[RowId]:
        """Finished rows that this config would write again to the letter."""
        record = ctx.meta.stages[self.key]
        if record.notes != notes:
            set_aside_and_say(file.path, ctx.reporter)
        record.notes = notes
        ctx.meta.save(ctx.paths.meta)

        def asked(old: GenerationRecord) -> bool | None:
            place = rows.place(old.id)
            return None if place is None else rows[place].is_of(old)

        return set(resume(file, asked, ctx.reporter, keep_others=False).asked)

    def _arm(self, ctx: RunContext) -> Arm:
        asked, selected, shape = ctx.config.ablation_generation, self._selected(ctx), ctx.model().shape
        if selected is None:
            return BASELINE_ARM
        collateral = read_collateral(ctx.paths) if self.condition == "random_ablation" else {}
        way = way_of_regeneration(ctx)
        arm = condition_arm(self.condition, asked, selected, shape, collateral, way)
        if arm.kind == "random control":
            from backtracking.figures import catalogue as figures

            targeted = targeted_members(self.condition, selected, shape, way)
            figures.publish(
                ctx.paths, files.RANDOM_SETS, pd.DataFrame(described_sets(targeted, arm, collateral))
            )
            if (sets := len(arm.members)) < asked.random_draws:
                ctx.reporter.say(
                    f"  note: there are {sets:,} sets to draw, not {asked.random_draws:,}: each is used once"
                )
        return arm

    def _notes(self, ctx: RunContext, arm: Arm, positions: "Sequence[Reading]") -> dict[str, Any]:
        """What rows were made with and how components were removed; the draws of a random control."""
        members = [member.model_dump(mode="json") for member in arm.members]
        drawn = {"draws": [*map(components_of, arm.members)]} if arm.kind == "random control" else {}
        removed = {} if arm is BASELINE_ARM else {"removed_by": str(way_of_regeneration(ctx))}
        means = [[list(reading.ids[: reading.pos + 1]) for reading in positions]] if positions else []
        made_with = digest([self._text_config(ctx), members, ctx.weights(), *means])
        return {"rows_made_with": made_with, **drawn, **removed}

    def _selected(self, ctx: RunContext) -> Selected | None:
        if self.condition == BASELINE_NAME:
            return None
        selected = read_standouts(ctx.paths)
        if self.condition == SINGLE and sum(map(len, selected.values())) < 2:
            raise NotTestable(ONE_STANDS_OUT)
        return selected


def read_selected_layers(run: RunPaths) -> Selected:
    """The layers that the scan selected."""
    data = readings.SELECTED.read(run)
    try:
        return {"attn": [int(layer) for layer in data["attn"]], "mlp": [int(layer) for layer in data["mlp"]]}
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"{readings.SELECTED.path(run)} does not hold selected layers",
            f"{type(error).__name__}: {error}",
            "run: backtracking ablation-scan",
        ) from error


def format_of_selection(run: RunPaths) -> str:
    """The prompt format whose scan selected the layers; empty where nothing says so."""
    return str(readings.SELECTION.read(run).get("variant", "")) if readings.SELECTION.exists(run) else ""


def check_selected_in(run: RunPaths, variant: str) -> None:
    """Refuse what another prompt format's scan selected: another format may have another origin."""
    selected_in = format_of_selection(run)
    if selected_in not in ("", variant):
        raise UserError(
            f"{readings.SELECTED.path(run)} was selected in {selected_in}, not in {variant}",
            "an ablation removes what stands out in its own prompt format",
            f"run: backtracking ablation-scan --run-id {run.run_id} --variant {variant} "
            "(the tables that it replaces are kept)",
        )


def read_collateral(run: RunPaths) -> dict[ComponentPlace, float]:
    """What removing each block alone does to the model elsewhere, as far as there was a scan that tells."""
    table = readings.IMPORTANCE.read(run) if readings.IMPORTANCE.exists(run) else None
    if table is None or "kl_control" not in table:
        return {}
    costs = zip(table["component"], table["layer"], table["kl_control"], strict=True)
    return {(component, int(layer), None): float(cost) for component, layer, cost in costs}


def read_standouts(run: RunPaths) -> Selected:
    """The same where there are any: without one, no question about removing them is testable."""
    selected = read_selected_layers(run)
    if not any(selected.values()):
        raise NotTestable(nothing_stands_out(run))
    return selected


def nothing_stands_out(run: RunPaths) -> str:
    """Why nothing is removed: the scan's way of removal that selects may have company that does find some."""
    mode = readings.SELECTION.read(run).get("mode") if readings.SELECTION.exists(run) else None
    under = f" under `{mode}`, which selects" if mode else ""
    return f"nothing stands out in the ablation scan{under}, so there is nothing to remove"


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
