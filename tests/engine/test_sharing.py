"""Rows share their prompt's pages: the books against lists kept by hand; how they share changes no bit."""

from collections import defaultdict

import numpy as np
import pytest
import torch
from tiny import prompt, tiny, wide

from backtracking.engine import batched
from backtracking.engine.batched import run_turns
from backtracking.engine.books import PageBooks
from backtracking.engine.generate import Row, SamplingParams, generate_rows
from backtracking.engine.lines import least_lines
from backtracking.engine.pages import PAGE
from backtracking.engine.readers import READERS, Readers
from backtracking.interventions import BASELINE, Condition, Intervention, When
from backtracking.model.gates import GateTable

HALVED = Condition(name="halved", interventions=(Intervention(component="mlp", layer=1, strength=0.5),))
ON_PROMPTS = Condition(
    name="on prompts",
    interventions=(Intervention(component="mlp", layer=0, strength=0.5, when=When(phase="all")),),
)


def test_groups_of_readers_are_full_but_the_last():
    random, slots = np.random.default_rng(0), 60
    readers, reads = Readers(slots), {}
    for _ in range(3000):
        free = sorted(set(range(slots)) - set(reads))
        if free and random.random() < 0.55:
            slot, reading = free[0], str(random.integers(4))
            before = readers.new_groups({reading: 1})[reading]
            assert (readers.join(slot, reading) is not None) == before
            reads[slot] = reading
        elif reads and random.random() < 0.3 and free:
            slot = int(random.choice(list(reads)))
            readers.rename(slot, free[0])
            reads[free[0]] = reads.pop(slot)
        elif reads:
            slot = int(random.choice(list(reads)))
            readers.leave(slot)
            del reads[slot]
        sizes, seen = defaultdict(list), {}
        for members in readers.members[:-1]:
            slots_of = members[members >= 0].tolist()
            if slots_of:
                (reading,) = {reads[slot] for slot in slots_of}
                sizes[reading].append(len(slots_of))
                seen |= dict.fromkeys(slots_of, reading)
        assert seen == reads
        assert all(sorted(found)[1:] == [READERS] * (len(found) - 1) for found in sizes.values())
        assert (readers.members[-1] < 0).all()


def positions_seen(books, content, positions, size):
    """What each row may look at, in the order in which it is added up, and what it holds."""
    layout, seen = books.layout(positions, size), defaultdict(list)
    own = range(size.own_pages)
    pages = [page for page in range(-size.prompt_pages, 0) for _ in range(size.places)] + list(own)
    for row, rank, start, end, page in zip(
        layout.rows, layout.ranks, layout.starts, layout.ends, pages, strict=True
    ):
        seen[int(row)].append((int(rank), page, int(start), int(end)))
    nobody = seen.pop(len(positions), [])
    assert sorted(rank for rank, *_ in nobody) == list(range(len(nobody)))
    assert all(end <= start for _, _, start, end in nobody)
    assert layout.counts.tolist() == [len(seen[row]) for row in range(len(positions))] + [len(nobody)]
    found = []
    for row in range(len(positions)):
        ranks = sorted(seen[row])
        assert [rank for rank, *_ in ranks] == list(range(len(ranks)))
        found.append(
            [
                (content[page], at)
                for _, page, start, end in ranks
                for at in range(start, min(end, start + PAGE))
            ]
        )
    return found


