"""What a run is about: which configs may go on in it, and which begin a run of their own."""

from typing import Any

from backtracking.config.schema import ExperimentConfig
from backtracking.run.meta import RunMeta

_IDENTITY = ("run.name", "phase")
"""What makes a study. A run that is named may change its model or problems; what depends on them is stale."""


def study_of(config: ExperimentConfig) -> dict[str, Any]:
    """What tells a study from others. Settings that one turns while working on it are not part of that."""
    study: dict[str, Any] = {
        "run.name": config.run.name,
        "phase": 1 if config.phase2 is None else 2,
        "model.hf_id": config.model.hf_id,
        "model.gguf_file": config.model.gguf_file,
    }
    if config.phase2 is None:  # Phase 2 has Phase 1's problems
        data = config.dataset
        study |= {"dataset.name": data.name, "dataset.path": data.path, "dataset.split": data.split}
    return study


def why_another_study(meta: RunMeta, config: ExperimentConfig) -> str:
    """Why a config is not about this run's study; empty when it is."""
    return _difference(meta, study_of(config), _IDENTITY)


def why_not_taken_up(meta: RunMeta, config: ExperimentConfig, phase1_run_id: str | None) -> str:
    """Why a command that names no run does not mean this one; empty when it does.

    Here the model, the problems and the Phase 1 run count too: nobody asked to replace that run's rows.
    """
    asked = study_of(config)
    if phase1_run_id is not None and meta.phase1_run_id is not None:
        asked["phase2.phase1_run_id"] = phase1_run_id
    return _difference(meta, asked, tuple(asked))


def _difference(meta: RunMeta, asked: dict[str, Any], keys: tuple[str, ...]) -> str:
    if meta.earlier is not None:  # an earlier implementation recorded no study
        return ""
    own = {"run.name": meta.name, "phase2.phase1_run_id": meta.phase1_run_id} | meta.study
    for key in keys:
        if key in own and own[key] != asked[key]:
            return f"its {key} is {_shown(own[key])}, not {_shown(asked[key])}"
    return ""


def _shown(value: Any) -> str:
    return "null" if value is None else str(value)
