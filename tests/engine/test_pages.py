"""Pages: who holds which, against lists kept by hand; and that a long row costs its neighbours nothing."""

import numpy as np
import pytest
import torch
from tiny import build, prompt, tiny

from backtracking.engine import cache as caches
from backtracking.engine.batched import run_turns
from backtracking.engine.cache import PagedCache, Prefilled
from backtracking.engine.generate import Row, SamplingParams, generate_rows
from backtracking.engine.pages import PAGE, PageTable
from backtracking.model.gates import GateTable


def by_row(layout, rows):
    """Each row's pages in order, read off a layout."""
    parts = np.split(layout.order, np.cumsum(layout.counts)[:-1])
    for row, pages in enumerate(parts[:rows]):
        assert (layout.owners[pages] == row).all()
        assert layout.starts[pages].tolist() == [PAGE * i for i in range(len(pages))]
    assert (layout.starts[parts[rows]] > 1 << 30).all()
    return [pages.tolist() for pages in parts[:rows]]


def test_the_table_keeps_every_rows_pages_in_order():
    """Random endings, growth and moves; every page is told apart by what was written to it."""
    random, slots = np.random.default_rng(0), 6
    table, content, held = PageTable(slots), {}, [[] for _ in range(slots)]
    for step in range(600):
        slot = int(random.integers(slots))
        if random.random() < 0.75:
            (page,) = table.give([slot])
            content[int(page)] = step
            held[slot].append(step)
            assert table.newest[slot] == page
        elif random.random() < 0.7:
            table.free(slot)
            held[slot] = []
        else:
            other = next((s for s in range(slots) if not held[s]), None)
            if other is not None:
                table.rename(slot, other)
                held[slot], held[other] = [], held[slot]
        for source, target in zip(*table.compact(), strict=True):
            content[int(target)] = content.pop(int(source))
        spare = int(random.integers(3))
        layout = table.layout(slots, table.extent + spare)
        assert [[content[page] for page in pages] for pages in by_row(layout, slots)] == held
        assert sorted(layout.order) == list(range(table.extent + spare))
        assert (
            table.extent <= 1 + table.used + max(1, table.extent / 16)
            and layout.order[layout.counts[:-1].sum()] == 0
        )


def prefilled(tokens):
    states = torch.randn(2, 3, tokens, 4)
    return states, Prefilled.of(states, states + 1, torch.zeros(5))


def test_a_prompt_lies_in_pages():
    states, read = prefilled(PAGE + 3)
    cache = PagedCache(read, slots=4)
    cache.reserve(2, most=2)
    cache.fill(1, read)
    keys = torch.cat([cache.keys[0][page] for page in cache.table.pages_of(1)], dim=-1)
    values = torch.cat([cache.values[1][page] for page in cache.table.pages_of(1)], dim=-2)
    assert torch.equal(keys[..., : PAGE + 3], states[0].transpose(1, 2))
    assert torch.equal(values[:, : PAGE + 3], states[1] + 1)
    assert not keys[..., PAGE + 3 :].any()


def test_the_cache_takes_no_more_than_rows_can_need_and_grows_layer_by_layer(monkeypatch):
    _, read = prefilled(5 * PAGE)
    cache, alive = PagedCache(read, slots=4), []
    resized = caches._resized

    def watched(old, pages):
        alive.append(sum(len(t) for t in (*cache.keys, *cache.values)) + pages)
        return resized(old, pages)

    monkeypatch.setattr(caches, "_resized", watched)
    cache.reserve(40, most=40)
    assert cache.capacity == 41  # not a page more
    cache.table.give([0] * 40)
    cache.reserve(1, most=1000)
    assert 42 < cache.capacity < 60
    assert max(alive) <= 5 * cache.capacity  # four tensors, and one of them twice


def test_growing_makes_do_with_less_where_memory_is_short(monkeypatch):
    _, read = prefilled(3)
    cache, resized = PagedCache(read, slots=4), caches._resized

    def short(old, pages):
        if pages > 41:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return resized(old, pages)

    monkeypatch.setattr(caches, "_resized", short)
    cache.reserve(40, most=1000)
    assert cache.capacity == 41
    cache.table.give([0] * 40)
    with pytest.raises(torch.OutOfMemoryError):
        cache.reserve(1, most=1000)
    cache.table.free(0)
    cache.reserve(5, most=1000)


def test_a_long_row_takes_its_own_pages_and_no_others():
    """One row of a few hundred positions among short ones: the cache holds about the sum of their lengths."""
    model = tiny("llama")
    rows = [Row(prompt(0, 200), 0)] + [Row(prompt(i, 8), 0) for i in range(1, 24)]
    turns = run_turns(
        model, rows, SamplingParams(20, 1.0, 0.95), seed=0, slots=24, table=GateTable(model, None, ())
    )
    batch, _ = next(turns)
    assert batch._cache.table.used <= 23 + 4
    assert batch._cache.capacity <= 1.25 * (23 + 4) + 2
    turns.close()


def test_rows_over_many_pages_do_not_know_their_neighbours():
    """Wide heads, six queries to a key head; rows of one to six pages, arranged in several ways."""
    import transformers

    model = build(
        transformers.LlamaConfig(
            vocab_size=320, hidden_size=192, intermediate_size=128, num_hidden_layers=2,
            num_attention_heads=12, num_key_value_heads=2, head_dim=32, max_position_embeddings=512,
            eos_token_id=1, initializer_range=0.2,
        )
    )  # fmt: skip
    params = SamplingParams(70, 1.0, 0.95, logprobs=True)
    rows = [Row(prompt(i, 20 + 50 * (i % 6)), s) for i in range(8) for s in range(2)]

    def found(some, slots):
        records = generate_rows(model, some, params, seed=0, slots=slots)
        return {(r.example_id, r.sample_id): (r.completion_ids, r.logprobs) for r in records}

    together = found(rows, 16)
    assert found(rows[::-1], 5) == together
    assert found(rows[5:6], 1).items() <= together.items()
