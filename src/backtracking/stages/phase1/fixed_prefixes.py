"""fixed-prefixes: onsets after injected errors under baseline, targeted and every random set alike."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from backtracking.artifacts import phase1 as files
from backtracking.artifacts import readings
from backtracking.artifacts.kinds import paths
from backtracking.artifacts.registry import with_figures
from backtracking.run.inputs import Input
from backtracking.run.records import BASELINE_NAME
from backtracking.stages.base import SAMPLING_KEYS, Completions, Result, RunContext, Stage
from backtracking.stages.bounds import most_components, most_prefixes, most_random_sets
from backtracking.stages.phase1.generate import (
    check_selected_in,
    note_model,
    read_collateral,
    read_standouts,
)
from backtracking.stages.phase1.prepare_data import dataset_input, read_problems
from backtracking.stages.phase1.regeneration import mean_outputs, mean_positions, way_of_regeneration
from backtracking.stages.prefixes import check_problems, choose_prefixes, right_rows, write_kept

if TYPE_CHECKING:
    from backtracking.interventions import Arm
    from backtracking.sweeps.fixed_prefixes import Writer


@dataclass(frozen=True)
class FixedPrefixes(Stage):
    """The same prefixes of one variant, with and without an error, under each condition."""

    variant: str

    name: ClassVar[str] = "fixed-prefixes"
    phase: ClassVar[Literal[1, 2]] = 1
    config_keys: ClassVar[tuple[str, ...]] = (
        "run.seed",
        "model",
        "-model.use_cache",
        "prompting",
        *SAMPLING_KEYS,
        "detection",
        "ablation_generation",
        "analysis.ablation_scale",
    )

    def inputs(self, ctx: RunContext) -> Sequence[Input]:
        """The problems, the selected components and the baseline's rows."""
        variant = ctx.check_variant(self.variant)
        return [
            dataset_input(ctx),
            readings.SELECTED.of(ctx.paths),
            files.EVENTS.rows(ctx.paths, variant, BASELINE_NAME),
            files.GENERATIONS.of(ctx.paths, variant=variant, condition=BASELINE_NAME),
        ]

    def outputs(self, ctx: RunContext) -> Sequence[Path]:
        """The rates by condition and kind of prefix, and the rows behind them."""
        return paths(ctx.paths, with_figures([files.PREFIXES, files.PREFIX_ROWS]))

    def check(self, ctx: RunContext) -> None:
        """What is removed was selected in this prompt format."""
        check_selected_in(ctx.paths, self.variant)

    def completions(self, ctx: RunContext) -> Completions:
        """Two of every prefix under the baseline, the targeted set, its components and each random set."""
        removed = most_components(ctx)
        prefixes = min(ctx.config.ablation_generation.fixed_prefixes, most_prefixes(ctx, self.variant))
        arms = 2 + (removed if removed > 1 else 0) + most_random_sets(ctx)
        rows = 2 * prefixes * arms if removed else 0
        return Completions({}, ctx.config.generation.max_new_tokens, unkept=rows, at_most=True)

    def work_files(self, ctx: RunContext) -> Sequence[Path]:
        """The continuations generated so far."""
        return [ctx.paths.work(self._work)]

    @property
    def _work(self) -> str:
        return f"{self.name}-{self.variant}"

    def run(self, ctx: RunContext) -> Result:
        """Goes on from the same prefixes under each condition and counts onsets."""
        from backtracking.figures import catalogue as figures
        from backtracking.measurements.controls import read_baseline, read_records
        from backtracking.measurements.fixed_prefixes import prefix_table

        note_model(ctx)
        arms = self._arms(ctx)
        writer = self._writer(ctx, arms)
        path = files.GENERATIONS.path(ctx.paths, variant=self.variant, condition=BASELINE_NAME)
        right = right_rows(read_baseline(files.EVENTS.path(ctx.paths), self.variant))
        count = ctx.config.ablation_generation.fixed_prefixes
        prefixes = choose_prefixes(ctx, writer, right, lambda keys: read_records(path, keys), count)
        check_problems(prefixes, right)
        rows = write_kept(ctx, self._work, self.key, writer, prefixes, arms)
        figures.publish(ctx.paths, files.PREFIX_ROWS, rows)
        figures.publish(ctx.paths, files.PREFIXES, prefix_table(rows))
        return Result(rows=len(rows), notes={"prefixes": len(prefixes)})

    def _arms(self, ctx: RunContext) -> "list[Arm]":
        """Phase 1's conditions, each random set and each component alone apart: all meet every prefix."""
        from backtracking.interventions import Arm
        from backtracking.model.arms import CONDITIONS, SINGLE, condition_arm

        asked, selected = ctx.config.ablation_generation, read_standouts(ctx.paths)
        shape, collateral, way = ctx.model().shape, read_collateral(ctx.paths), way_of_regeneration(ctx)
        names = [name for name in CONDITIONS if name != SINGLE or sum(map(len, selected.values())) > 1]
        arms = [condition_arm(name, asked, selected, shape, collateral, way) for name in names]
        return [Arm(member.name, member.name, arm.scale, (member,)) for arm in arms for member in arm.members]

    def _writer(self, ctx: RunContext, arms: "Sequence[Arm]") -> "Writer":
        from backtracking.engine.generate import SamplingParams
        from backtracking.measurements.events import EventReader
        from backtracking.sweeps.fixed_prefixes import Writer
        from backtracking.text.tokenization import TokenMap

        config, model = ctx.config, ctx.model()
        gold = {problem.id: problem.answer_value for problem in read_problems(ctx)}
        return Writer(
            model=model,
            reader=EventReader(config.detection, config.prompting, TokenMap(model.tokenizer), gold),
            variant=self.variant,
            sampling=SamplingParams.from_config(config.generation),
            seed=config.run.seed,
            slots=config.generation.batch_size,
            engine=config.generation.engine,
            vectors=mean_outputs(ctx, arms, mean_positions(ctx, self.variant)),
            executor=ctx.executor,
        )
