"""Prompts are read once, for all samples and all conditions that leave the prompt alone."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from backtracking.engine.cache import Prefilled
from backtracking.engine.forward import PackedPrompts, prompt_pass
from backtracking.interventions import Intervention
from backtracking.model.gates import GateTable
from backtracking.model.hooks import GateHooks
from backtracking.model.schedule import Positions

_Ids = tuple[int, ...]
PromptReading = tuple[_Ids, tuple[Intervention, ...]]
"""A prompt, and the interventions that act on it: all that its keys and values depend on."""
_PASS_TOKENS = 2048


class PromptReader:
    """Reads prompts in packed passes and keeps the latest ones, up to `kept_tokens` in all."""

    def __init__(self, table: GateTable, hooks: GateHooks, kept_tokens: int) -> None:
        self._table, self._hooks, self._kept_tokens = table, hooks, kept_tokens
        self._kept: OrderedDict[PromptReading, Prefilled] = OrderedDict()

    def read(self, wanted: Sequence[tuple[_Ids, int]]) -> list[Prefilled]:
        """What each (prompt, condition row) leaves behind, read now or remembered."""
        keys = [(ids, self._table.prompt_interventions(row)) for ids, row in wanted]
        known = {key: self._kept[key] for key in keys if key in self._kept}
        rows = {key: row for key, (_, row) in zip(keys, wanted, strict=True) if key not in known}
        for pack in _packs(list(rows)):
            prompts = self._pass([key[0] for key in pack], [rows[key] for key in pack])
            known.update({k: replace(prompt, reading=k) for k, prompt in zip(pack, prompts, strict=True)})
        for key in keys:
            self._kept[key] = known[key]
            self._kept.move_to_end(key)
        while len(self._kept) > 1 and sum(len(ids) for ids, _ in self._kept) > self._kept_tokens:
            self._kept.popitem(last=False)
        return [known[key] for key in keys]

    def forget(self) -> None:
        """Lets go of the kept prompts and their memory."""
        self._kept.clear()

    def _pass(self, prompts: list[_Ids], rows: list[int]) -> list[Prefilled]:
        packed = PackedPrompts.of(prompts)
        tokens = packed.tokens[None, :]
        at = Positions(tokens, np.zeros_like(tokens), np.zeros(tokens.shape, dtype=np.bool_))
        self._hooks.load(np.asarray(rows)[packed.owners][None, :], self._table.active(at))
        result = prompt_pass(self._table.model, packed)
        self._hooks.verify()
        return result


def _packs(keys: list[PromptReading]) -> list[list[PromptReading]]:
    """Groups of prompts that fit one pass."""
    packs: list[list[PromptReading]] = []
    room = 0
    for key in keys:
        if len(key[0]) > room:
            packs.append([])
            room = _PASS_TOKENS
        packs[-1].append(key)
        room -= len(key[0])
    return packs
