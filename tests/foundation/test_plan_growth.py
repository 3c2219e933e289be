"""What `run --dry-run` promises of runs that grow, and of small ones, is what is then done, or its bound."""

import json
from dataclasses import replace

import pandas as pd
import pytest

from backtracking.artifacts import phase1 as files
from backtracking.artifacts import readings
from backtracking.cli.session import Request, asked_run
from backtracking.stages.phase1.fixed_prefixes import FixedPrefixes
from backtracking.stages.phase1.generate import Generate
from tests.foundation.test_plan import by_stage, lines, told

MAIN = "baseline_think_newline"
STEP = f"generate[{MAIN}/baseline]"


@pytest.mark.parametrize(
    ("key", "count", "action"),
    [("dataset.max_examples", 12, "check"), ("generation.num_samples_per_prompt", 3, "run")],
)
def test_a_grown_run_generates_the_rows_that_were_promised(
    cli, generated, small_config, workdir, key, count, action
):
    grown = ("-c", small_config, "--set", f"{key}={count}")
    step = by_stage(told(cli, "run", *grown, "--dry-run"))[STEP]
    before = lines(workdir / "runs/small", f"generations/{MAIN}/baseline.jsonl")
    assert before == 16
    assert (step["action"], step["rows"], step["rows_at_most"]) == (action, 8, False)
    for command in ("prepare-data", "generate"):
        assert cli(command, *grown).code == 0
    record = json.loads((workdir / "runs/small/meta.json").read_text())["stages"][STEP]
    assert record["executors"] == {"local": step["rows"]}, "so many were generated, not only kept"
    assert lines(workdir / "runs/small", f"generations/{MAIN}/baseline.jsonl") == before + step["rows"]
    assert by_stage(told(cli, "run", *grown, "--dry-run"))[STEP]["action"] == "skip"


def test_formats_that_lack_rows_are_counted_by_the_problems_to_come(cli, generated, small_config, workdir):
    (workdir / "runs/small/generations/no_think_tags/baseline.jsonl").unlink()
    plan = told(cli, "run", "-c", small_config, "--set", "dataset.max_examples=12", "--dry-run")
    assert by_stage(plan)["generate[no_think_tags/baseline]"]["rows"] == 24


def test_other_problems_are_promised_anew(cli, generated, small_config):
    step = by_stage(told(cli, "run", "-c", small_config, "--set", "dataset.seed=5", "--dry-run"))[STEP]
    assert (step["rows"], step["rows_at_most"]) == (16, True)


def test_a_shrunk_run_generates_nothing(cli, generated, small_config):
    step = by_stage(told(cli, "run", "-c", small_config, "--set", "dataset.max_examples=4", "--dry-run"))[
        STEP
    ]
    assert (step["action"], step["rows"]) == ("check", 0)


def test_onsets_sampled_again_are_those_that_there_can_be(cli, workdir):
    """Before there are rows, one of each; then, those with an onset."""
    config = workdir / "few.yaml"
    config.write_text(
        "run: {name: few, run_id: few}\nmodel: {hf_id: bundled}\n"
        "dataset: {name: tiny_arithmetic, max_examples: 4}\n"
        "generation: {num_samples_per_prompt: 2, max_new_tokens: 96, temperature: 1.0, top_p: 1.0}\n"
        "analysis: {stability_samples: 1}\nablation_generation: {enabled: false}\n"
    )
    name = f"onset-stability[{MAIN}]"
    assert by_stage(told(cli, "run", "-c", config, "--dry-run"))[name]["rows"] == 8 * 2 * 2
    for command in ("prepare-data", "generate", "detect-events"):
        assert cli(command, "-c", config).code == 0
    events = pd.read_csv(workdir / "runs/few/analysis/backtracking_events.csv")
    onsets = int(events.loc[events["variant"] == MAIN, "has_backtracking_strict"].sum())
    assert 0 < onsets < 8
    promised = by_stage(told(cli, "run", "-c", config, "--dry-run"))[name]["rows"]
    assert promised == onsets * 2 * 2
    assert cli("onset-stability", "-c", config).code == 0
    done = json.loads((workdir / "runs/few/meta.json").read_text())["stages"][name]["rows"]
    assert promised / 2 <= done <= promised, "an onset may lack a control"


def test_arms_and_prefixes_are_those_that_the_run_has(generated, small_config):
    """Until a stage ahead makes them anew, tables say what stands out, what is right and what is drawn."""
    settings = ("ablation_generation.fixed_prefixes=60", "ablation_generation.random_draws=19")
    ctx = asked_run(Request(small_config, overrides=settings))
    stage, run = FixedPrefixes(MAIN), ctx.paths
    assert stage.completions(ctx).unkept == 2 * 16 * (2 + 2 + 19)
    row = f"{MAIN},baseline"
    files.EVENTS.path(run).parent.mkdir(parents=True, exist_ok=True)
    files.EVENTS.path(run).write_text(
        f"example_id,sample_id,variant,condition,is_correct\na,0,{row},True\na,1,{row},False\nb,0,{row},\n"
    )
    readings.SELECTED.path(run).write_text('{"attn": [1], "mlp": []}')
    files.RANDOM_SETS.path(run).write_text("draw,components,collateral\n,attn 1,0\n0,attn 0,0\n1,attn 2,0\n")
    assert stage.completions(ctx).unkept == 2 * 1 * (2 + 0 + 2)
    single = Generate(MAIN, "single_ablation").completions(ctx)
    assert (sum(single.files.values()), single.at_most) == (0, False)
    ahead = replace(ctx, to_be_made=frozenset({readings.SELECTED.path(run)}))
    assert stage.completions(ahead).unkept == 2 * 1 * (2 + 2 + 2)
    readings.SELECTED.path(run).write_text('{"attn": [], "mlp": []}')
    assert stage.completions(ctx).unkept == 0


def test_bounds_are_told_as_bounds(cli, generated, small_config):
    shown = cli("run", "-c", small_config, "--dry-run").out
    assert "tokens: at most " in shown
    assert "disk:   at most about " in shown
    only = cli("run", "-c", small_config, "--dry-run", "--set", "ablation_generation.enabled=false").out
    assert "tokens: at most " in only, "onsets sampled again are a bound"
