"""Interventions on a model: hooks that apply a pass's gates, and `with ablate(...)` for notebooks."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from backtracking.errors import UserError
from backtracking.interventions import Condition, Intervention, When
from backtracking.model.gates import GateTable, Operation
from backtracking.model.ledger import Ledger
from backtracking.model.loading import LoadedModel
from backtracking.model.mapping import first_tensor
from backtracking.model.schedule import Mask, Positions, onset_seen
from backtracking.text.onsets.triggers import Phrase


class GateHooks:
    """Forward hooks on the modules that a table acts on; while `acting`, they apply the gates of the pass."""

    def __init__(self, table: GateTable) -> None:
        self.table = table
        self._handles: dict[nn.Module, Any] = {}
        self._columns_of: dict[nn.Module, list[int]] = defaultdict(list)
        self._vectors: list[Tensor | None] = []
        self._coefficients: list[Tensor | None] = []
        self._vector_indices: list[Tensor | None] = []
        self._static_gates: Tensor | None = None
        self._static_chosen: Tensor | None = None
        self._ran: Counter[nn.Module] = Counter()
        self._applied: set[int] = set()
        self._synced_conditions = 0
        self._is_acting = False

    @contextmanager
    def acting(self) -> Iterator[None]:
        """Only in here does the model feel the gates; elsewhere its calls are its own."""
        self._is_acting = True
        try:
            yield
        finally:
            self._is_acting = False

    def _sync(self) -> None:
        """Take in new conditions: their directions, and hooks on modules that they have brought in."""
        if self._synced_conditions == len(self.table.conditions):
            return
        self._synced_conditions = len(self.table.conditions)
        columns = self.table.columns
        for index, column in enumerate(columns):
            known = self._vectors[index] if index < len(self._vectors) else None
            # Those without additions stay where they are, for captured graphs.
            if len(column.vectors) != (0 if known is None else len(known)):
                known = torch.stack(column.vectors)
            self._vectors[index : index + 1] = [known]
        for index in range(sum(map(len, self._columns_of.values())), len(columns)):
            module = self._module(columns[index].operation)
            self._columns_of[module].append(index)
            if module not in self._handles:
                on_heads = columns[index].operation.head is not None
                self._handles[module] = (
                    module.register_forward_pre_hook(self._before)
                    if on_heads
                    else module.register_forward_hook(self._after)
                )

    def _module(self, operation: Operation) -> nn.Module:
        block = self.table.model.blocks[operation.layer]
        if operation.head is not None:
            assert block.head_projection is not None  # the table has refused such conditions
            return block.head_projection
        return {"attn": block.attn, "mlp": block.mlp, "resid": block.layer}[operation.component]

    def load(self, rows: NDArray[np.int64], is_active: Mask, static: bool = False) -> None:
        """Set the gates of the next pass: the condition [rows, positions] and its active schedules.

        `static` keeps all gates, idle ones too, in tensors that stay where they are, for captured graphs.
        """
        self._sync()
        self.begin_pass()
        coefficients = self.table.coefficients(rows, is_active)
        indices = self.table.vector_indices(rows)
        device = self.table.model.device
        columns = self.table.columns
        idle = self.table.idle(coefficients) & (not static)
        several = np.asarray([len(column.vectors) > 1 for column in columns], dtype=bool) & ~idle
        # Each goes in one piece: a transfer per column would be a wait per column.
        gates = None if idle.all() else torch.from_numpy(coefficients).to(device)
        chosen = torch.from_numpy(indices).to(device) if several.any() else None
        if static:
            gates = self._static_gates = _written_over(self._static_gates, gates)
            chosen = self._static_chosen = _written_over(self._static_chosen, chosen)
        self._coefficients = [
            None if gates is None or idle[c] else gates[..., c, None] for c in range(len(columns))
        ]
        self._vector_indices = [
            chosen[..., c] if chosen is not None and several[c] else None for c in range(len(columns))
        ]

    def begin_pass(self) -> None:
        """Every hooked module is to run, and every gate that is not idle to be applied, once from here on."""
        self._ran.clear()
        self._applied.clear()

    def verify(self) -> None:
        """Every hooked module must have run exactly once in the pass, and every gate have been applied."""
        wrong = [module for module in self._handles if self._ran[module] != 1]
        if wrong:
            names = ", ".join(f"{type(module).__name__} ran {self._ran[module]} times" for module in wrong)
            raise RuntimeError(f"an intervened module did not run exactly once in a forward pass: {names}")
        loaded = {index for index, gate in enumerate(self._coefficients) if gate is not None}
        if missed := loaded - self._applied:
            names = ", ".join(str(self.table.columns[index].operation) for index in sorted(missed))
            raise RuntimeError(f"interventions were not applied in a forward pass: {names}")

    def remove(self) -> None:
        """Takes every hook off the model again."""
        for handle in self._handles.values():
            handle.remove()
        self._handles.clear()

    def _before(self, module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...] | None:
        if not self._is_acting:
            return None
        self._ran[module] += 1
        return (self._apply(module, args[0]), *args[1:])

    def _after(self, module: nn.Module, _: Any, output: Any) -> Any:
        if not self._is_acting:
            return None
        self._ran[module] += 1
        hidden = self._apply(module, first_tensor(output))
        return (hidden, *output[1:]) if isinstance(output, tuple) else hidden

    def _apply(self, module: nn.Module, hidden: Tensor) -> Tensor:
        for index in self._columns_of[module]:
            coefficient = self._coefficients[index]
            if coefficient is None:
                continue
            operation = self.table.columns[index].operation
            vectors, chosen = self._vectors[index], self._vector_indices[index]
            if vectors is not None:
                vectors = vectors[0] if chosen is None else vectors[chosen]
            if operation.head is None:
                hidden = _operate(operation, hidden, coefficient, vectors)
            else:
                width = self.table.model.head_dim
                part = slice(operation.head * width, (operation.head + 1) * width)
                hidden = hidden.clone()
                hidden[..., part] = _operate(operation, hidden[..., part], coefficient, vectors)
            self._applied.add(index)
        return hidden


def _written_over(kept: Tensor | None, new: Tensor | None) -> Tensor | None:
    """New values, in the tensor that was kept where it has their shape, so that they stay in place."""
    if kept is None or new is None or kept.shape != new.shape:
        return new
    return kept.copy_(new)


def _operate(operation: Operation, hidden: Tensor, coefficient: Tensor, vector: Tensor | None) -> Tensor:
    """One change, computed in float32 and returned in the model's own format."""
    changed: Tensor = operation.rule.apply(hidden, coefficient, vector)
    return changed.to(hidden.dtype)


