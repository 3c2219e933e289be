"""Conditions compiled to tables: any mix of interventions in one batch is a lookup by the row's condition.

A table has one row per condition and one column per operation. Conditions that do the same kind of thing to
the same module at the same times share a column, so hundreds of conditions cost as much as one.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from backtracking.errors import UserError
from backtracking.interventions import MODES, Component, Condition, Intervention, Mode, When
from backtracking.model.bans import Bans
from backtracking.model.ledger import Key, Ledger, condition_label
from backtracking.model.loading import LoadedModel
from backtracking.model.schedule import Mask, Positions, active, acts_on_prompt, check_when
from backtracking.text.onsets.triggers import Phrase


@dataclass(frozen=True)
class Operation:
    """What a column stands for."""

    layer: int
    component: Component
    head: int | None
    mode: str
    when: When

    @property
    def rule(self) -> Mode:
        """The line of `MODES` that says how it acts."""
        return MODES[self.mode]


@dataclass
class GateColumn:
    """One operation with, for every condition, its strength and direction."""

    operation: Operation
    when_index: int
    vectors: list[Tensor] = field(default_factory=list)
    strengths: dict[int, float] = field(default_factory=dict)
    vector_of: dict[int, int] = field(default_factory=dict)
    users: dict[int, Intervention] = field(default_factory=dict)


class GateTable:
    """All conditions of a run over one model; conditions may join at any time."""

    def __init__(
        self,
        model: LoadedModel,
        vectors: Mapping[str, Tensor] | None = None,
        phrases: Collection[Phrase] = (),
    ) -> None:
        self.model = model
        self.phrases = tuple(phrases)
        self.columns: list[GateColumn] = []
        self.conditions: list[Condition] = []
        self.bans: list[Bans] = []
        self.by_label: dict[str, Condition] = {}
        self.whens: list[When] = []
        self._vectors = vectors or {}
        self._index: dict[Condition, int] = {}
        self._places: defaultdict[Operation, list[int]] = defaultdict(list)
        """The columns of each operation, from left to right."""
        self._when_places: dict[When, int] = {}
        self._strengths = np.zeros((0, 0), dtype=np.float32)
        self._vector_of = np.zeros((0, 0), dtype=np.int64)
        self._is_compiled = False

    def add(self, condition: Condition) -> int:
        """The condition's row in the table, compiled when it is first seen."""
        if condition in self._index:
            return self._index[condition]
        if condition_label(condition) in self.by_label:
            raise UserError(
                f"two different conditions are both called {condition_label(condition)!r}",
                "rows and counts could not be told apart",
                "give each condition its own name or draw",
            )
        if outside := sorted(t for t in condition.suppress_tokens if not 0 <= t < self.model.vocab_size):
            raise UserError(
                f"condition {condition.name!r} suppresses tokens that do not exist: {outside}",
                f"the vocabulary has {self.model.vocab_size} tokens",
            )
        for intervention in condition.interventions:
            self._check(intervention, condition)
        self.by_label[condition_label(condition)] = condition
        row = self._index[condition] = len(self.conditions)
        self.conditions.append(condition)
        self.bans.append(Bans(condition, self.model.tokenizer))
        by_site: dict[tuple[int, str, int | None], list[Intervention]] = defaultdict(list)
        for intervention in condition.interventions:
            by_site[intervention.layer, intervention.component, intervention.head].append(intervention)
        for chain in by_site.values():
            self._place(chain, row)
        self._is_compiled = False
        return row

    def _place(self, chain: list[Intervention], row: int) -> None:
        """Give each intervention on one module a column, to the right of its predecessor's: order is kept."""
        start = 0
        for intervention in chain:
            operation = Operation(
                intervention.layer,
                intervention.component,
                intervention.head,
                intervention.operation,
                intervention.when,
            )
            places = self._places[operation]
            at = next((place for place in places if place >= start), None)
            if at is None:
                at = len(self.columns)
                places.append(at)
                self.columns.append(GateColumn(operation, self._when_index(intervention.when)))
            start = at + 1
            column = self.columns[at]
            column.users[row] = intervention
            column.strengths[row] = intervention.applied_strength
            if intervention.vector is not None:
                column.vector_of[row] = len(column.vectors)
                column.vectors.append(self._vector(intervention.vector, intervention.mode))

    def _when_index(self, when: When) -> int:
        if when not in self._when_places:
            self._when_places[when] = len(self.whens)
            self.whens.append(when)
        return self._when_places[when]

    def _vector(self, name: str, mode: str) -> Tensor:
        vector = self._vectors[name].to(self.model.device, torch.float32)
        return vector / vector.norm() if MODES[mode].unit_vector else vector

    def _check(self, intervention: Intervention, condition: Condition) -> None:
        """An intervention that binds to nothing is the user's mistake."""
        where = f"condition {condition.name!r}, {intervention.component} of layer {intervention.layer}"
        if lacking := self.model.shape.lacks(*intervention.place):
            raise UserError(
                f"condition {condition.name!r}: {lacking} does not exist",
                f"{self.model.name} has {self.model.shape}",
                "correct the layer or the head",
            )
        width = self.model.hidden_size if intervention.head is None else self.model.head_dim
        if intervention.head is not None and not self.model.has_separable_heads(intervention.layer):
            raise UserError(
                f"{where}: heads of this architecture cannot be told apart",
                f"no output projection that takes {self.model.n_heads} heads of width {width} was found",
            )
        if intervention.vector is not None:
            if intervention.vector not in self._vectors:
                known = ", ".join(sorted(self._vectors)) or "none"
                raise UserError(
                    f"{where}: no vector named {intervention.vector!r}", f"vectors given: {known}"
                )
            shape = tuple(self._vectors[intervention.vector].shape)
            if shape != (width,):
                raise UserError(
                    f"{where}: vector {intervention.vector!r} has shape {list(shape)}", f"needed: [{width}]"
                )
            # Times a gate of 0 it would still be NaN, in every row of the batch.
            if not bool(self._vector(intervention.vector, intervention.mode).isfinite().all()):
                raise UserError(
                    f"{where}: vector {intervention.vector!r} cannot be used to {intervention.mode}",
                    "it holds numbers that are not finite, or has no direction because its length is zero",
                )
        check_when(intervention.when, bool(self.phrases), self.model.vocab_size)

    def _compile(self) -> None:
        """Lay the columns out as arrays, once for all conditions that joined since the last time."""
        if self._is_compiled:
            return
        self._is_compiled = True
        rows, columns = len(self.conditions), len(self.columns)
        self._strengths = np.empty((rows, columns), dtype=np.float32)
        self._vector_of = np.zeros((rows, columns), dtype=np.int64)
        for c, column in enumerate(self.columns):
            self._strengths[:, c] = column.operation.rule.neutral
            for row, strength in column.strengths.items():
                self._strengths[row, c] = strength
            for row, vector in column.vector_of.items():
                self._vector_of[row, c] = vector
        self._neutral = np.asarray(
            [column.operation.rule.neutral for column in self.columns], dtype=np.float32
        )
        self._when_of = np.asarray([column.when_index for column in self.columns], dtype=np.int64)

    def active(self, at: Positions) -> Mask:
        """[rows, positions, schedules]: where each schedule of the table holds."""
        masks = [active(when, at) for when in self.whens]
        return np.stack(masks, axis=-1) if masks else np.zeros((*at.steps.shape, 0), dtype=np.bool_)

    def coefficients(self, rows: NDArray[np.int64], is_active: Mask) -> NDArray[np.float32]:
        """[rows, positions, columns]: the strength that each column applies; `rows` is [rows, positions]."""
        self._compile()
        result: NDArray[np.float32] = np.where(
            is_active[..., self._when_of], self._strengths[rows], self._neutral
        )
        return result

    def idle(self, coefficients: NDArray[np.float32]) -> Mask:
        """[columns]: which change nothing at any of the positions."""
        self._compile()
        return np.asarray((coefficients == self._neutral).all(axis=(0, 1)))

    def vector_indices(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """[rows, positions, columns]: which of a column's directions is meant."""
        self._compile()
        return self._vector_of[rows]

    def prompt_interventions(self, row: int) -> tuple[Intervention, ...]:
        """Those on which the prompt's keys and values depend."""
        return tuple(i for i in self.conditions[row].interventions if acts_on_prompt(i.when))

    def count_pass(self, row: int, is_active: Mask, length: int, ledger: Ledger) -> None:
        """Count one pass of one row over `length` positions; `is_active` is [positions, schedules]."""
        applied = np.asarray(is_active.any(axis=0))
        for column in self.columns:
            if row in column.users:
                ledger.record(self._key(row, column), 1, int(applied[column.when_index]), length)

    def count_decode(self, row: int, calls: int, applied: NDArray[np.int64], ledger: Ledger) -> None:
        """Count a row's decoding passes: in how many of them each schedule held."""
        for column in self.columns:
            if row in column.users:
                ledger.record(self._key(row, column), calls, int(applied[column.when_index]), 1)

    def _key(self, row: int, column: GateColumn) -> Key:
        operation = column.operation
        return (condition_label(self.conditions[row]), operation.layer, operation.component)
