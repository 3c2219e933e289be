"""Opens a run for a command, runs its stages, and tells the person what happened."""

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from backtracking.config.load import LoadedConfig, load_config
from backtracking.errors import UserError
from backtracking.run import io
from backtracking.run.meta import RunMeta
from backtracking.run.paths import RunPaths, check_id, current_run_file, list_runs
from backtracking.run.progress import reporter

if TYPE_CHECKING:
    from backtracking.stages.base import RunContext, Stage
    from backtracking.stages.execute import Outcome

DEFAULT_OUTPUT_DIR = Path("runs")


@dataclass(frozen=True)
class Request:
    """What the options of a command ask for."""

    config: Path | None = None
    run_id: str | None = None
    phase1_run_id: str | None = None
    overrides: Sequence[str] = ()
    force: bool = False
    quiet: bool = False
    verbose: bool = False

    def __post_init__(self) -> None:
        if self.run_id == "" or self.phase1_run_id == "":
            raise UserError(
                "an empty run id was given", "perhaps from a shell variable that is not set", "name the run"
            )


def load(request: Request) -> LoadedConfig:
    """The config named on the command line, else the one that the run was made with."""
    if request.config is not None:
        return load_config(request.config, list(request.overrides))
    run_id = request.run_id or _current_id()
    paths = RunPaths(DEFAULT_OUTPUT_DIR, check_id("run id", run_id))
    if not paths.config.exists():
        raise UserError(
            f"there is no run {run_id!r} in {DEFAULT_OUTPUT_DIR}",
            f"runs there: {', '.join(list_runs(DEFAULT_OUTPUT_DIR)[:8]) or 'none'}",
            "name a run with --run-id, or a config with --config",
        )
    is_earlier = paths.meta.exists() and RunMeta.load(paths.meta).earlier is not None
    return load_config(paths.config, list(request.overrides), skip_unknown=is_earlier)


def find_run(request: Request, loaded: LoadedConfig) -> RunPaths | None:
    """The run that the options mean; a config that was read from a run means that run."""
    from backtracking.stages.init_run import resolve_run

    return resolve_run(loaded, request.run_id or (None if request.config else _current_id()))


def _current_id() -> str:
    from backtracking.stages.init_run import read_current

    file = current_run_file(DEFAULT_OUTPUT_DIR)
    if not file.exists():
        raise UserError(
            "which config, which run?",
            f"no --config was given and {file} does not exist",
            "add --config, e.g. --config configs/demo.yaml",
        )
    current = read_current(DEFAULT_OUTPUT_DIR)
    assert current is not None
    return current


def open_run(request: Request, *, may_create: bool = False) -> "RunContext":
    """The run that a command works in. A run id that nobody typed is made at need; a typed one must exist."""
    from backtracking.stages.base import RunContext
    from backtracking.stages.init_run import init_run, open_existing
    from backtracking.stages.plan import plan

    prepare_libraries(request.verbose)
    loaded = load(request)
    paths = find_run(request, loaded)
    phase1 = phase1_run(request, loaded)
    if paths is None or (not paths.meta.exists() and (may_create or request.run_id is None)):
        paths = init_run(loaded, paths.run_id if paths else None)
    meta = open_existing(paths)
    ctx = RunContext(
        loaded=loaded,
        paths=paths,
        meta=meta,
        phase1=phase1,
        pipeline=plan(loaded.config),
        reporter=reporter(request.quiet),
    )
    if loaded.ignored:
        ctx.reporter.say(
            f"  keys of an earlier implementation without meaning here: {', '.join(loaded.ignored)}"
        )
    return ctx


def phase1_run(request: Request, loaded: LoadedConfig) -> RunPaths | None:
    phase2 = loaded.config.phase2
    named = request.phase1_run_id or (phase2.phase1_run_id if phase2 else None)
    if named is None:
        return None
    paths = RunPaths(Path(loaded.config.run.output_dir), check_id("Phase 1 run id", named))
    if not paths.root.is_dir():
        raise UserError(
            f"there is no Phase 1 run {named!r} in {paths.output_dir}",
            f"runs there: {', '.join(list_runs(paths.output_dir)[:8]) or 'none'}",
            "name a finished Phase 1 run with --phase1-run-id",
        )
    return paths


def prepare_libraries(verbose: bool = False) -> None:
    """Settings that libraries read when they are imported; to be called before that."""
    # Waiting threads sleep rather than spin: on a machine that is also busy elsewhere, spinning costs dearly.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if verbose:
        logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s")
    else:
        os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
        os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
        os.environ.setdefault("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")
        os.environ.setdefault("TQDM_DISABLE", "1")


def _in_words(outcome: "Outcome") -> str:
    if outcome.not_testable:
        return f"not testable: {outcome.not_testable}"
    if outcome.skipped:
        return "up to date"
    rows = f"{outcome.rows:,} rows, " if outcome.rows is not None else ""
    return f"done: {rows}{outcome.seconds:.1f} s"


def run_stages(
    ctx: "RunContext", stages: "Sequence[Stage]", request: Request, forced: Sequence[str] = ()
) -> int:
    """Execute stages in order under the run's lock; returns how many were not up to date."""
    from backtracking.stages.execute import execute
    from backtracking.stages.init_run import note_config

    worked = 0
    with io.run_lock(ctx.paths.lock):
        note_config(ctx.paths, ctx.meta, ctx.loaded)
        for number, stage in enumerate(stages, start=1):
            place = f"[{number}/{len(stages)}] " if len(stages) > 1 else ""
            ctx.reporter.say(f"{place}{stage.key}")
            outcome = execute(stage, ctx, force=request.force or stage.name in forced or stage.key in forced)
            worked += not outcome.skipped
            ctx.reporter.say(f"  {_in_words(outcome)}")
    return worked
