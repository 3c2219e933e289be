"""Opens a run for a command, runs its stages, and tells the person what happened."""

import logging
import os
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from backtracking.config.load import LoadedConfig, load_config
from backtracking.errors import UserError
from backtracking.run.meta import RunMeta, is_config_as_written
from backtracking.run.paths import RunPaths, check_id, current_run_file, list_runs, unknown_run
from backtracking.run.progress import reporter

if TYPE_CHECKING:
    from backtracking.stages.base import RunContext, Stage
    from backtracking.stages.execute import Executed
    from backtracking.stages.init_run import ChosenRun

DEFAULT_OUTPUT_DIR = Path("runs")
PHASE1_KEY = "phase2.phase1_run_id"


@dataclass(frozen=True)
class Request:
    """What the options of a command ask for."""

    config: Path | None = None
    run_id: str | None = None
    phase1_run_id: str | None = None
    overrides: Sequence[str] = ()
    address: str | None = None
    """A Ray cluster that works on the model."""
    force: bool = False
    quiet: bool = False
    verbose: bool = False

    def __post_init__(self) -> None:
        if self.run_id == "" or self.phase1_run_id == "":
            raise UserError(
                "an empty run id was given", "perhaps from a shell variable that is not set", "name the run"
            )

    @property
    def settings(self) -> list[str]:
        """Config keys that options set."""
        by_address = ["run.executor=ray", f"run.ray.address={self.address}"] if self.address else []
        return [*self.overrides, *by_address]


def asked_config(request: Request) -> LoadedConfig:
    """The config named on the command line, else the one that the run was made with."""
    if request.config is not None:
        return load_config(request.config, request.settings)
    run_id = request.run_id or current_id()
    paths = RunPaths(DEFAULT_OUTPUT_DIR, check_id("run id", run_id))
    if not paths.root.is_dir():
        raise unknown_run(run_id, DEFAULT_OUTPUT_DIR)
    if not paths.config.exists():
        raise UserError(
            f"{paths.config} is not there",
            "it says what the run is asked to do",
            "name the run's config with --config, which writes it again",
        )
    meta = RunMeta.load(paths.meta) if paths.meta.exists() else None
    if meta is not None and not is_config_as_written(paths, meta):
        raise UserError(
            f"{paths.config} was changed after it was written",
            "it records what the run was made with, and is not where settings are changed",
            f"name the run's config with --config and changes with --set; --config {paths.config} "
            "takes the file as it is now",
        )
    is_earlier = meta is not None and meta.earlier is not None
    return load_config(paths.config, request.settings, skip_unknown=is_earlier)


def find_run(request: Request, loaded: LoadedConfig) -> "ChosenRun":
    """The run that the options mean; a config that was read from a run means that run."""
    from backtracking.stages.init_run import ChosenRun, choose_run

    if request.config is None:
        run_id = check_id("run id", request.run_id or current_id())
        return ChosenRun(RunPaths(Path(loaded.config.run.output_dir), run_id))
    return choose_run(loaded, request.run_id, _named_phase1(request, loaded))


def current_id() -> str:
    """The id of the current run of the usual folder."""
    from backtracking.stages.init_run import read_current

    file = current_run_file(DEFAULT_OUTPUT_DIR)
    if not file.exists():
        raise UserError(
            "no config and no run given",
            f"no --config was given and {file} does not exist",
            "add --config, e.g. --config demo",
        )
    current = read_current(DEFAULT_OUTPUT_DIR)
    assert current is not None
    return current


def asked_run(request: Request, *, may_create: bool = False, may_lack_phase1: bool = False) -> "RunContext":
    """The run that a command works in. One that nobody typed is new at need; a typed one must exist.

    Nothing is written before `run_stages`, so that a command that is refused leaves nothing behind.
    """
    from backtracking.stages.base import RunContext
    from backtracking.stages.init_run import open_existing, record_of
    from backtracking.stages.plan import plan

    prepare_libraries(request.verbose)
    loaded = asked_config(request)
    choice = find_run(request, loaded)
    if request.run_id is not None and not may_create:
        open_existing(choice.paths)
    meta = record_of(choice.paths, loaded)
    ctx = RunContext(
        loaded=loaded,
        paths=choice.paths,
        meta=meta,
        phase1=phase1_run(request, loaded, meta, may_lack=may_lack_phase1),
        reporter=reporter(request.quiet),
    )
    will_have_problems = may_lack_phase1 and ctx.awaits_phase1
    ctx.pipeline = plan(ctx.config, has_problems=will_have_problems or ctx.phase1_problems is not None)
    ctx.why_new = why_new(choice, loaded)
    if loaded.ignored:
        ctx.reporter.say(f"  ignored keys from an earlier implementation: {', '.join(loaded.ignored)}")
    return ctx


