"""Arms beyond scaling: controls, gates, suppression, means and directions do what their names say."""

import re

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from backtracking.config.phase2 import Subset, SubsetSweepConfig
from backtracking.errors import UserError
from backtracking.interventions import BASELINE_ARM, Intervention, Shape, When
from backtracking.measurements.controls import Reading
from backtracking.mechanism.vectors import resolve_vectors
from backtracking.model.arms import (
    Resources,
    arm_name,
    neighbours,
    scale_arms,
    subset_arms,
)
from backtracking.model.random_control import random_arm
from backtracking.run import io
from backtracking.run.records import GenerationRecord
from backtracking.sweeps.sweep import load_arm, run_arms
from backtracking.text.onsets.triggers import Triggers, sentence_end_tokens
from tests.phase2 import world

TOKENIZER = world.tokenizer()
TRIGGERS = Triggers.of(TOKENIZER, ("wait", "hold on"))


def _resources(**changes):
    settings = {
        "n_layers": 3,
        "n_heads": 4,
        "when": When(),
        "triggers": frozenset({"wait", "hold on"}),
        "sentence_ends": sentence_end_tokens(TOKENIZER),
    }
    return Resources(**(settings | changes))


def _rows(job, arm):
    return list(io.read_jsonl(job.folder / f"phase2_{arm}.jsonl", GenerationRecord, made_by="test"))


def test_trigger_tokens_and_sentence_ends_come_from_the_vocabulary():
    assert TRIGGERS.families["wait"] == {world.IDS[" Wait"], world.IDS["Wait"], world.IDS[" wait"]}
    assert TRIGGERS.families["hold on"] == {world.IDS[" Hold"]}
    spelled = {(world.IDS[word],) for word in ("Wait", " Wait", " wait")}
    spelled.add((world.IDS[" Hold"], world.IDS[" on"]))
    assert set(TRIGGERS.phrases) == spelled, "forms that the vocabulary cannot spell are left out"
    assert sentence_end_tokens(TOKENIZER) == {world.IDS["."], world.IDS["\n"]}


def test_suppressed_phrases_are_never_completed(tmp_path):
    job = world.job(world.random_model(), tmp_path, problems=6)
    (arm,) = subset_arms({"quiet": Subset(suppress_triggers=True)}, 0.0, _resources())
    run_arms(job, [BASELINE_ARM, arm])
    assert arm.kind == "suppression"
    trigger = re.compile(r"(?<![^\W\d_])(?:wait|hold on)", re.IGNORECASE)
    assert not any(trigger.search(row.completion) for row in _rows(job, "quiet"))
    assert any(trigger.search(row.completion) for row in _rows(job, "baseline"))
    said = {token for row in _rows(job, "quiet") for token in row.completion_ids}
    assert world.IDS[" Hold"] in said and world.IDS[" on"] in said, "only together they are a trigger"


@pytest.mark.parametrize("only", ["sentence_starts", "from_first_onset", "until_first_onset"])
def test_gated_arms_act_only_where_they_should(tmp_path, only):
    job = world.job(world.random_model(), tmp_path, problems=4, onset_phrases=TRIGGERS.phrases)
    (arm,) = subset_arms({"gated": Subset(components=[["mlp", 1]], only=only)}, 0.0, _resources())
    result = run_arms(job, [BASELINE_ARM, arm])
    acted = 0
    for row in _rows(job, arm.name):
        seen = False
        for token in row.completion_ids[:-1]:
            seen = seen or token in TRIGGERS.families["wait"]
            at_start = token in sentence_end_tokens(TOKENIZER)
            acted += {"sentence_starts": at_start, "from_first_onset": seen, "until_first_onset": not seen}[
                only
            ]
    assert result.hook_debug["ablation_calls"] == acted > 0
    assert result.hook_debug["matches_schedule"]


