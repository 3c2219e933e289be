"""Trackers are told what stages found, offline too; no key is written, no trouble of theirs ends a run."""

import json
import os
import shutil
import socket
import sqlite3
import struct
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from backtracking.artifacts.phase1 import EVENTS, SUMMARY
from backtracking.config.load import load_config
from backtracking.doors.told import Told, numbers_by_place
from backtracking.doors.tracking import Tracking
from backtracking.errors import UserError
from backtracking.run.meta import RunMeta
from backtracking.run.paths import RunPaths
from backtracking.run.progress import Quiet
from tests.explore.conftest import type_command

KEYS = {"WANDB_API_KEY": "4f7cplantedkey" + "a" * 26, "HF_TOKEN": "hf_plantedtokenplanted"}


@pytest.fixture
def listener():
    """A server that notes whoever comes to it."""
    server, heard = socket.create_server(("127.0.0.1", 0)), []

    def listen():
        while True:
            try:
                client, _ = server.accept()
            except OSError:
                return
            heard.append(client.recv(100))
            client.close()

    threading.Thread(target=listen, daemon=True).start()
    yield f"http://127.0.0.1:{server.getsockname()[1]}", heard
    server.close()


@pytest.fixture
def tracked(folder, tmp_path, listener, monkeypatch):
    """Runs a stage of a copied run under a tracker, in a process of its own, with keys in the environment."""
    shutil.copytree(folder / "runs/demo", tmp_path / "runs/demo")
    monkeypatch.chdir(tmp_path)
    address, heard = listener
    server = {"WANDB_BASE_URL": address, "TRACKIO_SERVER_URL": f"{address}/?write_token=plantedwritetoken"}

    def run(tracker):
        clean = {name: value for name, value in os.environ.items() if not name.startswith("WANDB")}
        env = clean | KEYS | server | {"HF_HUB_OFFLINE": "1", "HOME": str(tmp_path / "home")}
        words = ("detect-events", "--run-id", "demo", "--force", "--set", f"tracking={tracker}")
        done = subprocess.run(
            [sys.executable, "-m", "backtracking.cli", *words],
            env=env, check=False, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        said = done.stdout + done.stderr
        assert "nothing more is tracked" not in said, said
        assert heard == []
        assert_nothing_planted(tmp_path, said)
        return said

    return run


def assert_nothing_planted(folder, said):
    """No file holds a key, and none was shown."""
    secrets = [value.encode() for value in (*KEYS.values(), "plantedwritetoken")]
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert len(files) > 20
    assert [path for path in files if any(secret in path.read_bytes() for secret in secrets)] == []
    assert not any(secret in said.encode() for secret in secrets)


def expected():
    """What `detect-events` found, by where it stands in its JSON."""
    return {
        f"detect-events/{name}": value
        for name, value in numbers_by_place(Path("runs/demo") / SUMMARY.name).items()
    }


def logged(data):
    """The records of wandb's log: blocks of 32 KiB, each piece with a checksum, a length and a kind."""
    at, whole = 7, b""
    while len(data) - at >= 7:
        left = 32768 - at % 32768
        if left < 7:
            at += left
            continue
        _, length, kind = struct.unpack_from("<IHB", data, at)
        whole += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # a whole record, or the last piece of one
            yield whole
            whole = b""


def test_wandb_keeps_numbers_tables_and_figures_offline(tracked):
    pytest.importorskip("wandb", reason="wandb is not installed: pip install backtracking[wandb]")
    from wandb.proto import wandb_internal_pb2

    said = tracked("wandb")
    assert "wandb sync" in said
    (file,) = Path("runs/demo/tracking").rglob("*.wandb")
    assert not any(path.is_symlink() for path in Path("runs/demo").rglob("debug-core*"))
    RunPaths(Path("runs"), "demo").refuse_links_out()
    history, artifacts = {}, []
    for data in logged(file.read_bytes()):
        record = wandb_internal_pb2.Record()
        record.ParseFromString(data)
        for item in record.history.item:
            history["/".join(item.nested_key) or item.key] = json.loads(item.value_json)
        if record.HasField("artifact"):
            artifacts.append(record.artifact)
        elif record.request.HasField("log_artifact"):
            artifacts.append(record.request.log_artifact.artifact)
    assert expected().items() <= history.items() and expected()
    shown = {name.removesuffix("/_type") for name in history if name.endswith("/_type")}
    assert {"detect-events/accuracy_by_cap", "detect-events/backtracking_vs_accuracy"} <= shown
    kept = {entry.path for artifact in artifacts for entry in artifact.manifest.contents}
    assert EVENTS.file in kept


def test_trackio_keeps_numbers_tables_and_figures(tracked):
    pytest.importorskip("trackio", reason="trackio is not installed: pip install backtracking[trackio]")
    said = tracked("trackio")
    assert "trackio show" in said
    with sqlite3.connect("runs/.trackio/backtracking.db") as database:
        rows = [json.loads(row) for (row,) in database.execute("SELECT metrics FROM metrics")]
    (found,) = [row for row in rows if "detect-events/rows" in row]
    assert expected().items() <= found.items()
    kinds = {name: value["_type"] for name, value in found.items() if isinstance(value, dict)}
    assert kinds["detect-events/accuracy_by_cap"] == "trackio.table"
    assert kinds["detect-events/backtracking_vs_accuracy"] == "trackio.image"
    assert any(Path("runs/.trackio/artifacts").rglob("*"))


class Saying(Quiet):
    def __init__(self):
        self.said = []

    def say(self, message):
        self.said.append(message)


class Broken:
    """A tracker that fails at its second word."""

    def __init__(self):
        self.told = []

    def tell(self, told: Told):
        if self.told:
            raise RuntimeError("out of reach\nat length")
        self.told.append(told)

    def close(self):
        raise AssertionError("it was given up before")


def test_a_tracker_in_trouble_is_given_up_and_the_run_goes_on(inside):
    reporter, broken = Saying(), Broken()
    opened = Tracking(reporter, lambda: broken)
    record = RunMeta.load(inside / "runs/demo/meta.json").stages["detect-events"]
    for _ in range(3):
        opened.tell("detect-events", record, inside / "runs/demo")
    opened.close()
    assert [told.stage for told in broken.told] == ["detect-events"]
    assert {path.suffix for path in broken.told[0].figures} == {".png"} and broken.told[0].tables
    assert reporter.said == ["  note: nothing more is tracked (RuntimeError: out of reach)"]


def test_one_that_does_not_start_is_said_too():
    def start():
        raise OSError("no")

    reporter = Saying()
    Tracking(reporter, start).close()
    assert len(reporter.said) == 1


def test_other_trackers_and_missing_packages_are_refused(inside, tmp_path, monkeypatch, capsys):
    config = tmp_path / "c.yaml"
    config.write_text("extends: demo\ntracking: mlflow\n")
    with pytest.raises(UserError, match="tracking"):
        load_config(config)
    monkeypatch.setattr("backtracking.doors.extras.find_spec", lambda _: None)
    with pytest.raises(AssertionError):
        type_command("detect-events", "--run-id", "demo", "tracking=wandb")
    assert "pip install 'backtracking[wandb]'" in capsys.readouterr().err
