"""wandb and trackio: where they keep what they are told, and when they may use the network."""

import contextlib
import io
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backtracking.doors.told import Told
from backtracking.run.paths import RunPaths
from backtracking.run.progress import Reporter

if TYPE_CHECKING:
    import pandas as pd

Settings = dict[str, Any]
PROJECT = "backtracking"
MOST_BYTES = 200_000
"""Larger tables are kept as files only."""
_START_SECONDS, _END_SECONDS = 30, 120
"""How long wandb may wait for its server."""


def is_offline() -> bool:
    """Whether the person said that nothing may use the network."""
    return os.environ.get("HF_HUB_OFFLINE", "").lower() in ("1", "true", "yes", "on")


def wandb_mode() -> str:
    """What `WANDB_MODE` says; else online with a key and a network, and offline without."""
    has_key = bool(os.environ.get("WANDB_API_KEY"))
    return os.environ.get("WANDB_MODE") or ("online" if has_key and not is_offline() else "offline")


def _unlink_strays(folder: Path) -> None:
    """Remove links that lead out of the folder (wandb makes one to a log in the person's cache)."""
    for path in folder.rglob("*"):
        if path.is_symlink() and not path.resolve().is_relative_to(folder.resolve()):
            path.unlink()


class WandbTracker:
    """Weights & Biases; what is kept offline lies in the run's folder until `wandb sync` sends it."""

    def __init__(self, paths: RunPaths, settings: Settings, reporter: Reporter) -> None:
        import wandb

        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
        self._wandb = wandb
        folder = paths.root / "tracking"
        folder.mkdir(parents=True, exist_ok=True)
        mode = wandb_mode()
        try:
            self._run = self._begin(paths, settings, mode)
        except wandb.errors.CommError:
            mode = "offline"
            self._run = self._begin(paths, settings, mode)
        self._folder = folder
        _unlink_strays(folder)
        if mode == "offline":
            reporter.say(f"  wandb keeps this offline; send it with: wandb sync {folder}/wandb/offline-run-*")

    def _begin(self, paths: RunPaths, settings: Settings, mode: Any) -> Any:
        return self._wandb.init(
            project=PROJECT,
            name=paths.run_id,
            id=paths.run_id,
            resume="allow",
            dir=str(paths.root / "tracking"),
            config=settings,
            mode=mode,
            # Machine, user, command line and code stay the person's own.
            settings=self._wandb.Settings(
                console="off",
                silent=True,
                disable_git=True,
                disable_code=True,
                disable_job_creation=True,
                init_timeout=_START_SECONDS,
                finish_timeout=_END_SECONDS,
                x_disable_machine_info=True,
                x_disable_meta=True,
                x_disable_stats=True,
            ),
        )

    def tell(self, told: Told) -> None:
        """Log a stage, and keep its files as an artifact."""
        self._run.log(_logged(self._wandb, told))
        if artifact := _artifact(self._wandb, self._run.id, told):
            self._run.log_artifact(artifact)

    def close(self) -> None:
        """Write out what is left, and send it where it may be sent."""
        self._run.finish()
        _unlink_strays(self._folder)


class TrackioTracker:
    """trackio, in one folder for all runs, so that its dashboard shows them side by side."""

    def __init__(self, paths: RunPaths, settings: Settings, reporter: Reporter) -> None:
        folder = os.environ.setdefault("TRACKIO_DIR", str((paths.output_dir / ".trackio").resolve()))
        with _silent():
            import trackio

            self._trackio, self._name = trackio, paths.run_id
            with _on_this_machine():
                trackio.init(
                    project=PROJECT,
                    name=paths.run_id,
                    resume="allow",
                    config=settings,
                    embed=False,
                    auto_log_cpu=False,
                    auto_log_gpu=False,
                )
        reporter.say(f"  trackio keeps this; look at it with: TRACKIO_DIR={folder} trackio show")

    def tell(self, told: Told) -> None:
        """Log a stage, and keep its files as an artifact."""
        with _silent():
            self._trackio.log(_logged(self._trackio, told))
            if artifact := _artifact(self._trackio, self._name, told):
                self._trackio.log_artifact(artifact)

    def close(self) -> None:
        """Write out what is left."""
        with _silent():
            self._trackio.finish()


def _logged(library: Any, told: Told) -> dict[str, Any]:
    """Numbers, tables and figures under the stage's name; both libraries call their kinds alike."""
    shown: dict[str, Any] = dict(told.metrics)
    for path in told.tables:
        if (table := _small(path)) is not None:
            shown[path.stem] = library.Table(dataframe=table)
    shown |= {path.stem: library.Image(str(path)) for path in told.figures}
    return {f"{told.stage}/{name}": value for name, value in shown.items()}


def _small(path: Path) -> "pd.DataFrame | None":
    """A table that a dashboard can show whole, empty cells as such."""
    from backtracking.run.io import read_csv

    if path.stat().st_size > MOST_BYTES:
        return None
    table = read_csv(path).astype(object)
    return table.where(table.notna(), None)


def _artifact(library: Any, run: str, told: Told) -> Any:
    """The files of a stage under one name; none where it made neither tables nor figures."""
    files = [*told.tables, *told.figures]
    if not files:
        return None
    artifact = library.Artifact(re.sub(r"[^\w.-]+", "-", f"{run}-{told.stage}").strip("-"), type="result")
    for path in files:
        artifact.add_file(str(path))
    return artifact


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """A library's chatter is not the command's output."""
    with contextlib.redirect_stdout(io.StringIO()):
        yield


@contextlib.contextmanager
def _on_this_machine() -> Iterator[None]:
    """Where nothing may use the network, servers and spaces that the environment names are not tried."""
    names = ("TRACKIO_SPACE_ID", "TRACKIO_SERVER_URL", "TRACKIO_BUCKET_ID") if is_offline() else ()
    kept = {name: os.environ.pop(name) for name in names if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(kept)
