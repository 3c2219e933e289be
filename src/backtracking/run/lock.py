"""One writer per run folder: a lock that names its holder and ends with it."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from backtracking.errors import UserError
from backtracking.run.provenance import machine_digest


@contextlib.contextmanager
def run_lock(path: Path) -> Iterator[None]:
    """Hold a run folder alone. The system releases the lock when its holder dies, so none goes stale."""
    from filelock import FileLock, Timeout

    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        raise UserError(
            f"the run folder {path.parent} is in use by {_holder(path)}",
            "two writers in one run folder would mix their rows",
            "wait for it, stop it, or choose another --run-id",
        ) from None
    named = _name_file(path)
    named.write_text(f"pid {os.getpid()} on {machine_digest()}", encoding="utf-8")
    try:
        yield
    finally:
        named.unlink(missing_ok=True)
        lock.release()


def is_locked(path: Path) -> bool:
    """Whether a live process holds the run folder."""
    from filelock import FileLock, Timeout

    if not path.exists():
        return False
    lock = FileLock(path)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return True
    lock.release()
    return False


def _name_file(path: Path) -> Path:
    """Beside the lock, since some systems let nobody else read a locked file."""
    return path.with_name(f"{path.name}.holder")


def _holder(path: Path) -> str:
    try:
        holder, _, machine = _name_file(path).read_text(encoding="utf-8").strip().partition(" on ")
    except OSError:
        return "another process"
    return holder if machine == machine_digest() else f"{holder or 'a process'} on another machine"
