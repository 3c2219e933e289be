"""What a run is asked to do: every section and key, and the way from YAML to a checked config."""

from backtracking.config.load import load_config
from backtracking.config.phase2 import (
    ContinuationConfig,
    Phase2ReportConfig,
    ScaleSweepConfig,
    SubsetSweepConfig,
)

__all__ = [
    "Phase2ContinuationAblationConfig",
    "Phase2ReportConfig",
    "Phase2ScaleSweepConfig",
    "Phase2SubsetSweepConfig",
    "load_config",
]

# What users of the earlier study call these sections.
Phase2SubsetSweepConfig = SubsetSweepConfig
Phase2ScaleSweepConfig = ScaleSweepConfig
Phase2ContinuationAblationConfig = ContinuationConfig
