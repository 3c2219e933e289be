"""A cluster that stands for as long as tests need it, and the processes that a command leads."""

import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from backtracking.engine.executor.cluster import ALONE, QUIET, variables_set

ROOT = Path(__file__).parents[2]
"""Workers find there what tests define."""
STARTING = 400.0
"""Seconds that Ray may take to come up, also on a machine that is busy with other tests."""


@contextmanager
def standing_cluster(folder: Path, cpus: int) -> Iterator[str]:
    """The address of a cluster on the loopback; this process and its children hold the token."""
    log = folder / "ray.log"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block", f"--port={port}"]
    command += [f"--num-cpus={cpus}", "--num-gpus=0", "--include-dashboard=false"]
    command += ["--node-ip-address=127.0.0.1", "--object-store-memory=100000000", "--disable-usage-stats"]
    own = {
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]),
    }
    with variables_set(QUIET | ALONE | own), log.open("w") as said:
        head = subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT)
        try:
            deadline = time.monotonic() + STARTING
            while "Ray runtime started" not in log.read_text():
                assert head.poll() is None and time.monotonic() < deadline, log.read_text()
                time.sleep(0.2)
            yield f"127.0.0.1:{port}"
        finally:
            head.terminate()
            head.wait(60)


def session_of(leader: int) -> list[int]:
    """Every live process of a session."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == leader and fields[0] != "Z":
            found.append(int(folder.name))
    return found
