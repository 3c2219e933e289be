"""The small study that is disturbed: both phases, with a copy of everything from before each stage."""

import json
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.torture.process import Ended, Process

ROOT = Path(__file__).parents[2]
STEPS = "steps.json"
COMMON = """
dataset: {max_examples: 10}
prompting:
  formatting_variants:
    - {name: baseline_think_newline, think_open: "<think>\\n", think_close: "</think>"}
    - {name: no_think_tags}
generation: {num_samples_per_prompt: 2, max_new_tokens: 72, shard_rows: 8}
analysis: {max_events: 8, control_samples: 4, ablation_modes: [mean, zero], stability_events: 3,
           stability_samples: 2, max_injections: 6, batch_tokens: 1024}
ablation_generation: {random_draws: 2, fixed_prefixes: 4}
"""
PHASE2 = """
replaces: phase2.subset_sweep.subsets
phase2:
  max_examples: 6
  num_samples_per_prompt: 1
  subset_sweep:
    subsets:
      attn_last: [[attn, 5]]
      random_attn: {random_like: attn_last, draws: 2}
      no_trigger_tokens: {suppress_triggers: true}
  scale_sweep: {scales: [0.0, 0.5]}
  continuation_ablation: {max_events: 8, num_continuations: 2}
"""
CONFIGS = {
    "demo": f"extends: {ROOT}/configs/demo.yaml\n{COMMON}",
    "demo-phase2": f"extends: {ROOT}/configs/demo_phase2.yaml\n{COMMON}{PHASE2}",
}
"""By the id of the run."""


@dataclass(frozen=True)
class Step:
    """One stage of the study, by its run and its place in the run's pipeline."""

    run: str
    place: int
    key: str
    seconds: float
    """How long it took undisturbed."""

    @property
    def name(self) -> str:
        return self.key.partition("[")[0]

    def alone(self, *more: str) -> Process:
        """The command that runs this stage and no other."""
        variant, _, condition = self.key.partition("[")[2].rstrip("]").partition("/")
        words = [self.name, "--run-id", self.run, *more]
        words += ["--variant", variant] if variant else []
        return Process([*words, "--condition", condition] if self.name == "generate" else words)

    def up_to_here(self, *more: str, prepare: Callable[[], None] | None = None) -> Process:
        """The run as `run` makes it, which ends behind this stage."""
        return Process(["run", "-c", f"{self.run}.yaml", *more], self.place + 1, prepare)


def write_configs(folder: Path) -> None:
    for run, text in CONFIGS.items():
        (folder / f"{run}.yaml").write_text(text, encoding="utf-8")


@dataclass(frozen=True)
class Study:
    """An undisturbed study, kept as it was before each stage and as it ended."""

    folder: Path
    steps: tuple[Step, ...]

    def before(self, number: int) -> Path:
        """The study as it stood before a step; behind the last one, as it ended."""
        return self.folder / f"{number:02d}"

    def after(self, number: int) -> Path:
        return self.before(number + 1)

    def asks_the_model(self, number: int) -> bool:
        """Whether a step has anything for an executor to do."""
        step = self.steps[number]
        meta = json.loads((self.after(number) / "runs" / step.run / "meta.json").read_text())
        return bool(meta["stages"][step.key].get("executors"))

    def settled(self, number: int) -> Path:
        """The study behind a step, gone through once more: tables of all rows have what the step added."""
        return self.folder / f"{number:02d}-settled"

    @classmethod
    def make(cls, folder: Path, most: int | None = None) -> "Study":
        """Run both phases stage by stage, or the first stages alone."""
        current = folder / "00"
        current.mkdir(parents=True)
        write_configs(current)
        steps: list[Step] = []
        for run in list(CONFIGS)[: 1 if most else None]:
            keys = _keys(run, current)
            for place, key in enumerate(keys[:most]):
                following = folder / f"{len(steps) + 1:02d}"
                shutil.copytree(current, following)
                start = time.monotonic()
                ended = Process(["run", "-c", f"{run}.yaml"], place + 1).ended(following)
                assert ended.code == 0, ended.said
                steps.append(Step(run, place, key, time.monotonic() - start))
                settled = folder / f"{len(steps) - 1:02d}-settled"
                shutil.copytree(following, settled)
                assert Process(["run", "-c", f"{run}.yaml"], place + 1).ended(settled).code == 0
                current = following
        (folder / STEPS).write_text(json.dumps([asdict(step) for step in steps]))
        return cls(folder, tuple(steps))

    @classmethod
    def made(cls, folder: Path) -> "Study":
        """The study that lies in a folder; made, if there is none."""
        if not (folder / STEPS).exists():
            shutil.rmtree(folder, ignore_errors=True)
            return cls.make(folder)
        return cls(folder, tuple(Step(**step) for step in json.loads((folder / STEPS).read_text())))


def _keys(run: str, folder: Path) -> list[str]:
    """The stages of a run, in their order."""
    ended: Ended = Process(["run", "-c", f"{run}.yaml", "--dry-run", "--json"]).ended(folder)
    assert ended.code == 0, ended.said
    return [stage["stage"] for stage in ended.json()["stages"]]
