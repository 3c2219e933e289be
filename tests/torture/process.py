"""Commands in processes of their own: forked from this one, so that nothing has to be imported again."""

import importlib
import json
import os
import pkgutil
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TIMEOUT_S = 1200
"""A command that takes longer hangs: undisturbed ones take seconds, or minutes on a busy machine."""
NOBODY = 65534
OPTIONAL = ("backtracking.doors", "backtracking.explore", "backtracking.organism")
"""Rooms that no stage enters and that need more than the package itself."""


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    """Exit code; minus the signal's number where one ended it."""
    out: str
    err: str
    pid: int
    """Whose session all belongs to that the command started."""
    hung: bool = False

    @property
    def said(self) -> str:
        return self.out + self.err

    @property
    def crashed(self) -> bool:
        """Whether it ended as only a bug may end."""
        return self.hung or self.code in (1, -signal.SIGSEGV) or "Traceback" in self.said

    def json(self) -> Any:
        return json.loads(self.out)


@dataclass(frozen=True)
class Process:
    """A command line, and what is done to its process before it begins."""

    command: list[str]
    stages: int | None = None
    """`run` ends behind so many stages."""
    prepare: Callable[[], None] | None = None

    def ended(self, folder: Path, interfere: Callable[[int], None] | None = None) -> Ended:
        """Run it in a folder until it ends; `interfere` is given the process's id meanwhile."""
        with self.started(folder) as running:
            if interfere is not None:
                interfere(running.pid)
            return running.wait()

    @contextmanager
    def started(self, folder: Path) -> "Iterator[Running]":
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            sys.stdout.flush(), sys.stderr.flush()
            pid = os.fork()
            if pid == 0:
                self._be_the_command(folder, out.fileno(), err.fileno())
            running = Running(pid, out, err)
            try:
                yield running
            finally:
                running.wait()

    def _be_the_command(self, folder: Path, out: int, err: int) -> None:
        """The child: never returns."""
        code = 70
        try:
            os.setsid()
            os.dup2(out, 1), os.dup2(err, 2)
            sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", closefd=False)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            os.chdir(folder)
            if self.stages is not None:
                _end_behind(self.stages)
            if self.prepare is not None:
                self.prepare()
            code = _run(self.command)
        except BaseException:
            import traceback

            traceback.print_exc()
            code = 1
        finally:
            try:
                sys.stdout.flush(), sys.stderr.flush()
            finally:
                os._exit(code)


@dataclass
class Running:
    """A command that runs."""

    pid: int
    _out: Any
    _err: Any
    _ended: Ended | None = None

    def wait(self) -> Ended:
        if self._ended is None:
            status, hung = self._status()
            said = []
            for file in (self._out, self._err):
                file.seek(0)
                said.append(file.read().decode(errors="replace"))
            self._ended = Ended(os.waitstatus_to_exitcode(status), *said, self.pid, hung)
        return self._ended

    def _status(self) -> tuple[int, bool]:
        end = time.monotonic() + TIMEOUT_S
        while time.monotonic() < end:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                return status, False
            time.sleep(0.02)
        os.kill(self.pid, signal.SIGKILL)
        return os.waitpid(self.pid, 0)[1], True


def warm_up() -> None:
    """Import what commands import, once, before any is forked."""
    os.environ |= {"TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    import scipy.stats
    import statsmodels.stats.multitest
    import torch
    import transformers

    import backtracking
    from backtracking.cli.session import prepare_libraries

    prepare_libraries()
    torch.set_num_threads(1)
    assert scipy.stats and statsmodels and transformers
    for module in pkgutil.walk_packages(backtracking.__path__, "backtracking."):
        if not module.name.endswith("__main__") and not module.name.startswith(OPTIONAL):
            importlib.import_module(module.name)


def _run(command: list[str]) -> int:
    from backtracking.cli import main

    sys.argv = ["backtracking", *command]
    try:
        main()
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else int(bool(stop.code))
    return 0


def _end_behind(stages: int) -> None:
    """Let the pipeline of this process end behind so many stages."""
    from backtracking.stages import plan as planning

    whole = planning.plan
    planning.plan = lambda *args, **kwargs: whole(*args, **kwargs)[:stages]


def limit_file_size(size: int) -> Callable[[], None]:
    """No file may grow beyond so many bytes."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def become_nobody() -> None:
    """Give up root's right to write everywhere."""
    if os.getuid() == 0:
        os.setgid(NOBODY)
        os.setuid(NOBODY)
