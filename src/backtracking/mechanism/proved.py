"""What a model is trusted with only once a short input has shown that it comes out as read plainly."""

from collections.abc import Callable, Sequence
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from backtracking.errors import is_out_of_memory
from backtracking.model.loading import LoadedModel
from backtracking.model.mapping import first_tensor

_FOUND: WeakKeyDictionary[nn.Module, dict[str, bool]] = WeakKeyDictionary()
PROBES = ((5, 9, 14, 3, 8), (7, 4, 11, 6, 12, 13, 10, 9))
"""Token ids of two short texts of different length."""


def proved(loaded: LoadedModel, way: str, run: Callable[[], Tensor]) -> bool:
    """Whether a way of reading gives the probes' last states as plain passes do; asked once per model."""
    found = _FOUND.setdefault(loaded.model, {})
    if way not in found:
        found[way] = _agrees(run, torch.cat([last_state(loaded, ids) for ids in PROBES]), loaded.dtype)
    return found[way]


@torch.no_grad()
def last_state(loaded: LoadedModel, ids: Sequence[int]) -> Tensor:
    """The residual stream at a text's end, read plainly: one text, no padding, mask or cache; [1, hidden]."""
    ends: list[Tensor] = []
    last = loaded.blocks[-1].layer
    hook = last.register_forward_hook(lambda _, __, output: ends.append(first_tensor(output)[:, -1]))
    try:
        loaded.model.base_model(input_ids=torch.tensor([list(ids)], device=loaded.device), use_cache=False)
    finally:
        hook.remove()
    return ends[0]


def _agrees(run: Callable[[], Tensor], plain: Tensor, dtype: torch.dtype) -> bool:
    try:
        away = (run().float() - plain.float()).abs().max()
    # What a model raises that reads in other ways than this is its own choice.
    except (TypeError, ValueError, AttributeError, LookupError, NotImplementedError, RuntimeError) as error:
        if is_out_of_memory(error):
            raise
        return False
    # Roundings differ between kernels; a wrong mask, position or state differs by the states' own size.
    return bool(away <= 2 * torch.finfo(dtype).eps ** 0.5 * max(float(plain.abs().max()), 1.0))
