"""Work dealt out to workers on Ray, each a process with one model; results come back to this process."""

import itertools
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from backtracking.config.schema import ModelConfig
from backtracking.config.workers import RayConfig
from backtracking.engine.executor.cluster import Wanted, cluster
from backtracking.engine.executor.dealing import MOST_LOSSES, Dealing
from backtracking.engine.executor.feed import Failure, Report
from backtracking.engine.executor.weights import packed
from backtracking.engine.executor.work import Executor, Item, Result, Underway, Work
from backtracking.engine.executor.worker import PATIENCE_SECONDS, Identity, Lacking, Worker
from backtracking.errors import UserError
from backtracking.model.loading import LoadedModel
from backtracking.run.progress import Bar, Quiet, Reporter

OVERDUE_SECONDS = 60.0
OVERDUE_FACTOR = 3.0
"""An item goes to a second worker after so many seconds, and so many times the longest that any has taken."""


class RayExecutor(Executor):
    """Workers are started at the first work, kept for the next, and started anew where they die."""

    def __init__(self, model: ModelConfig, config: RayConfig, reporter: Reporter | None = None) -> None:
        super().__init__()
        self._config, self._reporter = config, reporter or Quiet()
        # A worker sees only the GPUs that it was given.
        device = "cuda" if model.device.startswith("cuda") else model.device
        # Nor does it work in this folder.
        folder = Path(model.hf_id)
        place = str(folder.resolve()) if folder.is_dir() else model.hf_id
        self._model = model.model_copy(update={"device": device, "hf_id": place})
        self._stack = ExitStack()
        self._ray: Any = None
        self._options: dict[str, Any] = {}
        self._count = 0
        self._files: Any = None
        self._actors: dict[str, Any] = {}
        self._numbers = itertools.count(1)
        self.identities: dict[str, Identity] = {}

    @property
    def name(self) -> str:
        """How many workers, once that is known."""
        return f"ray, {self._count} worker{'s' * (self._count != 1)}" if self._count else "ray"

    def close(self) -> None:
        """End the workers, and a cluster of one's own."""
        self._actors.clear()
        self.identities.clear()
        self._ray = self._files = None
        self._stack.close()

    def _run(
        self, model: LoadedModel, work: Work[Item, Result], items: Iterable[Item], bar: Bar | None
    ) -> Iterator[tuple[int, Result]]:
        items = iter(items)
        first = list(itertools.islice(items, 1))
        if not first:
            return
        self._connect()
        dealing = Dealing(itertools.chain(first, items), self._count)
        turn = _Turn(self, model, dealing, self._ray.put(work), bar)
        try:
            yield from turn.results()
        finally:
            turn.end()

    def _connect(self) -> None:
        """Join or start the cluster, once."""
        if self._ray is not None:
            return
        wanted = Wanted(self._config, self._model.device)
        where = self._config.address or "this machine"
        self._reporter.say(f"  starting workers on Ray ({where})")
        self._ray = self._stack.enter_context(cluster(self._config, wanted))
        totals = self._ray.cluster_resources()
        self._count = wanted.workers(totals)
        asked = wanted.per_worker(totals)
        self._options = {
            "num_cpus": asked.pop("CPU"),
            "num_gpus": asked.pop("GPU", 0),
            "resources": asked,
            "max_restarts": 0,
        }

    def workers(self) -> dict[str, Any]:
        """All workers by name; those that are missing are started."""
        threads = max(1, int(self._config.cpus))
        while len(self._actors) < self._count:
            name = f"worker {next(self._numbers)}"
            kind = self._ray.remote(Worker).options(**self._options)
            self._actors[name] = kind.remote(self._model, threads, Path(self._model.hf_id).is_dir())
        return self._actors

    def drop(self, name: str) -> None:
        """Be rid of a worker, dead or alive."""
        actor = self._actors.pop(name, None)
        self.identities.pop(name, None)
        if actor is not None:
            self._ray.kill(actor, no_restart=True)

    @property
    def ray(self) -> Any:
        """The package, connected to the cluster."""
        return self._ray

    def files(self) -> Any:
        """The model's folder in Ray's store, for machines that lack it; put there once."""
        if self._files is None:
            self._files = self._ray.put(packed(Path(self._model.hf_id), self._ray.put))
        return self._files

    def say(self, message: str) -> None:
        """Tell the person."""
        self._reporter.say(f"  {message}")


