"""metrics-v2: deconfounded metrics of a Phase 1 run, from its events table alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from backtracking.stages.base import FileInput, Input, Result, RunContext, Stage, token_cap

FIGURE = "phase2_baseline_summary"


@dataclass(frozen=True)
class MetricsV2(Stage):
    name: ClassVar[str] = "metrics-v2"
    phase: ClassVar[Literal[1, 2]] = 2
    config_keys: ClassVar[tuple[str, ...]] = ()

    def inputs(self, ctx: RunContext) -> Sequence[Input]:
        return [FileInput(ctx.phase1_paths.events, made_by="backtracking detect-events (in the Phase 1 run)")]

    def outputs(self, ctx: RunContext) -> Sequence[Path]:
        return [ctx.paths.table("metrics_v2.json"), ctx.paths.figure(FIGURE)]

    def run(self, ctx: RunContext) -> Result:
        from backtracking.figures import phase2 as plots_phase2
        from backtracking.figures import style as figures
        from backtracking.measurements.metrics_v2 import save_metrics_v2
        from backtracking.measurements.tallies import tally_file

        tallies = tally_file(ctx.phase1_paths.events, cap=token_cap(ctx.phase1_paths))
        metrics = save_metrics_v2(tallies, ctx.paths.table("metrics_v2.json"))
        figure = plots_phase2.plot_baseline_only_summary(metrics["baseline_only_summary"])
        figures.save(figure, ctx.paths, FIGURE)
        return Result(rows=int(tallies["total"].sum()))
