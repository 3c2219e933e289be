"""make-report: Phase 1's report from the tables."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from backtracking.reports.write import report_files, write_phase1_report
from backtracking.stages.base import FileInput, Input, Result, RunContext, Stage

OPTIONAL = (
    ("summary_metrics.json", "detect-events"),
    ("formatting_summary.csv", "formatting-sweep"),
    ("condition_comparison.csv", "compare-conditions"),
    ("logit_lens.csv", "logit-lens"),
    ("ablation_importance.csv", "ablation-scan"),
    ("ablation_modes.csv", "ablation-scan"),
    ("ablation_selection.json", "ablation-scan"),
    ("selected_layers.json", "ablation-scan"),
    ("error_coupling.csv", "detect-events"),
    ("error_injection_summary.csv", "error-injection"),
)


@dataclass(frozen=True)
class MakeReport(Stage):
    name: ClassVar[str] = "make-report"
    phase: ClassVar[Literal[1, 2]] = 1
    config_keys: ClassVar[tuple[str, ...]] = ("report", "prompting.formatting_variants", "model.hf_id")

    def inputs(self, ctx: RunContext) -> Sequence[Input]:
        """The events are needed; every other table is reported as missing when it is."""
        inputs: list[Input] = [FileInput(ctx.paths.events, made_by="backtracking detect-events")]
        inputs += present(ctx, OPTIONAL)
        return inputs

    def outputs(self, ctx: RunContext) -> Sequence[Path]:
        return report_files(ctx.paths.inside(ctx.config.report.report_path, "report.report_path"))

    def run(self, ctx: RunContext) -> Result:
        stale = self._stale_sources(ctx)
        write_phase1_report(ctx.paths, ctx.config, stale)
        return Result(notes={"stale": stale} if stale else {})

    def _stale_sources(self, ctx: RunContext) -> dict[str, str]:
        """Results that the report draws on and that no longer follow from the run's inputs, and why."""
        from backtracking.stages.execute import status_of

        sources = {stage.key: stage for stage in ctx.pipeline if stage != self}
        statuses = {key: status_of(stage, ctx) for key, stage in sources.items()}
        return {key: status.reason for key, status in statuses.items() if status.state == "stale"}


def present(ctx: RunContext, tables: Sequence[tuple[str, str]]) -> list[Input]:
    """Inputs for those tables that are there, so that a report is stale when one of them comes or changes."""
    return [
        FileInput(ctx.paths.table(name), made_by=f"backtracking {command}")
        for name, command in tables
        if ctx.paths.table(name).exists()
    ]
