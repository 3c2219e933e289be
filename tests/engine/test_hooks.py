"""`with ablate(...)` around plain calls: which positions count as generated, and what never happened."""

import pytest
import torch
from tiny import prompt, tiny

from backtracking.engine.generate import Row, SamplingParams, generate_rows
from backtracking.errors import UserError
from backtracking.interventions import Condition, Intervention, When
from backtracking.model.hooks import GateHooks, ablate

DECODE_ONLY = Intervention(component="mlp", layer=1)
SHORT, LONG = (torch.tensor([prompt(i, length).ids]) for i, length in enumerate((6, 14)))


def complete(model, ids, **options):
    output = model.model.generate(
        ids, attention_mask=torch.ones_like(ids), max_new_tokens=8, do_sample=False, pad_token_id=0,
        eos_token_id=None, **options,
    )  # fmt: skip
    return output[:, ids.shape[1] :].tolist()


def test_an_ablation_that_never_acted_is_an_error():
    model = tiny("llama")
    ids = torch.tensor([list(prompt(0).ids)])
    decode_only = Intervention(component="mlp", layer=1)
    with pytest.raises(UserError, match="never acted"), ablate(model, [decode_only]), torch.no_grad():
        model.model(ids)
    with ablate(model, [decode_only]) as ledger, torch.no_grad():
        model.model.generate(
            ids, attention_mask=torch.ones_like(ids), max_new_tokens=4, do_sample=False, pad_token_id=0
        )
    assert (ledger.total_calls, ledger.ablation_calls, ledger.skipped_calls) == (4, 3, 1)
    assert ledger.as_dict()["seq_len_distribution"] == {"1": 3, "9": 1}


def test_each_of_several_schedules_must_have_acted():
    """Two heads of one layer count together in the ledger, but each has to act."""
    ids = torch.tensor([prompt(0).ids])
    heads = [
        Intervention(component="attn", layer=0, head=1, when=When(phase="all")),
        Intervention(component="attn", layer=0, head=2),
    ]
    never = pytest.raises(UserError, match="head 2 in attn of layer 0 never acted")
    with never, ablate(tiny("llama"), heads), torch.no_grad():
        tiny("llama").model(ids)


def test_each_generate_call_is_its_own_sequence():
    model = tiny("llama")
    apart = []
    for ids in (SHORT, LONG):
        with ablate(model, [DECODE_ONLY]):
            apart.append(complete(model, ids))
    for order in ((0, 1), (1, 0), (0, 0)):
        with ablate(model, [DECODE_ONLY]) as ledger:
            together = [complete(model, (SHORT, LONG)[i]) for i in order]
        assert together == [apart[i] for i in order]
        assert (ledger.total_calls, ledger.ablation_calls) == (16, 14)
    with ablate(model, [DECODE_ONLY]) as ledger:
        assert complete(model, SHORT, use_cache=False) == apart[0]
    assert (ledger.total_calls, ledger.ablation_calls) == (8, 7)


def test_sequences_that_are_mixed_are_an_error():
    model = tiny("llama")
    with torch.no_grad(), ablate(model, [DECODE_ONLY]):
        cache = model.model(SHORT, use_cache=True).past_key_values
        model.model(LONG)
        with pytest.raises(UserError, match="at position 6, but the sequence so far has 14 tokens"):
            model.model(SHORT[:, :1], past_key_values=cache)
        complete(model, SHORT)


def test_the_engine_is_not_for_use_inside_an_ablation():
    model = tiny("llama")
    with pytest.raises(UserError, match="give the rows a condition"), ablate(model, [DECODE_ONLY]):
        list(generate_rows(model, [Row(prompt(0), 0)], SamplingParams(4), seed=0))


@pytest.mark.parametrize("engine", ["batched", "reference"])
def test_a_gate_that_was_not_applied_is_noticed(monkeypatch, engine):
    """The schedule says what should happen; the hooks say what did."""
    monkeypatch.setattr(GateHooks, "_apply", lambda self, module, hidden: hidden)
    removed = Condition(name="removed", interventions=(DECODE_ONLY,))
    with pytest.raises(RuntimeError, match=r"not applied in a forward pass.*layer=1, component='mlp'"):
        list(
            generate_rows(
                tiny("llama"), [Row(prompt(0), 0, removed)], SamplingParams(4), seed=0, engine=engine
            )
        )
