"""The earlier study's path to the onset step."""

from backtracking.mechanism.continuations import (
    get_onset_token_prob,
    run_continuation_ablation,
    summarize_continuation_results,
)

__all__ = [
    "get_onset_token_prob",
    "run_continuation_ablation",
    "summarize_continuation_results",
]
