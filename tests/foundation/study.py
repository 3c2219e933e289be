"""A small study of both phases on the bundled reasoner, made once by the command line."""

import json
import os
from pathlib import Path

import yaml

from backtracking.cli.session import Request, asked_run
from backtracking.stages.execute import status_of
from tests.foundation.audited import Audit
from tests.torture.process import Process

ROOT = Path(__file__).parents[2]
CONFIGS = ROOT / "configs"
_SUBSETS = yaml.safe_load((CONFIGS / "demo_phase2.yaml").read_text())["phase2"]["subset_sweep"]["subsets"]
FEW_DRAWS = json.dumps(
    {name: one | {"draws": 2} if "random_like" in one else one for name, one in _SUBSETS.items()}
)
"""The demo's subsets with two draws of each random control: draws are most of its arms."""
SMALL = [
    "dataset.max_examples=12",
    "generation.num_samples_per_prompt=2",
    "analysis.max_events=16",
    "analysis.ablation_modes=[mean, zero]",  # so that something stands out of so small a scan
    "analysis.control_samples=16",
    "ablation_generation.random_draws=2",
]
SMALL_PHASE2 = [
    "phase2.max_examples=8",
    "phase2.num_samples_per_prompt=2",
    f"phase2.subset_sweep.subsets={FEW_DRAWS}",
    "phase2.search.enabled=true",
    "phase2.search.max_examples=4",
    "phase2.search.num_samples_per_prompt=3",
    "phase2.search.budget_rows=60",
    "phase2.continuation_ablation.num_continuations=2",
]
PLANTED_KEYS = {
    name: f"planted-{name.lower()}-0123456789"
    for name in ("HF_TOKEN", "WANDB_API_KEY", "OPENAI_API_KEY", "AWS_SECRET_ACCESS_KEY")
}
"""Keys that lie in the environment while the study is made: none may be found in what it leaves."""
PHASES = {"demo": ("demo.yaml", SMALL), "demo-phase2": ("demo_phase2.yaml", [*SMALL, *SMALL_PHASE2])}


def sets(*pairs):
    return [part for pair in pairs for part in ("--set", pair)]


def make(folder: Path, *changes: str) -> None:
    """Run both phases in a folder, with some settings changed; what each stage opened and read is kept beside
    them, as `<run>.json`."""
    for run, (config, settings) in PHASES.items():

        def prepare(log: Path = folder / f"{run}.json") -> None:
            os.environ.update(PLANTED_KEYS)
            Audit(log)

        command = ["run", "-c", str(CONFIGS / config), *sets(*settings, *changes)]
        done = Process(command, prepare=prepare).ended(folder)
        assert done.code == 0, done.said


def record(folder: Path, run: str) -> dict:
    """The record of each stage of a run."""
    return json.loads((folder / "runs" / run / "meta.json").read_text())["stages"]


def states(run: str, *changes: str) -> dict[str, str]:
    """Where each stage stands, in the folder that one works in, with some settings changed."""
    config, settings = PHASES[run]
    request = Request(config=CONFIGS / config, overrides=[*settings, *changes], quiet=True)
    ctx = asked_run(request)
    return {stage.key: status_of(stage, ctx).state for stage in ctx.pipeline}


def not_done(run: str, *changes: str) -> set[str]:
    """Names of the stages that would run again."""
    standing = ("done", "not testable")
    return {key.partition("[")[0] for key, state in states(run, *changes).items() if state not in standing}


def forget(folder: Path, name: str) -> None:
    """Let a run's record know no maker of one of its files, so that any content will do."""
    meta = json.loads((folder / "meta.json").read_text())
    for stage in meta["stages"].values():
        stage["outputs"].pop(name, None)
    (folder / "meta.json").write_text(json.dumps(meta))
