"""Where a trial takes place: a copy of the study as it stood before one of its steps."""

import json
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.torture.compare import differences, own_files
from tests.torture.executors import Executor
from tests.torture.process import Ended, Process
from tests.torture.study import Step, Study

MADE_AGAIN = "earlier rows are kept in"
"""What a start says that makes rows for a second time."""


@dataclass
class Scene:
    """A copy to damage, the step that comes next, and the trial's own chance."""

    study: Study
    number: int
    folder: Path
    chance: random.Random
    executor: Executor
    said: list[Ended] = field(default_factory=list)
    """What the disturbed commands ended with."""
    mend: Callable[[], object] = lambda: None
    """Takes the fault away, as the refusal said."""
    target: str = ""
    """The file that is damaged, from the run folder on."""
    damaged: bytes | None = None
    """What the damaged file holds, if anything is left of it."""
    lost_counts: bool = False
    """Whether a start may have ended without writing what its hooks did."""

    @property
    def step(self) -> Step:
        return self.study.steps[self.number]

    @property
    def reports_what_is_stale(self) -> bool:
        """Whether the step is a report that says which results it should not have been made of."""
        meta = json.loads((self.folder / "runs" / self.step.run / "meta.json").read_text())
        return bool(meta["stages"].get(self.step.key, {}).get("notes", {}).get("stale"))

    @property
    def seconds(self) -> float:
        """How long the step takes, about, when nothing disturbs it."""
        return self.executor.starts_s + max(0.5, self.step.seconds)

    @property
    def refusals(self) -> list[Ended]:
        """The commands that ended with a message for the person."""
        return [one for one in self.said if one.code == 2]

    def place(self) -> None:
        """Lay out the study as it stood before the step."""
        shutil.copytree(self.study.before(self.number), self.folder, dirs_exist_ok=True)

    def run(
        self,
        *more: str,
        prepare: Callable[[], None] | None = None,
        interfere: Callable[[int], None] | None = None,
    ) -> Ended:
        """Run the study's pipeline up to the step."""
        self.said.append(self.process(*more, prepare=prepare).ended(self.folder, interfere))
        return self.said[-1]

    def process(self, *more: str, prepare: Callable[[], None] | None = None) -> Process:
        """The study's pipeline up to the step, on the trial's executor."""
        return self.step.up_to_here(*self.executor.words, *more, prepare=prepare)

    def run_alone(self) -> Ended:
        """Run the step by its own command."""
        self.said.append(self.step.alone(*self.executor.words).ended(self.folder))
        return self.said[-1]

    def differences(self) -> list[str]:
        """What is not as in the undisturbed study behind the step."""
        return self._differences(self.study.settled(self.number))

    def differences_made(self) -> list[str]:
        """What a start wrote that the undisturbed study has neither before the step nor behind it."""
        before, after = self.study.before(self.number), self.study.after(self.number)
        made = own_files(before, after, self.step.run)
        if self._lies_as_damaged():
            made.discard(
                self.target.partition("/")[2]
            )  # a step that runs alone may have nothing to do with it
        differing = self._differences(self.study.settled(self.number), before)
        return [one for one in differing if one.partition(" ")[0] in made]

    def _lies_as_damaged(self) -> bool:
        path = self.folder / "runs" / self.target
        return self.damaged is not None and path.is_file() and path.read_bytes() == self.damaged

    def _differences(self, *as_well: Path) -> list[str]:
        undisturbed = self.study.after(self.number)
        other_counts = self.lost_counts or any(MADE_AGAIN in one.said for one in self.said)
        return differences(self.folder, undisturbed, as_well, self.step.run, other_counts=other_counts)
