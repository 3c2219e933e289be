"""A stage that is run for another prompt format: its tables replace the earlier ones, and that is told."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import pytest

from backtracking.artifacts import readings
from backtracking.claims.evidence import Evidence
from backtracking.config.load import load_config
from backtracking.errors import UserError
from backtracking.reports.page import Page
from backtracking.reports.render import as_markdown
from backtracking.run.meta import RunMeta
from backtracking.run.paths import RunPaths
from backtracking.stages.base import Result, RunContext, Stage
from backtracking.stages.execute import execute, status_of
from backtracking.stages.init_run import init_run
from backtracking.stages.origin import with_other_variants
from backtracking.stages.phase1.fixed_prefixes import FixedPrefixes
from backtracking.stages.phase1.generate import Generate

CONFIG = Path(__file__).parents[2] / "configs" / "demo.yaml"
MAIN, OTHER = "baseline_think_newline", "no_think_tags"


@dataclass(frozen=True)
class Lens(Stage):
    """Writes the lens's table, the one file of all prompt formats."""

    variant: str

    name: ClassVar[str] = "lens"
    phase: ClassVar[int] = 1
    config_keys: ClassVar[tuple[str, ...]] = ()

    def inputs(self, ctx):
        return []

    def outputs(self, ctx):
        return [readings.LENS.path(ctx.paths)]

    def run(self, ctx):
        for path in self.outputs(ctx):
            path.parent.mkdir(exist_ok=True)
            path.write_text(f"variant\n{self.variant}\n")
        return Result(rows=1)


@pytest.fixture
def ctx(tmp_path):
    loaded = load_config(CONFIG, [f"run.output_dir={tmp_path / 'runs'}"])
    paths = RunPaths(tmp_path / "runs", "some")
    init_run(loaded, paths)
    return RunContext(loaded, paths, RunMeta.load(paths.meta), pipeline=(Lens(MAIN),))


def standing(ctx):
    return {
        stage.key: (at.state, at.reason)
        for stage in with_other_variants(ctx)
        if (at := status_of(stage, ctx))
    }


def kept(ctx):
    return {path.name: path.read_text().split()[1] for path in ctx.paths.analysis.glob("*.previous*")}


def test_the_replaced_result_is_stale_and_both_are_listed(ctx):
    execute(Lens(MAIN), ctx)
    assert standing(ctx) == {f"lens[{MAIN}]": ("done", "")}
    execute(Lens(OTHER), ctx)
    assert standing(ctx) == {
        f"lens[{MAIN}]": ("stale", f"its tables now hold {OTHER}"),
        f"lens[{OTHER}]": ("done", ""),
    }
    assert not execute(Lens(MAIN), ctx).skipped
    assert standing(ctx) == {
        f"lens[{MAIN}]": ("done", ""),
        f"lens[{OTHER}]": ("stale", f"its tables now hold {MAIN}"),
    }


def test_a_prompt_format_that_the_config_has_no_more_is_not_listed(ctx):
    ctx.meta.stages["lens[gone]"] = ctx.meta.stages["other[no_think_tags]"] = None
    assert with_other_variants(ctx) == [Lens(MAIN)]


def test_each_replaced_table_is_kept_once(ctx):
    for variant in (MAIN, OTHER, MAIN, OTHER, MAIN):
        execute(Lens(variant), ctx)
    assert kept(ctx) == {"logit_lens.previous.csv": MAIN, "logit_lens.previous1.csv": OTHER}
    execute(Lens(MAIN), ctx, force=True)
    assert len(kept(ctx)) == 2, "a result of the same prompt format is written over"


@pytest.mark.parametrize("variant", [MAIN, OTHER])
def test_a_report_names_the_format_of_a_table_that_is_not_of_the_main_one(variant, ctx, tmp_path):
    execute(Lens(variant), ctx)
    page = Page("Some", evidence=Evidence(ctx.paths), path=tmp_path / "some.md", main_variant=MAIN)
    page.section_of(readings.LENS, "Lens")
    said = f"`logit_lens.csv` holds the prompt format `{OTHER}`, not the main one, `{MAIN}`."
    assert (said in as_markdown(page)) == (variant == OTHER)


@pytest.mark.parametrize("stage", [Generate(OTHER, "targeted_ablation"), FixedPrefixes(OTHER)])
@pytest.mark.parametrize("told", [True, False])
def test_what_another_format_selected_is_not_removed(stage, told, ctx):
    ctx.paths.analysis.mkdir(exist_ok=True)
    readings.SELECTED.write(ctx.paths, {"attn": [5], "mlp": []})
    if told:  # an earlier implementation did not write it down
        readings.SELECTION.write(ctx.paths, {"variant": MAIN})
    replace(stage, variant=MAIN).check(ctx)
    if not told:
        stage.check(ctx)
        return
    with pytest.raises(UserError, match=f"selected in {MAIN}, not in {OTHER}") as refused:
        stage.check(ctx)
    assert f"ablation-scan --run-id some --variant {OTHER}" in refused.value.next_step


@pytest.mark.slow
def test_a_run_refuses_them_and_records_nothing(run, cli):
    before = Path("runs/demo/meta.json").read_bytes()
    for command in (["generate", "--condition", "targeted_ablation"], ["fixed-prefixes"]):
        refused = cli(*command, "--run-id", "demo", "--variant", OTHER)
        assert refused.code == 2 and f"selected in {MAIN}, not in {OTHER}" in refused.err
    assert Path("runs/demo/meta.json").read_bytes() == before


@pytest.mark.slow
def test_status_and_report_of_a_study_tell_it(run, cli):
    made = cli("compare-conditions", "--run-id", "demo", "--variant", "think_same_line")
    assert made.code == 0, made.err
    told = json.loads(cli("status", "--run-id", "demo", "--json").out)["stages"]
    states = {one["stage"]: one["state"] for one in told if one["stage"].startswith("compare-conditions")}
    assert states == {f"compare-conditions[{MAIN}]": "stale", "compare-conditions[think_same_line]": "done"}
    assert cli("make-report", "--run-id", "demo").code == 0
    report = Path("runs/demo/reports/backtracking_state_transition_report.md").read_text()
    assert "holds the prompt format `think_same_line`, not the main one" in report
