"""The stages from files to files: contracts, resuming, freshness."""

import json

import pandas as pd
import pytest
import torch

from backtracking import io
from backtracking.modeling import LoadedModel
from backtracking.stages.ablation_scan import AblationScan
from backtracking.stages.direction import Direction
from backtracking.stages.execute import execute, status_of
from backtracking.stages.logit_lens import LogitLens

from .worlds import VARIANT, Plant, Rows, planted, write_run


@pytest.fixture(scope="module")
def ctx(tmp_path_factory):
    return write_run(
        tmp_path_factory.mktemp("stages"), planted(Plant()), Rows().build(), topk_layers_for_generation=2
    )


def test_logit_lens_writes_the_contract(ctx):
    execute(LogitLens(VARIANT), ctx)
    table = pd.read_csv(ctx.paths.table("logit_lens.csv"))
    assert list(table.columns[:8]) == [
        "layer", "mean_target_logit_bt", "mean_target_logit_control", "std_bt", "std_control", "n_bt",
        "n_control", "control_matching",
    ]  # fmt: skip
    assert len(table) == 12
    summary = json.loads(ctx.paths.table("logit_lens.json").read_text())
    assert summary["first_separating_layer"]["matched_row"] == 4
    assert set(summary["families"][" Wait"].values()) == {"Wait", " Wait", " wait"}
    assert len(pd.read_csv(ctx.paths.table("controls.csv"))) == 48
    for name in ("wait_logit_lens_bt_vs_control", "logit_lens_window"):
        assert ctx.paths.figure(name).stat().st_size > 10_000
        assert ctx.paths.proposal_figure(name).exists()
    assert status_of(LogitLens(VARIANT), ctx).state == "done"


def test_ablation_scan_writes_the_contract(ctx):
    execute(AblationScan(VARIANT), ctx)
    table = pd.read_csv(ctx.paths.table("ablation_importance.csv"))
    assert list(table.columns[:5]) == [
        "layer", "component", "delta_wait_logit_mean", "delta_wait_logit_std", "n_events",
    ]  # fmt: skip
    assert len(table) == 12 and (table["n_events"] == 24).all()
    picked = json.loads(ctx.paths.selected_layers.read_text())
    assert set(picked) == {"attn", "mlp"} and picked["mlp"][0] == 4 and picked["attn"][0] == 1
    details = json.loads(ctx.paths.table("ablation_selection.json").read_text())
    assert details["selected"]["selectivity"] == picked
    assert details["localisation"]["zero"]["selectivity"]["localised"]
    assert set(pd.read_csv(ctx.paths.table("ablation_modes.csv"))["mode"]) == {"zero", "mean"}
    assert ctx.paths.figure("ablation_importance_by_layer").stat().st_size > 10_000


def test_other_conditions_leave_the_results_fresh(ctx):
    execute(LogitLens(VARIANT), ctx)
    table = pd.read_csv(ctx.paths.events)
    more = pd.concat([table, table.assign(condition="targeted_ablation")])
    more.to_csv(ctx.paths.events, index=False)
    assert execute(LogitLens(VARIANT), ctx).skipped
    table.assign(is_correct="False").to_csv(ctx.paths.events, index=False)
    assert status_of(LogitLens(VARIANT), ctx).state == "stale"
    table.to_csv(ctx.paths.events, index=False)


