"""compare-conditions: baseline, targeted and random ablation side by side within one prompt format."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from backtracking.artifacts import phase1 as files
from backtracking.artifacts.kinds import paths
from backtracking.artifacts.registry import with_figures
from backtracking.errors import UserError
from backtracking.run.inputs import Input
from backtracking.stages.base import Result, RunContext, Stage, token_cap


@dataclass(frozen=True)
class CompareConditions(Stage):
    """The conditions of one variant side by side."""

    variant: str

    name: ClassVar[str] = "compare-conditions"
    phase: ClassVar[Literal[1, 2]] = 1
    unit: ClassVar[str] = "condition"
    config_keys: ClassVar[tuple[str, ...]] = ("detection",)

    def inputs(self, ctx: RunContext) -> Sequence[Input]:
        """The events of the variant under every condition."""
        return [files.EVENTS.rows(ctx.paths, ctx.check_variant(self.variant), None)]

    def outputs(self, ctx: RunContext) -> Sequence[Path]:
        """The table of conditions, and the draws of the random control one by one."""
        return paths(ctx.paths, with_figures([files.COMPARISON, files.DRAWS]))

    def run(self, ctx: RunContext) -> Result:
        """Compares each condition with the baseline, problem by problem."""
        from backtracking.figures import catalogue as figures
        from backtracking.measurements.metrics_v2 import condition_table, draw_table
        from backtracking.measurements.random_sets import beside_the_target, with_ranks
        from backtracking.measurements.tallies import names, read_outcomes, tally_draws, tally_file

        events = files.EVENTS.path(ctx.paths)
        tallies = tally_file(events, variant=self.variant, cap=token_cap(ctx.paths))
        if "baseline" not in names(tallies, "condition", variant=self.variant):
            raise UserError(
                f"{events} has no baseline completions of {self.variant!r}",
                "conditions are compared with the baseline of the same prompt format",
                f"run: backtracking generate --variant {self.variant} (baseline), then detect-events",
            )
        sets = beside_the_target(read_outcomes(files.EVENTS.rows(ctx.paths, self.variant, None)))
        table = with_ranks(condition_table(tallies, self.variant), sets)
        figures.publish(ctx.paths, files.COMPARISON, table)
        draws = draw_table(tally_draws(events, self.variant)).astype({"draw": int}).merge(sets, on="draw")
        if files.RANDOM_SETS.exists(ctx.paths):
            listed = files.RANDOM_SETS.read(ctx.paths).dropna(subset="draw").astype({"draw": int})
            draws = listed.merge(draws, on="draw", how="right")
        figures.publish(ctx.paths, files.DRAWS, draws)
        return Result(rows=len(table))
