"""Python names that users of the earlier study know, each a thin alias of its name now.

Nothing in the package uses them. The paths that led to them still do: `backtracking.hooks`, `.prompts`,
`.paths`, `.config`, and `.analysis.sweeps`, `.continuations`, `.metrics_v2`, `.plots_phase2`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from torch import Tensor

from backtracking.artifacts import phase1 as files
from backtracking.artifacts import readings
from backtracking.interventions import Intervention, When
from backtracking.model.hooks import ablate, intervene
from backtracking.model.ledger import Ledger
from backtracking.model.loading import LoadedModel
from backtracking.run.paths import RunPaths

__all__ = [
    "AblationSpec",
    "HookDebugState",
    "ablate",
    "apply_ablation_hooks_with_debug",
    "apply_generation_hooks_with_debug",
    "disable_hook_debug",
    "enable_hook_debug",
    "get_ablation_importance_file",
    "get_events_file",
    "get_generations_file",
    "get_logit_lens_file",
    "get_selected_layers_file",
    "get_summary_file",
    "intervene",
    "reset_hook_debug",
    "specs_from_subset_config",
    "write_hook_debug_json",
]

HookDebugState = Ledger


# A class in the earlier study: its users call it by that name, so the rule for functions' names gives way.
def AblationSpec(layer: int, component: str, scale: float = 0.0, phase: str = "all") -> Intervention:  # noqa: N802
    """An attention or MLP output scaled; by default in every pass."""
    return Intervention.model_validate(
        {"component": component, "layer": layer, "mode": "scale", "strength": scale, "when": {"phase": phase}}
    )


def specs_from_subset_config(
    components: Iterable[tuple[str, int] | Intervention], scale: float = 0.0, decode_only: bool = True
) -> list[Intervention]:
    """A subset as interventions: `(component, layer)` pairs are scaled, full records stay as they are."""
    phase = "decode" if decode_only else "all"
    return [
        member if isinstance(member, Intervention) else AblationSpec(member[1], member[0], scale, phase)
        for member in components
    ]


@contextmanager
def apply_ablation_hooks_with_debug(
    model: LoadedModel,
    specs: Iterable[Intervention],
    *,
    prompt_lengths: Sequence[int] | None = None,
    vectors: Mapping[str, Tensor] | None = None,
) -> Iterator[HookDebugState]:
    """`ablate`: the interventions as they say when they act, around plain calls of the model."""
    with ablate(model, specs, prompt_lengths=prompt_lengths, vectors=vectors) as state:
        yield state


@contextmanager
def apply_generation_hooks_with_debug(
    model: LoadedModel, specs: Iterable[Intervention], *, vectors: Mapping[str, Tensor] | None = None
) -> Iterator[HookDebugState]:
    """`ablate` around `model.generate`: the interventions on generated tokens only, whatever they say."""
    decoding = [spec.model_copy(update={"when": When(phase="decode")}) for spec in specs]
    with ablate(model, decoding, vectors=vectors) as state:
        yield state


def enable_hook_debug() -> HookDebugState:
    """A fresh ledger; give it to `generate_rows` and read it afterwards."""
    return Ledger()


def disable_hook_debug(state: HookDebugState) -> None:
    """Stop counting in this ledger."""
    state.enabled = False


def reset_hook_debug(state: HookDebugState) -> None:
    """Forget this ledger's counts."""
    state.reset()


def write_hook_debug_json(state: HookDebugState, path: str | Path) -> None:
    """Write the ledger as `hook_debug.json`."""
    state.write(Path(path))


def get_events_file(run_id: str, output_dir: str | Path = "runs") -> Path:
    """Where a run's table of completions lies."""
    return files.EVENTS.path(RunPaths(Path(output_dir), run_id))


def get_summary_file(run_id: str, output_dir: str | Path = "runs") -> Path:
    """Where a run's rates lie."""
    return files.SUMMARY.path(RunPaths(Path(output_dir), run_id))


def get_selected_layers_file(run_id: str, output_dir: str | Path = "runs") -> Path:
    """Where the layers that the scan selected lie."""
    return readings.SELECTED.path(RunPaths(Path(output_dir), run_id))


def get_logit_lens_file(run_id: str, output_dir: str | Path = "runs") -> Path:
    """Where the lens's table lies."""
    return readings.LENS.path(RunPaths(Path(output_dir), run_id))


def get_ablation_importance_file(run_id: str, output_dir: str | Path = "runs") -> Path:
    """Where the scan's table lies."""
    return readings.IMPORTANCE.path(RunPaths(Path(output_dir), run_id))


def get_generations_file(
    run_id: str, variant: str, condition: str = "baseline", output_dir: str | Path = "runs"
) -> Path:
    """Where the completions of a prompt format under a condition lie."""
    return files.GENERATIONS.path(RunPaths(Path(output_dir), run_id), variant=variant, condition=condition)