def test_every_row_sees_its_prompt_and_then_what_it_wrote():
    """Random joining, writing, leaving and moving together; each page is known by what it was given for."""
    random, slots = np.random.default_rng(1), 20
    books, content, rows = PageBooks(slots), {0: "nobody"}, []
    lengths = {f"prompt {i}": int(n) for i, n in enumerate((1, 63, 64, 65, 200))}
    for step in range(400):
        if len(rows) < slots and random.random() < 0.6:
            reading = str(random.choice(list(lengths)))
            pages = books.join(len(rows), reading, lengths[reading])
            content |= {int(page): (reading, number) for number, page in enumerate(pages)}
            rows.append([reading, lengths[reading], []])
        elif rows and random.random() < 0.5:
            slot, last = int(random.integers(len(rows))), len(rows) - 1
            books.leave(slot)
            if slot != last:
                books.rename(last, slot)
                rows[slot] = rows[last]
            rows.pop()
        for source, target in zip(*books.compact(random.random() < 0.3), strict=True):
            content[int(target)] = content[int(source)]
        positions = np.array([position for _, position, _ in rows], dtype=np.int64)
        full = books.full(positions)
        for slot, page in zip(full, books.own.give(full), strict=True):
            content[int(page)] = (step, slot)
            rows[slot][2].append((step, slot))
        if not rows:
            continue
        size = books.size
        for seen, (reading, position, own) in zip(
            positions_seen(books, content, positions, size), rows, strict=True
        ):
            begin = lengths[reading]
            prompt_part = [((reading, at // PAGE), at) for at in range(begin)]
            own_part = [(own[(at - begin) // PAGE], at) for at in range(begin, position + 1)]
            assert seen == prompt_part + own_part
        for row in rows:
            row[1] += int(random.integers(1, 40)) if row[1] - lengths[row[0]] < 60 * len(row[2]) else 1


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("width", [8, 16, 32, 64, 96, 128])
def test_products_of_a_page_treat_every_line_the_same(width, dtype):
    """What sharing rests on: neither the number of lines nor a line's place among them changes its bits."""
    torch.manual_seed(width)
    query, weights = torch.randn(3, width, dtype=dtype), torch.rand(3, PAGE, dtype=dtype)
    keys, values = torch.randn(3, width, PAGE, dtype=dtype), torch.randn(3, PAGE, width, dtype=dtype)
    for line, pages in ((query, keys), (weights, values)):
        found = set()
        for count in (*range(least_lines(dtype), 35), 48, 96, 112, 128):
            for place in {0, count // 2, count - 1}:
                asked = torch.randn(3, count, line.shape[1], dtype=dtype)
                asked[:, place] = line
                found.add(tuple(torch.bmm(asked, pages)[:, place].flatten().tolist()))
        assert len(found) == 1


def texts(records):
    return {(r.example_id, r.sample_id, r.condition): (r.completion_ids, r.logprobs) for r in records}


SAMPLED = SamplingParams(12, 1.0, 0.95, logprobs=True)


def run(model, rows, slots):
    return texts(generate_rows(model, rows, SAMPLED, seed=3, slots=slots))


@pytest.mark.parametrize("family", ["wide", "llama", "mistral", "gemma2", "gpt2"])
def test_how_many_read_a_prompt_changes_no_bit(family):
    """One to three groups of one prompt's rows, alone and among others, in several orders and slots."""
    model = wide() if family == "wide" else tiny(family)
    shared = [Row(prompt(0, 70), s, c) for s in range(READERS + 1) for c in (BASELINE, HALVED, ON_PROMPTS)]
    others = [Row(prompt(i, 5 + 30 * i), 0) for i in range(1, 5)]
    alone = {}
    for row in [*shared[:6], *others]:
        alone |= run(model, [row], 1)
    together = run(model, shared + others, 64)
    assert alone.items() <= together.items()
    random = np.random.default_rng(0)
    for slots in (2, 5, READERS, READERS + 1):
        rows = [(shared + others)[i] for i in random.permutation(len(shared + others))]
        assert run(model, rows, slots) == together
    for readers in (1, 2, 3, 4, 5, READERS - 1, READERS, READERS + 1):
        assert run(model, shared[: 3 * readers : 3], readers).items() <= together.items()


def test_a_stopped_run_shares_otherwise_and_gives_the_same_rows():
    """Stopped after every few rows: the rest find other neighbours in their groups."""
    model = tiny("llama")
    rows = [Row(prompt(i, 40 + 40 * i), s) for s in range(12) for i in range(2)]
    whole, kept = run(model, rows, 20), {}
    for round_ in range(6):
        left = [row for row in rows if (row.prompt.example_id, row.sample_id, "baseline") not in kept]
        stopped = generate_rows(model, left, SAMPLED, seed=3, slots=20 - 3 * round_)
        kept |= texts([record for record, _ in zip(stopped, range(4), strict=False)])
        stopped.close()
    assert len(kept) == 24 and kept == whole


def test_rows_of_one_prompt_take_its_pages_once_for_each_group():
    model = tiny("llama")
    arms = [
        Condition(name=f"arm {i}", interventions=(Intervention(component="mlp", layer=1, strength=i / 50),))
        for i in range(40)
    ]
    rows = [Row(prompt(0, 200), 0, arm) for arm in arms]
    params = SamplingParams(20, do_sample=False)
    turns = run_turns(model, rows, params, seed=0, slots=40, table=GateTable(model, None, ()))
    batch, ended = next(turns)
    assert not ended and batch._cache.books.prompts.used == 4 * -(-40 // READERS)
    assert batch._cache.books.own.used == 40
    turns.close()


def test_out_of_memory_in_a_shared_batch_changes_no_row(monkeypatch):
    """Rows that make room leave groups whose other readers go on; they join again later."""
    model = tiny("llama")
    rows = [Row(prompt(i, 70), s, c) for i in range(2) for s in range(10) for c in (BASELINE, ON_PROMPTS)]
    expected, advance, calls = run(model, rows, 40), batched.Batch._advance, []

    def short_of_memory(self):
        calls.append(self.active)
        if len(calls) in (4, 6):
            raise torch.OutOfMemoryError("CUDA out of memory")
        return advance(self)

    monkeypatch.setattr(batched.Batch, "_advance", short_of_memory)
    assert run(model, rows, 40) == expected
    assert calls[3:7:2] == [39, 20] and calls[6] == 10
