"""Long traces: what rows of very different lengths cost in memory, time and idle slots.

    OMP_NUM_THREADS=1 python -P benchmarks/long_traces.py [--parts memory,queue,steps,stopped]

Lengths are drawn as a reasoning model's: median 900 tokens, 5% at the cap of 8,192. `memory` and `queue` keep
the books of a whole run (256 slots; keys and values of 28 layers with 2 key heads of width 128 in bfloat16)
without a model; `steps` times decoding passes of a random model of that depth and smaller width, in processor
time and in turns; `stopped` makes rows with it, and takes them up again at their last token. "Slots" are what
pages replaced: every row as long as the longest at the time, grown by a half when it is too short (as on a
GPU) or to the next 32 (as on a CPU).
"""

import argparse
import json
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch
import transformers
from numpy.typing import NDArray

from backtracking.engine import prompts
from backtracking.engine.batched import run_turns
from backtracking.engine.books import PageBooks
from backtracking.engine.cache import Prefilled
from backtracking.engine.generate import Prompt, Row, SamplingParams, generate_rows
from backtracking.engine.pages import PAGE
from backtracking.engine.rows import Begun, long_first
from backtracking.model.gates import GateTable
from backtracking.model.loading import LoadedModel
from backtracking.run.records import GenerationRecord

