"""Probabilities where texts part: those that the engine stored, and those of a plain forward pass."""

import math

import pytest
import torch

from backtracking.engine.generate import Row, SamplingParams, generate_rows
from backtracking.interventions import BASELINE_ARM, Arm, Condition, Intervention
from backtracking.measurements.divergence import first_difference
from backtracking.mechanism.partings import Parting, parting_probabilities
from tests.phase2.world import IDS, prompts, random_model

SCALED = Condition(name="scaled", interventions=(Intervention(component="attn", layer=1, strength=0.2),))
BANNED = Condition(name="banned", suppress_tokens=frozenset({IDS["."], IDS[" Wait"], IDS[" 3"]}))
DRAWS = tuple(
    Condition(name="drawn", draw=k, interventions=(Intervention(component="mlp", layer=k, strength=0.0),))
    for k in range(3)
)
ARMS = [Arm("scaled", "scaled", 0.2, (SCALED,)), Arm("banned", "banned", None, (BANNED,)),
        Arm("drawn", "drawn", 0.0, DRAWS)]  # fmt: skip
SAMPLED = SamplingParams(24, temperature=0.8, top_p=0.9, logprobs="with_entropy")


@pytest.fixture(scope="module")
def model():
    return random_model()


@pytest.fixture(scope="module")
def rows(model):
    """The rows of every arm, by arm and row."""
    found = {}
    for arm in [BASELINE_ARM, *ARMS]:
        asked = [
            Row(prompt, sample, arm.for_row(k, sample))
            for k, prompt in enumerate(prompts(6))
            for sample in range(2)
        ]
        found[arm.name] = {record.id: record for record in generate_rows(model, asked, SAMPLED, seed=7)}
    return found


def read_of(model, baseline, arm, records):
    """What is read of each row that parts, by row."""
    members, partings = {member.draw: member for member in arm.members}, []
    for row, record in records.items():
        one, other = baseline[row].completion_ids, record.completion_ids
        step = first_difference(one, other)
        if step is not None:
            old, new = (ids[step] if step < len(ids) else None for ids in (one, other))
            partings.append(Parting(row, members[record.draw], step, old, new))
    read = parting_probabilities(model, baseline, partings)
    return {one.row: found for one, found in zip(partings, read, strict=True)}


def plain(model, ids):
    """The distribution of the next token, by transformers alone."""
    with torch.no_grad():
        return model.model(input_ids=torch.tensor([ids])).logits[0, -1].double().softmax(-1)


@pytest.mark.parametrize("arm", ARMS, ids=lambda arm: arm.name)
def test_they_are_what_the_engine_stored(model, rows, arm):
    baseline, own = rows["baseline"], rows[arm.name]
    read = read_of(model, baseline, arm, own)
    parted = 0
    for row, record in own.items():
        step = first_difference(baseline[row].completion_ids, record.completion_ids)
        if step is None:
            assert row not in read
            continue
        parted += 1
        for side, name in ((baseline[row], "old_prob"), (record, "new_prob_arm")):
            if step < len(side.completion_ids):
                assert read[row][name] == pytest.approx(math.exp(side.logprobs[step]), rel=1e-4)
            else:
                assert read[row][name] is None
    assert parted > 3


def test_they_are_what_a_plain_forward_pass_says(model, rows):
    """Under the baseline, and under an arm that a hook of the test's own imitates."""
    arm, baseline = ARMS[0], rows["baseline"]
    read = read_of(model, baseline, arm, rows["scaled"])
    for row, found in read.items():
        before, after = baseline[row], rows["scaled"][row]
        step = first_difference(before.completion_ids, after.completion_ids)
        ids, start = [*before.prompt_ids, *before.completion_ids[:step]], before.prompt_tokens

        def scaled(module, inputs, output, start=start):
            changed = output[0].clone()
            changed[:, start:] *= 0.2
            return (changed, *output[1:])

        untouched = plain(model, ids)
        handle = model.model.model.layers[1].self_attn.register_forward_hook(scaled)
        changed = plain(model, ids)
        handle.remove()
        for name, side in (("old", before), ("new", after)):
            if step < len(side.completion_ids):
                token = side.completion_ids[step]
                assert found[f"{name}_prob"] == pytest.approx(float(untouched[token]), rel=1e-4)
                assert found[f"{name}_prob_arm"] == pytest.approx(float(changed[token]), rel=1e-4)


def test_a_forbidden_token_has_no_probability_under_its_arm(model, rows):
    arm, baseline = ARMS[1], rows["baseline"]
    read = read_of(model, baseline, arm, rows["banned"])
    hits = [
        found
        for row, found in read.items()
        if (step := first_difference(baseline[row].completion_ids, rows["banned"][row].completion_ids))
        is not None
        and baseline[row].completion_ids[step] in BANNED.suppress_tokens
    ]
    assert hits and all(found["old_prob_arm"] == 0.0 < found["old_prob"] for found in hits)


def test_stored_entropies_are_those_of_a_plain_forward_pass(model, rows):
    for record in list(rows["baseline"].values())[:4]:
        assert len(record.entropies) == len(record.logprobs) == len(record.completion_ids)
        for step in (0, len(record.completion_ids) // 2, len(record.completion_ids) - 1):
            chances = plain(model, [*record.prompt_ids, *record.completion_ids[:step]])
            own = -(chances * chances.log()).sum()
            assert record.entropies[step] == pytest.approx(float(own), abs=1e-4)


def test_rows_without_entropies_are_written_as_before(model):
    asked = [Row(prompts(1)[0], 0)]
    kept = {}
    for logprobs in (False, True, "with_entropy"):
        params = SamplingParams(24, temperature=0.8, top_p=0.9, logprobs=logprobs)
        kept[logprobs] = next(iter(generate_rows(model, asked, params, seed=7))).model_dump(exclude_none=True)
    assert "entropies" not in kept[False] and "entropies" not in kept[True] and "logprobs" not in kept[False]
    assert kept[True]["gen_params"]["logprobs"] is True and kept[False]["gen_params"]["logprobs"] is False
    assert kept["with_entropy"]["logprobs"] == kept[True]["logprobs"]
    assert len({tuple(one["completion_ids"]) for one in kept.values()}) == 1
