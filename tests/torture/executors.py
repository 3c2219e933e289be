"""Where a trial's work on the model is done: in the command's own process, or by workers on Ray."""

import time
from dataclasses import dataclass
from pathlib import Path

from tests.executor.standing import session_of

WORKERS = 2
RAY_STARTS_S = 10.0
"""Seconds until workers on Ray are at work, about: instants are drawn from the whole of a start."""
GRACE_S = 90.0
"""So long may what a command started outlive it: Ray's agents look for their parent now and then."""


@dataclass(frozen=True)
class Executor:
    """One of the two, as the command line asks for it."""

    name: str
    words: tuple[str, ...] = ()
    starts_s: float = 0.0


LOCAL = Executor("local")
RAY = "ray"
NAMES = (LOCAL.name, RAY)


def on_ray(address: str | None) -> Executor:
    """Workers on a cluster that stands, or on one that every start makes for itself."""
    words = ["--set", "run.executor=ray", "--set", f"run.ray.workers={WORKERS}"]
    words += ["--address", address] if address else []
    return Executor(RAY, tuple(words), RAY_STARTS_S)


def workers_of(command: int) -> list[int]:
    """The worker processes of a command that started a cluster for itself."""
    return sorted(pid for pid in session_of(command) if _title(pid).startswith("ray::Worker"))


def left_behind(commands: list[int]) -> list[str]:
    """What still runs of all that these commands started, after a while."""
    end = time.monotonic() + GRACE_S
    while (running := [pid for command in commands for pid in session_of(command)]) and (
        time.monotonic() < end
    ):
        time.sleep(0.2)
    return [_title(pid) for pid in running]


def is_running(command: int) -> bool:
    """Whether a command that nobody waited for has not ended yet."""
    return "\nState:\tZ" not in Path(f"/proc/{command}/status").read_text()


def _title(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""
