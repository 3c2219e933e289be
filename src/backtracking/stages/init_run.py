"""init-run: which run a command means, and how a run folder is opened, new or old."""

import contextlib
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from backtracking.config.load import LoadedConfig
from backtracking.config.schema import ExperimentConfig
from backtracking.config.show import dump_resolved
from backtracking.errors import UserError
from backtracking.run import io, provenance
from backtracking.run.lock import run_lock
from backtracking.run.meta import RunMeta, is_config_as_written
from backtracking.run.paths import RunPaths, check_id, current_run_file, list_runs, unknown_run
from backtracking.stages.study import study_of, why_another_study, why_not_taken_up


@dataclass(frozen=True)
class ChosenRun:
    """The run that a command works in, and why it is a new one where another was to be expected."""

    paths: RunPaths
    note: str = ""


def choose_run(loaded: LoadedConfig, typed: str | None, phase1_run_id: str | None = None) -> ChosenRun:
    """The run that a config means: the one typed, else run.run_id, else the current run, else a new one."""
    run = loaded.config.run
    output_dir = Path(run.output_dir)
    if typed:
        paths = RunPaths(output_dir, check_id("run id", typed))
        if other := _why_another_study(paths, loaded.config):
            raise UserError(
                f"run {typed!r} belongs to another study",
                f"{other} (as {loaded.source} asks)",
                "name a run of this study with --run-id, or leave --run-id out to begin a new one",
            )
        return ChosenRun(paths)
    note = ""
    if run.run_id:
        paths = RunPaths(output_dir, run.run_id)
        other = _why_another_study(paths, loaded.config)
        if not other:
            return ChosenRun(paths)
        note = f"run {run.run_id} (run.run_id) belongs to another study: {other}"
    current = read_current(output_dir)
    if current is not None and current != run.run_id:
        paths = RunPaths(output_dir, current)
        if paths.meta.exists():
            why = why_not_taken_up(RunMeta.load(paths.meta), loaded.config, phase1_run_id)
            if not why:
                return ChosenRun(paths)
            note = note or f"the current run {current} belongs to another study: {why}"
    return ChosenRun(new_run(loaded.config), note)


def _why_another_study(paths: RunPaths, config: ExperimentConfig) -> str:
    return why_another_study(RunMeta.load(paths.meta), config) if paths.meta.exists() else ""


def new_run(config: ExperimentConfig) -> RunPaths:
    """Paths of a run that does not exist yet; nothing is made."""
    output_dir = Path(config.run.output_dir)
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    base = f"{re.sub(r'[^A-Za-z0-9._-]', '-', config.run.name)}-{stamp}"
    candidate, count = base, 1
    while (output_dir / candidate).exists():
        count += 1
        candidate = f"{base}-{count}"
    return RunPaths(output_dir, candidate)


def other_runs_of(config: ExperimentConfig) -> list[str]:
    """Runs that a new one of this config stands beside, newest first."""
    output_dir = Path(config.run.output_dir)
    return [name for name in list_runs(output_dir) if _is_of_study(RunPaths(output_dir, name), config)]


def _is_of_study(paths: RunPaths, config: ExperimentConfig) -> bool:
    try:
        meta = RunMeta.load(paths.meta)
    except UserError:  # a damaged neighbour is none of this command's business
        return False
    return meta.earlier is None and not why_not_taken_up(meta, config, None)


def init_run(loaded: LoadedConfig, paths: RunPaths) -> None:
    """Make a run folder, or take up the one that is there, and make it the current run."""
    meta = record_of(paths, loaded)
    with opened(paths, meta, loaded):
        make_current(paths)


@contextlib.contextmanager
def opened(
    paths: RunPaths, meta: RunMeta, loaded: LoadedConfig, phase1_run_id: str | None = None
) -> Iterator[None]:
    """Hold a run's folder, in step with its config; a new run that fails empty-handed leaves no trace."""
    is_new, is_made_here = not paths.meta.exists(), not paths.root.exists()
    is_first = not paths.output_dir.exists()
    current = read_current(paths.output_dir)
    _make_folder(paths)
    paths.refuse_links_out()
    try:
        with run_lock(paths.lock):
            note_config(paths, meta, loaded, phase1_run_id)
            if is_new:
                make_current(paths)
            yield
    except BaseException:
        if is_made_here and not _holds_results(paths):
            _withdraw(paths, current, with_parent=is_first)
        raise


