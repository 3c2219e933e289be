"""The order of the pipeline: which stages a config asks for."""

from collections.abc import Sequence

from backtracking.config import ExperimentConfig
from backtracking.stages.ablation_scan import AblationScan
from backtracking.stages.base import Stage
from backtracking.stages.compare_conditions import CompareConditions
from backtracking.stages.detect_events import DetectEvents
from backtracking.stages.direction import Direction
from backtracking.stages.error_injection import ErrorInjection
from backtracking.stages.formatting_sweep import FormattingSweep
from backtracking.stages.generate import Generate
from backtracking.stages.logit_lens import LogitLens
from backtracking.stages.make_report import MakeReport
from backtracking.stages.make_report_phase2 import MakeReportPhase2
from backtracking.stages.metrics_v2 import MetricsV2
from backtracking.stages.phase2_confirm import Phase2Confirm
from backtracking.stages.phase2_continuation_ablation import Phase2ContinuationAblation
from backtracking.stages.phase2_scale_sweep import Phase2ScaleSweep
from backtracking.stages.phase2_search import Phase2Search
from backtracking.stages.phase2_specificity import Phase2Specificity
from backtracking.stages.phase2_subset_sweep import Phase2SubsetSweep
from backtracking.stages.prepare_data import PrepareData


def plan(config: ExperimentConfig) -> Sequence[Stage]:
    """The stages of a config, in the order in which they run."""
    return phase1(config) if config.phase2 is None else phase2(config)


def phase1(config: ExperimentConfig) -> list[Stage]:
    main, *_ = variants = config.prompting.variant_names
    stages: list[Stage] = [PrepareData()]
    stages += [Generate(variant, "baseline") for variant in variants]
    stages += [DetectEvents(), LogitLens(main), AblationScan(main), ErrorInjection(main), Direction(main)]
    if config.ablation_generation.enabled:
        stages += [Generate(main, "targeted_ablation"), Generate(main, "random_ablation")]
        stages += [DetectEvents(), CompareConditions(main)]
    stages.append(FormattingSweep())
    if config.report.make_report:
        stages.append(MakeReport())
    return stages


def phase2(config: ExperimentConfig) -> list[Stage]:
    asked = config.phase2
    assert asked is not None
    stages: list[Stage] = []
    if asked.compute_baseline_only_metrics:
        stages.append(MetricsV2())
    if asked.subset_sweep.enabled or asked.scale_sweep.enabled or asked.search.enabled:
        stages.append(PrepareData())
    if asked.subset_sweep.enabled:
        stages.append(Phase2SubsetSweep())
    if asked.scale_sweep.enabled:
        stages.append(Phase2ScaleSweep())
    if asked.subset_sweep.enabled:
        stages.append(Phase2Specificity())
    if asked.search.enabled:
        stages.append(Phase2Search())
    if asked.confirm.enabled and (asked.subset_sweep.enabled or asked.search.enabled):
        stages.append(Phase2Confirm())
    if asked.continuation_ablation.enabled:
        stages.append(Phase2ContinuationAblation())
    stages.append(MakeReportPhase2())
    return stages
