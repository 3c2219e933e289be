"""The order of the pipeline: which stages a config asks for."""

from collections.abc import Sequence

from backtracking.config.schema import ExperimentConfig
from backtracking.model.arms import CONDITIONS
from backtracking.run.records import BASELINE_NAME
from backtracking.stages.base import Stage
from backtracking.stages.phase1.ablation_scan import AblationScan
from backtracking.stages.phase1.compare_conditions import CompareConditions
from backtracking.stages.phase1.detect_events import DetectEvents
from backtracking.stages.phase1.direction import Direction
from backtracking.stages.phase1.error_injection import ErrorInjection
from backtracking.stages.phase1.fixed_prefixes import FixedPrefixes
from backtracking.stages.phase1.formatting_sweep import FormattingSweep
from backtracking.stages.phase1.generate import Generate
from backtracking.stages.phase1.logit_lens import LogitLens
from backtracking.stages.phase1.make_report import MakeReport
from backtracking.stages.phase1.onset_stability import OnsetStability
from backtracking.stages.phase1.prepare_data import PrepareData
from backtracking.stages.phase2.confirm import Phase2Confirm
from backtracking.stages.phase2.continuation_ablation import Phase2ContinuationAblation
from backtracking.stages.phase2.make_report import MakeReportPhase2
from backtracking.stages.phase2.metrics_v2 import MetricsV2
from backtracking.stages.phase2.scale_sweep import Phase2ScaleSweep
from backtracking.stages.phase2.search import Phase2Search
from backtracking.stages.phase2.specificity import Phase2Specificity
from backtracking.stages.phase2.subset_sweep import Phase2SubsetSweep


def plan(config: ExperimentConfig, *, has_problems: bool = False) -> Sequence[Stage]:
    """The stages of a config, in the order in which they run; Phase 2 may have Phase 1's problems."""
    return phase1(config) if config.phase2 is None else phase2(config, has_problems)


def phase1(config: ExperimentConfig) -> list[Stage]:
    """Phase 1's stages, in order."""
    main, *_ = variants = config.prompting.variant_names
    stages: list[Stage] = [PrepareData()]
    stages += [Generate(variant, "baseline") for variant in variants]
    stages += [DetectEvents(), OnsetStability(main)]
    stages += [LogitLens(main), AblationScan(main), ErrorInjection(main), Direction(main)]
    if config.ablation_generation.enabled:
        stages += [Generate(main, condition) for condition in CONDITIONS if condition != BASELINE_NAME]
        stages += [DetectEvents(), CompareConditions(main)]
        if config.ablation_generation.fixed_prefixes:
            stages.append(FixedPrefixes(main))
    stages.append(FormattingSweep())
    if config.report.make_report:
        stages.append(MakeReport())
    return stages


def phase2(config: ExperimentConfig, has_problems: bool) -> list[Stage]:
    """Phase 2's stages, in order."""
    asked = config.phase2
    assert asked is not None
    stages: list[Stage] = []
    if asked.compute_baseline_only_metrics:
        stages.append(MetricsV2())
    sweeps = asked.subset_sweep.enabled or asked.scale_sweep.enabled or asked.search.enabled
    if sweeps and not has_problems:
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
