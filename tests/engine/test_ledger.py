"""The ledger raises when the counts are not what the schedule says, and the stage asks it."""

import pytest
from tiny import prompt, tiny

from backtracking.engine.generate import Row, SamplingParams, generate_rows
from backtracking.interventions import Condition, Intervention, When
from backtracking.model.gates import GateTable
from backtracking.model.ledger import Ledger, label

REMOVED = Condition(name="removed", interventions=(Intervention(component="mlp", layer=1),))


def run(ledger, engine="batched"):
    rows = [Row(prompt(k), 0, REMOVED) for k in range(3)]
    return list(generate_rows(tiny("llama"), rows, SamplingParams(6), seed=0, engine=engine, ledger=ledger))


@pytest.mark.parametrize("engine", ["batched", "reference"])
def test_counts_that_are_as_scheduled_pass(engine):
    ledger = Ledger()
    run(ledger, engine)
    ledger.verify()
    assert ledger.ablation_calls > 0


@pytest.mark.parametrize("counter", ["called", "applied", "expected_called", "expected_applied"])
def test_a_single_count_too_many_is_raised(counter):
    ledger = Ledger()
    run(ledger)
    getattr(ledger, counter)["removed", 1, "mlp"] += 1
    with pytest.raises(RuntimeError, match=r"not applied as scheduled:\n  removed mlp_1"):
        ledger.verify()


def test_counts_of_a_condition_that_no_row_had_are_raised():
    ledger = Ledger()
    ledger.record(("stray", 0, "attn"), 1, 1, 1)
    with pytest.raises(RuntimeError, match="stray attn_0: called 1"):
        ledger.verify()


def test_passes_that_go_uncounted_are_raised(monkeypatch):
    monkeypatch.setattr(GateTable, "count_decode", lambda *_: None)
    ledger = Ledger()
    run(ledger)
    with pytest.raises(RuntimeError, match="not applied as scheduled"):
        ledger.verify()


@pytest.mark.parametrize(("reason", "passes"), [("length", 3), ("stop", 3), ("error", 4)])
def test_a_rows_last_token_is_fed_back_only_where_it_failed(reason, passes):
    ledger, row = Ledger(), run(Ledger())[0]
    ids = [5, 6, 7, 8]
    ledger.expect(row.model_copy(update={"finish_reason": reason, "completion_ids": ids}), REMOVED)
    assert ledger.expected_called["removed", 1, "mlp"] == 1 + passes


def test_lengths_of_sequences_are_counted():
    ledger = Ledger()
    ledger.record(("a", 0, "attn"), 2, 1, 9)
    ledger.record(("b", 0, "attn"), 3, 1, 9)
    assert ledger.sequence_lengths == {9: 5}


def test_a_ledger_that_is_switched_off_counts_and_expects_nothing():
    ledger, full = Ledger(enabled=False), Ledger()
    (row, *_) = run(full)
    ledger.record(("a", 0, "attn"), 1, 1, 5)
    ledger.record(("a", 0, "attn"), 0, 0, 5)
    ledger.expect(row, REMOVED)
    ledger.add(full)
    assert ledger == Ledger(enabled=False)
    full.record(("a", 0, "attn"), 0, 0, 5)
    assert ("a", 0, "attn") not in full.called


def test_ledgers_add_up():
    one, other = Ledger(), Ledger()
    one.record(("a", 0, "attn"), 2, 1, 9)
    other.record(("a", 0, "attn"), 3, 2, 9)
    one.add(other)
    key = ("a", 0, "attn")
    assert (one.called[key], one.applied[key], one.sequence_lengths) == (5, 3, {9: 5})


def test_draws_of_a_condition_are_told_apart():
    assert (label("random", None), label("random", 2)) == ("random", "random#2")


def test_what_the_ledger_writes():
    """Two conditions, one of them at two layers: every count by layer, and again by condition."""
    ledger = Ledger()
    ledger.record(("b", 10, "mlp"), 4, 1, 9)
    ledger.record(("a", 2, "mlp"), 3, 3, 1)
    ledger.record(("a", 10, "mlp"), 5, 2, 9)
    assert (ledger.total_calls, ledger.ablation_calls, ledger.skipped_calls) == (12, 6, 6)

    def counts(total, changed):
        return {"total_calls": total, "ablation_calls": changed, "skipped_calls": total - changed}

    assert ledger.as_dict() == counts(12, 6) | {
        "seq_len_distribution": {"1": 3, "9": 9},
        "by_layer": {"2": {"mlp": counts(3, 3)}, "10": {"mlp": counts(9, 3)}},
        "by_condition": {
            "a": {"mlp_2": counts(3, 3), "mlp_10": counts(5, 2)},
            "b": {"mlp_10": counts(4, 1)},
        },
    }
    assert list(ledger.as_dict()["by_layer"]) == ["2", "10"]


def test_what_is_taken_begins_anew():
    ledger = Ledger()
    run(ledger)
    before = ledger.as_dict()
    taken = ledger.take()
    assert ledger == Ledger()
    assert taken.as_dict() == before
    taken.verify()


def test_every_schedule_of_a_condition_is_expected_by_itself():
    changes = (
        Intervention(component="mlp", layer=0),
        Intervention(component="attn", layer=1, when=When(phase="prefill")),
        Intervention(component="mlp", layer=2, when=When(phase="all", after_tokens=frozenset({7}))),
    )
    ledger = Ledger()
    ledger.expect_passes(Condition(name="c", draw=1, interventions=changes), [5, 7], [7, 8, 7])
    assert ledger.expected_called == dict.fromkeys(
        [("c#1", 0, "mlp"), ("c#1", 1, "attn"), ("c#1", 2, "mlp")], 4
    )
    assert [ledger.expected_applied[key] for key in sorted(ledger.expected_called)] == [3, 1, 3]
