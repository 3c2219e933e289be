"""The onset step: fast pass, step-by-step pass and one plain forward agree; the prefix stays untouched."""

import json
import math

import pandas as pd
import pytest
import torch

from backtracking.config.phase2 import Subset
from backtracking.interventions import Intervention, When
from backtracking.measurements.controls import Event, Reading
from backtracking.mechanism.continuations import (
    get_onset_token_prob,
    run_continuation_ablation,
    summarize_continuation_results,
)
from backtracking.model.arms import Resources, scale_arms, subset_members
from backtracking.text.onsets.triggers import Triggers
from tests.phase2 import world

WAIT = world.IDS[" Wait"]
TRIGGERS = Triggers.of(world.tokenizer(), ("wait", "actually", "hold on"))
FAMILY = [WAIT, world.IDS["Wait"], world.IDS[" wait"]]
ACTUALLY, HOLD, ON = (world.IDS[word] for word in (" Actually", " Hold", " on"))
SUBSET = Subset(components=[["mlp", 2], ["attn", 1]])
RESOURCES = Resources(3, 4, When())


def _reading(length, seed, last=None):
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(4, len(world.WORDS), (length + 1,), generator=generator).tolist()
    if last is not None:
        ids[-1] = last
    return Reading(f"p{seed}", 0, tuple(ids), 4, length - 1)


@pytest.fixture(scope="module")
def model():
    return world.random_model()


@pytest.fixture(scope="module")
def events():
    return [
        Event(_reading(9 + 3 * k, k, WAIT), "wait", " Wait", {"matched_row": _reading(8 + k, 100 + k)})
        for k in range(5)
    ]


def _naive(model, ids, scale):
    """One plain forward over the whole sequence, scaling the modules' outputs at its last position only."""

    def hook(_, __, output):
        hidden = output[0] if isinstance(output, tuple) else output
        hidden = hidden.clone()
        hidden[:, -1] *= scale
        return (hidden, *output[1:]) if isinstance(output, tuple) else hidden

    handles = [module.register_forward_hook(hook) for module in (model.blocks[2].mlp, model.blocks[1].attn)]
    with torch.no_grad():
        logits = model.model(input_ids=torch.tensor([list(ids)]), use_cache=False).logits[0, -1].float()
    for handle in handles:
        handle.remove()
    return logits


def test_all_ways_agree_with_a_plain_forward(model, events):
    table = run_continuation_ablation(
        model, events, scale_arms("s", SUBSET, [0.0, 0.5], RESOURCES), TRIGGERS, variant="plain", budget=64
    )
    rows = table.set_index(["example_id", "position_kind", "scale"])
    for event in events:
        for kind, reading in (("onset", event.at), ("matched_row", event.controls["matched_row"])):
            for scale in (0.0, 0.5):
                row = rows.loc[(event.at.example_id, kind, scale)]
                logits = _naive(model, reading.seen, scale)
                before = _naive(model, reading.seen, 1.0)
                probs = logits.softmax(-1)
                assert row["onset_prob"] == pytest.approx(float(probs[WAIT]), abs=1e-5)
                assert row["onset_prob_before"] == pytest.approx(float(before.softmax(-1)[WAIT]), abs=1e-5)
                assert row["family_prob"] == pytest.approx(float(probs[FAMILY].sum()), abs=1e-5)
                hold = _naive(model, [*reading.seen, HOLD], 1.0).softmax(-1)[ON]
                others = float(probs[ACTUALLY] + probs[HOLD] * hold)
                assert row["other_families_prob"] == pytest.approx(others, abs=1e-5)
                divergence = torch.nn.functional.kl_div(
                    logits.log_softmax(-1), before.log_softmax(-1), log_target=True, reduction="sum"
                )
                assert row["kl"] == pytest.approx(float(divergence), abs=1e-4)
                top = json.loads(row["top_tokens"])
                assert top[0][1] == pytest.approx(float(probs.max()), abs=1e-5)
    interventions = subset_members("s", SUBSET, 0.5, Resources(3, 4, When(phase="all")))
    for event in events:
        prob, logit = get_onset_token_prob(model, event.at.seen, WAIT, interventions)
        row = rows.loc[(event.at.example_id, "onset", 0.5)]
        assert (prob, logit) == pytest.approx((row["onset_prob"], row["onset_logit"]), abs=1e-4)


def test_full_records_take_the_general_way_and_agree(model, events):
    """A projection forces the step-by-step pass; with strength 0 it must equal the scaled arms."""
    records = [*subset_members("s", SUBSET, 0.0, RESOURCES)]
    idle = Intervention(component="resid", layer=0, mode="add", strength=0.0, vector="v")
    vectors = {"v": torch.randn(32)}
    mixed = Subset(components=[*records, idle])
    options = {"variant": "plain", "budget": 64}
    fast = run_continuation_ablation(
        model, events, scale_arms("s", SUBSET, [0.5], RESOURCES), TRIGGERS, **options
    )
    slow = run_continuation_ablation(
        model, events, scale_arms("s", mixed, [0.5], RESOURCES), TRIGGERS, vectors=vectors, **options
    )
    for column in ("onset_prob", "family_prob", "entropy", "kl"):
        assert slow[column].to_numpy() == pytest.approx(fast[column].to_numpy(), abs=1e-4)


def test_summary_averages_and_sets_scale_one_to_before(model, events):
    table = run_continuation_ablation(
        model, events, scale_arms("s", SUBSET, [0.0, 0.5], RESOURCES), TRIGGERS, variant="plain", budget=64
    )
    summary = summarize_continuation_results(table).set_index(["position_kind", "scale"])
    onset = table[table["position_kind"] == "onset"]
    assert summary.loc[("onset", 1.0), "onset_prob"] == pytest.approx(
        onset[onset["scale"] == 0.0]["onset_prob_before"].mean()
    )
    half = onset[onset["scale"] == 0.5]
    assert summary.loc[("onset", 0.5), "family_change"] == pytest.approx(
        (half["family_prob"] - half["family_prob_before"]).mean()
    )
    assert (
        summary.loc[("onset", 0.5), "family_change_low"] < summary.loc[("onset", 0.5), "family_change_high"]
    )
    assert set(summary.index) == {(kind, scale) for kind in ("onset", "control") for scale in (0.0, 0.5, 1.0)}


def test_an_interval_of_entropies_ends_where_entropies_do():
    """Two problems that differ leave an interval that is far too wide on the scale of logarithms."""
    kinds = {"position_kind": "onset", "scale": 0.5, "family_prob": 0.5, "family_prob_before": 0.5}
    entropies = {"entropy": [0.5, 2.5], "entropy_before": [0.5, 2.5]}
    table = pd.DataFrame({"example_id": ["a", "b"], **entropies, **kinds})
    free = summarize_continuation_results(table)["entropy_high"]
    bounded = summarize_continuation_results(table, vocabulary=100)["entropy_high"]
    assert (free > math.log(100)).all()
    assert bounded.tolist() == [math.log(100)] * 2
