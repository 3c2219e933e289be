"""The folder of a cluster of one's own goes with the process that made it, or with the next start."""

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from backtracking.engine.executor import cluster
from backtracking.engine.executor.cluster import FOLDER, _own_folder

DIES = """
import os, signal
from backtracking.engine.executor.cluster import _own_folder
with _own_folder() as folder:
    print(folder, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    yield tmp_path
    tempfile.tempdir = None


def test_what_a_killed_process_left_goes_and_what_is_in_use_stays(place):
    done = subprocess.run([sys.executable, "-c", DIES], check=False, capture_output=True, text=True)
    left = Path(done.stdout.strip())
    assert left.is_dir() and left.parent == place and left.name.startswith(FOLDER), done.stderr
    of_others = place / f"{FOLDER}of-another-program"
    of_others.mkdir()
    with _own_folder() as first, _own_folder() as second:
        assert not left.exists()
        assert Path(first).is_dir() and Path(second).is_dir()
    assert list(place.iterdir()) == [of_others]


def test_what_is_still_written_in_goes_later(place, monkeypatch):
    """Ray's agents outlive a killed process for a while."""
    done = subprocess.run([sys.executable, "-c", DIES], check=False, capture_output=True, text=True)
    left = Path(done.stdout.strip())
    (left / "session" / "logs").mkdir(parents=True)
    (left / "session_latest").symlink_to(left / "session")
    with monkeypatch.context() as busy:
        busy.setattr(cluster.shutil, "rmtree", lambda *_, **__: None)
        with _own_folder():
            assert (left / "session").is_dir()
    with _own_folder():
        assert not left.exists()
