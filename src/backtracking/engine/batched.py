"""The batched engine: a fixed number of slots, kept full, every row under its own condition.

Each turn of the loop fills free slots from the queue (reading new prompts, sharing read ones), feeds one
token to every row, chooses the next tokens and hands out rows that ended. Rows sit in the first slots,
without holes.
"""

import itertools
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from functools import partial
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from backtracking.engine.attention import AttentionSwitch
from backtracking.engine.cache import PagedCache, Prefilled
from backtracking.engine.forward import (
    MIN_ROWS,
    check_layers,
    check_length,
    check_numbers,
)
from backtracking.engine.graphs import make_decoder
from backtracking.engine.pages import pages_for
from backtracking.engine.prompts import PromptReader
from backtracking.engine.queue import RowQueue
from backtracking.engine.replay import replay, tokens_at_once
from backtracking.engine.rows import Draft, Row, token_budget
from backtracking.engine.sampling import SamplingParams, choose
from backtracking.engine.sizing import choose_slots
from backtracking.engine.threads import Threads
from backtracking.errors import UserError, is_out_of_memory
from backtracking.model.gates import GateTable
from backtracking.model.hooks import GateHooks
from backtracking.model.ledger import Ledger
from backtracking.model.loading import LoadedModel
from backtracking.model.schedule import Positions, ends_with_onset
from backtracking.run.records import GenerationRecord

_KEPT_PROMPT_TOKENS_PER_SLOT = 64


def run_batched(
    model: LoadedModel,
    rows: Iterable[Row | None],
    params: SamplingParams,
    *,
    seed: int,
    slots: int | Literal["auto"],
    table: GateTable,
    ledger: Ledger,
    keep_every: int | None = None,
) -> Iterator[GenerationRecord | Row]:
    """Complete rows side by side; records come in the order in which rows end.

    Between them come unfinished rows as they stand, each whenever it has `keep_every` more tokens.
    """
    turns = run_turns(model, rows, params, seed=seed, slots=slots, table=table)
    with closing(turns):
        for batch, ended in turns:
            for draft in ended:
                batch.count(draft, ledger)
                yield draft.record(model, params)
            if keep_every is not None:
                yield from (d.as_it_stands for d in batch.drafts if len(d.tokens) % keep_every == 0)


def run_turns(
    model: LoadedModel,
    rows: Iterable[Row | None],
    params: SamplingParams,
    *,
    seed: int,
    slots: int | Literal["auto"],
    table: GateTable,
) -> "Generator[tuple[Batch, list[Draft]]]":
    """Turn by turn: the batch as it stands, and the rows that ended."""
    hooks = GateHooks(table)
    try:
        check_layers(model)
        attention = AttentionSwitch(model)
        with torch.inference_mode(), attention.on():
            check_numbers(model)
        queue = RowQueue(_in_reach(rows, model, params))
        batch: Batch | None = None
        while queue.peek() is not None or (batch is not None and batch.active):
            if batch is None:
                count = slots if slots != "auto" else choose_slots(model, _likely(queue, table, params))
                batch = Batch(model, params, seed, table, hooks, count)
                threads = Threads(model, count)
            # While the caller works on a record, torch and the model are as they were.
            with torch.inference_mode(), attention.on(), hooks.acting(), threads.turn():
                ended = batch.turn(queue)
            yield batch, ended
        if queue.error is not None:
            raise queue.error
    finally:
        hooks.remove()


def _likely(queue: RowQueue, table: GateTable, params: SamplingParams) -> int:
    """How many positions each of the first rows may take: its own, and its share of the prompts they read."""
    first = queue.ahead(MIN_ROWS)
    prompts = {(row.prompt.ids, table.prompt_interventions(table.add(row.condition))) for row in first}
    shared = sum(len(ids) for ids, _ in prompts) // len(first)
    return shared + max(token_budget(row, table.model, params) for row in first)


