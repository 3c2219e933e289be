"""The target's rank among random sets: like with like, and its level where the sets differ truly."""

import numpy as np
import pandas as pd
import pytest
from benchmarks.ranks import study, wrongly_lowest

from backtracking.interventions import Intervention, Shape
from backtracking.measurements.random_sets import beside_the_target, target_rank, with_ranks
from backtracking.model.random_control import described_sets, matched_arm

TARGET = (Intervention(component="attn", layer=5), Intervention(component="mlp", layer=4))


def sets_of(arm):
    return [frozenset(i.place for i in member.interventions) for member in arm.members]


def test_sets_are_distinct_and_cost_what_the_target_costs():
    collateral = {(kind, k, None): 0.1 * k for kind in ("attn", "mlp") for k in range(8)}
    arm = matched_arm("random_ablation", TARGET, 5, Shape(8, 2), 0, collateral)
    places = sets_of(arm)
    assert len(set(places)) == 5
    target = {i.place for i in TARGET}
    for one in places:
        assert not one & target
        assert {component for component, _, _ in one} == {"attn", "mlp"}
        assert sum(layer for _, layer, _ in one) == 9, "0.9 nats, as the target"
    first, *others = described_sets(TARGET, arm, collateral)
    assert first["collateral"] == pytest.approx(0.9) and first["draw"] is None
    assert {round(line["collateral"], 6) for line in others} == {0.9}


def test_few_components_give_all_sets():
    one = TARGET[:1]
    arm = matched_arm("random_ablation", one, 19, Shape(6, 2), 0, {})
    assert sorted(layer for places in sets_of(arm) for _, layer, _ in places) == [0, 1, 2, 3, 4]
    both = matched_arm("random_ablation", TARGET, 99, Shape(6, 2), 0, {})
    assert len(set(sets_of(both))) == 35, "6 × 6 pairs without the target"


def test_of_very_many_sets_some_that_share_nothing_are_drawn():
    many = tuple(Intervention(component="mlp", layer=k) for k in range(6))
    arm = matched_arm("random_ablation", many, 19, Shape(40, 2), 3, {("mlp", k, None): k for k in range(40)})
    assert len(set(sets_of(arm))) == 19
    assert all(min(layer for _, layer, _ in places) > 5 for places in sets_of(arm))
    assert matched_arm("random_ablation", many, 19, Shape(40, 2), 3, {}) == matched_arm(
        "random_ablation", many, 19, Shape(40, 2), 3, {}
    )


def test_each_set_is_compared_on_its_own_rows():
    """By hand: two sets, four rows each, of problems that differ in how often they backtrack."""
    lines = []
    onsets = {
        "baseline": [1, 1, 1, 1, 0, 0, 1, 1],
        "targeted_ablation": [0, 0, 1, 1, 0, 0, 0, 0],
        "random_ablation": [1, 1, 1, 0, 0, 0, 0, 0],
    }
    for condition, values in onsets.items():
        for row, value in enumerate(values):
            draw = row // 4 if condition == "random_ablation" else None
            lines.append((f"p{row // 2}", row % 2, condition, draw, bool(value), False, None, 9))
    columns = ["example_id", "sample_id", "condition", "draw", "has_backtracking_strict"]
    columns += ["has_backtracking_relaxed", "is_correct", "completion_tokens"]
    events = pd.DataFrame(lines, columns=columns).assign(variant="v")
    sets = beside_the_target(events).set_index("draw")
    assert list(sets["backtracking_set"]) == [-0.25, -0.5]
    assert list(sets["backtracking_target"]) == [-0.5, -0.5]
    found = target_rank(sets.reset_index(), "backtracking")
    assert (found.sets, found.as_strong, found.p) == (2, 1, pytest.approx(2 / 3)), "a tie counts against it"
    table = pd.DataFrame({"condition": ["baseline", "targeted_ablation"]})
    ranked = with_ranks(table, sets.reset_index()).set_index("condition")
    assert ranked.loc["targeted_ablation", "target_rank"] == 2
    assert ranked.loc["baseline", ["target_rank", "rank_p"]].isna().all()


def test_without_random_sets_there_is_no_rank():
    events = study(np.random.default_rng(0), 0.05, 4, 2)
    for rows in (events[events["condition"] == "baseline"], events.drop(columns="draw")):
        sets = beside_the_target(rows)
        assert sets.empty and sets["draw"].dtype == int
        ranked = with_ranks(pd.DataFrame({"condition": ["baseline", "targeted_ablation"]}), sets)
        assert ranked["rank_p"].isna().all()


@pytest.mark.parametrize("spread", [0.05, 0.2])
def test_an_exchangeable_target_is_hardly_ever_the_lowest(spread):
    """One of twenty would be, by chance, were nothing measured with error; error only adds swaps."""
    assert wrongly_lowest(spread, repetitions=60, problems=80, seed=1) <= 0.15  # 5%, three deviations


def test_a_target_that_lowers_much_more_is_found():
    generator = np.random.default_rng(0)
    sets = beside_the_target(study(generator, 0.05, 200, 6, target=-0.6))
    assert target_rank(sets, "backtracking").p == pytest.approx(0.05)
