"""What stages open, write and read of the config is what their records say, seen by the interpreter."""

import json
from pathlib import Path

import pandas as pd
import pytest

from backtracking.artifacts.registry import TABLES
from backtracking.stages import plan  # noqa: F401 (so that all stages are there)
from backtracking.stages.base import Stage
from tests.foundation.study import PHASES, record

pytestmark = pytest.mark.slow

OF_THE_RUN = {"meta.json", ".lock"}
"""The run's own record and its lock: no result depends on them."""
OF_FIGURES = {"detect-events": "prompting.formatting_variants"}
"""Figures take the formats' order, else the margin, from the config file: their stage depends on the key."""
OF_STOPPED_SWEEPS = {"problems_in_full", "nominal_level", "problems", "why_stopped"}
"""Columns of sweeps and searches with `phase2.stop_early`; their own tests have them."""
NEUTRAL = {
    "analysis.batch_tokens",
    "dataset.save_path",
    "generation.batch_size",
    "generation.shard_rows",
    "model.use_cache",
    "run.executor",
    "run.output_dir",
}
"""Keys that decide where files lie, who works, or how much is done at once, never what comes out."""


def audited(folder, run):
    """Each stage with its record and with what was seen of it."""
    records = record(folder, run)
    seen = json.loads((folder / f"{run}.json").read_text())
    assert len(seen) >= 8
    return [(key, records[key], log) for key, log in seen.items()]


def known(stage):
    """Files of a record, inputs and outputs, without the parts."""
    return {name.partition("[")[0] for name in [*stage["inputs"], *stage["outputs"]]}


def name_of(path, folder, run):
    """A path as records name it; none outside both run folders."""
    for prefix, root in (("", folder / "runs" / run), ("phase 1: ", folder / "runs/demo")):
        if Path(path).is_relative_to(root):
            return prefix + Path(path).relative_to(root).as_posix()
    return None


def test_every_stage_was_watched(finished):
    seen = {key.partition("[")[0] for run in PHASES for key, _, _ in audited(finished, run)}
    ours = [kind for kind in Stage.__subclasses__() if kind.__module__.startswith("backtracking.")]
    assert {kind.name for kind in ours} == seen


@pytest.mark.parametrize("run", PHASES)
def test_no_stage_opens_a_file_that_its_record_lacks(run, finished):
    opened_in_all = 0
    for key, stage, log in audited(finished, run):
        opened = {name_of(path, finished.resolve(), run) for path in log["opened"]} - {None}
        opened = {name for name in opened if not Path(name.removeprefix("phase 1: ")).name.startswith(".")}
        opened = {name for name in opened if name.removeprefix("phase 1: ") not in OF_THE_RUN}
        opened_in_all += len(opened)
        opened -= known(stage)
        if "config_resolved.yaml" in opened:
            asked = OF_FIGURES.get(key, "phase2.accuracy_margin")
            assert any(f"{asked}.".startswith(f"{held}.") for held in stage["config"]), key
        assert opened <= {"config_resolved.yaml"}, key
    assert opened_in_all > 60, "the hook sees the files"


@pytest.mark.parametrize("run", PHASES)
def test_no_stage_writes_a_file_that_it_does_not_call_its_own(run, finished):
    for key, stage, log in audited(finished, run):
        made = {name.partition("[")[0] for name in stage["outputs"]}
        assert set(log["written"]) - OF_THE_RUN <= made, key


@pytest.mark.parametrize("run", PHASES)
def test_no_stage_reads_a_setting_that_it_does_not_depend_on(run, finished):
    read_in_all = 0
    for key, stage, log in audited(finished, run):
        values = stage["config"]
        chosen = {"prompting.formatting_variants"} if "variant" in values else set()
        read = set(log["config"]) - NEUTRAL - chosen - {"phase2"}
        read_in_all += len(read)
        undeclared = {name for name in read if not any(f"{held}.".startswith(f"{name}.") for held in values)}
        assert undeclared == set(), key
    assert read_in_all > 20, "the sections are watched"


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.file)
def test_tables_have_the_columns_that_are_declared(table, finished):
    found = [path for run in PHASES if (path := finished / "runs" / run / table.name).exists()]
    if not found:
        pytest.skip("made by a command of its own")
    written = pd.read_csv(found[0])
    assert table.foreign(written) == []
    paired = [
        name for name in table.lacks(written) if not name.startswith(("accuracy_no_worse", "accuracy_min"))
    ]
    paired = [name for name in paired if name not in OF_STOPPED_SWEEPS]
    if table.stem == "confirm_results" and set(written["role"]) == {"baseline"}:
        paired = [name for name in paired if not name.endswith(("_diff", "_deciding_problems"))]
    assert paired == []
