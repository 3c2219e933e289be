"""init-run: open a run folder for a config, new or old."""

import re
from datetime import UTC, datetime
from pathlib import Path

from backtracking.config.load import LoadedConfig, dump_resolved
from backtracking.config.schema import ExperimentConfig
from backtracking.errors import UserError
from backtracking.run import io, provenance
from backtracking.run.meta import RunMeta
from backtracking.run.paths import RunPaths, check_id, current_run_file, list_runs


def init_run(loaded: LoadedConfig, run_id: str | None = None) -> RunPaths:
    """Make a run folder, or take up the one that is there, and make it the current run."""
    run = loaded.config.run
    chosen = run_id or run.run_id or _fresh_id(run.name, Path(run.output_dir))
    paths = RunPaths(Path(run.output_dir), chosen)
    try:
        paths.root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"run.output_dir: cannot make the run folder {paths.root}",
            f"{error.strerror}: {error.filename}",
            "set run.output_dir to a folder that you may write to",
        ) from error
    with io.run_lock(paths.lock):
        if paths.meta.exists():
            note_config(paths, RunMeta.load(paths.meta), loaded)
        else:
            meta = new_meta(chosen, loaded)
            io.write_text(paths.config, dump_resolved(loaded))
            meta.save(paths.meta)
    io.write_text(current_run_file(paths.output_dir), chosen + "\n")
    return paths


def _fresh_id(name: str, output_dir: Path) -> str:
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    base = f"{re.sub(r'[^A-Za-z0-9._-]', '-', name)}-{stamp}"
    candidate, count = base, 1
    while (output_dir / candidate).exists():
        count += 1
        candidate = f"{base}-{count}"
    return candidate


def resolve_run(loaded: LoadedConfig, run_id: str | None) -> RunPaths | None:
    """The run that a command means: --run-id, run.run_id, or the current run; None if there is none."""
    output_dir = Path(loaded.config.run.output_dir)
    named = run_id or loaded.config.run.run_id
    if named:
        return RunPaths(output_dir, check_id("run id", named))
    current = read_current(output_dir)
    if current is None:
        return None
    paths = RunPaths(output_dir, current)
    if not paths.meta.exists():
        return None
    meta = RunMeta.load(paths.meta)
    if meta.name == loaded.config.run.name:
        return paths
    raise UserError(
        f"the current run {current} belongs to another study",
        f"it is a run of {meta.name!r}; {loaded.source} is about {loaded.config.run.name!r}",
        "say which run you mean with --run-id, or begin one with: "
        f"backtracking init-run --config {loaded.source}",
    )


def read_current(output_dir: Path) -> str | None:
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
        known = ", ".join(list_runs(paths.output_dir)[:8]) or "none"
        raise UserError(
            f"there is no run {paths.run_id!r} in {paths.output_dir}",
            f"runs there: {known}",
            "begin one with: backtracking init-run --config CONFIG",
        )
    return RunMeta.load(paths.meta)


def note_config(paths: RunPaths, meta: RunMeta, loaded: LoadedConfig) -> None:
    """Keep the run's resolved config in step with the one that it is now worked on with."""
    if meta.config_hash != loaded.hash:
        if meta.earlier is not None and paths.config.exists():
            paths.config.replace(paths.config_earlier)
        meta.config_hash = loaded.hash
        meta.seeds = seeds(loaded.config)
        meta.config_source = loaded.source
        io.write_text(paths.config, dump_resolved(loaded))
        meta.save(paths.meta)


def new_meta(run_id: str, loaded: LoadedConfig) -> RunMeta:
    return RunMeta(
        run_id=run_id,
        name=loaded.config.run.name,
        created=provenance.now(),
        config_source=loaded.source,
        config_hash=loaded.hash,
        seeds=seeds(loaded.config),
        environment=provenance.environment(),
    )


def seeds(config: ExperimentConfig) -> dict[str, int]:
    return {
        "run": config.run.seed,
        "dataset": config.dataset.seed,
        "random_control": config.ablation_generation.random_control_seed,
    }