def _in_reach(rows: Iterable[Row | None], model: LoadedModel, params: SamplingParams) -> Iterator[Row | None]:
    """Pass on rows whose positions the engine gets right; a row's last token is not fed back."""
    for row in rows:
        if row is not None:
            check_length(model, len(row.prompt.ids) + token_budget(row, model, params) - 1)
        yield row


class Batch:
    """The rows in the slots: their drafts, and for each slot what its next pass needs."""

    def __init__(
        self,
        model: LoadedModel,
        params: SamplingParams,
        seed: int,
        table: GateTable,
        hooks: GateHooks,
        count: int,
    ) -> None:
        self.model, self.params, self.seed = model, params, seed
        self.table, self.hooks = table, hooks
        self.limit = self._most = count
        self._patience = self._until_more = 0
        self.drafts: list[Draft] = []
        size = max(count, MIN_ROWS)
        self._tokens = np.zeros(size, dtype=np.int64)
        self._positions = np.zeros(size, dtype=np.int64)
        self._steps = np.zeros(size, dtype=np.int64)
        self._conditions = np.zeros(size, dtype=np.int64)
        self._keys = np.zeros(size, dtype=np.int64)
        self._onset_seen = np.zeros(size, dtype=np.bool_)
        self._passes = np.zeros(size, dtype=np.int64)
        self._held = np.zeros((size, 0), dtype=np.int64)
        """In how many of the row's decoding passes each schedule of the table held."""
        self._cache: PagedCache | None = None
        self._decoder = make_decoder(model, hooks, size)
        self._reader = PromptReader(table, hooks, kept_tokens=size * _KEPT_PROMPT_TOKENS_PER_SLOT)

    @property
    def _arrays(self) -> tuple[np.ndarray, ...]:
        """What is kept by slot."""
        return (
            self._tokens,
            self._positions,
            self._steps,
            self._conditions,
            self._keys,
            self._onset_seen,
            self._passes,
            self._held,
        )

    @property
    def active(self) -> int:
        """How many slots hold a row that goes on."""
        return len(self.drafts)

    def turn(self, queue: RowQueue) -> list[Draft]:
        """Fill the free slots, feed every row one token; the rows that ended."""
        ended: list[Draft] = []
        while self.active < self.limit and queue.peek() is not None:
            rows = queue.take(self.limit - self.active)
            finished = self._in_memory(partial(self._admit, rows))
            if finished is None:
                queue.put_back(rows)
                self._make_room(queue)
            else:
                ended += finished
        while self._in_memory(self._catch_up) is None:
            self._make_room(queue)
        if self.active:
            finished = self._in_memory(self._advance)
            if finished is None:
                self._make_room(queue)
            else:
                ended += finished
        self._take_room(len(ended))
        return ended

    def _in_memory(self, work: Callable[[], list[Draft]]) -> list[Draft] | None:
        """The rows that the work ended, or None where memory ran out and fewer slots may help.

        Only once the exception is gone are the tensors of the pass that failed.
        """
        try:
            return work()
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            if self.limit > 1:
                return None
            raise UserError(
                f"{self.model.name}: memory does not suffice for one row alone",
                str(error).partition("\n")[0] or "none was left",
                "lower generation.max_new_tokens, take a smaller model, or free memory",
            ) from error

    def _admit(self, rows: list[Row]) -> list[Draft]:
        """Read the rows' prompts, choose their first tokens, and seat those that go on."""
        conditions = [self.table.add(row.condition) for row in rows]
        prefilled = self._reader.read([(row.prompt.ids, c) for row, c in zip(rows, conditions, strict=True)])
        drafts = [Draft(row, self.model, self.params, self.seed) for row in rows]
        new = [i for i, draft in enumerate(drafts) if not draft.tokens]
        if new:
            logits = torch.stack([prefilled[i].logits for i in new])
            self._choose(logits, [drafts[i] for i in new], np.asarray(conditions)[new])
        if self._cache is None:
            self._cache = PagedCache(prefilled[0], len(self._tokens))
        going_on = [draft.finish_reason is None for draft in drafts]
        self._reserve(0, list(itertools.compress(drafts, going_on)), itertools.compress(prefilled, going_on))
        # From here on nothing large is allocated: rows are seated all or none.
        ended = []
        for draft, condition, prompt in zip(drafts, conditions, prefilled, strict=True):
            if draft.finish_reason is not None:
                ended.append(draft)
            else:
                self._seat(draft, condition, prompt)
        return ended

    def _seat(self, draft: Draft, condition: int, prompt: Prefilled) -> None:
        slot = self.active
        assert self._cache is not None
        self._cache.join(slot, prompt)
        self.drafts.append(draft)
        self._conditions[slot], self._keys[slot] = condition, draft.key
        self._positions[slot] = prompt.length - 1
        self._steps[slot] = 0
        self._onset_seen[slot] = False
        self._note_token(slot)

    def _note_token(self, slot: int) -> None:
        """The first of the row's tokens that was not fed yet is what its next pass is fed."""
        self._steps[slot] += 1
        self._tokens[slot] = self.drafts[slot].tokens[self._steps[slot] - 1]
        self._positions[slot] += 1
        if self._ends_onset(slot, self._steps[slot]):
            self._onset_seen[slot] = True

    def _ends_onset(self, slot: int, length: int) -> bool:
        """Whether so many of the row's tokens end with an onset phrase."""
        if not self.table.phrases:
            return False
        first = max(0, length - max(map(len, self.table.phrases)))
        return ends_with_onset(self.drafts[slot].tokens[first:length], self.table.phrases)

    def _catch_up(self) -> list[Draft]:
        """Feed rows that were taken up all tokens that they have but the last."""
        for slot, draft in enumerate(self.drafts):
            while (behind := len(draft.tokens) - int(self._steps[slot])) > 0:
                self._replay(slot, behind)
        return []

    def _replay(self, slot: int, most: int) -> None:
        """Feed a row up to so many of the tokens that it has, in one pass, as decoding would have."""
        assert self._cache is not None
        books = self._cache.books
        step, first = int(self._steps[slot]), int(self._positions[slot])
        count = min(most, tokens_at_once(self._cache, slot))
        if (missing := books.missing(slot, first + count)) > 0:
            self._reserve(missing)
            books.own.give([slot] * missing)
        lengths = range(step, step + count)
        seen = self._onset_seen[slot] | np.logical_or.accumulate([self._ends_onset(slot, n) for n in lengths])
        known = Positions(
            tokens=np.asarray([self.drafts[slot].tokens[n - 1] for n in lengths])[:, None],
            steps=np.asarray(lengths)[:, None],
            onset_seen=seen[:, None],
        )
        held = replay(self.model, self.hooks, self._cache, slot, self._conditions[slot], known, first)
        self._note_held(slice(slot, slot + 1), count, held.sum(axis=0, keepdims=True))
        for _ in lengths:
            self._note_token(slot)

    def _reserve(self, pages: int, joining: Sequence[Draft] = (), prompts: Iterable[Prefilled] = ()) -> None:
        """Make sure that rows can be given so many more pages, and that others can join."""
        assert self._cache is not None
        most = sum(pages_for(draft.most_own_positions) for draft in (*self.drafts, *joining))
        self._cache.reserve(pages, prompts, most=most)

    def _turn_pages(self) -> None:
        """Give a page to every row whose last one is full."""
        assert self._cache is not None
        self._cache.compact()
        full = self._cache.books.full(self._positions[: self.active])
        if full:
            self._reserve(len(full))
            self._cache.books.own.give(full)

    def _advance(self) -> list[Draft]:
        """One decoding pass over all rows; the rows that it ended."""
        rows = self.active
        padded = self._decoder.padded(rows)
        at = Positions(
            self._tokens[:padded, None], self._steps[:padded, None], self._onset_seen[:padded, None]
        )
        is_active = self.table.active(at)
        self._turn_pages()
        assert self._cache is not None
        logits = self._decoder.step(
            self._cache, self._tokens[:padded], self._positions[:padded], self._conditions[:padded], is_active
        )
        self._choose(logits[:rows], self.drafts, self._conditions[:rows])
        self._note_held(slice(rows), 1, np.asarray(is_active[:rows].any(axis=1)))
        ended = [slot for slot, draft in enumerate(self.drafts) if draft.finish_reason is not None]
        for slot in range(rows):
            if self.drafts[slot].finish_reason is None:
                self._note_token(slot)
        return [self._leave(slot) for slot in reversed(ended)]

    def _note_held(self, slots: slice, passes: int, held: np.ndarray) -> None:
        """Count passes, and in how many of them each schedule held, [slots, schedules]."""
        if (missing := held.shape[1] - self._held.shape[1]) > 0:
            self._held = np.pad(self._held, ((0, 0), (0, missing)))
        self._passes[slots] += passes
        self._held[slots] += held

    def count(self, draft: Draft, ledger: Ledger) -> None:
        """Enter a finished row's passes; those of rows that never finish are in no file and no ledger."""
        condition, at = self.table.add(draft.row.condition), Positions.of_prompt(draft.row.prompt.ids)
        self.table.count_pass(condition, self.table.active(at)[0], at.tokens.size, ledger)
        if draft.passes is not None:
            self.table.count_decode(condition, *draft.passes, ledger)

    def _choose(self, logits: Tensor, drafts: list[Draft], conditions: np.ndarray) -> None:
        """Give every draft its next token."""
        for condition in set(conditions.tolist()):
            if self.table.conditions[condition].suppresses:
                rows = np.flatnonzero(conditions == condition).tolist()
                self.table.bans[condition].apply(logits, {row: drafts[row].tokens for row in rows})
        streams = torch.tensor([[draft.key, len(draft.tokens)] for draft in drafts]).to(logits.device)
        choice = choose(logits, streams[:, 0], streams[:, 1], self.params)
        usable = choice.usable.tolist()
        chosen = zip(drafts, choice.tokens.tolist(), usable, choice.readings(), strict=True)
        for draft, token, good, reading in chosen:
            if good:
                draft.push(token, reading)
            else:
                draft.fail("the logits are not finite")

    def _leave(self, slot: int) -> Draft:
        """Take a row out; the last row moves into its slot."""
        assert self._cache is not None
        draft, last = self.drafts[slot], self.active - 1
        draft.passes = (int(self._passes[slot]), self._held[slot].copy())
        if draft.finish_reason == "error":
            self._cache.wipe(slot)
        self._cache.books.leave(slot)
        if slot != last:
            self._cache.books.rename(last, slot)
            self.drafts[slot] = self.drafts[last]
            for array in self._arrays:
                array[slot] = array[last]
        self.drafts.pop()
        for array in self._arrays:
            array[last] = 0
        return draft

    def _make_room(self, queue: RowQueue) -> None:
        """Out of memory: halve the rows; those with the fewest tokens are taken up again later."""
        self.limit = max(self.limit // 2, 1)
        self._patience = self._until_more = max(2 * self._patience, 2 * self.limit)
        dropped: list[Row] = []
        while self.active > self.limit:
            assert self._cache is not None
            youngest = min(range(self.active), key=lambda slot: len(self.drafts[slot].tokens))
            self._cache.wipe(youngest)
            dropped.append(self._leave(youngest).as_it_stands)
        queue.put_back(dropped)
        # Kept prompts and captured graphs go first: to shrink the cache takes memory too.
        self._reader.forget()
        self._decoder = make_decoder(self.model, self.hooks, max(self.limit, MIN_ROWS))
        torch.cuda.empty_cache()
        if self._cache is not None:
            self._cache.shrink()

    def _take_room(self, ended: int) -> None:
        """Long enough after memory ran out, try twice the rows again; each failure makes it wait longer."""
        if self.limit == self._most:
            return
        self._until_more -= ended
        if self._until_more <= 0:
            self.limit = min(2 * self.limit, self._most)
            self._until_more = self._patience
            self._decoder = make_decoder(self.model, self.hooks, max(self.limit, MIN_ROWS))
