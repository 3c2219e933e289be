"""compare-conditions: baseline, targeted and random ablation side by side within one prompt format."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from backtracking.errors import UserError
from backtracking.run import io
from backtracking.stages.base import EventRows, Input, Result, RunContext, Stage, token_cap

FIGURE = "backtracking_rate_by_condition"


@dataclass(frozen=True)
class CompareConditions(Stage):
    variant: str

    name: ClassVar[str] = "compare-conditions"
    phase: ClassVar[Literal[1, 2]] = 1
    config_keys: ClassVar[tuple[str, ...]] = ("detection",)

    def inputs(self, ctx: RunContext) -> Sequence[Input]:
        from backtracking.model.arms import CONDITIONS

        variant = ctx.check_variant(self.variant)
        return [EventRows(ctx.paths.events, variant, condition) for condition in CONDITIONS]

    def outputs(self, ctx: RunContext) -> Sequence[Path]:
        tables = map(ctx.paths.table, ("condition_comparison.csv", "random_draws.csv"))
        return [*tables, ctx.paths.figure(FIGURE)]

    def run(self, ctx: RunContext) -> Result:
        from backtracking.figures import phase1 as plots
        from backtracking.figures import style as figures
        from backtracking.measurements.metrics_v2 import condition_table, draw_table
        from backtracking.measurements.tallies import names, tally_draws, tally_file

        tallies = tally_file(ctx.paths.events, cap=token_cap(ctx.paths))
        if "baseline" not in names(tallies, "condition", variant=self.variant):
            raise UserError(
                f"{ctx.paths.events} has no baseline rows of {self.variant!r}",
                "conditions are compared with the baseline of the same prompt format",
                f"run: backtracking generate --variant {self.variant} (baseline), then detect-events",
            )
        table = condition_table(tallies, self.variant)
        io.write_csv(ctx.paths.table("condition_comparison.csv"), table)
        draws = draw_table(tally_draws(ctx.paths.events, self.variant))
        io.write_csv(ctx.paths.table("random_draws.csv"), draws)
        figures.save(plots.plot_backtracking_rate_by_condition(table), ctx.paths, FIGURE)
        return Result(rows=len(table))
