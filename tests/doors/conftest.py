"""A small study of both phases, for everything that leaves it."""

import json
import shutil

import pytest

from tests.explore.conftest import type_commands

SMALL = (
    "dataset.max_examples=8",
    "generation.num_samples_per_prompt=2",
    "generation.logprobs=with_entropy",
    "generation.max_new_tokens=96",
    "ablation_generation.random_draws=2",
)
SUBSETS = (
    "phase2.max_examples=8",
    "phase2.num_samples_per_prompt=2",
    "phase2.subset_sweep.subsets={attn_last: [[attn, 5]], no_direction: [{component: resid, layer: 3, "
    "mode: project, strength: 1.0, vector: onset_deciding_3}], no_trigger_tokens: {suppress_triggers: true}}",
)
COMMANDS = (
    ("init-run", "-c", "demo", *SMALL, "analysis.max_events=8", "analysis.control_samples=8"),
    ("prepare-data",),
    ("generate", "--variant", "baseline_think_newline"),
    ("generate", "--variant", "no_think_tags"),
    ("detect-events",),
    ("ablation-scan",),
    ("direction",),
    ("init-run", "-c", "demo_phase2", *SMALL, *SUBSETS),
    ("phase2-subset-sweep",),
)
TRACES = (
    {"id": "a", "question": "What is 2+3?", "gold": "5", "text": "2+3=6. Wait, 2+3=5.</think>\n\n\\boxed{5}"},
    {"id": "b", "question": "1+1?", "gold": "2", "text": "It is 2 — “so” ☂.\n\nThe answer is \\boxed{3}."},
)


def make(folder):
    """The runs `demo`, `demo-phase2`, and `imported`."""
    (folder / "traces.jsonl").write_text("".join(json.dumps(trace) + "\n" for trace in TRACES))
    type_commands((*COMMANDS, ("import-traces", "traces.jsonl", "--run-id", "imported")), folder)


@pytest.fixture(scope="session")
def folder(made_once, tmp_path_factory):
    """Where the runs lie: a copy of this process's own."""
    return shutil.copytree(made_once("left", make), tmp_path_factory.mktemp("left") / "copy")


@pytest.fixture
def inside(folder, monkeypatch):
    """The same, as the working folder."""
    monkeypatch.chdir(folder)
    return folder
