"""The earlier study's path to where the files of a run lie."""

from backtracking.earlier import (
    get_ablation_importance_file,
    get_events_file,
    get_generations_file,
    get_logit_lens_file,
    get_selected_layers_file,
    get_summary_file,
)

__all__ = [
    "get_ablation_importance_file",
    "get_events_file",
    "get_generations_file",
    "get_logit_lens_file",
    "get_selected_layers_file",
    "get_summary_file",
]
