"""The named conditions stand for what they say, and random draws are fair."""

from collections import Counter

import pytest

from backtracking.config.schema import AblationGenerationConfig
from backtracking.errors import UserError
from backtracking.interventions import Shape
from backtracking.model.arms import condition_arm, way_of_removal
from backtracking.model.random_control import components_of, limits

SELECTED = {"attn": [3, 7], "mlp": [1, 2, 9]}


def arm(name, config=None, selected=SELECTED, n_layers=12, by="zero"):
    config = config or AblationGenerationConfig()
    way = way_of_removal(config, by, 0.5)
    return condition_arm(name, config, selected, Shape(n_layers, 4), {}, way)


def layers(condition, kind):
    return [i.layer for i in condition.interventions if i.component == kind]


def test_targeted_is_exactly_the_selected_components_during_decode():
    (member,) = arm("targeted_ablation", AblationGenerationConfig(scale=0.25)).members
    assert (layers(member, "attn"), layers(member, "mlp")) == ([3, 7], [1, 2, 9])
    assert {i.strength for i in member.interventions} == {0.25}
    assert {i.when.phase for i in member.interventions} == {"decode"}


def test_zero_mode_overrides_the_scale():
    (member,) = arm("targeted_ablation", AblationGenerationConfig(mode="zero", scale=0.5)).members
    assert {i.strength for i in member.interventions} == {0.0}


@pytest.mark.parametrize(
    ("asked", "by", "mode", "strength"),
    [
        ({}, "zero", "scale", 0.0),
        ({}, "scale", "scale", 0.5),
        ({}, "mean", "mean", 0.0),
        ({}, "resample", "scale", 0.0),
        ({"scale": 0.25}, "mean", "scale", 0.25),
        ({"mode": "zero"}, "mean", "scale", 0.0),
        ({"mode": "mean"}, "zero", "mean", 0.0),
    ],
)
def test_components_are_removed_the_way_that_selected_them_unless_another_is_asked_for(
    asked, by, mode, strength
):
    for condition in ("targeted_ablation", "single_ablation", "random_ablation"):
        for member in arm(condition, AblationGenerationConfig(**asked), by=by).members:
            for one in member.interventions:
                assert (one.mode, one.strength) == (mode, strength)
                assert one.vector == (f"mean_{one.component}_{one.layer}" if mode == "mean" else None)


def test_each_component_alone_and_all_together():
    (joint,) = arm("targeted_ablation").members
    alone = arm("single_ablation").members
    assert tuple(member.interventions[0] for member in alone) == joint.interventions
    assert [member.name for member in alone] == [
        "single_attn_3", "single_attn_7", "single_mlp_1", "single_mlp_2", "single_mlp_9"
    ]  # fmt: skip
    assert all(len(member.interventions) == 1 and member.draw is None for member in alone)


def test_random_draws_match_the_shape_and_avoid_the_target():
    config = AblationGenerationConfig(random_draws=40)
    drawn = arm("random_ablation", config)
    assert [member.draw for member in drawn.members] == list(range(40))
    counts: Counter[int] = Counter()
    for member in drawn.members:
        assert len(set(layers(member, "attn"))) == 2
        assert len(set(layers(member, "mlp"))) == 3
        assert not {3, 7} & set(layers(member, "attn"))
        assert not {1, 2, 9} & set(layers(member, "mlp"))
        counts.update(layers(member, "attn"))
    assert set(counts) == set(range(12)) - {3, 7}, "every free layer is drawn sooner or later"
    assert len({components_of(member) for member in drawn.members}) == 40, "every draw is another set"
    assert arm("random_ablation", config) == drawn
    other = AblationGenerationConfig(random_draws=40, random_control_seed=7)
    assert arm("random_ablation", other) != drawn


def test_too_few_free_layers_are_told_and_overlap_is_least():
    selected = {"attn": [0, 1, 2], "mlp": []}
    drawn = arm("random_ablation", selected=selected, n_layers=4)
    note = limits(
        arm("targeted_ablation", selected=selected, n_layers=4).members[0].interventions, 10, Shape(4, 4)
    )
    assert "attn" in note
    assert "there are 3 sets to draw, not 10" in note
    assert len(drawn.members) == 3
    assert components_of(drawn.members[0]).count("attn") == 3
    for member in drawn.members:
        assert 3 in layers(member, "attn")
        assert len(layers(member, "attn")) == 3


def test_rows_are_dealt_evenly_over_problems_and_samples():
    drawn = arm("random_ablation", AblationGenerationConfig(random_draws=5))
    dealt = Counter(drawn.for_row(problem, sample).draw for problem in range(20) for sample in range(6))
    assert set(dealt.values()) == {24}
    assert len({drawn.for_row(0, sample).draw for sample in range(5)}) == 5


@pytest.mark.parametrize(
    ("name", "selected", "message"),
    [
        ("ablate", SELECTED, "unknown condition"),
        ("targeted_ablation", None, "selected layers"),
        ("targeted_ablation", {"attn": [], "mlp": []}, "selected none"),
        ("random_ablation", {"attn": [99], "mlp": []}, "layers 0 to 11"),
    ],
)
def test_mistakes_are_told(name, selected, message):
    with pytest.raises(UserError) as caught:
        arm(name, selected=selected)
    assert message in str(caught.value)