def why_new(choice: "ChosenRun", loaded: LoadedConfig) -> str:
    """Why a command begins a run where a person would have expected it to go on in another; else empty."""
    from backtracking.stages.init_run import other_runs_of

    if not choice.note:
        return ""
    others = other_runs_of(loaded.config)
    hint = f" (to resume this study's latest run, add --run-id {others[0]})" if others else ""
    return f"new run {choice.paths.run_id}: {choice.note}{hint}"


def phase1_run(
    request: Request, loaded: LoadedConfig, meta: RunMeta, *, may_lack: bool = False
) -> RunPaths | None:
    """The Phase 1 run that a Phase 2 run is built on: what is asked for now, else the one that it remembers.

    A run's own record of its config may name another, which an option replaced when the run was made.
    """
    is_own_record = request.config is None and loaded.origins.get(PHASE1_KEY) != "--set"
    remembered = meta.phase1_run_id if is_own_record else None
    named = request.phase1_run_id or remembered or _named_phase1(request, loaded) or meta.phase1_run_id
    if named is None:
        return None
    paths = RunPaths(Path(loaded.config.run.output_dir), check_id("Phase 1 run id", named))
    if not paths.root.is_dir() and not may_lack:
        raise UserError(
            f"there is no Phase 1 run {named!r} in {paths.output_dir}",
            f"runs there: {', '.join(list_runs(paths.output_dir)[:8]) or 'none'}",
            "run Phase 1 first, or name a finished run of it with --phase1-run-id",
        )
    return paths


def _named_phase1(request: Request, loaded: LoadedConfig) -> str | None:
    phase2 = loaded.config.phase2
    return request.phase1_run_id or (phase2.phase1_run_id if phase2 else None)


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


def _in_words(outcome: "Executed", unit: str) -> str:
    from backtracking.claims.wording import counted

    if outcome.not_testable:
        return f"not testable: {outcome.not_testable}"
    if outcome.skipped:
        return "up to date"
    rows = f"{counted(outcome.rows, unit)}, " if outcome.rows is not None else ""
    return f"done: {rows}{outcome.seconds:.1f} s"


def run_stages(
    ctx: "RunContext", stages: "Sequence[Stage]", request: Request, forced: Sequence[str] = ()
) -> int:
    """Execute stages in order under the run's lock; returns how many were not up to date."""
    from backtracking.doors.tracking import tracking
    from backtracking.stages.built_on import check_built_on
    from backtracking.stages.execute import execute, in_words
    from backtracking.stages.init_run import opened

    check_built_on(ctx, stages)
    if ctx.why_new:
        ctx.reporter.say(ctx.why_new)
    worked, other_code = 0, []
    phase1 = ctx.phase1.run_id if ctx.phase1 else None
    with (
        opened(ctx.paths, ctx.meta, ctx.loaded, phase1),
        tracking(ctx.config, ctx.paths, ctx.reporter) as tracked,
        closing(ctx),
    ):
        for number, stage in enumerate(stages, start=1):
            place = f"[{number}/{len(stages)}] " if len(stages) > 1 else ""
            ctx.reporter.say(f"{place}{stage.key}")
            outcome = execute(stage, ctx, force=request.force or stage.name in forced or stage.key in forced)
            worked += not outcome.skipped
            other_code += [outcome.other_code] if outcome.other_code else []
            ctx.reporter.say(f"  {_in_words(outcome, stage.unit)}")
            if not outcome.skipped:
                tracked.tell(stage.key, ctx.meta.stages[stage.key], ctx.paths.root)
    if other_code:
        ctx.reporter.say(f"note: {in_words(other_code)}")
    return worked
