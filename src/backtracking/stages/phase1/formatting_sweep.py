"""formatting-sweep: the prompt formats side by side, baseline only."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from backtracking.artifacts import phase1 as files
from backtracking.artifacts.kinds import paths
from backtracking.artifacts.registry import with_figures
from backtracking.errors import UserError
from backtracking.run.inputs import Input
from backtracking.run.records import BASELINE_NAME
from backtracking.stages.base import Result, RunContext, Stage, token_cap


@dataclass(frozen=True)
class FormattingSweep(Stage):
    """The variants side by side."""

    name: ClassVar[str] = "formatting-sweep"
    phase: ClassVar[Literal[1, 2]] = 1
    unit: ClassVar[str] = "format"
    config_keys: ClassVar[tuple[str, ...]] = ("detection", "prompting.formatting_variants")

    def inputs(self, ctx: RunContext) -> Sequence[Input]:
        """The baseline's events of every variant."""
        return [files.EVENTS.rows(ctx.paths, None, BASELINE_NAME)]

    def outputs(self, ctx: RunContext) -> Sequence[Path]:
        """The table of variants and its figure."""
        return paths(ctx.paths, with_figures([files.FORMATS]))

    def run(self, ctx: RunContext) -> Result:
        """Lays the variants side by side."""
        from backtracking.figures import catalogue as figures
        from backtracking.measurements.metrics_v2 import formatting_table
        from backtracking.measurements.tallies import names, tally_file

        events = files.EVENTS.path(ctx.paths)
        tallies = tally_file(events, condition=BASELINE_NAME, cap=token_cap(ctx.paths))
        if not names(tallies, "variant", condition=BASELINE_NAME):
            raise UserError(
                f"{events} has no baseline completions",
                "prompt formats are compared without any intervention",
                "run: backtracking generate --condition baseline for each variant, then detect-events",
            )
        table = formatting_table(tallies, ctx.config.prompting.variant_names)
        figures.publish(ctx.paths, files.FORMATS, table)
        return Result(rows=len(table))
