"""A kind of intervention is one line in the table of modes: whatever runs models reads it there."""

import math

import pytest
import torch
from pydantic import ValidationError
from tiny import prompt, tiny

from backtracking.config.phase2 import Subset
from backtracking.engine.generate import Row, SamplingParams, generate_rows
from backtracking.errors import UserError
from backtracking.interventions import MODES, Condition, Intervention, Mode, When
from backtracking.mechanism.continuations import edits
from backtracking.model.arms import Resources, scale_arms
from backtracking.model.hooks import ablate
from backtracking.model.ledger import Ledger


@pytest.fixture
def rolled(monkeypatch):
    """A toy mode that no part of the program knows: the output mixed with itself, moved on by one."""
    rule = Mode(
        lambda output, strength, _: output + strength * (output.roll(1, -1) - output),
        neutral=0.0,
        components=("mlp",),
    )
    monkeypatch.setitem(MODES, "rolled", rule)
    return Intervention(component="mlp", layer=1, mode="rolled", strength=0.5, when=When(phase="all"))


def test_a_new_mode_acts_in_plain_calls_as_its_rule_says(rolled):
    model, ids = tiny("llama"), torch.tensor([prompt(0).ids])

    def by_hand(_, __, output):
        return output / 2 + torch.cat([output[..., -1:], output[..., :-1]], dim=-1) / 2

    with torch.no_grad():
        untouched = model.model(ids).logits
        handle = model.blocks[1].mlp.register_forward_hook(by_hand)
        expected = model.model(ids).logits
        handle.remove()
        with ablate(model, [rolled]):
            found = model.model(ids).logits
    torch.testing.assert_close(found, expected)
    assert (found - untouched).abs().max() > 0.1


def test_a_new_mode_rides_in_batches_and_the_reference_agrees(rolled):
    model = tiny("llama")
    conditions = [
        Condition(name="a", interventions=(rolled,)),
        Condition(name="b", interventions=(rolled.model_copy(update={"strength": 1.0, "when": When()}),)),
        Condition(name="c", interventions=(Intervention(component="mlp", layer=1, mode="zero"), rolled)),
        Condition(name="none"),
    ]
    rows = [Row(prompt(k, 5 + k), 0, condition) for k in range(3) for condition in conditions]
    texts = []
    for engine in ("batched", "reference"):
        ledger = Ledger()
        records = generate_rows(model, rows, SamplingParams(8), seed=1, engine=engine, ledger=ledger)
        texts.append({(r.example_id, r.condition): r.completion_ids for r in records})
        ledger.verify()
    assert texts[0] == texts[1]
    assert len({tuple(texts[0]["1", condition.name]) for condition in conditions}) > 2


def test_a_new_mode_is_weakened_towards_its_neutral_strength(rolled):
    (arm,) = scale_arms("r", Subset(components=[rolled]), [0.75], Resources(3, 4, When()))
    assert arm.members[0].interventions[0].strength == pytest.approx(0.125)
    assert edits(arm.members[0]) is None, "the scan's passes multiply, and this does more"


def test_a_new_mode_without_doses_is_not_weakened(rolled, monkeypatch):
    monkeypatch.setitem(MODES, "rolled", Mode(MODES["rolled"].apply, neutral=0.0, has_doses=False))
    with pytest.raises(UserError, match="no scales in between"):
        scale_arms("r", Subset(components=[rolled]), [0.75], Resources(3, 4, When()))


def test_what_a_mode_asks_for_is_checked():
    with pytest.raises(ValidationError, match=r"unknown mode 'melt': choose one of scale, zero, mean"):
        Intervention(component="mlp", layer=0, mode="melt")
    with pytest.raises(ValidationError, match="needs `vector`"):
        Intervention(component="resid", layer=0, mode="add")
    with pytest.raises(ValidationError, match="acts on the residual stream"):
        Intervention(component="mlp", layer=0, mode="project", vector="v")
    with pytest.raises(ValidationError, match="takes no `vector`"):
        Intervention(component="mlp", layer=0, mode="zero", vector="v")


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_changes_nothing_at_its_neutral_strength(mode):
    output, vector = torch.randn(3, 2, 8), torch.randn(8)
    rule = MODES[mode]
    strength = torch.full((3, 2, 1), rule.neutral)
    assert torch.equal(rule.apply(output, strength, vector if rule.needs_vector else None), output)


@pytest.mark.parametrize("neutral", [math.inf, math.nan])
def test_a_mode_has_a_finite_neutral_strength(neutral):
    with pytest.raises(ValueError, match="finite"):
        Mode(lambda output, *_: output, neutral=neutral)
