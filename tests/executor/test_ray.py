"""The same rows, whoever makes them: this process, one worker, two, and two of which one is killed midway."""

import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import pytest

from backtracking.cli.session import Request, asked_run, run_stages
from backtracking.run.meta import RunMeta
from backtracking.run.shards import shards_of
from backtracking.stages.execute import status_of
from tests.executor.standing import STARTING, session_of, standing_cluster
from tests.foundation import study
from tests.foundation.command import CommandLine, assert_one_clear_message

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("ray") is None, reason="the extra `ray` is not installed"),
]

DEMO = Path(__file__).parents[2] / "configs/demo.yaml"
SMALL = ["dataset.max_examples=6", "generation.num_samples_per_prompt=4", "generation.max_new_tokens=60"]
ROWS = "generations/baseline_think_newline/baseline.jsonl"


@pytest.fixture(scope="session")
def address(tmp_path_factory):
    """A cluster of two CPUs on the loopback, for as long as the tests run."""
    with standing_cluster(tmp_path_factory.mktemp("ray"), cpus=2) as place:
        yield place


@pytest.fixture
def workdir(tmp_path, monkeypatch):
    """An empty folder to start commands in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def request(*settings):
    return Request(config=DEMO, run_id="r", overrides=[*SMALL, *settings], quiet=True)


def generated(workdir, *settings, watch=None):
    """The file of rows that `generate` writes in an empty folder, and the run's record of the stage."""
    from backtracking.stages.phase1.generate import Generate
    from backtracking.stages.phase1.prepare_data import PrepareData

    workdir.mkdir()
    here = Path.cwd()
    os.chdir(workdir)
    try:
        asked = request(*settings)
        ctx = asked_run(asked, may_create=True)
        if watch is not None:
            watch(ctx.executor)
        stage = Generate("baseline_think_newline", "baseline")
        run_stages(ctx, [PrepareData(), stage], asked)
        switched = asked_run(request())
        assert status_of(stage, switched).state == "done"  # whoever made it
        record = RunMeta.load(ctx.paths.meta).stages[stage.key]
        return (ctx.paths.root / ROWS).read_bytes(), record
    finally:
        os.chdir(here)


def on_ray(address, workers):
    keys = ["run.executor=ray", f"run.ray.address={address}", f"run.ray.workers={workers}"]
    return [*keys, "generation.batch_size=8"]


def killing(executor, killed):
    """Kill a worker with SIGKILL once some results are there."""
    run = executor.run

    def run_and_kill(*given, **named):
        for number, result in enumerate(run(*given, **named)):
            if number == 3:
                killed.append(next(iter(executor.identities.values())).pid)
                os.kill(killed[0], signal.SIGKILL)
            yield result

    executor.run = run_and_kill


@pytest.fixture(scope="module")
def local_rows(tmp_path_factory):
    rows, record = generated(tmp_path_factory.mktemp("local") / "run")
    assert record.executors == {"local": 24}
    return rows


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_write_the_same_rows(workers, address, tmp_path, local_rows):
    rows, record = generated(tmp_path / "run", *on_ray(address, workers))
    assert rows == local_rows
    assert record.executors == {f"ray, {workers} worker{'s' * (workers > 1)}": 24}


@pytest.mark.parametrize("kept_every", [512, 8])
def test_a_killed_worker_leaves_no_trace_in_the_rows(address, tmp_path, local_rows, kept_every, monkeypatch):
    """Another goes on with its rows, from the beginning or from where they were kept."""
    monkeypatch.setattr("backtracking.engine.generate.KEPT_EVERY", kept_every)
    killed = []
    rows, record = generated(tmp_path / "run", *on_ray(address, 2), watch=lambda on: killing(on, killed))
    assert killed
    assert rows == local_rows
    assert record.executors == {"ray, 2 workers": 24}


def test_workers_write_the_same_shards(address, tmp_path, local_rows):
    generated(tmp_path / "run", *on_ray(address, 2), "generation.shard_rows=5")
    lines = local_rows.splitlines(keepends=True)
    cut = [b"".join(lines[start : start + 5]) for start in range(0, 24, 5)]
    assert [file.read_bytes() for file in shards_of(tmp_path / "run/runs/r" / ROWS)] == cut


READINGS = {
    "demo": ["logit-lens", "ablation-scan", "direction", "error-injection"],
    "demo-phase2": ["phase2-continuation-ablation"],
}


