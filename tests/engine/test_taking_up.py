"""A row that was stopped in the middle goes on there, and ends as it would have ended, to the last bit."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from test_engine_devices import Replayed
from test_engine_exact import MILD, PROMPT_TOO, VECTORS, texts
from tiny import prompt, tiny, wide

from backtracking.engine import graphs
from backtracking.engine.batched import Batch
from backtracking.engine.generate import Row, SamplingParams, generate_rows
from backtracking.engine.pages import PAGE
from backtracking.engine.rows import Begun
from backtracking.interventions import BASELINE, Condition, Intervention, When
from backtracking.model.hooks import GateHooks, Ledger

LONG = SamplingParams(150, temperature=1.0, top_p=0.95, logprobs="with_entropy")
ONSETS = ((5,), (7, 9))
LATER = Condition(
    name="later",
    interventions=(
        Intervention(component="mlp", layer=0, strength=0.3, when=When(phase="decode", onset="from_first")),
        Intervention(
            component="attn", layer=1, mode="zero", when=When(phase="decode", after_tokens=frozenset({3, 5}))
        ),
    ),
)


def run(model, rows, params=LONG, slots=8, **options):
    ledger = Ledger()
    records = list(
        generate_rows(
            model,
            rows,
            params,
            seed=3,
            ledger=ledger,
            vectors=VECTORS,
            onset_phrases=ONSETS,
            slots=slots,
            **options,
        )
    )
    ledger.verify()
    return records, ledger


def begun(row, record, tokens):
    readings = tuple(zip(record.logprobs, record.entropies, strict=True))
    return replace(row, begun=Begun(tuple(record.completion_ids[:tokens]), readings[:tokens]))


@pytest.mark.parametrize("family", ["llama", "gemma2", "gpt2"])
def test_rows_taken_up_anywhere_end_the_same(family):
    """Under conditions that act on prompts, on some steps, and after onsets; the hooks' counts are whole."""
    model = tiny(family)
    rows = [
        Row(prompt(i, 5 + 30 * i), s, c)
        for i in range(3)
        for s in range(2)
        for c in (BASELINE, MILD, PROMPT_TOO, LATER)
    ]
    whole, ledger = run(model, rows)
    by_row = {(r.example_id, r.sample_id, r.condition): r for r in whole}
    random = np.random.default_rng(0)
    taken = []
    for row in rows:
        record = by_row[(*row.id, row.condition.name)]
        taken.append(begun(row, record, int(random.integers(0, record.completion_tokens))))
    assert max(len(row.begun.tokens) for row in taken) > PAGE
    resumed, counts = run(model, taken, slots=5)
    assert texts(resumed) == texts(whole)
    entropies = [{(r.id, r.condition): r.entropies for r in records} for records in (resumed, whole)]
    assert entropies[0] == entropies[1]
    assert (counts.called, counts.applied) == (ledger.called, ledger.applied)


def test_wide_rows_of_many_pages():
    """Six queries to a key head; rows of up to ten pages, most of them read again in one go."""
    model = wide()
    rows = [Row(prompt(i, 20 + 110 * i), s) for i in range(4) for s in range(2)]
    whole, _ = run(model, rows, replace(LONG, max_new_tokens=250))
    records = {r.id: r for r in whole}
    taken = [begun(row, records[row.id], records[row.id].completion_tokens - 3) for row in rows]
    assert texts(run(model, taken, replace(LONG, max_new_tokens=250))[0]) == texts(whole)


def test_after_memory_ran_out_no_token_is_chosen_twice(monkeypatch):
    """Rows that had to make room, also in the middle of being taken up, keep what they have."""
    model = tiny("llama")
    rows = [Row(prompt(i, 5 + 10 * i), s) for i in range(4) for s in range(4)]
    whole, ledger = run(model, rows, slots=16)
    chosen, passes = [], []
    choose, load = Batch._choose, GateHooks.load

    def counted(self, logits, drafts, conditions):
        chosen.append(len(drafts))
        return choose(self, logits, drafts, conditions)

    def short_of_memory(self, *args, **options):
        passes.append(None)
        if len(passes) in (40, 43, 90):
            raise torch.OutOfMemoryError("CUDA out of memory")
        return load(self, *args, **options)

    monkeypatch.setattr(Batch, "_choose", counted)
    monkeypatch.setattr(GateHooks, "load", short_of_memory)
    resumed, counts = run(model, rows, slots=16)
    assert texts(resumed) == texts(whole)
    assert (counts.called, counts.applied) == (ledger.called, ledger.applied)
    assert sum(chosen) == sum(record.completion_tokens for record in whole)


def test_captured_passes_go_on_after_a_replay(monkeypatch):
    """On a GPU decoding is replayed from graphs; what rows have is read without, in between."""
    model = tiny("llama")
    rows = [Row(prompt(i, 5 + 30 * i), 0, c) for i in range(3) for c in (BASELINE, MILD)]
    whole, _ = run(model, rows)
    records = {(r.id, r.condition): r for r in whole}
    taken = [begun(row, records[row.id, row.condition.name], 20 * (n % 3)) for n, row in enumerate(rows)]

    def capture(self, cache, numbers):
        graph = Replayed(self, cache, numbers)
        return graph, numbers, graph.logits

    monkeypatch.setattr(graphs.GraphedDecoder, "_capture", capture)
    monkeypatch.setattr("backtracking.engine.batched.make_decoder", graphs.GraphedDecoder)
    assert texts(run(model, taken, slots=3)[0]) == texts(whole)
