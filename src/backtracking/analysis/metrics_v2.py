"""The earlier study's path to the deconfounded metrics."""

from backtracking.measurements.metrics_v2 import (
    compute_backtracking_vs_accuracy_baseline,
    compute_baseline_only_metrics,
    compute_formatting_baseline_only,
    compute_variant_specific_metrics,
    save_metrics_v2,
)

__all__ = [
    "compute_backtracking_vs_accuracy_baseline",
    "compute_baseline_only_metrics",
    "compute_formatting_baseline_only",
    "compute_variant_specific_metrics",
    "save_metrics_v2",
]
