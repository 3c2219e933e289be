"""The earlier study's path to the sweeps."""

from backtracking.sweeps.sweep import (
    evaluate_generations,
    find_best_tradeoff,
    generate_with_ablation,
    run_scale_sweep,
    run_subset_sweep,
)

__all__ = [
    "evaluate_generations",
    "find_best_tradeoff",
    "generate_with_ablation",
    "run_scale_sweep",
    "run_subset_sweep",
]