def test_workers_read_the_same_numbers(address, made_once, tmp_path, monkeypatch):
    """Scans, readings and the onset step, done again from nothing by two workers."""
    finished = made_once("finished", study.make)
    monkeypatch.chdir(shutil.copytree(finished, tmp_path / "copy"))
    for run, names in READINGS.items():
        shutil.rmtree(f"runs/{run}/work", ignore_errors=True)
        asked = Request(run_id=run, overrides=on_ray(address, 2), quiet=True, force=True)
        ctx = asked_run(asked)
        stages = [stage for stage in ctx.pipeline if stage.name in names]
        assert {stage.name for stage in stages} == set(names)
        run_stages(ctx, stages, asked)
        records = RunMeta.load(Path(f"runs/{run}/meta.json")).stages
        assert all(set(records[stage.key].executors) == {"ray, 2 workers"} for stage in stages)
        for path in sorted(Path(f"runs/{run}/analysis").glob("*.csv")):
            assert path.read_bytes() == (finished / path).read_bytes(), path.name


def test_a_mistake_is_told_as_anywhere_else(address, capsys, monkeypatch, workdir):
    cli = CommandLine(capsys, monkeypatch)
    assert cli("prepare-data", "-c", DEMO).code == 0
    outcome = cli("generate", "-c", DEMO, "--address", address, "--set", "run.ray.cpus=64")
    assert_one_clear_message(outcome, "a worker takes 64 of CPU", "run.ray.cpus")


def test_ctrl_c_ends_a_cluster_of_its_own_and_keeps_the_rows(workdir):
    """Everything that was started is gone, nothing listened beyond the loopback, and the run resumes."""
    command = [sys.executable, "-m", "backtracking.cli", "run", "-c", str(DEMO)]
    settings = [*SMALL, "run.executor=ray", "run.ray.workers=1", "dataset.max_examples=400"]
    command += [part for setting in settings for part in ("--set", setting)]
    started = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    file = workdir / "runs/demo" / ROWS
    try:
        deadline = time.monotonic() + STARTING
        while not file.exists() or file.read_bytes().count(b"\n") < 5:
            if started.poll() is not None:
                said = started.communicate()[1]
                assert "Ray did not start on this machine" in said, said
                pytest.skip("this machine is too busy for Ray, which waits half a minute")
            assert time.monotonic() < deadline
            time.sleep(0.2)
        family = session_of(started.pid)
        beyond = [place for pid in family for place in listening(pid) if not place.startswith("127.0.0.1:")]
        os.killpg(started.pid, signal.SIGINT)
        _, said = started.communicate(timeout=STARTING)
        assert started.returncode == 130, said
        assert "Traceback" not in said and "raylet" not in said
        assert len(family) > 3
        assert not beyond
        assert not session_of(started.pid)
    finally:
        if session_of(started.pid):
            os.killpg(started.pid, signal.SIGKILL)
    record = RunMeta.load(workdir / "runs/demo/meta.json").stages["generate[baseline_think_newline/baseline]"]
    assert record.outcome == "interrupted"
    # At most the row that was just handed over is not on disk.
    assert 0 <= record.executors["ray, 1 worker"] - file.read_bytes().count(b"\n") <= 1


def test_a_joined_cluster_ends_the_workers_of_a_process_that_was_killed(address, workdir):
    command = [sys.executable, "-m", "backtracking.cli", "run", "-c", str(DEMO), "--address", address]
    settings = [*SMALL, "run.ray.workers=1", "dataset.max_examples=400"]
    command += [part for setting in settings for part in ("--set", setting)]
    started = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    file = workdir / "runs/demo" / ROWS
    try:
        deadline = time.monotonic() + STARTING
        while not file.exists() or file.read_bytes().count(b"\n") < 5:
            assert started.poll() is None and time.monotonic() < deadline
            time.sleep(0.2)
        assert workers_of(address)
    finally:
        started.kill()
        started.wait()
    while left := workers_of(address):
        assert time.monotonic() < deadline, left
        time.sleep(0.2)


def workers_of(address: str) -> list[int]:
    """The processes that work in a cluster of this machine."""
    import psutil

    found = []
    for process in psutil.process_iter(["cmdline"]):
        with suppress(psutil.Error):
            if "".join(process.info["cmdline"] or "").startswith("ray::Worker"):
                parent = process.parent()
                found += [process.pid] if parent and address in " ".join(parent.cmdline()) else []
    return found


def listening(pid: int) -> list[str]:
    """Where a process waits for connections over the network."""
    import psutil

    try:
        connections = psutil.Process(pid).net_connections(kind="inet")
    except psutil.Error:
        return []
    waiting = [one.laddr for one in connections if one.status == psutil.CONN_LISTEN]
    return [f"{place.ip.removeprefix('::ffff:')}:{place.port}" for place in waiting]


def test_one_process_starts_a_cluster_twice():
    """Ray keeps to the token of its first start."""
    code = (
        "from types import SimpleNamespace\n"
        "from backtracking.engine.executor.cluster import _own_cluster\n"
        "wanted = SimpleNamespace(own_totals=lambda: {'CPU': 1.0, 'GPU': 0.0})\n"
        "for _ in range(2):\n"
        "    with _own_cluster(wanted) as ray:\n"
        "        print(ray.cluster_resources()['CPU'])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.stdout.split() == ["1.0", "1.0"], done.stderr
