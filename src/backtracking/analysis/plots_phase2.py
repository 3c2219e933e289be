"""The earlier study's path to the figures of Phase 2."""

from backtracking.figures.phase2 import (
    plot_baseline_only_summary,
    plot_continuation_ablation_effect,
    plot_scale_tradeoff_curve,
    plot_subset_sweep_comparison,
)

__all__ = [
    "plot_baseline_only_summary",
    "plot_continuation_ablation_effect",
    "plot_scale_tradeoff_curve",
    "plot_subset_sweep_comparison",
]
