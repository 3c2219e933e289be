"""The reference engine: one row at a time through `model.generate` with hooks.

Slow and plain. It serves models that the batched engine refuses, and is the oracle that the batched engine
is held to.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from weakref import WeakSet

import torch
from torch import Tensor, nn
from transformers import (
    GenerationConfig,
    LogitsProcessor,
    LogitsProcessorList,
    StoppingCriteria,
    StoppingCriteriaList,
)

from backtracking.engine.rows import Begun, Draft, Row
from backtracking.engine.sampling import SamplingParams, choose
from backtracking.errors import UserError, is_out_of_memory
from backtracking.model.bans import Bans
from backtracking.model.gates import GateTable
from backtracking.model.hooks import intervene_with
from backtracking.model.ledger import Ledger
from backtracking.model.loading import LoadedModel
from backtracking.run.records import GenerationRecord
from backtracking.text.tokenization import Tokenizer


# transformers' base classes of both carry no types; a strict checker lets nobody subclass them otherwise.
class _KeyedChoice(LogitsProcessor):  # type: ignore[misc]
    """Makes greedy `generate` draw the row's own keyed sample, by leaving only the chosen token possible."""

    def __init__(self, draft: Draft, params: SamplingParams, tokenizer: Tokenizer) -> None:
        self.draft, self.params = draft, params
        self._bans = Bans(draft.row.condition, tokenizer)

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        scores = scores.clone()
        scores[:, self._bans.after(self.draft.tokens)] = -torch.inf
        steps = torch.tensor([len(self.draft.tokens)], device=scores.device)
        keys = torch.tensor([self.draft.key], device=scores.device)
        choice = choose(scores, keys, steps, self.params)
        token = int(choice.tokens[0])
        if bool(choice.usable[0]):
            self.draft.push(token, choice.readings()[0])
        else:
            self.draft.fail("the logits are not finite")
        forced = torch.full_like(scores, -torch.inf)
        forced[0, self.draft.tokens[-1] if self.draft.tokens else token] = 0.0
        return forced


class _DraftEnded(StoppingCriteria):  # type: ignore[misc]
    """Stops `generate` when the row has ended."""

    def __init__(self, draft: Draft) -> None:
        self.draft = draft

    def __call__(self, input_ids: Tensor, scores: Any, **_: Any) -> Tensor:
        ended = self.draft.finish_reason is not None
        return torch.tensor([ended] * len(input_ids), device=input_ids.device)


@contextmanager
def _plain_generation(model: LoadedModel) -> Iterator[None]:
    """Keep the checkpoint's own defaults (penalties, bans) out of `generate`, which would fill them in."""
    own = model.model.generation_config
    model.model.generation_config = GenerationConfig()
    try:
        yield
    finally:
        model.model.generation_config = own


_GENERATING: WeakSet[nn.Module] = WeakSet()
"""Models whose own `generate` has been seen to run."""


def _check_generates(model: LoadedModel) -> None:
    """Refuse in words a model whose own `generate` cannot go on from tokens alone."""
    if model.model in _GENERATING:
        return
    ids = torch.zeros((1, 3), dtype=torch.long, device=model.device)
    try:
        with torch.no_grad(), _plain_generation(model):
            model.model.generate(
                ids,
                attention_mask=torch.ones_like(ids),
                generation_config=GenerationConfig(max_new_tokens=2, do_sample=False, pad_token_id=0),
            )
    # What a model raises that wants more than tokens, or another cache, is its own choice.
    except (TypeError, ValueError, AttributeError, LookupError, NotImplementedError, RuntimeError) as error:
        if is_out_of_memory(error):
            raise
        raise UserError(
            f"{model.name}: this model cannot generate",
            f"its own `generate` fails on a short prompt ({error})",
            "choose another model; docs/models.md lists the families",
        ) from error
    _GENERATING.add(model.model)


def run_reference(
    model: LoadedModel,
    rows: Iterable[Row | None],
    params: SamplingParams,
    *,
    seed: int,
    table: GateTable,
    ledger: Ledger,
) -> Iterator[GenerationRecord]:
    """Complete rows one after the other."""
    _check_generates(model)
    for row in filter(None, rows):
        draft = Draft(replace(row, begun=Begun()), model, params, seed)  # it always begins anew
        ids = torch.tensor([row.prompt.ids], device=model.device)
        own = Ledger()
        with torch.no_grad(), _plain_generation(model), intervene_with(table, own) as tracker:
            tracker.start([table.add(row.condition)], [len(row.prompt.ids)])
            model.model.generate(
                ids,
                attention_mask=torch.ones_like(ids),
                generation_config=GenerationConfig(
                    max_new_tokens=params.max_new_tokens, do_sample=False, pad_token_id=0
                ),
                logits_processor=LogitsProcessorList([_KeyedChoice(draft, params, model.tokenizer)]),
                stopping_criteria=StoppingCriteriaList([_DraftEnded(draft)]),
            )
        ledger.add(own)
        yield draft.record(model, params)