MEDIAN, CAP, SHARE_AT_CAP = 900, 8192, 1.645
PROMPT, SLOTS = 120, 256
PREFIX, ON_A_PREFIX = 2000, 100
PROBLEMS, SAMPLES, ARMS = 60, 4, 20
POSITION_BYTES = 28 * 2 * 2 * 128 * 2
GROWTH = {
    "grown by a half": lambda need, now: max(need + 256, now * 3 // 2),
    "to the next 32": lambda need, _: need,
}
NO_END = 1


def lengths(count: int, random: np.random.Generator, spread: float = 1.0) -> NDArray[np.float64]:
    """Logarithms of lengths about the median's, before the cap; `spread` is a share of the whole spread."""
    sigma = np.log(CAP / MEDIAN) / SHARE_AT_CAP
    return random.normal(0.0, sigma * spread**0.5, count)


def rows_of_a_sweep(random: np.random.Generator) -> tuple[list[Row], dict[tuple[str, int], int], list[int]]:
    """Rows of several arms, the baseline's lengths, and the planned lengths.

    Two thirds of the variance is the problem's and the rest the row's own: so far a baseline tells.
    """
    rows, known, planned = [], {}, []
    for problem, shared in enumerate(lengths(PROBLEMS, random, 2 / 3)):
        prompt = Prompt(str(problem), "v", "", (5,) * PROMPT)
        for sample in range(SAMPLES):
            for arm, own in enumerate(lengths(ARMS + 1, random, 1 / 3)):
                length = min(int(MEDIAN * np.exp(shared + own)) + 1, CAP)
                if arm == 0:
                    known[prompt.example_id, sample] = length
                else:
                    rows.append(Row(prompt, sample))
                    planned.append(length)
    return rows, known, planned


def busy(planned: Sequence[int]) -> float:
    """Share of slots that hold a row over a run in this order, each slot filled as it becomes free."""
    ends = np.zeros(SLOTS)
    for length in planned:
        slot = int(ends.argmin())
        ends[slot] += length
    return float(sum(planned) / (SLOTS * ends.max()))


def queue(random: np.random.Generator) -> dict[str, float]:
    """Slots busy in the order of the sweep, and in that which the baseline's lengths give."""
    rows, known, planned = rows_of_a_sweep(random)
    length_of = {id(row): length for row, length in zip(rows, planned, strict=True)}
    ordered = [length_of[id(row)] for row in long_first(rows, known)]
    return {
        "rows": len(rows),
        "in the sweep's order": busy(planned),
        "long first, by the baseline": busy(ordered),
        "long first, were all lengths known": busy(sorted(planned, reverse=True)),
    }


def memory(random: np.random.Generator) -> dict[str, dict[str, float]]:
    """What a sweep's rows take, and rows that all write a little on from a long text."""
    rows, _, planned = rows_of_a_sweep(random)
    readings = [row.prompt.example_id for row in rows]
    return {
        "a sweep": positions_taken(readings, PROMPT, planned),
        "long prefixes": positions_taken(readings, PREFIX, [ON_A_PREFIX] * len(planned)),
    }


def positions_taken(readings: Sequence[str], prompt: int, planned: Sequence[int]) -> dict[str, float]:
    """Positions that a whole run takes: its most, and its mean over the passes; rows per GB of the most."""
    alone = [f"{reading}, row {number}" for number, reading in enumerate(readings)]
    books = {"pages": (PageBooks(SLOTS), readings), "pages, no prompt shared": (PageBooks(SLOTS), alone)}
    queue, age, end = deque(enumerate(planned)), np.zeros(SLOTS, int), np.zeros(SLOTS, int)
    taken: dict[str, list[int]] = {name: [] for name in (*books, "positions in use", *GROWTH)}
    capacity = dict.fromkeys(GROWTH, 0)
    while queue or end.any():
        for slot in np.flatnonzero(end == 0)[: len(queue)]:
            row, length = queue.popleft()
            age[slot], end[slot] = prompt, prompt + length
            for kept, reading in books.values():
                kept.join(int(slot), reading[row], prompt)
        active = end > 0
        for name, (kept, _) in books.items():
            kept.compact()
            kept.own.give(kept.full(np.where(active, age, -1)))
            taken[name].append(kept.extent * PAGE)
        for name, grown in GROWTH.items():
            need = -(-int(age[active].max() + 1) // 32) * 32
            if need > capacity[name] or (name == "to the next 32" and need + 96 < capacity[name]):
                capacity[name] = grown(need, capacity[name])
            taken[name].append(SLOTS * capacity[name])
        taken["positions in use"].append(int((age[active] + 1).sum()))
        age[active] += 1
        for slot in np.flatnonzero(active & (age >= end)):
            for kept, _ in books.values():
                kept.leave(int(slot))
            age[slot] = end[slot] = 0
    result = {}
    for name, positions in taken.items():
        result[f"{name}: rows per GB"] = SLOTS / (max(positions) * POSITION_BYTES / 1e9)
        result[f"{name}: mean over positions in use"] = float(
            np.sum(positions) / np.sum(taken["positions in use"])
        )
    return result


def model_of_depth(layers: int = 28) -> LoadedModel:
    """Random weights; two key heads, six queries to each."""
    torch.manual_seed(0)
    config = transformers.Qwen2Config(
        vocab_size=512, hidden_size=192, intermediate_size=512, num_hidden_layers=layers,
        num_attention_heads=12, num_key_value_heads=2, max_position_embeddings=2 * CAP, eos_token_id=NO_END,
    )  # fmt: skip
    return LoadedModel.wrap(transformers.AutoModelForCausalLM.from_config(config), _Numbers())


class _Numbers:
    """All that the engine asks of a tokenizer."""

    eos_token_id = NO_END

    def decode(self, ids: Sequence[int], **_: object) -> str:
        return " ".join(map(str, ids))

    def __len__(self) -> int:
        return 512


def steps(random: np.random.Generator, model: LoadedModel, rounds: int) -> dict[str, float]:
    """Processor time of a pass over rows of given lengths; their prompts are made up, not read."""
    sigma = lengths(4000, random)
    drawn = np.minimum(MEDIAN * np.exp(sigma), CAP).astype(int)
    # A batch in full run: long rows are met more often, and at any age.
    met = random.choice(drawn, 32, p=drawn / drawn.sum())
    ages = (PROMPT + met * random.random(32)).astype(int)
    batches = {
        "32 rows of 100": [100] * 32,
        "32 rows of 100 and one of 4,000": [100] * 32 + [4000],
        "all 33 of 4,000 positions": [4000] * 33,
        "drawn": ages.tolist(),
        "as many rows of the drawn mean": [int(ages.mean())] * 32,
    }
    runs = {name: _passes(model, batch) for name, batch in batches.items()}
    runs |= {f"{readers} to a prefix": _passes(model, [PREFIX // 2] * 32, readers) for readers in (1, 4, 16)}
    spent: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds + 1):
        for name, run in runs.items():
            spent[name].append(next(run))
    cost = {name: float(np.median(values[1:])) for name, values in spent.items()}
    return {
        "positions, one long row added": (3200 + 4000) / 3200,
        "cost, one long row added": cost["32 rows of 100 and one of 4,000"] / cost["32 rows of 100"],
        "cost, every row as long": cost["all 33 of 4,000 positions"] / cost["32 rows of 100"],
        "cost of drawn lengths over the same sum in equal rows": cost["drawn"]
        / cost["as many rows of the drawn mean"],
        **{
            f"cost of 32 rows, {readers} to a prefix of {PREFIX // 2:,}, over a prefix for each": cost[
                f"{readers} to a prefix"
            ]
            / cost["1 to a prefix"]
            for readers in (4, 16)
        },
    }


def _passes(model: LoadedModel, batch: Sequence[int], readers: int = 1, turns: int = 4) -> Iterator[float]:
    """Processor time of a few passes over a batch, again and again; so many rows have a prompt in common."""
    prompts_of = [(i // readers, length) for i, length in enumerate(batch)]
    rows = [Row(Prompt(str(i), "v", "", (5 + p,) * n), i) for i, (p, n) in enumerate(prompts_of)]
    sampling = SamplingParams(10_000, temperature=1.0, top_p=0.95)
    table = GateTable(model, None, ())
    running = run_turns(model, rows, sampling, seed=0, slots=len(rows), table=table)
    next(running)
    while True:
        start = time.process_time()
        for _ in range(turns):
            next(running)
        yield time.process_time() - start


def stopped(model: LoadedModel, rounds: int, count: int = 16, tokens: int = 1000) -> dict[str, float]:
    """What it takes to make rows, and to go on with them where they were stopped at their last token."""
    sampling = SamplingParams(tokens, temperature=1.0, top_p=0.95, logprobs=True)
    rows = [Row(Prompt(str(number), "v", "", (5,) * PROMPT), 0) for number in range(count)]

    def seconds(some: list[Row]) -> tuple[float, list[GenerationRecord]]:
        start = time.process_time()
        records = list(generate_rows(model, some, sampling, seed=0, slots=count))
        return time.process_time() - start, records

    spent: dict[str, list[float]] = {"made": [], "taken up": []}
    for _ in range(rounds):
        made, records = seconds(rows)
        by_row = {record.id: record for record in records}
        begun = [replace(row, begun=_begun(by_row[row.id])) for row in rows]
        taken_up, again = seconds(begun)
        assert {r.id: (r.completion_ids, r.logprobs) for r in again} == {
            r.id: (r.completion_ids, r.logprobs) for r in records
        }
        spent["made"].append(made)
        spent["taken up"].append(taken_up)
    seconds_of = {name: float(np.median(values)) for name, values in spent.items()}
    return seconds_of | {"share": seconds_of["taken up"] / seconds_of["made"]}


def _begun(record: GenerationRecord) -> Begun:
    """All of a row but its last token."""
    readings = tuple((logprob, None) for logprob in record.logprobs or ())
    return Begun(tuple(record.completion_ids[:-1]), readings[:-1])


def made_up(model: LoadedModel) -> None:
    """Reading a prompt of thousands of tokens is not what is timed: any keys and values will do."""

    def read(_: LoadedModel, packed: prompts.PackedPrompts) -> list[Prefilled]:
        return [
            Prefilled.of(*torch.randn(2, model.n_layers, 2, end - start, model.head_dim), torch.randn(512), 6)
            for start, end in packed.segments
        ]

    prompts.prompt_pass = read


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--parts", default="memory,queue,steps,stopped")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    parts = asked.parts.split(",")
    found = {}
    for name, part in (("memory", memory), ("queue", queue)):
        if name in parts:
            found[name] = part(np.random.default_rng(asked.seed))
    torch.set_num_threads(1)
    model = model_of_depth()
    if "stopped" in parts:
        found["stopped"] = stopped(model, asked.rounds)
    if "steps" in parts:
        made_up(model)
        found["steps"] = steps(np.random.default_rng(asked.seed), model, asked.rounds)
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
