"""Models with a known truth, studied from their problems to the verdicts."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backtracking.artifacts.phase1 import CLAIMS
from backtracking.calibration.nulls import Outcomes
from backtracking.calibration.truths import Truth
from backtracking.calibration.world import write_problems
from backtracking.claims.phase2 import STEP as ONSET_STEP
from backtracking.config.load import LoadedConfig
from backtracking.config.schema import ExperimentConfig
from backtracking.figures.save import undrawn
from backtracking.model.loading import LoadedModel
from backtracking.run.paths import RunPaths
from backtracking.stages.base import RunContext, Stage
from backtracking.stages.execute import execute
from backtracking.stages.init_run import new_meta
from backtracking.stages.phase2.continuation_ablation import Phase2ContinuationAblation
from backtracking.stages.phase2.make_report import MakeReportPhase2
from backtracking.stages.plan import plan

AT_ONSET = "onset-step"
"""The run that looks at the onset step, beside the one whose onsets it takes."""


@dataclass(frozen=True)
class Size:
    """How large the studies of planted models are."""

    problems: int = 40
    samples: int = 4
    sets: int = 19
    """Random sets that the target is ranked among."""
    events: int = 48


SMALL = Size(problems=24, samples=2, sets=2, events=24)
"""For the tests."""


def study_config(truth: Truth, size: Size, problems: Path, seed: int) -> ExperimentConfig:
    """The config of such a study: every claim of the first phase is asked for."""
    planted = truth.plant is not None
    dataset = (
        {"name": "planted", "path": str(problems)}
        if planted
        else {"name": "tiny_arithmetic", "split": "test"}
    )
    settings: dict[str, Any] = {
        "run": {"name": "calibration", "run_id": "calibration", "seed": seed},
        "model": {"hf_id": "planted" if planted else truth.bundled},
        "dataset": {**dataset, "seed": seed, "max_examples": size.problems},
        "prompting": {"use_chat_template": not planted},
        "generation": {
            "num_samples_per_prompt": size.samples,
            "max_new_tokens": 96 if planted else 160,
            "temperature": 1.0,
            "top_p": 1.0,
        },
        "analysis": {
            "max_events": size.events,
            "control_samples": size.events,
            "max_injections": size.events,
            "topk_layers_for_generation": 1,
        },
        "ablation_generation": {"random_draws": size.sets},
    }
    return ExperimentConfig.model_validate(settings)


def run_study(truth: Truth, architecture: str, folder: Path, size: Size, seed: int = 0) -> RunPaths:
    """Run all of Phase 1 on a planted model, then Phase 2's stage at the onset step; Phase 1's run folder."""
    folder.mkdir(parents=True, exist_ok=True)
    problems = folder / "problems.jsonl"
    write_problems(problems, size.problems, seed)
    config = study_config(truth, size, problems, seed)
    model = truth.model(architecture, seed)
    paths = _executed(config, model, plan(config), folder)
    at_onset = [Phase2ContinuationAblation(), MakeReportPhase2()]
    _executed(_at_onset_config(config, truth), model, at_onset, folder, phase1=paths)
    return paths


def _at_onset_config(config: ExperimentConfig, truth: Truth) -> ExperimentConfig:
    """What acts at the onset, taken away there alone."""
    settings = config.model_dump(mode="json")
    settings["run"]["run_id"] = AT_ONSET
    settings["phase2"] = {
        "subset_sweep": {"subsets": {AT_ONSET: {"components": [list(truth.acts)]}}},
        "scale_sweep": {"subset_name": AT_ONSET},
        "continuation_ablation": {
            "subset_name": AT_ONSET,
            "max_events": config.analysis.max_events,
            "scales": [0.0],
        },
    }
    return ExperimentConfig.model_validate(settings)


def _executed(
    config: ExperimentConfig,
    model: LoadedModel,
    stages: Sequence[Stage],
    folder: Path,
    phase1: RunPaths | None = None,
) -> RunPaths:
    loaded, name = LoadedConfig(config, source="calibration"), str(config.run.run_id)
    paths = RunPaths(folder / "runs", name)
    ctx = RunContext(
        loaded=loaded,
        paths=paths,
        meta=new_meta(name, loaded),
        pipeline=stages,
        load=lambda _: model,
        phase1=phase1,
    )
    with undrawn():
        for stage in stages:
            execute(stage, ctx)
    return paths


@dataclass(frozen=True)
class SecondSize:
    """How large the studies of Phase 2 are: half of the problems pick, half confirm."""

    problems: int
    samples: int = 2
    prefixes: int = 60
    draws: int = 4


SMALL_SECOND = SecondSize(problems=12, samples=1, prefixes=2, draws=1)
"""For the tests."""


def second_config(truth: Truth, size: SecondSize, seed: int, layers: int) -> ExperimentConfig:
    """The last attention block at several strengths, another block barely weakened, and the confirmation.

    Blocks without which every completion runs to the cap would cost more than all other arms together.
    """
    last = f"attn_{layers - 1}"
    weakened = {"component": "mlp", "layer": layers - 2, "mode": "scale", "strength": 0.9}
    subsets = {
        last: {"components": [["attn", layers - 1]]},
        f"mlp_{layers - 2}_weakened": {"components": [weakened]},
    }
    settings: dict[str, Any] = {
        "run": {"name": "calibration", "run_id": "calibration", "seed": seed},
        "model": {"hf_id": truth.bundled},
        "dataset": {"name": "tiny_arithmetic", "split": "test", "seed": seed, "max_examples": size.problems},
        "generation": {"max_new_tokens": 160, "temperature": 1.0, "top_p": 1.0},
        "phase2": {
            "max_examples": size.problems,
            "num_samples_per_prompt": size.samples,
            "compute_baseline_only_metrics": False,
            "subset_sweep": {"subsets": subsets},
            "scale_sweep": {"subset_name": last, "scales": [0.5, 0.9]},
            "continuation_ablation": {"enabled": False},
            "confirm": {"random_draws": size.draws, "fixed_prefixes": size.prefixes},
        },
    }
    return ExperimentConfig.model_validate(settings)


def run_second(truth: Truth, folder: Path, size: SecondSize, seed: int) -> RunPaths:
    """Sweep, pick, confirm and judge a model that ships with the package; its run folder."""
    model = truth.model("", seed)
    config = second_config(truth, size, seed, model.n_layers)
    stages = [stage for stage in plan(config) if stage.name != "phase2-specificity"]
    return _executed(config, model, stages, folder)


def outcomes(paths: RunPaths) -> Outcomes:
    """What each claim of a finished study came out as."""
    found = _judged(paths)
    if (step := paths.output_dir / AT_ONSET).is_dir():
        found |= {ONSET_STEP.key: _judged(RunPaths(step.parent, step.name))[ONSET_STEP.key]}
    return found


def _judged(paths: RunPaths) -> dict[str, str]:
    return {verdict["key"]: verdict["outcome"] for verdict in CLAIMS.read(paths)["verdicts"]}
