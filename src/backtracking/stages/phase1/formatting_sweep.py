"""formatting-sweep: the prompt formats side by side, baseline only."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from backtracking.errors import UserError
from backtracking.run import io
from backtracking.stages.base import EventRows, Input, Result, RunContext, Stage, token_cap

FIGURE = "formatting_effect_on_backtracking"


@dataclass(frozen=True)
class FormattingSweep(Stage):
    name: ClassVar[str] = "formatting-sweep"
    phase: ClassVar[Literal[1, 2]] = 1
    config_keys: ClassVar[tuple[str, ...]] = ("detection", "prompting.formatting_variants")

    def inputs(self, ctx: RunContext) -> Sequence[Input]:
        return [EventRows(ctx.paths.events, None, "baseline")]

    def outputs(self, ctx: RunContext) -> Sequence[Path]:
        return [ctx.paths.table("formatting_summary.csv"), ctx.paths.figure(FIGURE)]

    def run(self, ctx: RunContext) -> Result:
        from backtracking.figures import phase1 as plots
        from backtracking.figures import style as figures
        from backtracking.measurements.metrics_v2 import formatting_table
        from backtracking.measurements.tallies import names, tally_file

        tallies = tally_file(ctx.paths.events, cap=token_cap(ctx.paths))
        if not names(tallies, "variant", condition="baseline"):
            raise UserError(
                f"{ctx.paths.events} has no baseline rows",
                "prompt formats are compared without any intervention",
                "run: backtracking generate --condition baseline for each variant, then detect-events",
            )
        table = formatting_table(tallies, ctx.config.prompting.variant_names)
        io.write_csv(ctx.paths.table("formatting_summary.csv"), table)
        figures.save(plots.plot_formatting_effect_on_backtracking(table), ctx.paths, FIGURE)
        return Result(rows=len(table))
