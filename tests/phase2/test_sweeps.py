"""Sweeps: all arms in one run, paired, resumable, and refused when they name what is not there."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from backtracking.config.phase2 import SearchConfig, Subset
from backtracking.errors import UserError
from backtracking.interventions import Intervention, When
from backtracking.measurements.hook_debug import add_start
from backtracking.measurements.tradeoff import SUBSET_COLUMNS
from backtracking.model.arms import Resources, scale_arms, subset_arms
from backtracking.run import io
from backtracking.run.progress import Quiet
from backtracking.run.records import GenerationRecord
from backtracking.sweeps.search import ranked_components, search_arms
from backtracking.sweeps.sweep import run_scale_sweep, run_subset_sweep
from tests.phase2 import world


class Said(Quiet):
    """A reporter that keeps what it was told."""

    def __init__(self):
        self.lines = []

    def say(self, text):
        self.lines.append(text)


SUBSETS = {
    "one": Subset(components=[["mlp", 1]]),
    "two": Subset(components=[["attn", 0], ["mlp", 2]]),
}


def _completions(folder, arm):
    rows = io.read_jsonl(folder / f"phase2_{arm}.jsonl", GenerationRecord, made_by="test")
    return {(row.example_id, row.sample_id): row.completion_ids for row in rows}


def test_subset_sweep_counts_rows_and_checks_the_ledger(tmp_path):
    job = world.job(world.random_model(), tmp_path)
    result = run_subset_sweep(job, SUBSETS)
    table = result.table.set_index("subset_name")
    assert list(table.index) == ["baseline", "one", "two"]
    assert (table["total"] == 8).all()
    assert tuple(result.table.columns[: len(SUBSET_COLUMNS)]) == SUBSET_COLUMNS
    assert table["num_components"].to_dict() == {"baseline": 0, "one": 1, "two": 2}
    assert result.hook_debug["matches_schedule"] is True
    assert result.hook_debug["ablation_calls"] > 0
    for name, part in result.events.groupby("subset_name"):
        assert table.loc[name, "backtracking_count"] == part["has_backtracking_strict"].sum()
        assert table.loc[name, "correct_count"] == part["is_correct"].eq(True).sum()
        assert table.loc[name, "truncation_rate"] == pytest.approx(part["finish_reason"].ne("stop").mean())
    assert table["backtracking_count"].sum() > 0, "the test needs onsets to count"


def test_hook_debug_counts_follow_from_the_rows(tmp_path):
    job = world.job(world.random_model(), tmp_path)
    result = run_subset_sweep(job, SUBSETS)
    debug = result.hook_debug
    steps = sum(len(ids) - 1 for ids in _completions(tmp_path, "one_x0").values())
    assert debug["by_condition"]["one_x0"]["mlp_1"]["ablation_calls"] == steps
    assert set(debug["by_condition"]) == {"one_x0", "two_x0"}


def test_scale_one_repeats_the_baseline_and_scales_share_rows_with_the_subset_sweep(tmp_path):
    job = world.job(world.random_model(), tmp_path)
    run_subset_sweep(job, SUBSETS)
    result = run_scale_sweep(job, "one", SUBSETS["one"], [0.0, 0.5, 1.0])
    assert _completions(tmp_path, "one_x1") == _completions(tmp_path, "baseline")
    assert result.generated == 2 * 8, "baseline and scale 0 were there"
    assert list(result.table["scale"][1:]) == [0.0, 0.5, 1.0]


def test_interrupted_sweep_goes_on_and_ends_with_the_same_rows(tmp_path):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    model = world.random_model()
    full = run_subset_sweep(world.job(model, whole), SUBSETS)
    run_subset_sweep(world.job(model, broken), SUBSETS)
    path = broken / "phase2_two_x0.jsonl"
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    (broken / "phase2_one_x0.jsonl").unlink()
    resumed = run_subset_sweep(world.job(model, broken, slots=3), SUBSETS)
    assert 8 < resumed.generated < 16
    pd.testing.assert_frame_equal(full.table, resumed.table)
    pd.testing.assert_frame_equal(
        full.events.drop(columns=["distinct_3"]), resumed.events.drop(columns=["distinct_3"])
    )


@pytest.mark.parametrize("written", [1.0, 0.6, 0.3])
def test_wherever_a_sweep_was_stopped_its_files_end_as_the_same_bytes(written, tmp_path):
    """Rows lie in the order in which they ended, which a stopped start had no time to mend."""
    model, chance = world.random_model(), np.random.default_rng(0)
    run_subset_sweep(world.job(model, tmp_path / "whole"), SUBSETS)
    run_subset_sweep(world.job(model, tmp_path / "broken"), SUBSETS)
    for path in (tmp_path / "broken").glob("*.jsonl"):
        lines = path.read_bytes().splitlines(keepends=True)
        some = chance.permutation(len(lines))[: round(written * len(lines))]
        path.write_bytes(b"".join(lines[place] for place in some))
    run_subset_sweep(world.job(model, tmp_path / "broken"), SUBSETS)
    for path in (tmp_path / "whole").glob("*.jsonl"):
        assert path.read_bytes() == (tmp_path / "broken" / path.name).read_bytes(), path.name


def test_rows_that_a_record_vouches_for_keep_their_places(tmp_path):
    model = world.random_model()
    first = world.job(model, tmp_path, problems=2, samples=1)
    run_subset_sweep(first, SUBSETS)
    before = (tmp_path / "phase2_baseline.jsonl").read_bytes()
    more = world.job(model, tmp_path, problems=2, samples=2)
    run_subset_sweep(replace(more, rows_vouched=lambda _: 2), SUBSETS)
    after = (tmp_path / "phase2_baseline.jsonl").read_bytes()
    assert after.startswith(before) and len(after.splitlines()) == 4


def test_a_baseline_of_failed_rows_ends_with_a_message_and_is_made_anew(tmp_path):
    broken, whole = world.random_model(), world.random_model()
    wrapped = broken.model.forward

    def poisoned(*args, **kwargs):
        out = wrapped(*args, **kwargs)
        out.logits = out.logits * float("nan")
        return out

    broken.model.forward = poisoned
    with pytest.raises(UserError, match="the baseline has no completion"):
        run_subset_sweep(world.job(broken, tmp_path, engine="reference"), SUBSETS)
    mended = run_subset_sweep(world.job(whole, tmp_path, engine="reference"), SUBSETS)
    assert mended.generated == 24 and (mended.table["total"] == 8).all()


def test_a_sweep_whose_arms_all_failed_is_no_result(tmp_path):
    model = world.random_model()
    run_subset_sweep(world.job(model, tmp_path), {})
    poison = {
        "dead": Subset(components=[{"component": "mlp", "layer": 0, "mode": "scale", "strength": 3e38}])
    }
    with pytest.raises(UserError, match="no arm has a completion"):
        run_subset_sweep(world.job(model, tmp_path), poison)


def test_more_problems_and_arms_generate_only_what_is_new(tmp_path):
    model = world.random_model()
    run_subset_sweep(world.job(model, tmp_path), {"one": SUBSETS["one"]})
    more = run_subset_sweep(world.job(model, tmp_path, problems=5), SUBSETS)
    assert more.generated == 2 * 2 + 5 * 2


def test_changed_members_are_generated_anew(tmp_path):
    model = world.random_model()
    run_subset_sweep(world.job(model, tmp_path), {"one": SUBSETS["one"]})
    before = _completions(tmp_path, "one_x0")
    said = Said()
    job = world.job(model, tmp_path, reporter=said)
    run_subset_sweep(job, {"one": Subset(components=[["mlp", 0]])})
    assert _completions(tmp_path, "one_x0") != before
    assert _completions(tmp_path, "one_x0.previous") == before
    assert any("one_x0" in line and "phase2_one_x0.previous.jsonl" in line for line in said.lines)


def test_arms_that_name_missing_layers_are_refused_together_before_generation(tmp_path):
    job = world.job(world.random_model(), tmp_path)
    head = Intervention(component="attn", layer=0, head=9)
    wrong = {
        "a": Subset(components=[["mlp", 7]]),
        "b": Subset(components=[["attn", 3]]),
        "c": Subset(components=[head]),
    }
    with pytest.raises(UserError) as caught:
        run_subset_sweep(job, SUBSETS | wrong)
    for part in ("a: mlp 7", "b: attn 3", "c: head 9", "layers 0 to 2"):
        assert part in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_from_selected_layers_takes_phase_1s_choice():
    resources = Resources(3, 4, When(), selected={"attn": [2], "mlp": [1, 0]})
    (arm,) = subset_arms({"chosen": Subset(from_selected_layers=True)}, 0.25, resources)
    found = {(i.component, i.layer, i.strength) for i in arm.members[0].interventions}
    assert found == {("attn", 2, 0.25), ("mlp", 0, 0.25), ("mlp", 1, 0.25)}
    with pytest.raises(UserError, match="Phase 1"):
        subset_arms({"chosen": Subset(from_selected_layers=True)}, 0.0, Resources(3, 4, When()))


def test_scales_weaken_every_kind_of_record():
    records = [
        Intervention(component="mlp", layer=0, strength=0.5),
        Intervention(component="mlp", layer=1, mode="zero"),
        Intervention(component="resid", layer=2, mode="project", strength=1.0, vector="v"),
    ]
    arms = scale_arms("mix", Subset(components=records), [0.0, 0.5, 1.0], Resources(3, 4, When()))
    strengths = [[i.strength for i in arm.members[0].interventions] for arm in arms]
    assert strengths == [[0.5, 0.0, 1.0], [0.75, 0.5, 0.5], [1.0, 1.0, 0.0]]
    mean = Subset(components=[Intervention(component="mlp", layer=0, mode="mean", vector="m")])
    with pytest.raises(UserError, match="scales"):
        scale_arms("mean", mean, [0.5], Resources(3, 4, When()))


def test_an_arm_along_another_vector_is_generated_anew(tmp_path):
    """The vector's numbers belong to what rows were made with, not its name alone."""
    push = Subset(components=[Intervention(component="resid", layer=1, mode="add", strength=1.0, vector="v")])
    job = world.job(world.random_model(), tmp_path, vectors={"v": torch.full((32,), 3.0)})
    run_subset_sweep(job, {"push": push})
    before = _completions(tmp_path, "push")
    again = run_subset_sweep(job, {"push": push})
    assert again.generated == 0
    other = replace(job, vectors={"v": torch.full((32,), -3.0)})
    assert run_subset_sweep(other, {"push": push}).generated == 8
    assert _completions(tmp_path, "push") != before


