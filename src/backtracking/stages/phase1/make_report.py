"""make-report: Phase 1's report from the tables."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from backtracking.artifacts import phase1 as files
from backtracking.errors import UserError
from backtracking.reports.write import report_files, write_phase1_report
from backtracking.run.inputs import Input, NotTestableQuestions
from backtracking.stages.base import Result, RunContext, Stage
from backtracking.stages.execute import stale_results


@dataclass(frozen=True)
class MakeReport(Stage):
    """Phase 1's report."""

    name: ClassVar[str] = "make-report"
    phase: ClassVar[Literal[1, 2]] = 1
    says_what_is_stale: ClassVar[bool] = True
    config_keys: ClassVar[tuple[str, ...]] = ("report", "prompting.formatting_variants", "model.hf_id")

    def inputs(self, ctx: RunContext) -> Sequence[Input]:
        """The events are needed, save in a run made elsewhere; other tables are reported as missing."""
        if ctx.config.phase2 is not None:
            raise UserError(
                f"run {ctx.paths.run_id} is a Phase 2 run",
                "this report is Phase 1's",
                f"run: backtracking make-report-phase2 --run-id {ctx.paths.run_id}",
            )
        events = files.EVENTS.of(ctx.paths)
        is_needed = ctx.meta.earlier is None or events.path.exists()
        return [NotTestableQuestions(ctx.paths.meta), *([events] if is_needed else ())]

    def outputs(self, ctx: RunContext) -> Sequence[Path]:
        """The claims as data, and the report as Markdown and HTML."""
        target = ctx.paths.inside(ctx.config.report.report_path, "report.report_path")
        return [files.CLAIMS.path(ctx.paths), *report_files(target), *self.rewrites(ctx)]

    def rewrites(self, ctx: RunContext) -> Sequence[Path]:
        """The audit, which its own command writes too."""
        return [files.AUDIT.path(ctx.paths)]

    def run(self, ctx: RunContext) -> Result:
        """Writes the report, and says in it which results are out of date."""
        stale = stale_results(ctx, beside=self)
        write_phase1_report(ctx.paths, ctx.config, stale)
        return Result(notes={"stale": stale} if stale else {})