class _Turn:
    """One piece of work, first item to last result; a call to every worker is always under way."""

    def __init__(
        self, executor: RayExecutor, model: LoadedModel, dealing: Dealing, work: Any, bar: Bar | None
    ) -> None:
        self._executor, self._model, self._dealing = executor, model, dealing
        self._work, self._bar = work, bar
        self._calls: dict[Any, tuple[str, str]] = {}
        """Calls under way: the worker's name, and what was asked of it."""
        self._deaths = 0
        """How many workers died since the last result."""

    def results(self) -> Iterator[tuple[int, Any]]:
        self._begin_all()
        ray = self._executor.ray
        while not self._dealing.is_over:
            ready, _ = ray.wait(list(self._calls), num_returns=1, timeout=PATIENCE_SECONDS)
            for call in ready:
                name, asked = self._calls.pop(call)
                try:
                    answer = ray.get(call)
                except ray.exceptions.RayTaskError:
                    raise
                except ray.exceptions.RayError as error:
                    self._replace(name, error)
                    continue
                yield from self._act_on(name, asked, answer)

    def end(self) -> None:
        """Leave no worker with work in hand that nobody waits for."""
        ray, executor = self._executor.ray, self._executor
        for name, hand in list(self._dealing.hands.items()):
            try:
                over = not hand.since and ray.get(executor.workers()[name].end.remote(), timeout=30)
            except (ray.exceptions.RayError, KeyError):
                over = False
            if not over:
                executor.drop(name)

    def _begin_all(self) -> None:
        for name, actor in self._executor.workers().items():
            if name not in self._dealing.hands and name not in {known for known, _ in self._calls.values()}:
                if name in self._executor.identities:
                    self._join(name)
                else:
                    self._calls[actor.load.remote()] = (name, "load")

    def _act_on(self, name: str, asked: str, answer: Any) -> Iterator[tuple[int, Any]]:
        if isinstance(answer, Failure):
            raise answer.error()
        if isinstance(answer, Lacking):
            actor = self._executor.workers()[name]
            self._calls[actor.load.remote(self._executor.files())] = (name, "load")
            return
        if asked == "load":
            self._check(answer)
            self._executor.identities[name] = answer
            self._join(name)
            return
        report: Report = answer if asked == "exchange" else Report()
        now = time.monotonic()
        for place, result in report.results:
            self._deaths = 0
            if isinstance(result, Underway):
                is_news = self._dealing.take_up_at(place, result.item)
            else:
                is_news = self._dealing.finish(name, place, now)
            if is_news:
                yield place, result
        if report.failure is not None:
            raise report.failure.error()
        self._go_on(name, report)

    def _join(self, name: str) -> None:
        self._dealing.join(name)
        actor = self._executor.workers()[name]
        actor.begin.remote(self._work)
        self._calls[actor.exchange.remote([], True)] = (name, "exchange")

    def _go_on(self, name: str, report: Report) -> None:
        """Give a worker more, and ask it for what it has done."""
        now = time.monotonic()
        items = self._dealing.deal(name, report.wants, now) or self._dealing.again(
            name, report.wants, now, OVERDUE_SECONDS, OVERDUE_FACTOR
        )
        actor = self._executor.workers()[name]
        self._calls[actor.exchange.remote(items, bool(items))] = (name, "exchange")
        if self._bar is not None:
            hand, at = self._dealing.hands[name], self._executor.identities[name]
            self._bar.line(name, f"{name} ({at.host}): {hand.done:,} done, {len(hand.since):,} in hand")

    def _replace(self, name: str, error: Exception) -> None:
        """A worker died: what it had in hand is dealt again, and another one takes its place."""
        in_hand = len(self._dealing.hands[name].since) if name in self._dealing.hands else 0
        losses = self._dealing.lose(name) if name in self._dealing.hands else 0
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        self._executor.drop(name)
        self._executor.say(f"{name} died; {in_hand:,} items that it had in hand are done again")
        self._deaths += 1
        if max(losses, self._deaths) >= MOST_LOSSES:
            raise UserError(
                f"{max(losses, self._deaths)} workers died over the same items",
                reason,
                "start fewer workers, so that each has more memory, or lower generation.batch_size",
            )
        self._begin_all()

    def _check(self, worker: Identity) -> None:
        """Rows of other weights, or of another number format, would be other rows."""
        if worker.fingerprint != self._model.fingerprint():
            raise UserError(
                f"a worker on {worker.host} has other weights than this process "
                f"({worker.dtype} there, {self._model.dtype} here)",
                "model.hf_id, model.revision or model.torch_dtype mean something else there",
                "set model.torch_dtype to one format, and put model.hf_id on a path that all machines share",
            )
