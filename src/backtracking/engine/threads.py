"""How many threads decode: where products are small, handing them round costs more than it saves."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from backtracking.model.loading import LoadedModel

# Multiplications of a mean product. With 4 million (the bundled reasoner, 128 rows) two threads were slower
# than one, 4,200 tokens per second against 5,800.
_WORTH_SHARING = 1 << 23


def is_worth_sharing(model: LoadedModel, rows: int) -> bool:
    """Whether a pass's products with weights are large enough for several of a CPU's threads."""
    sizes = [weight.numel() for weight in _matrices(model.model)]
    return not sizes or rows * sum(sizes) / len(sizes) >= _WORTH_SHARING


def _matrices(model: nn.Module) -> Iterator[torch.Tensor]:
    """What every token is multiplied with; an embedding is looked up."""
    for module in model.modules():
        weight = getattr(module, "weight", None)
        if isinstance(weight, torch.Tensor) and weight.dim() == 2 and not isinstance(module, nn.Embedding):
            yield weight


@contextmanager
def threads(is_shared: bool) -> Iterator[None]:
    """As many as there are, or one where work is not shared; afterwards as many as before."""
    before = torch.get_num_threads()
    if is_shared or before == 1:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