def test_arm_cards_say_what_rows_were_made_with(tmp_path):
    run_subset_sweep(world.job(world.random_model(), tmp_path), {"one": SUBSETS["one"]})
    card = json.loads((tmp_path / "phase2_one_x0.arm.json").read_text())
    assert card["members"][0]["interventions"][0]["layer"] == 1


def test_a_search_starts_from_the_scans_ranking():
    scan = pd.DataFrame(
        {
            "component": ["attn", "mlp", "attn"],
            "layer": [0, 1, 2],
            "selectivity": [0.1, 3.0, 1.0],
            "delta_wait_logit_mean": [-2.0, -0.1, -1.0],
        }
    )
    by_effect = [("attn", 0), ("attn", 2), ("mlp", 1)]
    assert ranked_components(scan, 3, 2) == [("mlp", 1), ("attn", 2)]
    assert ranked_components(scan.assign(selectivity=np.nan), 3, 3) == by_effect, "a scan without controls"
    assert ranked_components(scan.drop(columns="selectivity"), 3, 3) == by_effect
    assert ranked_components(None, 3, 2) == [("mlp", 2), ("attn", 2)]


def test_hook_counts_of_several_starts_are_those_of_one(tmp_path):
    model = world.random_model()
    whole = run_subset_sweep(world.job(model, tmp_path / "whole"), SUBSETS).hook_debug
    job = world.job(model, tmp_path / "parts")
    starts = [
        run_subset_sweep(world.job(model, job.folder, problems=2), {"one": Subset(components=[["mlp", 0]])}),
        run_subset_sweep(world.job(model, job.folder, problems=2), {"one": SUBSETS["one"]}),
        run_subset_sweep(job, {"one": SUBSETS["one"]}),
        run_subset_sweep(job, SUBSETS),
        run_subset_sweep(job, SUBSETS),
    ]
    kept = {}
    for start in starts:
        kept = add_start(kept, start.hook_debug)
    not_by_arm = "seq_len_distribution"
    assert kept | {not_by_arm: None} == add_start({}, whole) | {not_by_arm: None}
    assert kept["matches_schedule"] and kept["rows"] == {"baseline": 8, "one_x0": 8, "two_x0": 8}


