"""Ray itself: a cluster of this machine alone, or one that is joined by its address."""

import contextlib
import functools
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from backtracking.config.workers import RayConfig
from backtracking.errors import UserError

FOLDER = "bt-ray-"
"""Short: sockets lie in it, and their paths may not be long."""
HELD = "held"
"""The lock in it, which ends with the process that made it."""
STORE_BYTES = 256 << 20
"""Shared memory of a cluster of one's own; only work and results in transit pass through it."""
QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_enable_metrics_collection": "0",
    "RAY_worker_niceness": "0",  # the workers are what the machine is there for
}
ALONE = {
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # on Linux, too, it keeps every port on the loopback
    "RAY_AUTH_MODE": "token",
}


def import_ray() -> Any:
    """The package, or how to get it."""
    os.environ.update({name: value for name, value in QUIET.items() if name not in os.environ})
    try:
        import ray
    except ImportError as error:
        raise UserError(
            "run.executor: ray needs the package ray, which is not installed",
            "no other part of the program uses it",
            "run: pip install 'backtracking[ray]', or set run.executor: local",
        ) from error
    # Ray's own messages would break into the progress; there is no switch for them.
    vars(ray._private.worker)["listen_error_messages"] = lambda *_: None
    # SIGTERM ends this process as it does without Ray; the kernel ends with it what Ray started.
    vars(ray._private.utils)["set_sigterm_handler"] = lambda *_: None
    return ray


@contextmanager
def cluster(config: RayConfig, wanted: "Wanted") -> Iterator[Any]:
    """Ray, connected, for as long as the block runs."""
    if config.address is None:
        with _own_cluster(wanted) as ray:
            yield ray
        return
    ray = import_ray()
    try:
        ray.init(address=config.address, log_to_driver=False, logging_level="ERROR", namespace="backtracking")
    except Exception as error:  # Ray has no class of its own for this
        raise UserError(
            f"run.ray.address: no Ray cluster answers at {config.address}",
            str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__,
            "check the address (`ray status` there), or set run.ray.address to null for this machine alone",
        ) from error
    try:
        yield ray
    finally:
        ray.shutdown()


class Wanted:
    """What workers take, worked out for the machine or the cluster that they are to run on."""

    def __init__(self, config: RayConfig, device: str) -> None:
        self._config = config
        self._may_have_gpu = device == "auto" or device.startswith("cuda")

    def per_worker(self, totals: dict[str, float]) -> dict[str, float]:
        """What one worker takes of a cluster's resources."""
        gpus = self._config.gpus
        if gpus == "auto":
            gpus = 1.0 if self._may_have_gpu and totals.get("GPU", 0) >= 1 else 0.0
        asked = {"CPU": self._config.cpus, "GPU": float(gpus), **self._config.resources}
        return {name: count for name, count in asked.items() if count}

    def workers(self, totals: dict[str, float]) -> int:
        """How many workers to start; what can never be had is refused."""
        asked = self.per_worker(totals)
        fitting = min(int(totals.get(name, 0.0) / count) for name, count in asked.items())
        if not fitting:
            lacking = next(name for name, count in asked.items() if totals.get(name, 0.0) < count)
            raise UserError(
                f"run.ray: a worker takes {asked[lacking]:g} of {lacking}, the cluster has "
                f"{totals.get(lacking, 0.0):g}",
                "no worker could ever start",
                "ask for less in run.ray.cpus, run.ray.gpus or run.ray.resources",
            )
        return fitting if self._config.workers == "auto" else self._config.workers

    def own_totals(self) -> dict[str, float]:
        """What a cluster of this machine alone is to offer: room for the workers that are asked for."""
        own = {"CPU": float(len(os.sched_getaffinity(0))), "GPU": float(_gpus() if self._may_have_gpu else 0)}
        asked = self.per_worker(own)
        count = 1 if self._config.workers == "auto" else self._config.workers
        own["CPU"] = max(own["CPU"], count * asked["CPU"])
        return own | {name: count * asked[name] for name in self._config.resources}


def _gpus() -> int:
    import torch

    return torch.cuda.device_count() if torch.cuda.is_available() else 0


@functools.cache
def _token() -> str:
    """One for the life of the process: Ray reads it at its first start, and keeps to it."""
    return secrets.token_hex(32)


@contextmanager
def _own_cluster(wanted: Wanted) -> Iterator[Any]:
    """A cluster of this machine alone: loopback only, with a token, and gone without a trace."""
    settings = ALONE | {"RAY_AUTH_TOKEN": _token()}
    with variables_set(settings):
        ray = import_ray()
        with _own_folder() as folder:
            try:
                _start(ray, wanted.own_totals(), folder)
                yield ray
            finally:
                with contextlib.suppress(KeyboardInterrupt):
                    ray.shutdown()


def _clear(folder: Path) -> None:
    """Remove a folder, its lock last: Ray's agents outlive a killed process by a while and write on in it."""
    for part in folder.iterdir():
        if part.is_symlink():
            part.unlink()
        elif part.name != HELD:
            shutil.rmtree(part, ignore_errors=True)
    if [part.name for part in folder.iterdir()] == [HELD]:
        shutil.rmtree(folder)


@contextmanager
def _own_folder() -> Iterator[str]:
    """A folder for Ray's sockets and logs; those of processes that were killed go first."""
    place = Path(tempfile.gettempdir())
    for left in place.glob(f"{FOLDER}*/{HELD}"):
        with contextlib.suppress(OSError, Timeout), FileLock(left, blocking=False):
            _clear(left.parent)
    begun = Path(tempfile.mkdtemp(prefix="begun-", dir=place))
    folder = begun.with_name(FOLDER + begun.name.removeprefix("begun-"))
    try:
        with FileLock(begun / HELD):
            begun.rename(folder)  # it has its name only when it is held
            yield str(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _start(ray: Any, totals: dict[str, float], folder: str) -> None:
    try:
        ray.init(
            address="local",
            num_cpus=totals.pop("CPU"),
            num_gpus=totals.pop("GPU"),
            resources=totals,
            object_store_memory=STORE_BYTES,
            include_dashboard=False,
            log_to_driver=False,
            logging_level="ERROR",
            namespace="backtracking",
            _node_ip_address="127.0.0.1",
            _temp_dir=folder,
        )
    except Exception as error:  # Ray has no class of its own for this
        raise UserError(
            "run.executor: Ray did not start on this machine",
            str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__,
            "try again when the machine is less busy (Ray waits half a minute), or start a cluster with "
            "`ray start --head` and give --address",
        ) from error


@contextmanager
def variables_set(settings: dict[str, str]) -> Iterator[None]:
    """Variables that hold inside the block."""
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
