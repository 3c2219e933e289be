"""Tells a tracker what each stage found: numbers, tables, figures. No trouble of a tracker ends a run."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from backtracking.config.schema import ExperimentConfig
from backtracking.doors.extras import require_package
from backtracking.doors.told import Told, told_of
from backtracking.run.meta import StageRecord
from backtracking.run.paths import RunPaths
from backtracking.run.progress import Reporter


class Tracker(Protocol):
    """Keeps what stages found."""

    def tell(self, told: Told) -> None:
        """Passes on what one stage showed."""

    def close(self) -> None:
        """Nothing more comes: what is still held back goes out."""


class Tracking:
    """A tracker, until its first trouble; without one, nobody is told."""

    def __init__(self, reporter: Reporter, start: Callable[[], Tracker] | None = None) -> None:
        self._reporter = reporter
        self._tracker: Tracker | None = None
        if start is not None:
            with self._careful():
                self._tracker = start()

    def tell(self, stage: str, record: StageRecord, root: Path) -> None:
        """A stage has run."""
        if self._tracker is not None:
            with self._careful():
                self._tracker.tell(told_of(stage, record, root))

    def close(self) -> None:
        """Nothing more comes."""
        if self._tracker is not None:
            with self._careful():
                self._tracker.close()

    @contextmanager
    def _careful(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # a tracker raises what it likes; the run is worth more
            self._tracker = None
            said = (str(error).splitlines() or [""])[0]
            self._reporter.say(f"  note: nothing more is tracked ({type(error).__name__}: {said})")


@contextmanager
def tracking(config: ExperimentConfig, paths: RunPaths, reporter: Reporter) -> Iterator[Tracking]:
    """The tracker that the config asks for, until the end of the block."""
    opened = Tracking(reporter, _start_of(config, paths, reporter))
    try:
        yield opened
    finally:
        opened.close()


def _start_of(config: ExperimentConfig, paths: RunPaths, reporter: Reporter) -> Callable[[], Tracker] | None:
    if config.tracking == "none":
        return None
    require_package(config.tracking, config.tracking)
    from backtracking.doors.trackers import TrackioTracker, WandbTracker

    settings = config.model_dump(mode="json")
    if config.tracking == "wandb":
        return lambda: WandbTracker(paths, settings, reporter)
    return lambda: TrackioTracker(paths, settings, reporter)