class CallTracker:
    """Works out, for each plain call of the model, which positions it covers, and sets the gates for them."""

    def __init__(self, table: GateTable, ledger: Ledger) -> None:
        self.hooks = GateHooks(table)
        self.ledger = ledger
        self.acted: set[When] = set()
        """The schedules that have held at some position."""
        self._rows: list[int] = []
        self._given_lengths: Sequence[int] | None = None
        self._prompt_lengths: NDArray[np.int64] = np.zeros(0, dtype=np.int64)
        self._history: NDArray[np.int64] | None = None

    def start(self, rows: list[int], prompt_lengths: Sequence[int] | None) -> None:
        """A new sequence begins: the table rows of its conditions (one for all, or one per batch row)."""
        self._rows = rows
        self._given_lengths = prompt_lengths
        self._history = None

    def before(self, _: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Set the gates for the positions of this call, and count it."""
        ids = kwargs.get("input_ids", args[0] if args else None)
        if ids is None:
            raise UserError(
                "interventions need input_ids",
                "their schedules look at the tokens",
                "pass input_ids, not embeddings",
            )
        if "engine_pass" in kwargs:
            raise UserError(
                "the batched engine ran inside `with ablate(...)` or `with intervene(...)`",
                "they count a plain call's positions, and the engine's passes hold many rows",
                "give the rows a condition with these interventions instead",
            )
        tokens: NDArray[np.int64] = ids.detach().cpu().numpy().astype(np.int64)
        rows = self._rows * len(tokens) if len(self._rows) == 1 else self._rows
        if len(rows) != len(tokens):
            raise UserError(
                f"{len(rows)} conditions were given for a batch of {len(tokens)}",
                "each batch row has one condition",
                "give one condition for all rows, or one per row",
            )
        start = self._place(tokens, kwargs.get("past_key_values"))
        table = self.hooks.table
        is_active = table.active(self._positions(tokens, start))
        self.acted.update(when for i, when in enumerate(table.whens) if is_active[..., i].any())
        self.hooks.load(np.broadcast_to(np.asarray(rows)[:, None], tokens.shape), is_active)
        for row, mask in zip(rows, is_active, strict=True):
            table.count_pass(row, mask, tokens.shape[1], self.ledger)

    def _place(self, tokens: NDArray[np.int64], cache: Any) -> int:
        """The position at which this call begins; tells calls that go on from those that begin anew."""
        start = _length_kept(cache)
        known = self._history
        if known is not None and 0 < start != known.shape[1]:
            raise UserError(
                f"a call continues at position {start}, but the sequence so far has {known.shape[1]} tokens",
                "calls of several sequences were mixed under one intervention",
                "finish one sequence before the next, or use one `with` for each",
            )
        if known is not None and start > 0:
            self._history = np.concatenate([known, tokens], axis=1)
            return start
        # What a cache held before the intervention began is unknown, and no part of any completion.
        self._history = np.pad(tokens, ((0, 0), (start, 0)), constant_values=-1)
        # Without a cache, each token of a sequence comes with all tokens before it.
        goes_on = known is not None and cache is None and np.array_equal(tokens[:, :-1], known)
        if not goes_on:
            lengths = start + tokens.shape[1] if self._given_lengths is None else self._given_lengths
            self._prompt_lengths = np.broadcast_to(np.asarray(lengths, dtype=np.int64), len(tokens))
        return start

    def _positions(self, tokens: NDArray[np.int64], start: int) -> Positions:
        assert self._history is not None
        batch, length = tokens.shape
        steps = np.maximum(np.arange(start, start + length)[None, :] - self._prompt_lengths[:, None] + 1, 0)
        seen = np.zeros((batch, start + length), dtype=np.bool_)
        if self.hooks.table.phrases:
            for row, prompt_length in enumerate(self._prompt_lengths):
                completion = self._history[row, prompt_length:].tolist()
                seen[row, prompt_length:] = onset_seen(completion, self.hooks.table.phrases)
        return Positions(tokens, steps, seen[:, start:])

    def after(self, *_: Any) -> None:
        """Checks, behind a call, that each gate acted where it should."""
        self.hooks.verify()


@contextmanager
def intervene_with(table: GateTable, ledger: Ledger) -> Iterator[CallTracker]:
    """Hook plain calls of the table's model; `start` on the tracker says what each sequence is."""
    tracker = CallTracker(table, ledger)
    handles = [
        table.model.model.register_forward_pre_hook(tracker.before, with_kwargs=True),
        table.model.model.register_forward_hook(tracker.after),
    ]
    try:
        with tracker.hooks.acting():
            yield tracker
    finally:
        for handle in handles:
            handle.remove()
        tracker.hooks.remove()


@contextmanager
def intervene(
    model: LoadedModel,
    conditions: Sequence[Condition],
    *,
    prompt_lengths: Sequence[int] | None = None,
    vectors: Mapping[str, Tensor] | None = None,
    onset_phrases: Collection[Phrase] = (),
) -> Iterator[Ledger]:
    """Run model calls, or `generate`, under conditions: one for all rows, or one per batch row.

    Positions from `prompt_lengths` on count as generated, so one teacher-forced call equals decoding step
    by step. Without it the first call of a sequence is its prompt, later ones are generated (`generate`).
    Activations only: what a condition suppresses belongs to sampling.
    """
    table = GateTable(model, vectors, onset_phrases)
    rows = [table.add(condition) for condition in conditions]
    with intervene_with(table, Ledger()) as tracker:
        tracker.start(rows, prompt_lengths)
        yield tracker.ledger


@contextmanager
def ablate(
    model: LoadedModel,
    interventions: Iterable[Intervention],
    *,
    prompt_lengths: Sequence[int] | None = None,
    vectors: Mapping[str, Tensor] | None = None,
    onset_phrases: Collection[Phrase] = (),
) -> Iterator[Ledger]:
    """Apply interventions to every row of model calls; one that never acted is an error."""
    condition = Condition(name="ablate", interventions=tuple(interventions))
    table = GateTable(model, vectors, onset_phrases)
    row = table.add(condition)
    with intervene_with(table, Ledger()) as tracker:
        tracker.start([row], prompt_lengths)
        yield tracker.ledger
    for intervention in condition.interventions:
        if tracker.ledger.total_calls and intervention.when not in tracker.acted:
            where = f"{intervention.component} of layer {intervention.layer}"
            raise UserError(
                f"the intervention on {where} never acted"
                if intervention.head is None
                else f"the intervention on head {intervention.head} in {where} never acted",
                f"its schedule is {intervention.when!r}, and no position of the call falls under it",
                "give prompt_lengths=, so that later positions count as generated, or use phase='all'",
            )


def _length_kept(cache: Any) -> int:
    """How many positions a cache holds."""
    try:
        return 0 if cache is None else int(cache.get_seq_length())
    except ValueError as error:
        raise UserError(
            "this model's cache does not tell how many positions it holds",
            "none of its layers keeps keys and values, and schedules look at positions",
            "choose a model with attention in some layer",
        ) from error
