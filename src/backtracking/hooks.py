"""Interventions on a model in memory, under the path that users of the earlier study know."""

from backtracking.earlier import (
    AblationSpec,
    HookDebugState,
    ablate,
    apply_ablation_hooks_with_debug,
    apply_generation_hooks_with_debug,
    disable_hook_debug,
    enable_hook_debug,
    intervene,
    reset_hook_debug,
    specs_from_subset_config,
    write_hook_debug_json,
)

__all__ = [
    "AblationSpec",
    "HookDebugState",
    "ablate",
    "apply_ablation_hooks_with_debug",
    "apply_generation_hooks_with_debug",
    "disable_hook_debug",
    "enable_hook_debug",
    "intervene",
    "reset_hook_debug",
    "specs_from_subset_config",
    "write_hook_debug_json",
]
