"""What a device changes: how many slots, and passes replayed from static buffers."""

import os
import sys

import numpy as np
import pytest
import torch
from tiny import prompt, tiny

from backtracking.engine import batched, graphs, sizing
from backtracking.engine.batched import run_batched
from backtracking.engine.generate import Row, SamplingParams, generate_rows
from backtracking.engine.sampling import choose
from backtracking.interventions import BASELINE, Condition, Intervention, When
from backtracking.model import mapping
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
            kept = [self._static_gates, *(vector for vector in self._vectors if vector is not None)]
            places.append([tensor.data_ptr() for tensor in kept])

    monkeypatch.setattr(GateHooks, "load", static)
    assert texts(generate_rows(model, ROWS, SAMPLED, seed=0, slots=16, vectors=VECTORS)) == expected
    assert len(places) > 20
    assert all(now == places[-1] for now in places)


class Replayed:
    """Stands in for a captured graph: repeats the pass on the static buffers it was made with."""

    def __init__(self, decoder, cache, numbers):
        self.decoder, self.cache, self.numbers = decoder, cache, numbers
        self.keys = list(cache.keys)
        self.logits = torch.empty(numbers.rows, decoder.model.vocab_size)

    def replay(self):
        kept = zip(self.cache.keys, self.keys, strict=True)
        assert all(now is then for now, then in kept), "a graph outlived the memory it was captured on"
        self.decoder.hooks.begin_pass()
        self.logits.copy_(graphs.model_step(self.decoder.model, self.cache, self.numbers))


def test_graph_bookkeeping_gives_the_same_rows(monkeypatch):
    """Few row counts, page buckets, a growing cache, conditions that join late: the same tokens."""
    model = tiny("llama")
    long = SamplingParams(150, 1.0, 0.95)
    rows = [Row(prompt(i, 4 + 20 * i), 0, c) for i, c in enumerate(CONDITIONS)]
    expected = texts(generate_rows(model, rows, long, seed=0, slots=2, vectors=VECTORS))
    captured = []

    def capture(self, cache, numbers):
        captured.append((numbers.rows, numbers.size))
        graph = Replayed(self, cache, numbers)
        return graph, numbers, graph.logits

    monkeypatch.setattr(graphs.GraphedDecoder, "_capture", capture)
    monkeypatch.setattr("backtracking.engine.batched.make_decoder", graphs.GraphedDecoder)
    table, ledger = GateTable(model, VECTORS), Ledger()
    records = list(run_batched(model, rows, long, seed=0, slots=2, table=table, ledger=ledger))
    assert texts(records) == expected
    assert len(captured) < 20  # steps are many, captures few


def test_passes_shrink_with_the_batch_and_come_in_few_kinds():
    decoder = graphs.GraphedDecoder(tiny("llama"), GateHooks(GateTable(tiny("llama"))), 100)
    assert [decoder.padded(rows) for rows in (100, 60, 50, 30, 3, 60)] == [100, 100, 50, 50, 25, 100]
    kinds = [graphs.bucket(pages) for pages in range(1, 5000)]
    assert all(pages <= kind <= pages * 9 / 8 for pages, kind in enumerate(kinds, 1))
    assert kinds == sorted(kinds) and len(set(kinds)) < 90


def test_a_pass_that_cannot_be_captured_runs_all_the_same(monkeypatch):
    """Some modules do what a graph cannot record; the rows must not suffer for it."""
    model = tiny("llama")
    expected = texts(generate_rows(model, ROWS, SAMPLED, seed=0, slots=16, vectors=VECTORS))

    def refuse(self, cache, numbers):
        raise RuntimeError("operation not permitted when stream is capturing")

    monkeypatch.setattr(graphs.GraphedDecoder, "_capture", refuse)
    monkeypatch.setattr("backtracking.engine.batched.make_decoder", graphs.GraphedDecoder)
    with pytest.warns(RuntimeWarning, match="no CUDA graphs") as warned:
        assert texts(generate_rows(model, ROWS, SAMPLED, seed=0, slots=16, vectors=VECTORS)) == expected
    assert len(warned) == 1


def test_slots_follow_the_free_memory(monkeypatch):
    model = tiny("llama")
    per_row = 2 * 3 * 2 * 8 * 4 * 1000  # keys and values, layers, heads, width, bytes, positions
    for rows_that_fit, expected in ((10_000, 512), (50, 50), (2, 16)):
        free = int(per_row * rows_that_fit / sizing._SHARE_OF_FREE_MEMORY) + 1
        monkeypatch.setattr(sizing, "_free_bytes", lambda device, free=free: free)
        assert sizing.choose_slots(model, longest=1000) == expected
    assert texts(generate_rows(model, ROWS[:3], SAMPLED, seed=0, slots="auto", vectors=VECTORS)) == texts(
        generate_rows(model, ROWS[:3], SAMPLED, seed=0, slots=1, vectors=VECTORS)
    )


