"""make-report-phase2: Phase 2's report from the tables of both phases."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from backtracking.artifacts.phase1 import AUDIT, CLAIMS
from backtracking.reports.write import report_files, write_phase2_report
from backtracking.run.inputs import Input, NotTestableQuestions
from backtracking.stages.base import Result, RunContext, Stage
from backtracking.stages.execute import stale_results


@dataclass(frozen=True)
class MakeReportPhase2(Stage):
    """Phase 2's report."""

    name: ClassVar[str] = "make-report-phase2"
    phase: ClassVar[Literal[1, 2]] = 2
    says_what_is_stale: ClassVar[bool] = True
    config_keys: ClassVar[tuple[str, ...]] = (
        "phase2.report",
        "phase2.accuracy_margin",
        "phase2.subset_sweep.variant",
        "phase2.scale_sweep.variant",
        "model.hf_id",
        "prompting.formatting_variants",
    )

    def inputs(self, ctx: RunContext) -> Sequence[Input]:
        """Whatever table is missing is reported as missing."""
        runs = [ctx.paths, *([ctx.phase1] if ctx.phase1 else ())]
        return [NotTestableQuestions(run.meta) for run in runs]

    def outputs(self, ctx: RunContext) -> Sequence[Path]:
        """The claims as data, and the report as Markdown and HTML."""
        target = ctx.paths.inside(ctx.phase2.report.report_path, "phase2.report.report_path")
        return [CLAIMS.path(ctx.paths), *report_files(target), *self.rewrites(ctx)]

    def rewrites(self, ctx: RunContext) -> Sequence[Path]:
        """The audit, which its own command writes too."""
        return [AUDIT.path(ctx.paths)]

    def run(self, ctx: RunContext) -> Result:
        """Writes the report, and says in it which results are out of date."""
        stale = stale_results(ctx, beside=self)
        write_phase2_report(ctx.paths, ctx.phase1, ctx.config, stale)
        return Result(notes={"stale": stale} if stale else {})
