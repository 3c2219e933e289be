"""How many threads decode: where products are small, handing them round may cost more than it saves."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median

import torch
from torch import nn

from backtracking.model.loading import LoadedModel

# Multiplications of a mean product from which on all threads share it untried.
_WORTH_SHARING = 1 << 25
_TRIED, _EVERY = 4, 256


class Threads:
    """As many threads as torch has for each turn of a batch, or one; rows come out the same to the last bit.

    Which takes less time for small products depends on how threads wait for each other and on what else the
    machine does: with the bundled reasoner and 128 rows, two take 0.75 to 2.6 times as long as one. So both
    are tried for a few turns now and then.
    """

    def __init__(self, model: LoadedModel, rows: int) -> None:
        sizes = [weight.numel() for weight in _matrices(model.model)]
        self._is_tried = (
            model.device.type == "cpu" and bool(sizes) and rows * sum(sizes) / len(sizes) < _WORTH_SHARING
        )
        self._turns, self._is_shared = 0, True
        self._took: dict[bool, list[float]] = {}

    @contextmanager
    def turn(self) -> Iterator[None]:
        """For one turn; afterwards there are as many threads as before."""
        before = torch.get_num_threads()
        if before == 1 or not self._is_tried:
            yield
            return
        number = self._turns % _EVERY
        is_trial, self._turns = number < 2 * _TRIED, self._turns + 1
        if number == 0:
            self._took = {False: [], True: []}
        is_shared = number % 2 == 1 if is_trial else self._is_shared
        torch.set_num_threads(before if is_shared else 1)
        start = time.perf_counter()
        try:
            yield
        finally:
            torch.set_num_threads(before)
        if is_trial:
            self._took[is_shared].append(time.perf_counter() - start)
        if number == 2 * _TRIED - 1:
            self._is_shared = median(self._took[True]) < median(self._took[False])


def _matrices(model: nn.Module) -> Iterator[torch.Tensor]:
    """What every token is multiplied with; an embedding is looked up."""
    for module in model.modules():
        weight = getattr(module, "weight", None)
        if isinstance(weight, torch.Tensor) and weight.dim() == 2 and not isinstance(module, nn.Embedding):
            yield weight