def test_an_interrupted_scan_goes_on(ctx, monkeypatch):
    execute(AblationScan(VARIANT), ctx, force=True)
    work = ctx.paths.work(f"ablation-scan-{VARIANT}-blocks")
    whole = work.read_bytes()
    before = pd.read_csv(ctx.paths.table("ablation_importance.csv"))
    work.write_bytes(whole[: len(whole) // 2])
    read: list[int] = []
    original = io.JsonlAppender.append
    monkeypatch.setattr(
        io.JsonlAppender, "append", lambda self, row: (read.append(1), original(self, row))[1]
    )
    execute(AblationScan(VARIANT), ctx, force=True)
    assert 0 < len(read) < 48
    after = pd.read_csv(ctx.paths.table("ablation_importance.csv"))
    pd.testing.assert_frame_equal(after, before, atol=1e-4, rtol=1e-3)


def test_partial_results_of_other_settings_are_not_used(ctx):
    execute(AblationScan(VARIANT), ctx, force=True)
    other = write_run(
        ctx.paths.output_dir.parent,
        planted(Plant()),
        Rows().build(),
        ablation_modes=("scale",),
        ablation_scale=1.0,
    )
    execute(AblationScan(VARIANT), other, force=True)
    table = pd.read_csv(other.paths.table("ablation_importance.csv"))
    assert table["delta_logit"].abs().max() < 1e-6, "scale 1 changes nothing"


def test_without_controls_the_effect_decides_and_it_is_said(tmp_path):
    ctx = write_run(tmp_path, planted(Plant()), Rows().build(), control_samples=0, ablation_modes=("zero",))
    execute(LogitLens(VARIANT), ctx)
    execute(AblationScan(VARIANT), ctx)
    assert ctx.meta.stages[AblationScan(VARIANT).key].notes["selected_by"] == "effect"
    assert json.loads(ctx.paths.selected_layers.read_text())["mlp"][0] == 4


def test_heads_and_positions_add_tables_to_the_same_result(ctx):
    stage = AblationScan(VARIANT, heads=True, positions=True)
    execute(AblationScan(VARIANT), ctx)
    skipped = [execute(each, ctx).skipped for each in (stage, stage, AblationScan(VARIANT))]
    assert skipped == [False, True, True]
    heads = pd.read_csv(ctx.paths.table("ablation_heads.csv"))
    strongest = heads.loc[heads["selectivity"].idxmax()]
    assert (strongest["layer"], strongest["head"]) == (1, 2)
    positions = pd.read_csv(ctx.paths.table("ablation_positions.csv"))
    here = positions[positions["position"] == 0].set_index(["component", "layer"])["delta_log_odds"]
    before = positions[positions["position"] < 0]["delta_log_odds"]
    assert here["mlp", 4] < -2 and before.abs().max() < 0.5, "the plant works at the deciding position only"
    direct = pd.read_csv(ctx.paths.table("direct_effects.csv"))
    assert direct.loc[direct["direct"].idxmax(), ["component", "layer"]].tolist() == ["mlp", 4]
    assert len(pd.read_csv(ctx.paths.table("pair_interactions.csv"))) >= 1


def test_the_tuned_lens_fits_its_translators_on_other_rows(tmp_path):
    rows = Rows(problems=10, samples=6).build()
    ctx = write_run(tmp_path, planted(Plant()), rows, lens="tuned", max_events=6, control_samples=6)
    execute(LogitLens(VARIANT), ctx)
    assert ctx.paths.table("lens_translators.safetensors").stat().st_size > 1000
    table = pd.read_csv(ctx.paths.table("logit_lens.csv")).query("control_matching == 'matched_row'")
    assert table["family_diff"].iloc[-1] > 2


def test_all_of_it_runs_in_bfloat16(tmp_path):
    loaded = planted(Plant())
    half = LoadedModel.wrap(loaded.model.to(torch.bfloat16), loaded.tokenizer, "half")
    ctx = write_run(
        tmp_path, half, Rows(problems=8).build(), ablation_modes=("zero", "mean", "resample", "scale")
    )
    for stage in (LogitLens(VARIANT), AblationScan(VARIANT, heads=True, positions=True), Direction(VARIANT)):
        execute(stage, ctx)
    picked = json.loads(ctx.paths.selected_layers.read_text())
    assert picked["mlp"][0] == 4 and picked["attn"][0] == 1
    summary = json.loads(ctx.paths.table("logit_lens.json").read_text())
    assert summary["first_separating_layer"]["matched_row"] == 4
