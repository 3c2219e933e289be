"""What a device changes: how many slots, and passes replayed from static buffers."""

import pytest
import torch
from tiny import prompt, tiny

from backtracking.engine import graphs, sizing
from backtracking.engine.batched import run_batched
from backtracking.engine.generate import Row, SamplingParams, generate_rows
from backtracking.interventions import BASELINE, Condition, Intervention, When
from backtracking.model.gates import GateTable
from backtracking.model.hooks import GateHooks, Ledger

SAMPLED = SamplingParams(14, 1.0, 0.95, logprobs=True)
VECTORS = {name: torch.randn(32, generator=torch.Generator().manual_seed(i)) for i, name in enumerate("ab")}


def steer(name: str, **when: object) -> Condition:
    steering = Intervention(
        component="resid", layer=1, mode="add", strength=0.7, vector=name, when=When(**when)
    )
    halving = Intervention(component="mlp", layer=2, strength=0.5)
    return Condition(name=f"{name} {when}", interventions=(steering, halving))


CONDITIONS = (BASELINE, steer("a"), steer("b"), steer("a", steps=(3, 4)))
ROWS = [Row(prompt(i, 4 + i), 0, condition) for i in range(5) for condition in CONDITIONS]


def texts(records):
    return {(r.example_id, r.condition): (r.completion_ids, r.logprobs) for r in records}


def test_static_gates_stay_in_place_and_say_the_same(monkeypatch):
    """Gates kept in fixed buffers, idle ones included, change no bit; directions stay in place too."""
    model = tiny("llama")
    expected = texts(generate_rows(model, ROWS, SAMPLED, seed=0, slots=16, vectors=VECTORS))
    load, places = GateHooks.load, []

    def static(self, rows, is_active):
        load(self, rows, is_active, static=rows.shape == (16, 1))
        if rows.shape == (16, 1):
            kept = [*self._static_gates, *(vector for vector in self._vectors if vector is not None)]
            places.append([tensor.data_ptr() for tensor in kept])

    monkeypatch.setattr(GateHooks, "load", static)
    assert texts(generate_rows(model, ROWS, SAMPLED, seed=0, slots=16, vectors=VECTORS)) == expected
    assert len(places) > 20
    assert all(now == places[-1] for now in places)


class Replayed:
    """Stands in for a captured graph: repeats the pass on the static buffers it was made with."""

    def __init__(self, decoder, cache, length):
        self.decoder, self.cache, self.length = decoder, cache, length
        self.keys = cache.all_keys
        self.logits = torch.empty(len(decoder._tokens), decoder.model.vocab_size)

    def replay(self):
        assert self.cache.all_keys is self.keys, "a graph outlived the memory it was captured on"
        self.decoder.hooks.begin_pass()
        step = graphs.model_step(
            self.decoder.model, self.cache, self.decoder._tokens, self.decoder._positions, self.length
        )
        self.logits.copy_(step)


def test_graph_bookkeeping_gives_the_same_rows(monkeypatch):
    """Fixed rows, length buckets, a growing cache, conditions that join late: the same tokens throughout."""
    model = tiny("llama")
    long = SamplingParams(150, 1.0, 0.95)
    rows = [Row(prompt(i, 4 + 20 * i), 0, c) for i, c in enumerate(CONDITIONS)]
    expected = texts(generate_rows(model, rows, long, seed=0, slots=2, vectors=VECTORS))
    captured = []

    def capture(self, cache, length):
        captured.append(length)
        graph = Replayed(self, cache, length)
        return graph, graph.logits

    monkeypatch.setattr(graphs.GraphedDecoder, "_capture", capture)
    monkeypatch.setattr(graphs, "_BUCKET", 64)
    monkeypatch.setattr("backtracking.engine.batched.make_decoder", graphs.GraphedDecoder)
    table, ledger = GateTable(model, VECTORS), Ledger()
    records = list(run_batched(model, rows, long, seed=0, slots=2, table=table, ledger=ledger))
    assert texts(records) == expected
    assert len(captured) < 20  # steps are many, captures few


def test_a_pass_that_cannot_be_captured_runs_all_the_same(monkeypatch):
    """Some modules do what a graph cannot record; the rows must not suffer for it."""
    model = tiny("llama")
    expected = texts(generate_rows(model, ROWS, SAMPLED, seed=0, slots=16, vectors=VECTORS))

    def refuse(self, cache, length):
        raise RuntimeError("operation not permitted when stream is capturing")

    monkeypatch.setattr(graphs.GraphedDecoder, "_capture", refuse)
    monkeypatch.setattr("backtracking.engine.batched.make_decoder", graphs.GraphedDecoder)
    with pytest.warns(RuntimeWarning, match="no CUDA graphs") as warned:
        assert texts(generate_rows(model, ROWS, SAMPLED, seed=0, slots=16, vectors=VECTORS)) == expected
    assert len(warned) == 1


def test_slots_follow_the_free_memory(monkeypatch):
    model = tiny("llama")
    per_row = 2 * 3 * 2 * 8 * 4 * 1000  # keys and values, layers, heads, width, bytes, positions
    for rows_that_fit, expected in ((10_000, 128), (50, 50), (2, 16)):
        free = int(per_row * rows_that_fit / sizing._SHARE_OF_FREE_MEMORY) + 1
        monkeypatch.setattr(sizing, "_free_bytes", lambda device, free=free: free)
        assert sizing.choose_slots(model, longest=1000) == expected
    assert texts(generate_rows(model, ROWS[:3], SAMPLED, seed=0, slots="auto", vectors=VECTORS)) == texts(
        generate_rows(model, ROWS[:3], SAMPLED, seed=0, slots=1, vectors=VECTORS)
    )
