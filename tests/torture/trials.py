"""A trial: one fault before one step, and what became of it."""

import json
import random
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.torture.executors import LOCAL, Executor, left_behind, on_ray
from tests.torture.faults import Fault, faults_on, may_mount, targets, unmount
from tests.torture.scene import Scene
from tests.torture.study import Study

UNHARMED, RECOVERED, REFUSED, TOLD = "ended well", "resumed", "refused", "told"
CRASHED, SILENT, LASTING, SKIPPED = "crashed", "accepted in silence", "did not recover", "not possible here"
GOOD = (UNHARMED, RECOVERED, REFUSED, TOLD)
OUTCOMES = (*GOOD, CRASHED, SILENT, LASTING, SKIPPED)
DISK = 24 << 20
TELLS = "rows failed"


@dataclass(frozen=True)
class Trial:
    """What was done, and what became of it."""

    number: int
    fault: str
    step: str
    target: str
    outcome: str
    detail: str = ""
    executor: str = LOCAL.name

    @property
    def name(self) -> tuple[str, int]:
        """Trials are counted by executor."""
        return self.executor, self.number

    def line(self) -> str:
        return json.dumps(asdict(self), ensure_ascii=False)


def run_trial(
    study: Study, name: tuple[str, int], *, seed: int, scratch: Path, address: str | None = None
) -> Trial:
    """A campaign's trial by executor and number; the same seed inflicts the same."""
    on, number = name
    faults = faults_on(on)
    fault = faults[number % len(faults)]
    if on == LOCAL.name:
        executor, chance = LOCAL, random.Random(f"{seed}/{number}")
    else:
        executor = on_ray(None if fault.of_processes else address)
        chance = random.Random(f"{seed}/{on}/{number}")
    folder = scratch / f"trial-{on}-{number}" / "study"
    folder.mkdir(parents=True)
    try:
        with _disk(fault, folder) as is_possible:
            scene = Scene(study, _step(fault, study, chance, executor), folder, chance, executor)
            scene.place()
            if fault.on_a_file:
                scene.target = _target(scene)
            outcome, detail = _judged(fault, scene) if is_possible else (SKIPPED, "")
            return Trial(number, fault.name, scene.step.key, scene.target, outcome, detail, on)
    finally:
        shutil.rmtree(folder.parent, ignore_errors=True)


def _step(fault: Fault, study: Study, chance: random.Random, executor: Executor) -> int:
    first = 1 if fault.on_a_file else 0
    steps = range(first, min(fault.first_steps or len(study.steps), len(study.steps)))
    if executor is not LOCAL:
        steps = [step for step in steps if study.asks_the_model(step)]
    return chance.choice(steps)


def _target(scene: Scene) -> str:
    """A file, by kind first, so that the few rows are met as often as the many figures."""
    kinds: dict[str, list[str]] = {}
    for name in dict.fromkeys(targets(scene)):
        kinds.setdefault("figures" if "/figures/" in name else name, []).append(name)
    return scene.chance.choice(kinds[scene.chance.choice(sorted(kinds))])


def _judged(fault: Fault, scene: Scene) -> tuple[str, str]:
    """What became of the study."""
    fault.inflict(scene)
    ended = scene.said[-1]
    tells = TELLS in ended.said
    is_content = ended.code == 0 and not tells and not scene.reports_what_is_stale
    if is_content and (wrong := scene.differences_made()):
        return SILENT, "; ".join(wrong)
    more = ["--force", scene.step.name] if tells else []
    if not scene.refusals:
        scene.run(*more)  # another step may read what was damaged
    if scene.refusals:
        scene.mend()
        scene.run(*more)
    if crashes := [one.said for one in scene.said if one.crashed]:
        return CRASHED, crashes[0][-3000:]
    again = scene.said[-1]
    if again.code == 0 and scene.differences():
        again = scene.run()  # tables of all rows, made while some were missing, settle
    if again.code != 0 or (wrong := scene.differences()):
        return LASTING, again.said[-3000:] if again.code else "; ".join(wrong)
    if strays := left_behind([one.pid for one in scene.said]):
        return LASTING, f"still running: {'; '.join(strays)}"
    return _survived(scene, tells)


def _survived(scene: Scene, tells: bool) -> tuple[str, str]:
    """By which way the study came to the same end."""
    if scene.refusals:
        return REFUSED, scene.refusals[0].err[-400:]
    if tells:
        return TOLD, ""
    return (UNHARMED if all(one.code == 0 for one in scene.said) else RECOVERED), ""


@contextmanager
def _disk(fault: Fault, folder: Path) -> Iterator[bool]:
    """A small file system for the fault that needs one."""
    if fault.name != "full disk":
        yield True
        return
    is_mounted = may_mount(folder, DISK)
    try:
        yield is_mounted
    finally:
        if is_mounted:
            unmount(folder)
