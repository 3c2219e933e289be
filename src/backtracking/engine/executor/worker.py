"""What runs in a process of its own: one model, and one piece of work at a time."""

import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backtracking.config.schema import ModelConfig
from backtracking.engine.executor.feed import Failure, Report, Session
from backtracking.engine.executor.weights import Files, unpacked
from backtracking.engine.executor.work import Work
from backtracking.model.loading import LoadedModel, load_model

PATIENCE_SECONDS = 1.0
"""How long a worker waits for news before it answers that there is none."""
ENDING_SECONDS = 0.2


class Worker:
    """What runs in a process of its own: one model, and one piece of work at a time."""

    def __init__(self, config: ModelConfig, threads: int, is_folder: bool) -> None:
        self._config, self._threads, self._is_folder = config, threads, is_folder
        self._model: LoadedModel | None = None
        self._session: Session | None = None

    def load(self, sent: Files | None = None) -> "Identity | Lacking | Failure":
        """Load the model, once, and say who and where this is.

        Where the model is a folder that this machine lacks, its files have to be `sent`.
        """
        import torch

        torch.set_num_threads(self._threads)
        folder = self._config.hf_id
        if sent is not None:
            folder = str(unpacked(sent, ray_get))
        elif self._is_folder and not Path(folder).is_dir():
            return Lacking()
        try:
            config = self._config.model_copy(update={"hf_id": folder})
            self._model = self._model or load_model(config)
        except Exception as error:
            return Failure.of(error)
        return Identity(socket.gethostname(), os.getpid(), str(self._model.dtype), self._model.fingerprint())

    def begin(self, work: Work[Any, Any]) -> None:
        """Begin a piece of work; its items come with `exchange`."""
        assert self._model is not None
        self._session = Session(work, self._model)

    def exchange(self, items: list[tuple[int, Any]], may_ask: bool) -> Report:
        """Items in, results out."""
        assert self._session is not None
        return self._session.exchange(items, may_ask=may_ask, patience=PATIENCE_SECONDS)

    def end(self) -> bool:
        """Whether the work is over, so that the next may begin."""
        return self._session is None or self._session.end(ENDING_SECONDS)


def ray_get(reference: Any) -> Any:
    """What lies in Ray's store under a reference."""
    import ray

    return ray.get(reference)


@dataclass(frozen=True)
class Lacking:
    """The model's folder is not on this machine."""


@dataclass(frozen=True)
class Identity:
    """Who a worker is, and which weights it has."""

    host: str
    pid: int
    dtype: str
    fingerprint: str
