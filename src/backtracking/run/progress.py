"""Progress that is honest on a terminal and quiet in a log."""

import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from rich import progress as rp

SHOW_AFTER_SECONDS = 2.0
PLAIN_EVERY_SECONDS = 10.0


class Bar(Protocol):
    """What a long job calls as it goes."""

    def advance(self, count: int = 1, note: str = "") -> None: ...


class Reporter(Protocol):
    """Makes bars and says lines; the CLI decides where they go."""

    def bar(self, label: str, total: int | None, unit: str = "rows") -> AbstractContextManager[Bar]: ...

    def say(self, message: str) -> None: ...


class _Silent:
    def advance(self, count: int = 1, note: str = "") -> None:
        pass


class Quiet:
    """Shows nothing; what library callers and tests use."""

    @contextmanager
    def bar(self, label: str, total: int | None, unit: str = "rows") -> Iterator[Bar]:
        yield _Silent()

    def say(self, message: str) -> None:
        pass


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


class _PlainBar:
    def __init__(self, label: str, total: int | None, unit: str) -> None:
        self._label, self._total, self._unit = label, total, unit
        self._start = self._last = time.monotonic()
        self._done = 0
        self._note = ""
        self._shown = False

    def advance(self, count: int = 1, note: str = "") -> None:
        self._done += count
        self._note = note or self._note
        now = time.monotonic()
        # The last line is `finish`'s.
        if now - self._last >= PLAIN_EVERY_SECONDS and self._done != self._total:
            self._last = now
            self._line(now)

    def finish(self) -> None:
        if self._shown or time.monotonic() - self._start >= SHOW_AFTER_SECONDS:
            self._line(time.monotonic())

    def _line(self, now: float) -> None:
        self._shown = True
        elapsed = max(now - self._start, 1e-9)
        rate = self._done / elapsed
        parts = [f"{self._label}: {self._done:,}"]
        if self._total:
            parts[0] += f"/{self._total:,}"
        parts[0] += f" {self._unit}"
        parts.append(f"{rate:,.1f}/s")
        if self._total and self._done < self._total and rate > 0:
            parts.append(f"{_clock((self._total - self._done) / rate)} left")
        else:
            parts.append(f"{_clock(elapsed)} taken")
        if self._note:
            parts.append(self._note)
        sys.stderr.write("  " + ", ".join(parts) + "\n")
        sys.stderr.flush()


class Plain:
    """One line now and then, for logs and pipes."""

    @contextmanager
    def bar(self, label: str, total: int | None, unit: str = "rows") -> Iterator[Bar]:
        bar = _PlainBar(label, total, unit)
        try:
            yield bar
        finally:
            bar.finish()

    def say(self, message: str) -> None:
        sys.stderr.write(message + "\n")
        sys.stderr.flush()


class Terminal:
    """Live bars with rate and time left."""

    def __init__(self) -> None:
        from rich.console import Console

        self._console = Console(stderr=True, highlight=False)

    @contextmanager
    def bar(self, label: str, total: int | None, unit: str = "rows") -> Iterator[Bar]:
        from rich import progress as rp

        columns = (
            rp.TextColumn("  {task.description}"),
            rp.BarColumn(bar_width=28),
            rp.MofNCompleteColumn(),
            rp.TextColumn(unit),
            rp.TextColumn("{task.fields[rate]}"),
            rp.TimeElapsedColumn(),
            rp.TextColumn("left"),
            rp.TimeRemainingColumn(),
            rp.TextColumn("{task.fields[note]}", markup=False),
        )
        with rp.Progress(*columns, console=self._console) as live:
            task = live.add_task(label, total=total, note="", rate="")
            yield _RichBar(live, task)

    def say(self, message: str) -> None:
        self._console.print(message, markup=False)


class _RichBar:
    def __init__(self, live: "rp.Progress", task: "rp.TaskID") -> None:
        self._live, self._task = live, task
        self._start = time.monotonic()
        self._done = 0

    def advance(self, count: int = 1, note: str = "") -> None:
        self._done += count
        rate = self._done / max(time.monotonic() - self._start, 1e-9)
        self._live.update(self._task, advance=count, rate=f"{rate:,.1f}/s")
        if note:
            self._live.update(self._task, note=note)


def reporter(quiet: bool = False) -> Reporter:
    """Live bars on a terminal, plain lines elsewhere, nothing when quiet."""
    if quiet:
        return Quiet()
    return Terminal() if sys.stderr.isatty() else Plain()
