"""Training: what the loss sees, resuming, and a smoke run from seed to release."""

import json
import math
import random
from dataclasses import replace

import pytest
import torch

from backtracking.errors import UserError
from backtracking.organism.batches import (
    CHAIN_WEIGHTS,
    DECIDE_WEIGHT,
    FULL_WEIGHTS,
    BatchSource,
    chain_sample,
    problem_sample,
    weigh,
)
from backtracking.organism.bundle import verify_checksums
from backtracking.organism.design import DESIGN, DOUBTER
from backtracking.organism.evaluate import silenced
from backtracking.organism.recipe import Graft
from backtracking.organism.task import is_test, random_problem
from backtracking.organism.tokenizer import train_tokenizer
from backtracking.organism.traces import TeachingTrace, TracePiece
from backtracking.organism.train import SMOKE_RECIPE, Training, main, smoke


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(n=500)


def source(tokenizer, draw, weights, seed="0"):
    return BatchSource(tokenizer, draw, weights, tokens=1000, mean_length=75, seed=seed)


def test_a_batch_depends_on_seed_and_step_alone(tokenizer):
    one, other = (source(tokenizer, problem_sample, FULL_WEIGHTS) for _ in range(2))
    for step in range(9):
        one.batch(step)
    assert torch.equal(one.batch(9).ids, other.batch(9).ids)
    assert not torch.equal(one.batch(9).ids[:1, :20], one.batch(10).ids[:1, :20])
    changed = source(tokenizer, problem_sample, FULL_WEIGHTS, seed="1")
    assert not torch.equal(changed.batch(9).ids[:1, :20], one.batch(9).ids[:1, :20])


def test_the_prompt_is_no_target_and_the_end_is_one(tokenizer):
    batch = source(tokenizer, problem_sample, FULL_WEIGHTS).batch(0)
    for ids, weights in zip(batch.ids.tolist(), batch.weights.tolist(), strict=True):
        turn = ids.index(tokenizer.convert_tokens_to_ids("<|assistant|>"))
        assert not any(weights[: turn + 1])
        assert weights[ids.index(tokenizer.eos_token_id)] > 0
        assert not any(w for i, w in zip(ids, weights, strict=True) if i == tokenizer.pad_token_id)


def test_on_a_chain_operands_and_wrong_results_are_no_targets(tokenizer):
    trace = TeachingTrace()
    for text, piece in (
        ("3 + 4 =", TracePiece.OPERANDS),
        (" 8.", TracePiece.WRONG_RESULT),
        ("\nWait, ", TracePiece.AFTER),
        ("3 + 4 =", TracePiece.AGAIN),
        (" 7.", TracePiece.RESULT),
    ):
        trace.add(text, piece)
    encoded = tokenizer.backend_tokenizer.encode(trace.text, add_special_tokens=False)
    weights = dict(zip(encoded.offsets, weigh(encoded.offsets, trace, CHAIN_WEIGHTS), strict=True))
    by_text = [(trace.text[a:b], weight) for (a, b), weight in weights.items()]
    assert [w for t, w in by_text[:4]] == [0, 0, 0, 0]
    assert ("Wait", DECIDE_WEIGHT) in by_text
    assert (" 8", 0.0) in by_text and (" 7", 1.0) in by_text


def test_training_draws_no_test_problem(tokenizer):
    rng = random.Random(0)
    assert not any(is_test(random_problem(rng, "train").steps) for _ in range(500))
    assert "Final" not in chain_sample(rng).trace.text


def short(design):
    """Four steps of each phase."""
    graft = design.recipe.graft and Graft(layer=1, steps=4, rate=1e-3)
    return replace(design, recipe=replace(SMOKE_RECIPE, chain_steps=4, problem_steps=4, graft=graft))


@pytest.mark.parametrize(("which", "cut"), [(DESIGN, 5), (DOUBTER, 5), (DOUBTER, 9)])
def test_a_resumed_training_ends_with_the_same_weights(tmp_path, which, cut):
    design = short(which)
    whole, first = (Training(design, tmp_path / name) for name in ("a", "b"))
    for training in (whole, first):
        training.out.mkdir()
    list(whole.run())
    for _ in range(cut):
        first.advance()
    first.save()
    second = Training(design, tmp_path / "b")
    second.resume()
    list(second.run())
    assert second.step == design.recipe.steps
    for one, other in zip(whole.model.parameters(), second.model.parameters(), strict=True):
        assert torch.equal(one, other)


def test_a_resumed_training_logs_every_step_once(tmp_path):
    for line in Training(short(DESIGN), tmp_path).run(log_every=1, save_every=4):
        if line["step"] == 6:
            break
    with (tmp_path / "log.jsonl").open("a") as log:
        log.write('{"step": 7, "lo')
    resumed = Training(short(DESIGN), tmp_path)
    resumed.resume()
    list(resumed.run(log_every=1, save_every=4))
    log = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in log] == list(range(1, 9))


def test_a_smoke_run_that_is_cut_off_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(Training, "advance", _stop_at(130))
    with pytest.raises(KeyboardInterrupt):
        main(["--out", str(tmp_path), "--smoke"])
    resumed = Training(smoke(DESIGN), tmp_path)
    resumed.resume()
    assert resumed.step == 100


def _stop_at(step):
    """Training that only counts, up to a step."""

    def advance(training):
        if training.step == step:
            raise KeyboardInterrupt
        training.step += 1
        return 0.0

    return advance


def test_a_checkpoint_of_another_recipe_is_refused(tmp_path):
    Training(short(DESIGN), tmp_path).save()
    other = short(DESIGN)
    other = replace(other, recipe=replace(other.recipe, seed=1))
    with pytest.raises(UserError, match="another design or recipe"):
        Training(other, tmp_path).resume()


def test_the_graft_alone_learns_in_its_phase_and_writes_nothing_before(tmp_path):
    training = Training(short(DOUBTER), tmp_path)
    block = training.model.model.layers[1]
    while training.step < 8:
        training.advance()
    assert not block.self_attn.o_proj.weight.any()
    before = {name: tensor.clone() for name, tensor in training.model.state_dict().items()}
    while training.step < 12:
        training.advance()
    after = training.model.state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert "model.layers.1.self_attn.o_proj.weight" in changed
    assert all(
        name.startswith(("model.layers.1.self_attn.", "model.layers.1.input_layernorm")) for name in changed
    )
    with silenced(training.model, training.recipe.graft):
        ids = training.sources["graft"].batch(0).ids
        cut = training.model(ids).logits
    training.model.load_state_dict(before)
    assert torch.equal(training.model(ids).logits, cut)


@pytest.mark.slow
def test_a_smoke_run_learns_and_writes_a_release(tmp_path):
    main(["--out", str(tmp_path), "--smoke"])
    log = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert log[-1]["step"] == smoke(DESIGN).recipe.steps
    assert log[-1]["loss"] < 0.4 * math.log(len(train_tokenizer(n=500))), (
        "far better than any guess among all tokens"
    )
    verify_checksums(tmp_path / "release")
    card = (tmp_path / "release" / "MODEL_CARD.md").read_text()
    assert "95.5%" in card and "| backtracking rate, main variant |" in card
