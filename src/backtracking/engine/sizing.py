"""How many rows fit side by side."""

import os
import sys
from pathlib import Path

import torch

from backtracking.engine.forward import MIN_ROWS
from backtracking.model.loading import LoadedModel

_MOST_ROWS = {"cpu": 512, "cuda": 256, "mps": 64}
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
    return min(_available(), _left_in_container())


def _available() -> int:
    """What the machine can give without swapping: free memory, and what files merely keep warm."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration):
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2


def _left_in_container(folder: Path = Path("/sys/fs/cgroup")) -> int:
    """What a container's limit leaves, version 2 or 1 of its files; without a limit any number goes."""
    for limit, used in (
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    ):
        try:
            return max(0, int((folder / limit).read_text()) - int((folder / used).read_text()))
        except (OSError, ValueError):
            continue
    return sys.maxsize
