"""Tokens that a row is known to have are fed many in a pass, and leave what one by one would have left.

Each is fed as if it stood in a slot of its own and looked at the row's pages, so it goes through products
that treat it as those of a decoding pass would, and no number depends on whether a row was ever stopped.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from backtracking.engine.books import PassLayout, PassSize
from backtracking.engine.cache import PagedCache
from backtracking.engine.forward import MIN_ROWS
from backtracking.engine.lines import DecodePass
from backtracking.engine.pages import PAGE, Numbers
from backtracking.model.hooks import GateHooks
from backtracking.model.loading import LoadedModel
from backtracking.model.schedule import Mask, Positions

_PAIRS, _COPIES = 8192, 512
"""Of pages and tokens that look at them in a pass, about: where a page serves all of them, and where each has
a copy of its own."""
_MOST = 256


def tokens_at_once(cache: PagedCache, slot: int) -> int:
    """How many tokens of a row are fed in one pass."""
    pages = max(int(cache.books.own.held[slot]), 1)
    room = (_PAIRS if _are_alike(cache) else _COPIES) // pages
    return min(max(room, MIN_ROWS), _MOST)


def replay(
    model: LoadedModel,
    hooks: GateHooks,
    cache: PagedCache,
    slot: int,
    condition: int,
    known: Positions,
    first: int,
) -> Mask:
    """Feed known tokens [tokens, 1] of a row, from position `first` on; which schedules held at each.

    The row has the pages that they take.
    """
    count = len(known.tokens)
    rows = max(count, MIN_ROWS)
    spare = ((0, rows - count), (0, 0))
    at = Positions(np.pad(known.tokens, spare), np.pad(known.steps, spare), np.pad(known.onset_seen, spare))
    is_active = hooks.table.active(at)
    conditions = np.zeros((rows, 1), dtype=np.int64)
    conditions[:count] = condition
    hooks.load(conditions, is_active)
    seen = _seen(cache, slot, first + np.arange(count), rows, copied=not _are_alike(cache))
    _feed(model, cache, at.tokens, seen)
    hooks.verify()
    return np.asarray(is_active[:count].any(axis=1))


def _are_alike(cache: PagedCache) -> bool:
    """Whether a page that a row alone looks at is multiplied as one with many readers is."""
    return cache.books.least_places == 1


@dataclass(frozen=True)
class _Seen:
    """Which pages the tokens of a pass look at, and where their own keys and values go."""

    positions: Numbers
    written: Numbers
    offsets: Numbers
    taken: Numbers
    """The pages of the pass: first those that one token looks at, then those that all do."""
    size: PassSize
    layout: PassLayout


def _seen(cache: PagedCache, slot: int, positions: Numbers, rows: int, *, copied: bool) -> _Seen:
    """All tokens look at the prompt's pages; the row's own are copied for each, or looked at by all."""
    books, tokens = cache.books, len(positions)
    begin, own, prompt = int(books.begins[slot]), books.own_pages(slot), books.prompt_pages(slot)
    pages, sheets = np.append(prompt, own), np.arange(len(prompt) + len(own))
    is_prompt = sheets < len(prompt)
    starts = np.where(is_prompt, sheets * PAGE, begin + (sheets - len(prompt)) * PAGE)
    shared = sheets[is_prompt | (not copied)]
    looked_at = (positions - begin) // PAGE + 1 if copied else np.zeros(tokens, dtype=np.int64)
    alone = np.concatenate([len(prompt) + np.arange(count) for count in looked_at])
    # Page 0 is nobody's, as in every pass; so is what tokens would look at that only fill the pass up.
    sheet = np.concatenate([np.repeat(shared, rows), [0], alone])
    of_shared = np.tile(np.arange(rows), len(shared))
    row = np.concatenate([of_shared, [rows], np.repeat(np.arange(tokens), looked_at)])
    idle = row >= tokens
    row = np.where(idle, rows, row)
    up_to = np.pad(positions + 1, (0, rows + 1 - tokens))
    spare, at = (0, rows - tokens), positions - begin
    return _Seen(
        positions=np.pad(positions, spare),
        written=np.pad(own[at // PAGE], spare),
        offsets=np.pad(at % PAGE, spare),
        taken=np.concatenate([[0], pages[alone], pages[shared]]),
        size=PassSize(len(shared), 1 + len(alone), rows),
        layout=PassLayout(
            rows=row,
            ranks=np.where(idle, np.cumsum(idle) - 1, sheet),
            starts=starts[sheet],
            ends=np.where(idle, 0, np.where(is_prompt[sheet], begin, up_to[row])),
            counts=np.bincount(row, minlength=rows + 1),
        ),
    )


def _feed(model: LoadedModel, cache: PagedCache, tokens: Numbers, seen: _Seen) -> None:
    """The forward pass."""

    def there(numbers: Numbers) -> Tensor:
        return torch.from_numpy(numbers).to(model.device)

    positions, layout = there(seen.positions), seen.layout
    cache.set_pass(there(seen.written), there(seen.offsets), there(seen.taken))
    model.model(
        input_ids=there(tokens),
        position_ids=positions[:, None],
        past_key_values=cache,
        use_cache=True,
        engine_pass=DecodePass(
            seen.size,
            positions,
            counts=there(layout.counts),
            rows=there(layout.rows),
            ranks=there(layout.ranks),
            starts=there(layout.starts),
            ends=there(layout.ends),
        ),
    )
