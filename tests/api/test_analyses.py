"""The analyses on rows in memory are those of the stages, to the last digit; and a run opens."""

import shutil

import pandas as pd
import pytest
import torch

import backtracking as bt
from backtracking.api.arms import ArmRecipe
from backtracking.artifacts.phase1 import GENERATIONS
from backtracking.cli.session import Request, run_stages
from backtracking.cli.session import asked_run as open_for_work
from backtracking.config.schema import AnalysisConfig
from backtracking.errors import NotTestable, UserError
from backtracking.interventions import Intervention
from backtracking.measurements.controls import draw_events
from backtracking.run.meta import RunMeta
from backtracking.run.paths import RunPaths
from backtracking.stages.phase1.ablation_scan import AblationScan
from backtracking.stages.phase1.compare_conditions import CompareConditions
from backtracking.stages.phase1.detect_events import DetectEvents
from backtracking.stages.phase1.direction import Direction
from backtracking.stages.phase1.generate import Generate
from backtracking.stages.phase1.logit_lens import LogitLens
from backtracking.stages.phase1.prepare_data import PrepareData
from backtracking.text.tokenization import TokenMap

from ..foundation.test_pipeline import CONFIGS

VARIANT = "baseline_think_newline"
STUDIED = {
    "problems": "search_half",
    "max_events": 12,
    "control_samples": 12,
    "topk_layers_for_generation": 1,
    "ablation_modes": ["mean", "zero"],
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A small run with everything up to the ablated generations."""
    folder = tmp_path_factory.mktemp("opened") / "runs"
    asked = ("dataset.max_examples=10", "generation.num_samples_per_prompt=3", f"run.output_dir={folder}")
    analysis = [f"analysis.{key}={value}" for key, value in STUDIED.items()]
    request = Request(CONFIGS / "demo.yaml", overrides=[*asked, *analysis], quiet=True)
    ctx = open_for_work(request, may_create=True)
    first = (PrepareData(), Generate(VARIANT, "baseline"), DetectEvents())
    mechanism = (LogitLens(VARIANT), AblationScan(VARIANT), Direction(VARIANT))
    ablated = (Generate(VARIANT, "targeted_ablation"), DetectEvents(), CompareConditions(VARIANT))
    run_stages(ctx, [*first, *mechanism, *ablated], request)
    return bt.open_run(ctx.paths.root)


@pytest.fixture(scope="module")
def study(lm):
    """Baseline rows with onsets in several problems."""
    return lm.generate(bt.problems(12), samples=4)


def through_csv(table, path):
    from backtracking.run import io

    io.write_csv(path, table)
    return io.read_csv(path)


@pytest.mark.slow
def test_the_same_numbers_as_the_stages(run, lm, tmp_path):
    rows = run.rows("baseline")
    found = lm.scan(rows, **STUDIED)
    for table, name in (
        (found.table, "ablation_importance"),
        (lm.lens(rows, **STUDIED).table, "logit_lens"),
        (lm.direction(rows, **STUDIED).table, "direction"),
    ):
        pd.testing.assert_frame_equal(
            through_csv(table, tmp_path / "table.csv"),
            run.table(name),
            check_exact=True,
        )
    assert found.selected == run.table("selected_layers")
    assert {"variant": VARIANT, **found.summary}["selected"] == run.table("ablation_selection")["selected"]


@pytest.mark.slow
def test_the_same_rows_and_rates_as_the_stages(run, lm):
    arms = ("baseline", "targeted_ablation")
    rows = run.rows(*arms)
    assert rows.arms == arms == run.conditions
    rates, table = rows.rates(), run.table("condition_comparison").set_index("condition")
    for column in rates:
        assert list(rates[column].astype(float).fillna(-1)) == list(table[column].astype(float).fillna(-1)), (
            column
        )
    again = lm.generate(rows.problems, samples=3)
    assert [r.completion_ids for r in again] == [r.completion_ids for r in rows["baseline"]]
    assert len(run.rows("baseline").onsets()) == (run.table("onsets")["condition"] == "baseline").sum()


@pytest.mark.slow
def test_a_run_shows_what_it_has(run):
    assert {"ablation_importance", "logit_lens", "selected_layers"} <= set(run.tables)
    picture = run.figure("ablation_importance_by_layer")
    assert picture._repr_png_().startswith(b"\x89PNG") and picture.path.exists()
    assert "ablation_importance" in run._repr_html_() and repr(run).startswith("Run(")
    for ask, known in ((run.table, "logit_lens"), (run.figure, "logit_lens_window")):
        with pytest.raises(UserError, match="has no") as caught:
            ask("nothing")
        assert known in caught.value.why
    with pytest.raises(UserError, match="no completions"):
        run.rows("random_ablation")
    with pytest.raises(UserError, match="no report"):
        _ = run.report


@pytest.mark.slow
def test_a_phase2_run_reads_its_arms_by_name_and_the_problems_of_phase1(run, tmp_path):
    shutil.copytree(run.paths.root, tmp_path / "one")
    phase2 = RunPaths(tmp_path, "two")
    folder = phase2.generations / VARIANT
    folder.mkdir(parents=True)
    shutil.copy(run.paths.config, phase2.config)
    shutil.copy(
        GENERATIONS.path(run.paths, variant=VARIANT, condition="baseline"), folder / "phase2_baseline.jsonl"
    )
    meta = RunMeta.load(run.paths.meta)
    meta.phase1_run_id, meta.dataset = "one", {}
    meta.save(phase2.meta)
    opened = bt.open_run(phase2.root)
    assert opened.conditions == ("baseline",)
    for name in ("baseline", "phase2_baseline"):
        rows = opened.rows(name)
        assert rows.problems == run.rows().problems and len(rows) == 30


def test_a_folder_that_is_no_run(tmp_path):
    with pytest.raises(UserError, match="is not a run folder"):
        bt.open_run(tmp_path)


@pytest.mark.slow
def test_results_show_and_lead_on(run, lm):
    rows = run.rows()
    scan, lens, found = (make(rows, **STUDIED) for make in (lm.scan, lm.lens, lm.direction))
    for result in (scan, lens, found):
        assert "<table" in result._repr_html_() and type(result).__name__ in repr(result)
        assert result.plot().axes
    best = scan.table.sort_values("selectivity", ascending=False).iloc[0]
    assert [(i.component, i.layer) for i in scan.arm(0.5).interventions] == [
        (best["component"], best["layer"])
    ]
    assert len(scan.arm(0.5, count=2).interventions) == 2
    steered = bt.steer(found, 0.0)
    assert steered.interventions[0].layer == found.best_layer
    again = lm.generate(rows.problems[:2], arms=[bt.baseline, steered, bt.project(found)], samples=1)
    assert again["baseline"][0].completion == again[steered.name][0].completion
    with pytest.raises(UserError, match="no direction of layer 99"):
        found.vector(99)


def test_too_little_to_study_is_said(lm, rows):
    quiet = rows.detect(["no such phrase"])
    with pytest.raises(NotTestable, match="no onsets in"):
        lm.scan(quiet)
    with pytest.raises(UserError, match="analysis: modes"):
        lm.scan(rows, modes=("zero",))


def test_analyses_are_about_the_onsets_that_were_asked_for(lm):
    rows = lm.generate(bt.problems(20), samples=4)
    kinds = rows.onsets().groupby("kind")["example_id"].nunique()
    for kind in ("strict", "redo"):
        study = rows.study_rows(kind).rows
        assert study[study["has_onset"]]["example_id"].nunique() == kinds[kind]
    strict, redo = (int(lm.lens(rows, onsets=kind).table["n_bt"].max()) for kind in ("strict", "redo"))
    assert strict != redo


def test_what_are_no_rows_is_refused(lm):
    with pytest.raises(UserError, match="not rows"):
        lm.scan(bt.problems(2))


def test_no_table_outside_the_analysis_folder_is_read(tmp_path):
    folder = tmp_path / "runs" / "one"
    (folder / "analysis").mkdir(parents=True)
    (folder / "meta.json").write_text("{}")
    (folder / "analysis" / "counts.json").write_text("[1]")
    run = bt.open_run(folder)
    assert run.table("counts") == [1]
    for name in ("../meta", str(folder / "meta"), "../analysis/counts", ""):
        with pytest.raises(UserError, match="has no table"):
            run.table(name)


def test_mean_ablation_is_that_of_a_mean_taken_by_hand(lm, study):
    """Plain forward hooks over the matched controls give the vector; rows come out the same."""
    asked = AnalysisConfig()
    events = draw_events(
        study.study_rows(), study.variant, max_events=asked.max_events, controls=asked.control_samples,
        seed=0, token_map=TokenMap(lm.tokenizer),
    )  # fmt: skip
    outputs = []
    block = lm.loaded.model.model.layers[3].mlp
    hook = block.register_forward_hook(lambda _, __, out: outputs.append(out[0, -1]))
    for event in events:
        if "matched_row" in event.controls:
            with torch.no_grad():
                lm.loaded.model(input_ids=torch.tensor([event.controls["matched_row"].seen]))
    hook.remove()
    by_hand = Intervention(component="mlp", layer=3, mode="mean", vector="by_hand")
    arm = ArmRecipe("by_hand", (by_hand,), {"by_hand": torch.stack(outputs).mean(0)})
    rows = lm.generate(bt.problems(6), arms=[bt.baseline, bt.mean("mlp", 3, study), arm], samples=2)
    texts = {name: [row.completion for row in rows[name]] for name in rows.arms}
    assert texts["mlp3mean"] == texts["by_hand"] != texts["baseline"]
    other = study.filter(lambda row: row.condition == "baseline")
    with pytest.raises(UserError, match="over different rows"):
        lm.generate(bt.problems(1), arms=[bt.mean("mlp", 3, study), bt.mean("mlp", 2, other)])
