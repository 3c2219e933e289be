"""The stages from files to files: contracts, resuming, freshness."""

import json

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from backtracking.artifacts.phase1 import EVENTS
from backtracking.artifacts.readings import SELECTED
from backtracking.claims.evidence import Evidence
from backtracking.claims.phase1 import phase1_verdicts
from backtracking.model.loading import LoadedModel
from backtracking.run import io
from backtracking.run.progress import Quiet
from backtracking.stages.execute import execute, status_of
from backtracking.stages.phase1.ablation_scan import AblationScan
from backtracking.stages.phase1.direction import Direction
from backtracking.stages.phase1.logit_lens import LogitLens

from .worlds import VARIANT, Plant, Rows, planted, write_run


class Spoken(Quiet):
    """Keeps what is said."""

    def __init__(self):
        self.said = []

    def say(self, message):
        self.said.append(message)


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
    assert status_of(LogitLens(VARIANT), ctx).state == "done", status_of(LogitLens(VARIANT), ctx)


def test_ablation_scan_writes_the_contract(ctx):
    execute(AblationScan(VARIANT), ctx)
    table = pd.read_csv(ctx.paths.table("ablation_importance.csv"))
    assert list(table.columns[:5]) == [
        "layer", "component", "delta_wait_logit_mean", "delta_wait_logit_std", "n_events",
    ]  # fmt: skip
    assert len(table) == 12 and (table["n_events"] == 24).all()
    picked = json.loads(SELECTED.path(ctx.paths).read_text())
    assert set(picked) == {"attn", "mlp"} and picked["mlp"][0] == 4 and picked["attn"][0] == 1
    details = json.loads(ctx.paths.table("ablation_selection.json").read_text())
    assert details["selected"]["selectivity"] == picked
    assert details["localisation"]["zero"]["selectivity"]["localised"]
    assert set(pd.read_csv(ctx.paths.table("ablation_modes.csv"))["mode"]) == {"zero", "mean"}
    assert ctx.paths.figure("ablation_importance_by_layer").stat().st_size > 10_000


def test_readings_onset_by_onset_average_to_the_tables(ctx):
    execute(LogitLens(VARIANT), ctx)
    execute(AblationScan(VARIANT), ctx)
    controls = pd.read_csv(ctx.paths.table("controls.csv"))
    events = set(zip(controls["example_id"], controls["sample_id"], controls["pred_pos"], strict=True))
    single = pd.read_csv(ctx.paths.table("logit_lens_onsets.csv"))
    whole = pd.read_csv(ctx.paths.table("logit_lens.csv")).query("control_matching == 'matched_row'")
    for kind, column in (("onset", "mean_target_logit_bt"), ("matched_row", "mean_target_logit_control")):
        own = single[single["position_kind"] == kind]
        assert set(zip(own["example_id"], own["sample_id"], own["pred_pos"], strict=True)) == events
        means = own.groupby("layer")["logit"].mean()
        assert list(means) == pytest.approx(list(whole.set_index("layer")[column]), rel=1e-5)
    single = pd.read_csv(ctx.paths.table("ablation_onsets.csv"))
    whole = pd.read_csv(ctx.paths.table("ablation_modes.csv"))
    keys = ["mode", "layer", "component"]
    both = single.groupby(keys)["delta_log_odds"].mean().rename("mean").reset_index().merge(whole, on=keys)
    assert len(both) == len(whole) > 0
    assert list(both["mean"]) == pytest.approx(list(both["delta_log_odds"]), rel=1e-5, abs=1e-9)


def test_other_conditions_leave_the_results_fresh(ctx):
    execute(LogitLens(VARIANT), ctx)
    table = pd.read_csv(EVENTS.path(ctx.paths))
    more = pd.concat([table, table.assign(condition="targeted_ablation")])
    more.to_csv(EVENTS.path(ctx.paths), index=False)
    assert execute(LogitLens(VARIANT), ctx).skipped
    table.assign(is_correct="False").to_csv(EVENTS.path(ctx.paths), index=False)
    assert status_of(LogitLens(VARIANT), ctx).state == "stale"
    table.to_csv(EVENTS.path(ctx.paths), index=False)


