"""metrics-v2: deconfounded metrics of a Phase 1 run, from its events table alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from backtracking.artifacts import phase1 as earlier
from backtracking.artifacts import phase2 as files
from backtracking.artifacts.kinds import paths
from backtracking.artifacts.registry import with_figures
from backtracking.run.inputs import Input
from backtracking.stages.base import Result, RunContext, Stage, token_cap


@dataclass(frozen=True)
class MetricsV2(Stage):
    """Deconfounded metrics of the Phase 1 run."""

    name: ClassVar[str] = "metrics-v2"
    phase: ClassVar[Literal[1, 2]] = 2
    config_keys: ClassVar[tuple[str, ...]] = ()

    def inputs(self, ctx: RunContext) -> Sequence[Input]:
        """Phase 1's events."""
        return [earlier.EVENTS.of(ctx.phase1_paths)]

    def outputs(self, ctx: RunContext) -> Sequence[Path]:
        """The metrics, their figure, and the audit of the Phase 1 run."""
        return paths(ctx.paths, with_figures([files.METRICS, files.METRICS_AUDIT]))

    def run(self, ctx: RunContext) -> Result:
        """Computes the metrics from the baseline alone, and audits what they rest on."""
        from backtracking.claims.audit.checks import audit_into, in_short
        from backtracking.claims.evidence import Evidence
        from backtracking.figures import catalogue as figures
        from backtracking.measurements.metrics_v2 import save_metrics_v2
        from backtracking.measurements.tallies import tally_file

        tallies = tally_file(earlier.EVENTS.path(ctx.phase1_paths), cap=token_cap(ctx.phase1_paths))
        save_metrics_v2(tallies, files.METRICS.path(ctx.paths))
        figures.draw_all(ctx.paths, files.METRICS)
        checks = audit_into(files.METRICS_AUDIT, ctx.paths, Evidence(ctx.phase1_paths))
        ctx.reporter.say(f"  audit of {ctx.phase1_paths.run_id}: {in_short(checks)}")
        return Result(rows=int(tallies["total"].sum()))