def _make_folder(paths: RunPaths) -> None:
    try:
        paths.root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"run.output_dir: cannot make the run folder {paths.root}",
            f"{error.strerror}: {error.filename}",
            "set run.output_dir to a folder that you may write to",
        ) from error


def _holds_results(paths: RunPaths) -> bool:
    bookkeeping = {paths.config, paths.meta}
    return any(
        path.is_file() and path.stat().st_size and path not in bookkeeping and not path.name.startswith(".")
        for path in paths.root.rglob("*")
    )


def _withdraw(paths: RunPaths, current: str | None, *, with_parent: bool) -> None:
    """Undo the making of a run; whatever cannot be undone must not hide why it failed."""
    shutil.rmtree(paths.root, ignore_errors=True)
    with contextlib.suppress(OSError):
        if current is None:
            current_run_file(paths.output_dir).unlink(missing_ok=True)
        else:
            io.write_text(current_run_file(paths.output_dir), current + "\n")
        if with_parent:
            paths.output_dir.rmdir()


def make_current(paths: RunPaths) -> None:
    """Make a run the current one of its folder."""
    io.write_text(current_run_file(paths.output_dir), paths.run_id + "\n")


def read_current(output_dir: Path) -> str | None:
    """The id of the current run; none before the first."""
    file = current_run_file(output_dir)
    if not file.exists():
        return None
    try:
        return check_id(f"the run id in {file}", file.read_text(encoding="utf-8").strip())
    except (UnicodeDecodeError, IsADirectoryError) as error:
        raise UserError(
            f"cannot read {file}", str(error), "delete it, and say which run with --run-id"
        ) from None


def open_existing(paths: RunPaths) -> RunMeta:
    """The record of a run that must be there."""
    if not paths.meta.exists():
        raise unknown_run(paths.run_id, paths.output_dir)
    return RunMeta.load(paths.meta)


def record_of(paths: RunPaths, loaded: LoadedConfig) -> RunMeta:
    """The record of a run, there or yet to be made."""
    return RunMeta.load(paths.meta) if paths.meta.exists() else new_meta(paths.run_id, loaded)


def note_config(
    paths: RunPaths, meta: RunMeta, loaded: LoadedConfig, phase1_run_id: str | None = None
) -> None:
    """Keep the run's record and resolved config in step with what it is now worked on with."""
    is_new = not paths.meta.exists()
    changed = meta.config_hash != loaded.hash
    if changed and meta.earlier is not None and paths.config.exists():
        paths.config.replace(paths.config_earlier)
    is_damaged = not is_config_as_written(paths, meta)
    if changed or is_new or is_damaged:
        meta.config_hash = loaded.hash
        meta.seeds = seeds(loaded.config)
        meta.study = study_of(loaded.config)
        meta.config_source = loaded.source
        if is_damaged:
            io.set_aside(paths.config)
        io.write_text(paths.config, dump_resolved(loaded))
        meta.config_digest = provenance.file_digest(paths.config)
    remembered = phase1_run_id or meta.phase1_run_id
    if changed or is_new or is_damaged or remembered != meta.phase1_run_id:
        meta.phase1_run_id = remembered
        meta.save(paths.meta)


def new_meta(run_id: str, loaded: LoadedConfig) -> RunMeta:
    """The first meta.json of a run."""
    return RunMeta(
        run_id=run_id,
        name=loaded.config.run.name,
        created=provenance.now(),
        config_source=loaded.source,
        config_hash=loaded.hash,
        seeds=seeds(loaded.config),
        study=study_of(loaded.config),
        environment=provenance.environment(),
    )


def seeds(config: ExperimentConfig) -> dict[str, int]:
    """The seeds that a config names."""
    return {
        "run": config.run.seed,
        "dataset": config.dataset.seed,
        "random_control": config.ablation_generation.random_control_seed,
    }
