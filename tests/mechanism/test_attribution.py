"""Direct effects sum to the logit difference; self-repair and interactions on planted circuits."""

import numpy as np
import pytest
import torch

from backtracking.config.schema import AnalysisConfig
from backtracking.mechanism.ablation_scan import Removal, Scanner, ScanResult
from backtracking.mechanism.attribution import attribute, direct_table, stack_direct
from backtracking.mechanism.interactions import interaction_table, pair_removals
from backtracking.mechanism.passes import Site
from backtracking.mechanism.readouts import logit_gap
from backtracking.stages.phase1.onset_study import open_study

from .test_passes import MODELS
from .worlds import VARIANT, Plant, Rows, planted, random_model, write_run

CONFIG = AnalysisConfig(batch_tokens=512)


def _items(loaded, tmp_path, problems=4):
    study = open_study(write_run(tmp_path, loaded, Rows(problems=problems).build()), VARIANT)
    return study, [(event.at, target) for event, target in zip(study.events, study.targets, strict=True)]


@pytest.mark.parametrize("name", MODELS)
def test_parts_sum_to_the_logit_difference(tmp_path, name):
    loaded = MODELS[name]()
    _, items = _items(loaded, tmp_path)
    found = dict(attribute(loaded, items, budget=200))
    for number, (reading, target) in enumerate(items):
        with torch.no_grad():
            logits = loaded.model(input_ids=torch.tensor([reading.seen])).logits[0, -1]
        values = found[number]
        whole = values["embedding"] + values["constant"] + sum(values["blocks"])
        assert whole == pytest.approx(float(logit_gap(logits, target)), abs=1e-4)
        assert max(map(abs, values["blocks"])) > 1e-2


@pytest.mark.parametrize("name", ["qwen2", "gpt2"])
def test_heads_sum_to_their_block(tmp_path, name):
    loaded = MODELS[name]()
    if name == "gpt2":
        for layer in loaded.model.transformer.h:
            torch.nn.init.zeros_(layer.attn.c_proj.bias)
    _, items = _items(loaded, tmp_path, problems=2)
    for _, values in attribute(loaded, items, budget=200):
        attention = values["blocks"][::2]
        np.testing.assert_allclose(np.sum(values["heads"], axis=1), attention, atol=1e-4)


def test_models_with_a_norm_behind_attention_give_blocks_only(tmp_path):
    loaded = MODELS["gemma3"]()
    _, items = _items(loaded, tmp_path, problems=2)
    assert all("heads" not in values for _, values in attribute(loaded, items, budget=200))


def test_the_planted_writer_has_the_direct_effect_and_the_finder_only_a_total_one(tmp_path):
    loaded = planted(Plant(writers=(4,), finder=(1, 2)))
    study, items = _items(loaded, tmp_path, problems=8)
    sites = [Site(kind, layer) for layer in range(6) for kind in ("attn", "mlp")]
    removals = [Removal(site) for site in sites]
    found = dict(Scanner(loaded, removals, CONFIG)(items))
    result = ScanResult.of(removals, study.events, [found[k] for k in range(len(items))], {})
    direct = dict(attribute(loaded, items, budget=300))
    every, values = stack_direct([direct[k] for k in range(len(items))], loaded)
    table = direct_table(result.problems, every, values, result).set_index(["component", "layer", "head"])
    blocks = table[table.index.get_level_values("head").isna()].droplevel("head")
    assert blocks["direct"].idxmax() == ("mlp", 4)
    assert blocks.loc[("mlp", 4), "direct"] > 3
    assert abs(blocks.loc[("attn", 1), "direct"]) < 0.3
    assert blocks.loc[("attn", 1), "total"] > 2


def _spare_wheel():
    """The second writer's push grows where the first one's is missing: a planted repair."""
    loaded = planted(Plant(writers=(3,), finder=(1, 2)))
    with torch.no_grad():
        backup = loaded.model.model.layers[5].mlp
        for module in (backup.gate_proj, backup.up_proj):
            module.weight.zero_()
        backup.down_proj.weight.zero_()
        # The backup is shut while the onset direction is full.
        backup.gate_proj.weight[0, 63] = 7.5
        backup.gate_proj.weight[0, 62] = -1.5
        backup.up_proj.weight[0, 3] = 0.2
        backup.down_proj.weight[62, 0] = 0.15
    return loaded


def test_self_repair_and_interactions_are_seen(tmp_path):
    loaded = _spare_wheel()
    study, items = _items(loaded, tmp_path, problems=8)
    sites = [Site("attn", 1), Site("mlp", 3), Site("mlp", 5)]
    removals = pair_removals(sites, "zero")
    found = dict(Scanner(loaded, removals, CONFIG)(items))
    result = ScanResult.of(removals, study.events, [found[k] for k in range(len(items))], {})
    direct = dict(attribute(loaded, items, budget=300))
    every, values = stack_direct([direct[k] for k in range(len(items))], loaded)
    single = result.where(lambda removal: not removal.also)
    table = direct_table(result.problems, every, values, single)
    writer = table[(table["component"] == "mlp") & (table["layer"] == 3)].iloc[0]
    assert writer["self_repair_low"] > 0.3
    pairs = interaction_table(result).set_index(["layer_a", "layer_b"])
    assert pairs.loc[(3, 5), "kind"] == "super-additive"
    assert pairs.loc[(1, 3), "kind"] == "sub-additive", "the writer works through the finder"


def test_a_random_model_needs_no_repair_to_add_up(tmp_path):
    """Joint removals equal single ones when the second part is removed at scale 1, i.e. not at all."""
    loaded = random_model()
    study, items = _items(loaded, tmp_path, problems=3)
    removals = pair_removals([Site("attn", 1), Site("mlp", 2)], "scale")
    config = CONFIG.model_copy(update={"ablation_scale": 1.0})
    found = dict(Scanner(loaded, removals, config)(items))
    result = ScanResult.of(removals, study.events, [found[k] for k in range(len(items))], {})
    assert abs(interaction_table(result)["interaction"]).max() < 1e-5