def test_an_interrupted_scan_goes_on(tmp_path, monkeypatch):
    few = {"ablation_modes": ("zero",), "batch_tokens": 256}
    ctx = write_run(tmp_path, planted(Plant()), Rows(problems=6).build(), **few)
    execute(AblationScan(VARIANT), ctx)
    work = ctx.paths.work(f"ablation-scan-{VARIANT}-blocks")
    whole = work.read_bytes()
    before = pd.read_csv(ctx.paths.table("ablation_importance.csv"))
    work.write_bytes(whole[: len(whole) // 2])
    read: list[int] = []
    original = io.JsonlAppender.append
    monkeypatch.setattr(
        io.JsonlAppender, "append", lambda self, row: (read.append(1), original(self, row))[1]
    )
    ctx.meta.stages[AblationScan(VARIANT).key].outcome = "interrupted"
    execute(AblationScan(VARIANT), ctx)
    assert 0 < len(read) < len(whole.splitlines())
    assert sorted(work.read_bytes().splitlines()) == sorted(whole.splitlines()), "to the last digit"
    after = pd.read_csv(ctx.paths.table("ablation_importance.csv"))
    pd.testing.assert_frame_equal(after, before, check_exact=True)


@pytest.mark.parametrize("force", [True, False])
def test_weights_changed_in_place_are_read_again(tmp_path, force):
    """By force nothing is kept; and what is kept belongs to the weights it was made with."""
    ctx = write_run(tmp_path, planted(Plant()), Rows(problems=6).build(), ablation_modes=("zero",))
    stages = (LogitLens(VARIANT), AblationScan(VARIANT), Direction(VARIANT))
    for stage in stages:
        execute(stage, ctx)
    before = ctx.model().fingerprint()
    assert before == planted(Plant()).fingerprint() != planted(Plant(), seed=1).fingerprint()
    with torch.no_grad():
        ctx.model().model.model.layers[4].mlp.down_proj.weight.zero_()
    assert ctx.model().fingerprint() != before
    for stage in stages:
        ctx.meta.stages[stage.key].outcome = "done" if force else "interrupted"
        execute(stage, ctx, force=force)
    table = pd.read_csv(ctx.paths.table("ablation_importance.csv")).set_index(["component", "layer"])
    assert table.loc[("mlp", 4), "delta_logit"] == pytest.approx(0.0, abs=1e-6)
    assert pd.read_csv(ctx.paths.table("logit_lens.csv"))["family_diff"].abs().max() < 1
    assert pd.read_csv(ctx.paths.table("direct_effects.csv"))["direct"].abs().max() < 1
    previous = ctx.paths.work(f"ablation-scan-{VARIANT}-blocks").with_suffix(".previous.jsonl")
    assert previous.exists() == force


def test_an_interrupted_direction_goes_on(tmp_path, monkeypatch):
    ctx = write_run(tmp_path, planted(Plant()), Rows().build(), batch_tokens=256)
    original, read = io.JsonlAppender.append, []

    def stop_after(self, row, limit):
        if len(read) == limit:
            raise KeyboardInterrupt
        read.append(row.key)
        original(self, row)

    monkeypatch.setattr(io.JsonlAppender, "append", lambda self, row: stop_after(self, row, 13))
    with pytest.raises(KeyboardInterrupt):
        execute(Direction(VARIANT), ctx)
    monkeypatch.setattr(io.JsonlAppender, "append", lambda self, row: stop_after(self, row, 1000))
    execute(Direction(VARIANT), ctx)
    assert len(set(read)) > 20
    assert 0 < len(read) - len(set(read)) < 10, "only the batch that was cut off is computed again"
    resumed = load_file(ctx.paths.table("directions.safetensors"))
    execute(Direction(VARIANT), ctx, force=True)
    anew = load_file(ctx.paths.table("directions.safetensors"))
    for name, vector in anew.items():
        assert torch.equal(resumed[name], vector), name


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
    assert json.loads(SELECTED.path(ctx.paths).read_text())["mlp"][0] == 4
    table = pd.read_csv(ctx.paths.table("ablation_importance.csv"))
    assert table[["selectivity", "selectivity_p_holm"]].isna().all(axis=None)
    claims = {
        verdict.claim.split(":")[0]: verdict for verdict in phase1_verdicts(Evidence(ctx.paths), VARIANT)
    }
    assert "completions" in claims["H1"].because, "the scan itself is judged by effect"


def test_controls_in_one_problem_are_said_to_be_too_few(tmp_path):
    ctx = write_run(tmp_path, planted(Plant()), Rows().build(), control_samples=1)
    ctx.reporter = Spoken()
    execute(AblationScan(VARIANT), ctx)
    assert any("problems with a matched_row control: only 1," in line for line in ctx.reporter.said)
    assert ctx.meta.stages[AblationScan(VARIANT).key].notes["problems_with_controls"] == 1
    claims = {
        verdict.claim.split(":")[0]: verdict for verdict in phase1_verdicts(Evidence(ctx.paths), VARIANT)
    }
    assert "tests of selectivity" in claims["H1"].because


def test_self_repair_compares_with_removing_the_whole(tmp_path):
    """Whatever mode decides, and for heads too where they are scanned."""
    tables = {}
    for mode in ("zero", "mean"):
        ctx = write_run(tmp_path / mode, planted(Plant()), Rows(problems=6).build(), ablation_modes=(mode,))
        execute(AblationScan(VARIANT, heads=True), ctx)
        tables[mode] = pd.read_csv(ctx.paths.table("direct_effects.csv"))
    pd.testing.assert_frame_equal(tables["mean"], tables["zero"], atol=1e-4, rtol=1e-3)
    assert tables["mean"]["total"].notna().all() and tables["mean"]["head"].notna().sum() == 24
    finder = tables["mean"].query("component == 'attn' and layer == 1 and head == 2")
    assert finder["total"].iloc[0] > 2


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
    picked = json.loads(SELECTED.path(ctx.paths).read_text())
    assert picked["mlp"][0] == 4 and picked["attn"][0] == 1
    summary = json.loads(ctx.paths.table("logit_lens.json").read_text())
    assert summary["first_separating_layer"]["matched_row"] == 4
