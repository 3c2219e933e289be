"""The hub: whether it knows a name, and its cache alone where it is out of reach."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

from backtracking.errors import UserError


@contextmanager
def asking_hub(kind: Literal["model", "dataset"], name: str, key: str, instead: str) -> Iterator[bool]:
    """Load something of the hub's within this; yields whether the hub is within reach.

    A name that it does not know is refused at once, and out of its reach the cache alone is looked into,
    instead of trying the network six times over.
    """
    if _is_reached(kind, name, key, instead):
        yield True
        return
    with _from_cache():
        yield False


def _is_reached(kind: Literal["model", "dataset"], name: str, key: str, instead: str) -> bool:
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, RepositoryNotFoundError

    hub = HfApi()
    try:
        (hub.model_info if kind == "model" else hub.dataset_info)(name, timeout=10)
    except (RepositoryNotFoundError, HFValidationError):
        raise UserError(
            f"{key}: the hub has no {kind} {name!r}, or it is private",
            next_step=f"check the name, or {instead}",
        ) from None
    except HfHubHTTPError:  # a mirror, say, that hands out files and answers no questions
        return True
    except Exception:  # no network, a proxy, an outage: the cache may still have it
        return False
    return True


@contextmanager
def _from_cache() -> Iterator[None]:
    from huggingface_hub import constants

    # `datasets` keeps a copy of its own once it is imported.
    switches: list[Any] = [constants, *filter(None, [sys.modules.get("datasets.config")])]
    before = [switch.HF_HUB_OFFLINE for switch in switches]
    for switch in switches:
        switch.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        for switch, value in zip(switches, before, strict=True):
            switch.HF_HUB_OFFLINE = value
