"""Pages: who holds which, against lists kept by hand; and that a long row costs its neighbours nothing."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import prompt, tiny, wide

from backtracking.engine import cache as caches
from backtracking.engine.batched import run_turns
from backtracking.engine.cache import PagedCache, Prefilled
from backtracking.engine.generate import Row, SamplingParams, generate_rows
from backtracking.engine.pages import NOBODY, PAGE, PageTable
from backtracking.model.gates import GateTable


def test_the_table_keeps_every_holders_pages_in_order():
    """Random endings, growth and moves; every page is told apart by what was written to it."""
    random, holders = np.random.default_rng(0), 6
    table, content, held = PageTable(holders, kept=1), {0: "nobody's"}, [[] for _ in range(holders)]
    for step in range(600):
        holder = int(random.integers(holders))
        if random.random() < 0.75:
            (page,) = table.give([holder])
            content[int(page)] = step
            held[holder].append(step)
            assert table.newest[holder] == page
        elif random.random() < 0.7:
            table.free(holder)
            held[holder] = []
        else:
            other = next((h for h in range(holders) if not held[h]), None)
            if other is not None:
                table.rename(holder, other)
                held[holder], held[other] = [], held[holder]
        if random.random() < 0.5:
            for source, target in zip(*table.compact(), strict=True):
                content[int(target)] = content.pop(int(source))
            assert table.extent == 1 + table.used
        for number in range(holders):
            pages = table.pages_of(number)
            assert [content[page] for page in pages[np.argsort(table.ranks[pages])]] == held[number]
        assert table.owners[0] == NOBODY and content[0] == "nobody's"


def prefilled(tokens):
    states = torch.randn(2, 3, tokens, 4)
    return states, Prefilled.of(states, states + 1, torch.zeros(5))


def test_a_prompt_lies_in_pages_at_the_end_of_memory():
    states, read = prefilled(PAGE + 3)
    cache = PagedCache(read, slots=4)
    cache.reserve(3, [read], most=30)
    cache.join(1, read)
    pages = cache.books.prompts.pages_of(0)
    keys = torch.cat([cache.keys[0][~page] for page in pages], dim=-1)
    values = torch.cat([cache.values[1][~page] for page in pages], dim=-2)
    assert torch.equal(keys[..., : PAGE + 3], states[0].transpose(1, 2))
    assert torch.equal(values[:, : PAGE + 3], states[1] + 1)
    assert not keys[..., PAGE + 3 :].any()


@pytest.mark.parametrize(("device", "room"), [("cpu", 4), ("meta", 1.25)])
def test_the_cache_takes_no_more_than_rows_can_need_and_grows_layer_by_layer(monkeypatch, device, room):
    with torch.device(device):
        _, read = prefilled(5 * PAGE)
    cache, alive = PagedCache(read, slots=4), []
    resized = caches._resized

    def watched(old, pages, *kept):
        alive.append(sum(len(t) for t in (*cache.keys, *cache.values)) + pages)
        return resized(old, pages, *kept)

    monkeypatch.setattr(caches, "_resized", watched)
    cache.reserve(1, [read] * 4, most=40)
    assert cache.capacity == int(7 * room)  # the reading is shared
    cache.books.join(0, read.reading, read.length)
    cache.reserve(40, most=40)
    assert cache.capacity == 46  # not a page more
    cache.books.own.give([0] * 40)
    cache.reserve(1, most=1000)
    assert cache.capacity == int(47 * room)
    assert max(alive) <= 5 * cache.capacity  # four tensors, and one of them twice


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux's account of memory")
def test_room_on_a_cpu_takes_no_memory_until_it_is_used():
    _, read = prefilled(PAGE)
    cache = PagedCache(read, slots=2)
    before = resident()
    cache.reserve(50_000, [read], most=200_000)
    assert cache.capacity > 190_000
    assert resident() - before < 100e6 < sum(t.nbytes for t in cache.keys) / 4


def resident():
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.float64])
def test_room_is_empty_and_lies_where_tensors_lie(dtype):
    for pages in (1, 3, 77):
        room = caches._zeros(pages, torch.ones(1, 3, 5, 2, dtype=dtype))
        assert room.shape == (pages, 3, 5, 2) and room.dtype == dtype and not room.any()
        assert room.data_ptr() % 64 == 0 and room.is_contiguous()


def test_growing_makes_do_with_less_where_memory_is_short(monkeypatch):
    _, read = prefilled(3)
    cache, resized = PagedCache(read, slots=4), caches._resized

    def short(old, pages, *kept):
        if pages > 41:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return resized(old, pages, *kept)

    monkeypatch.setattr(caches, "_resized", short)
    cache.reserve(39, [read], most=1000)
    assert cache.capacity == 41
    cache.join(0, read)
    cache.books.own.give([0] * 39)
    with pytest.raises(torch.OutOfMemoryError):
        cache.reserve(1, most=1000)
    cache.books.own.free(0)
    cache.reserve(5, most=1000)


def test_what_lies_at_either_end_of_memory_stays_as_it_grows_shrinks_and_moves():
    """Rows and prompts come and go; each finds again what was put into its pages."""
    random = np.random.default_rng(0)
    _, read = prefilled(2 * PAGE)
    cache, slots, written = PagedCache(read, slots=12), {}, {}
    for step in range(300):
        free = sorted(set(range(12)) - set(slots))
        if free and random.random() < 0.6:
            slot, reading = free[0], int(random.integers(5))
            keys, values = torch.full((2, 2, 3, 2 * PAGE, 4), float(reading))
            read = replace(Prefilled.of(keys, values, torch.zeros(5)), reading=reading)
            cache.reserve(0, [read], most=1)
            cache.join(slot, read)
            slots[slot], written[slot] = reading, []
        elif slots:
            slot = int(random.choice(list(slots)))
            if random.random() < 0.4:
                cache.books.leave(slot)
                del slots[slot], written[slot]
            else:
                cache.reserve(1, most=1)
                (page,) = cache.books.own.give([slot])
                for layer in (*cache.keys, *cache.values):
                    layer[page] = step
                written[slot].append(step)
        cache.compact(wholly=True) if random.random() < 0.7 else cache.shrink()
        for slot, reading in slots.items():
            own = cache.books.own
            pages = own.pages_of(slot)
            assert [int(cache.keys[1][p].mean()) for p in pages[np.argsort(own.ranks[pages])]] == written[
                slot
            ]
            (group,) = np.flatnonzero((cache.books.readers.members[:-1] == slot).any(axis=1))
            of_prompt = cache.books.prompts.pages_of(int(group))
            assert len(of_prompt) == 2
            assert all((layer[~of_prompt] == reading).all() for layer in (*cache.keys, *cache.values))


def test_a_long_row_takes_its_own_pages_and_no_others():
    """One row of a few hundred positions among short ones: the cache holds about the sum of their lengths."""
    model = tiny("llama")
    rows = [Row(prompt(0, 200), 0)] + [Row(prompt(i, 8), 0) for i in range(1, 24)]
    turns = run_turns(
        model, rows, SamplingParams(20, 1.0, 0.95), seed=0, slots=24, table=GateTable(model, None, ())
    )
    batch, _ = next(turns)
    books = batch._cache.books
    assert books.own.used <= 24 and books.prompts.used <= 23 + 4
    assert batch._cache.capacity <= 1.25 * (1 + 24 + 23 + 4)
    turns.close()


def test_rows_over_many_pages_do_not_know_their_neighbours():
    """Wide heads, six queries to a key head; rows of one to six pages, arranged in several ways."""
    model = wide()
    params = SamplingParams(70, 1.0, 0.95, logprobs=True)
    rows = [Row(prompt(i, 20 + 50 * (i % 6)), s) for i in range(8) for s in range(2)]

    def found(some, slots):
        records = generate_rows(model, some, params, seed=0, slots=slots)
        return {(r.example_id, r.sample_id): (r.completion_ids, r.logprobs) for r in records}

    together = found(rows, 16)
    assert found(rows[::-1], 5) == together
    assert found(rows[5:6], 1).items() <= together.items()