def test_random_controls_have_the_shape_and_avoid_the_original():
    original = [Intervention(component="mlp", layer=k) for k in (0, 1)] + [
        Intervention(component="attn", layer=2, head=1)
    ]
    arm = random_arm("control", original, 8, Shape(8, 4), 0)
    assert arm.kind == "random control"
    for member in arm.members:
        kinds = [(i.component, i.head is not None) for i in member.interventions]
        assert kinds == [("mlp", False), ("mlp", False), ("attn", True)]
        layers = [i.layer for i in member.interventions if i.component == "mlp"]
        assert len(set(layers)) == 2
        assert not set(layers) & {0, 1}
    assert len({member.interventions for member in arm.members}) > 4
    again = random_arm("control", original, 8, Shape(8, 4), 0)
    assert again == arm, "seeded"


def test_random_controls_overlap_only_when_layers_run_out():
    original = [Intervention(component="mlp", layer=k) for k in (0, 1)]
    for member in random_arm("control", original, 5, Shape(3, 4), 0).members:
        layers = {i.layer for i in member.interventions}
        assert 2 in layers
        assert len(layers) == 2


def test_draws_meet_problems_and_samples_alike():
    arm = random_arm("control", [Intervention(component="mlp", layer=0)], 3, Shape(4, 4), 0)
    dealt = np.array([[arm.for_row(p, s).draw for s in range(3)] for p in range(3)])
    assert all(sorted(line) == [0, 1, 2] for line in [*dealt, *dealt.T])


def test_random_directions_have_the_originals_norm_and_differ():
    subsets = {
        "push": Subset(
            components=[Intervention(component="resid", layer=1, mode="add", strength=1.0, vector="onset")]
        ),
        "control": Subset(random_like="push", draws=3),
    }
    arms = subset_arms(subsets, 0.0, _resources())
    saved = {"onset": torch.randn(32) * 7}
    found = resolve_vectors(arms, world.random_model(), saved)
    drawn = [found[f"random_{k}_like_onset"] for k in range(3)]
    assert torch.equal(found["onset"], saved["onset"])
    for vector in drawn:
        assert float(vector.norm()) == pytest.approx(float(saved["onset"].norm()), rel=1e-5)
    cosines = torch.nn.functional.cosine_similarity(
        torch.stack(drawn)[:, None], torch.stack(drawn)[None], dim=-1
    )
    assert float((cosines - torch.eye(3)).abs().max()) < 0.8


def test_mean_vectors_are_the_modules_mean_outputs():
    model = world.random_model()
    records = [Intervention(component="mlp", layer=1, mode="mean", vector="mean_mlp_1")]
    arms = subset_arms({"mean": Subset(components=records)}, 0.0, _resources())
    readings = [Reading(f"p{k}", 0, tuple(range(4, 10 + k)), 3, 4 + k) for k in range(3)]
    found = resolve_vectors(arms, model, {}, readings)["mean_mlp_1"]
    outputs = []
    for reading in readings:
        kept = []
        handle = model.blocks[1].mlp.register_forward_hook(
            lambda _, __, output, kept=kept: kept.append(output)
        )
        with torch.no_grad():
            model.model(input_ids=torch.tensor([list(reading.seen)]))
        handle.remove()
        outputs.append(kept[0][0, -1])
    assert torch.allclose(found, torch.stack(outputs).mean(0), atol=1e-5)


def test_missing_vectors_are_named():
    records = [Intervention(component="resid", layer=1, mode="project", vector="nowhere")]
    arms = subset_arms({"x": Subset(components=records)}, 0.0, _resources())
    with pytest.raises(UserError, match="nowhere"):
        resolve_vectors(arms, world.random_model(), {"known": torch.ones(32)})


