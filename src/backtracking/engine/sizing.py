"""How many rows fit side by side."""

import os

import torch

from backtracking.engine.forward import MIN_ROWS
from backtracking.model.loading import LoadedModel

_MOST_ROWS = {"cpu": 128, "cuda": 256, "mps": 64}
_SHARE_OF_FREE_MEMORY = 0.4
_LIKELY_LENGTH = 4096


def choose_slots(model: LoadedModel, longest: int) -> int:
    """As many rows as the free memory holds at a likely length, within what still gains speed."""
    config = model.model.config.get_text_config()
    heads = getattr(config, "num_key_value_heads", None) or model.n_heads
    per_token = 2 * model.n_layers * heads * model.head_dim * model.dtype.itemsize
    fitting = int(
        _SHARE_OF_FREE_MEMORY * _free_bytes(model.device) / (per_token * min(longest, _LIKELY_LENGTH))
    )
    return max(MIN_ROWS, min(fitting, _MOST_ROWS[model.device.type]))


def _free_bytes(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
