"""make-report-phase2: Phase 2's report from the tables of both phases."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from backtracking.reports.write import report_files, write_phase2_report
from backtracking.stages.base import Input, Result, RunContext, Stage
from backtracking.stages.phase1.make_report import present

TABLES = (
    ("metrics_v2.json", "metrics-v2"),
    ("subset_sweep_results.csv", "phase2-subset-sweep"),
    ("hook_debug.json", "phase2-subset-sweep"),
    ("scale_sweep_results.csv", "phase2-scale-sweep"),
    ("continuation_ablation_summary.csv", "phase2-continuation-ablation"),
    ("continuation_samples_summary.csv", "phase2-continuation-ablation"),
    ("specificity.csv", "phase2-specificity"),
    ("replaced_tokens.csv", "phase2-specificity"),
    ("correction_flow.csv", "phase2-specificity"),
    ("search_trials.csv", "phase2-search"),
    ("tradeoff_search.csv", "phase2-confirm"),
    ("confirm_results.csv", "phase2-confirm"),
)


@dataclass(frozen=True)
class MakeReportPhase2(Stage):
    name: ClassVar[str] = "make-report-phase2"
    phase: ClassVar[Literal[1, 2]] = 2
    config_keys: ClassVar[tuple[str, ...]] = ("phase2.report", "phase2.accuracy_margin", "model.hf_id")

    def inputs(self, ctx: RunContext) -> Sequence[Input]:
        return present(ctx, TABLES)

    def outputs(self, ctx: RunContext) -> Sequence[Path]:
        return report_files(ctx.paths.inside(ctx.phase2.report.report_path, "phase2.report.report_path"))

    def run(self, ctx: RunContext) -> Result:
        write_phase2_report(ctx.paths, ctx.phase1, ctx.config)
        return Result()