def test_a_shared_prompt_counts_once_for_the_rows_that_read_it(monkeypatch):
    """Of the first rows, as far as there are any; a condition that acts on prompts reads them itself."""
    model, asked = tiny("llama"), []
    monkeypatch.setattr(batched, "choose_slots", lambda model, longest: asked.append(longest) or 16)
    on_prompt = Condition(
        name="on prompt",
        interventions=(Intervention(component="mlp", layer=0, strength=0.5, when=When(phase="all")),),
    )
    alike = [Row(prompt(0, 100), s, c) for s in range(8) for c in CONDITIONS]
    for rows in (
        alike,
        [Row(prompt(i, 100), 0) for i in range(20)],
        [*alike[:3], Row(prompt(0, 100), 0, on_prompt)],
    ):
        texts(generate_rows(model, rows, SAMPLED, seed=0, slots="auto", vectors=VECTORS))
    assert asked == [100 // 16 + 14, 100 + 14, 200 // 4 + 14]


class OnDevice(torch.Tensor):
    """A tensor of a device that has no float64: whatever would make one there fails, as on Apple's."""

    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        if function == torch.Tensor.device.__get__:
            return torch.device("mps")
        leaves = function in (torch.Tensor.cpu, torch.Tensor.to) and (
            function is torch.Tensor.cpu or torch.device("cpu") in args
        )
        result = super().__torch_function__(function, types, args, kwargs or {})
        if leaves:
            return result.as_subclass(torch.Tensor)
        if isinstance(result, torch.Tensor) and result.dtype == torch.float64:
            raise TypeError("Cannot convert a MPS Tensor to float64 dtype")
        return result


class Moves(torch.overrides.TorchFunctionMode):
    """Moves to the stand-in's device, which torch itself does not know here."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        if function is torch.Tensor.to and len(args) > 1 and args[1] == torch.device("mps"):
            return args[0].as_subclass(OnDevice)
        if kwargs.get("device") == torch.device("mps"):
            return function(*args, **(kwargs | {"device": "cpu"})).as_subclass(OnDevice)
        return function(*args, **kwargs)


@pytest.mark.parametrize(
    "params", [SamplingParams(4), SamplingParams(4, 0.7, 0.9), SamplingParams(4, 1.0, 0.9, 5)]
)
def test_a_device_without_float64_chooses_the_same_tokens(params):
    logits = torch.randn(6, 300, generator=torch.Generator().manual_seed(0))
    keys, steps = torch.arange(6), torch.arange(6)
    expected = choose(logits, keys, steps, params).tokens
    there = [part.as_subclass(OnDevice) for part in (logits, keys, steps)]
    with pytest.raises(TypeError, match="float64"):
        there[0].double()
    with Moves():
        tokens = choose(*there, params).tokens
    assert tokens.as_subclass(torch.Tensor).tolist() == expected.tolist()


def test_the_map_is_proved_on_the_host():
    values = torch.tensor([1.5, 2.5]).as_subclass(OnDevice)
    assert mapping._exact(values).tolist() == [1.5, 2.5]


def test_a_container_and_warm_files_count(tmp_path):
    assert sizing._left_in_container(tmp_path) == sys.maxsize
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "memory.current").write_text("400\n")
    assert sizing._left_in_container(tmp_path) == sys.maxsize
    (tmp_path / "memory.max").write_text("1000\n")
    assert sizing._left_in_container(tmp_path) == 600
    assert 0 < sizing._available() <= os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def test_running_out_of_memory_on_a_cpu_halves_the_slots(monkeypatch):
    """There it is a plain RuntimeError; other ones still end the run."""
    model = tiny("llama")
    expected = texts(generate_rows(model, ROWS, SAMPLED, seed=0, slots=16, vectors=VECTORS))
    advance, failures = batched.Batch._advance, []

    def short_of_memory(self):
        if self.limit > 4:
            failures.append(self.limit)
            raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried 9 bytes")
        return advance(self)

    monkeypatch.setattr(batched.Batch, "_advance", short_of_memory)
    assert texts(generate_rows(model, ROWS, SAMPLED, seed=0, slots=16, vectors=VECTORS)) == expected
    assert failures == [16, 8]

    def broken(self):
        raise RuntimeError("shapes do not match")

    monkeypatch.setattr(batched.Batch, "_advance", broken)
    with pytest.raises(RuntimeError, match="shapes do not match"):
        list(generate_rows(model, ROWS, SAMPLED, seed=0, slots=16, vectors=VECTORS))


def test_after_running_out_the_batch_grows_again(monkeypatch):
    """Memory runs out twice; in the end as many rows are decoded at once as before, and the same."""
    model = tiny("llama")
    rows = [Row(prompt(i, 4 + i % 9), s, BASELINE) for i in range(12) for s in range(8)]
    short = SamplingParams(14, 1.0, 0.95)

    def found():
        records = generate_rows(model, rows, short, seed=0, slots=16)
        return {(r.example_id, r.sample_id): r.completion_ids for r in records}

    expected, advance, active = found(), batched.Batch._advance, []

    def short_of_memory(self):
        active.append(self.active)
        if len(active) in (5, 7):
            raise torch.OutOfMemoryError("CUDA out of memory")
        return advance(self)

    monkeypatch.setattr(batched.Batch, "_advance", short_of_memory)
    assert found() == expected
    assert active[:5] == [16] * 5 and active[7] == 4 and max(active[8:]) == 16


def test_many_conditions_are_laid_out_once(monkeypatch):
    """Joining is cheap: the arrays are made when they are asked for, not at every condition."""
    table, compiled = GateTable(tiny("llama")), []
    compile_table = GateTable._compile
    monkeypatch.setattr(GateTable, "_compile", lambda self: (compiled.append(1), compile_table(self)))
    for number in range(500):
        halved = Intervention(component="mlp", layer=1, strength=number / 500)
        assert table.add(Condition(name=f"c{number}", interventions=(halved,))) == number
    assert not compiled
    rows = np.arange(500)[:, None]
    gates = table.coefficients(rows, np.ones((500, 1, 1), dtype=bool))
    assert gates[:, 0, 0].tolist() == pytest.approx([number / 500 for number in range(500)])