def test_neighbours_are_the_next_scales_of_the_same_subset(tmp_path):
    job = world.job(world.random_model(), tmp_path)
    subset = Subset(components=[["mlp", 1], ["attn", 2]])
    scales = [0.0, 0.25, 0.5, 0.75]
    arms = scale_arms("s", subset, scales, _resources())
    run_arms(job, [BASELINE_ARM, arms[1]])
    loaded = load_arm(job.folder, arm_name("s", 0.25))
    assert loaded == arms[1]
    found = neighbours(loaded, scales)
    assert [(arm.name, arm.members) for arm in found] == [
        (arm.name, arm.members) for arm in (arms[0], arms[2])
    ]


@pytest.mark.parametrize(
    "subset",
    [{}, {"suppress_triggers": True, "from_selected_layers": True}, {"components": [["mlp", 1], ["mlp", 1]]}],
)
def test_a_subset_has_one_source_and_no_repeats(subset):
    with pytest.raises(ValidationError):
        Subset.model_validate(subset)


def test_a_control_of_a_missing_subset_is_refused():
    with pytest.raises(ValidationError, match="names no subset"):
        SubsetSweepConfig.model_validate({"subsets": {"c": {"random_like": "missing"}}})


def test_random_sets_never_come_again():
    one = [Intervention(component="mlp", layer=0)]
    drawn = [m.interventions[0].layer for m in random_arm("c", one, 14, Shape(8, 4), 0).members]
    assert sorted(drawn) == list(range(1, 8)), "all of them, when they are fewer than asked"
    crowded = [Intervention(component="mlp", layer=k) for k in (0, 1)]
    drawn = [{i.layer for i in m.interventions} for m in random_arm("c", crowded, 2, Shape(3, 4), 0).members]
    assert sorted(map(sorted, drawn)) == [[0, 2], [1, 2]]


def test_a_single_draw_is_a_control_too():
    arms = subset_arms(
        {"a": Subset(components=[["mlp", 0]]), "c": Subset(random_like="a", draws=1)}, 0.0, _resources()
    )
    assert [arm.kind for arm in arms] == ["intervention", "random control"]


def test_only_gates_full_records():
    record = Intervention(component="mlp", layer=1, strength=0.5)
    (arm,) = subset_arms({"g": Subset(components=[record], only="from_first_onset")}, 0.0, _resources())
    (member,) = arm.members[0].interventions
    assert (member.when.onset, member.strength) == ("from_first", 0.5)


@pytest.mark.parametrize(
    "subset",
    [
        {"suppress_triggers": True},
        {"random_like": "a"},
        {"components": [{"component": "mlp", "layer": 1, "strength": 0.5, "when": {"steps": [3]}}]},
    ],
)
def test_a_gate_that_could_not_act_is_refused(subset):
    with pytest.raises(ValidationError, match="only"):
        Subset.model_validate(subset | {"only": "sentence_starts"})


def test_arms_that_would_share_a_name_are_refused():
    record = {"component": "mlp", "layer": 1, "strength": 0.5}
    with pytest.raises(ValidationError, match=r"'a' at scale 0\.5"):
        SubsetSweepConfig.model_validate({"subsets": {"a": [["mlp", 0]], "a_x0.5": [record]}})
    with pytest.raises(UserError, match="'baseline'"):
        subset_arms({"baseline": Subset(components=[Intervention(**record)])}, 0.0, _resources())
    with pytest.raises(UserError, match="six digits"):
        scale_arms("a", Subset(components=[["mlp", 0]]), [0.1234567, 0.1234568], _resources())


def test_a_winner_written_as_records_has_weaker_neighbours():
    records = [
        Intervention(component="mlp", layer=0, strength=0.5),
        Intervention(component="attn", layer=1, mode="zero"),
    ]
    subset = Subset(components=records)
    (arm,) = subset_arms({"r": subset}, 0.0, _resources())
    (weaker,) = neighbours(arm, [0.0, 0.5, 0.75])
    assert weaker == scale_arms("r", subset, [0.5], _resources())[0]
    mean = Subset(components=[Intervention(component="mlp", layer=0, mode="mean", vector="m")])
    assert neighbours(subset_arms({"m": mean}, 0.0, _resources())[0], [0.0, 0.5]) == []