def test_density_of_onsets_differs_as_its_column_does(tmp_path):
    table = run_subset_sweep(world.job(world.random_model(), tmp_path, problems=6), SUBSETS).table
    density = table["onsets_per_1k_tokens"]
    assert density.iloc[0] > 0 and density.nunique() > 1
    assert table["onsets_per_1k_tokens_diff"].iloc[1:].tolist() == pytest.approx(
        (density.iloc[1:] - density.iloc[0]).tolist()
    )


@pytest.mark.parametrize(("budget", "arms"), [(4 * 6, 5), (4 * 100, 6)])
def test_a_search_spends_its_budget_on_different_arms(tmp_path, budget, arms):
    job = world.job(world.random_model(), tmp_path, problems=2)
    config = SearchConfig(budget_rows=budget, scales=[0.0, 0.5], trials_at_once=2)
    found = search_arms(job, [("mlp", 0), ("mlp", 1)], config, seed=0)
    assert len(set(found.trials["arm"]) - {"baseline"}) == arms
    assert found.generated == (arms + 1) * 4 <= budget


def test_a_budget_below_one_arm_is_refused(tmp_path):
    job = world.job(world.random_model(), tmp_path, problems=2)
    with pytest.raises(UserError, match="does not pay"):
        search_arms(job, [("mlp", 0)], SearchConfig(budget_rows=7), seed=0)
    assert not list(tmp_path.iterdir())


def test_rows_of_changed_prompts_are_kept_aside(tmp_path):
    model = world.random_model()
    job = world.job(model, tmp_path)
    run_subset_sweep(job, {"one": SUBSETS["one"]})
    before = _completions(tmp_path, "one_x0")
    first, *others = job.prompts
    changed = replace(first, ids=(*first.ids, world.IDS["."]))
    again = run_subset_sweep(replace(job, prompts=[changed, *others]), {"one": SUBSETS["one"]})
    assert again.generated == 2 * 2
    assert _completions(tmp_path, "one_x0.previous") == before
