"""What runs in a process of its own: one model, and one piece of work at a time."""

import os
import socket
from dataclasses import dataclass
from typing import Any

from backtracking.config.schema import ModelConfig
from backtracking.executor.feed import Failure, Report, Session
from backtracking.executor.work import Work
from backtracking.model.loading import LoadedModel, load_model

PATIENCE_SECONDS = 1.0
"""How long a worker waits for news before it answers that there is none."""
ENDING_SECONDS = 0.2


class Worker:
    """What runs in a process of its own: one model, and one piece of work at a time."""

    def __init__(self, config: ModelConfig, threads: int) -> None:
        self._config, self._threads = config, threads
        self._model: LoadedModel | None = None
        self._session: Session | None = None

    def load(self) -> "Identity | Failure":
        """Load the model, once, and say who and where this is."""
        import torch

        torch.set_num_threads(self._threads)
        try:
            self._model = self._model or load_model(self._config)
        except Exception as error:
            return Failure.of(error)
        return Identity(socket.gethostname(), os.getpid(), str(self._model.dtype), self._model.fingerprint())

    def begin(self, work: Work[Any, Any]) -> None:
        assert self._model is not None
        self._session = Session(work, self._model)

    def exchange(self, items: list[tuple[int, Any]], may_ask: bool) -> Report:
        """Items in, results out."""
        assert self._session is not None
        return self._session.exchange(items, may_ask=may_ask, patience=PATIENCE_SECONDS)

    def end(self) -> bool:
        """Whether the work is over, so that the next may begin."""
        return self._session is None or self._session.end(ENDING_SECONDS)


@dataclass(frozen=True)
class Identity:
    """Who a worker is, and which weights it has."""

    host: str
    pid: int
    dtype: str
    fingerprint: str
