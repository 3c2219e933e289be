"""A small study of both phases, open in the explorer, and a browser to look at it with."""

import os
import re
import shutil
import sys
import threading
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from backtracking.api.runs import open_run
from backtracking.cli import main
from backtracking.explore.explorer import Explorer
from tests.explore.visit import Visit

SMALL = (
    "dataset.max_examples=10",
    "generation.num_samples_per_prompt=2",
    "ablation_generation.random_draws=2",
)
PHASE1 = ("analysis.max_events=8", "analysis.control_samples=8", "generation.logprobs=with_entropy")
PHASE2 = (
    "phase2.max_examples=8",
    "phase2.num_samples_per_prompt=2",
    "phase2.subset_sweep.subsets={attn_last: [[attn, 5]], no_trigger_tokens: {suppress_triggers: true}, "
    "random_attn: {random_like: attn_last, draws: 2}}",
    "phase2.scale_sweep.scales=[0.0]",
    "phase2.continuation_ablation.max_events=8",
    "phase2.parting_probabilities=true",
)
COMMANDS = (
    ("init-run", "-c", "demo", *SMALL, *PHASE1),
    ("prepare-data",),
    ("generate",),
    ("detect-events",),
    ("logit-lens",),
    ("ablation-scan",),
    ("error-injection",),
    ("init-run", "-c", "demo_phase2", *SMALL, *PHASE1, *PHASE2),
    ("phase2-subset-sweep",),
    ("phase2-scale-sweep",),
    ("phase2-specificity",),
    ("phase2-continuation-ablation",),
)


SETTING = re.compile(r"[a-z0-9_.]+=")


def type_command(*arguments):
    """Run a command in this process, as typed; settings are written as KEY=VALUE."""
    words = [part for word in arguments for part in (("--set", word) if SETTING.match(word) else (word,))]
    before, sys.argv = sys.argv, ["backtracking", *words]
    try:
        main()
    except SystemExit as stop:
        assert not stop.code, f"{arguments}: {stop.code}"
    finally:
        sys.argv = before


def type_commands(commands, folder):
    """Run commands in a folder, one after the other."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        for command in commands:
            type_command(*command)
    finally:
        os.chdir(before)


@pytest.fixture(scope="session")
def folder(made_once, tmp_path_factory):
    """Where both runs lie: a copy of this process's own."""
    made = made_once("explored", partial(type_commands, COMMANDS))
    return shutil.copytree(made, tmp_path_factory.mktemp("explored") / "copy")


@pytest.fixture(scope="session")
def explorer(folder):
    opened = Explorer(open_run(folder / "runs" / "demo-phase2").studies())
    yield opened
    opened.close()


@contextmanager
def serving(opened):
    """The address of an explorer that is served."""
    uvicorn = pytest.importorskip(
        "uvicorn", reason="uvicorn is not installed: pip install backtracking[explore]"
    )
    from backtracking.explore.server import listen, make_app

    bound = listen(0)
    port = bound.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(make_app(opened, port), log_level="warning"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{port}/"
    finally:
        server.should_exit = True
        thread.join(timeout=20)


@pytest.fixture(scope="session")
def address(explorer):
    with serving(explorer) as found:
        yield found


@pytest.fixture(scope="session")
def chromium():
    """A headless Chromium of this machine's own; nothing is downloaded."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if path is None:
        pytest.skip("no chromium on this machine (apt-get install chromium): the pages were not looked at")
    with sync_api.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium):
    """Opens pages; afterwards each must have behaved."""
    visits = []

    def start(**how):
        visits.append(Visit(chromium, **how))
        return visits[-1]

    yield start
    for one in visits:
        one.well_behaved()
