"""Progress that is honest on a terminal and quiet in a log."""

import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from backtracking.run.terminal import disarmed

if TYPE_CHECKING:
    from rich import progress as rp
    from rich.table import Column

SHOW_AFTER_SECONDS = 2.0
PLAIN_EVERY_SECONDS = 10.0


class Bar(Protocol):
    """What a long job calls as it goes."""

    def advance(self, count: int = 1, note: str = "") -> None:
        """Says that so many more are done, with a word on how it goes."""

    def line(self, name: str, text: str) -> None:
        """How one of several workers fares, on a line of its own where lines can be written over."""


class Reporter(Protocol):
    """Makes bars and says lines; the CLI decides where they go."""

    def bar(self, label: str, total: int, unit: str = "rows") -> AbstractContextManager[Bar]:
        """A bar for a job of `total` units, shown while the block runs."""

    def say(self, message: str) -> None:
        """Shows one line of text."""


class _Silent:
    def advance(self, count: int = 1, note: str = "") -> None:
        pass

    def line(self, name: str, text: str) -> None:
        pass


class Quiet:
    """Shows nothing; what library callers and tests use."""

    @contextmanager
    def bar(self, label: str, total: int, unit: str = "rows") -> Iterator[Bar]:
        """A bar that nobody sees."""
        yield _Silent()

    def say(self, message: str) -> None:
        """Says nothing."""
        pass


def clock(seconds: float) -> str:
    """A span of time as a wall clock shows it: 0:07, 12:30, 1:02:03."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def describe(done: int, total: int, unit: str, seconds: float, note: str = "") -> str:
    """How far a job is: the count and the times come first, so that a narrow terminal cuts only the note."""
    parts = [f"{done:,}/{total:,} {unit}", f"{clock(seconds)} elapsed"]
    if 0 < done < total:
        parts.append(f"{clock(seconds / done * (total - done))} left")
    return ", ".join([*parts, note] if note else parts)


class _PlainBar:
    def __init__(self, label: str, total: int, unit: str) -> None:
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

    def line(self, name: str, text: str) -> None:
        pass  # a log has the sum only

    def finish(self) -> None:
        if self._shown or time.monotonic() - self._start >= SHOW_AFTER_SECONDS:
            self._line(time.monotonic())

    def _line(self, now: float) -> None:
        self._shown = True
        state = describe(self._done, self._total, self._unit, now - self._start, self._note)
        sys.stderr.write(f"  {self._label}: {state}\n")
        sys.stderr.flush()


class Plain:
    """One line now and then, for logs and pipes."""

    @contextmanager
    def bar(self, label: str, total: int, unit: str = "rows") -> Iterator[Bar]:
        """A bar that writes a line when enough has happened."""
        bar = _PlainBar(label, total, unit)
        try:
            yield bar
        finally:
            bar.finish()

    def say(self, message: str) -> None:
        """Writes the line to standard error at once."""
        sys.stderr.write(disarmed(message) + "\n")
        sys.stderr.flush()


class Terminal:
    """Live bars with the time that is left."""

    def __init__(self) -> None:
        from rich.console import Console

        self._console = Console(stderr=True, highlight=False)

    @contextmanager
    def bar(self, label: str, total: int, unit: str = "rows") -> Iterator[Bar]:
        """A live bar with count and time left."""
        from rich import progress as rp
        from rich.table import Column

        width = self._console.width
        one_line: Any = {"no_wrap": True, "overflow": "ellipsis"}
        bar_width = max(width // 8, 4)
        columns: list[rp.ProgressColumn] = [
            rp.BarColumn(bar_width=None, table_column=Column(width=bar_width)),
            _state_column(unit, Column(ratio=1, **one_line)),
        ]
        # Neither the label nor the count and times are ever cut: a long label has a line to itself.
        if 2 + len(label) + 1 + bar_width + 1 + _longest_state(total, unit) <= width:
            named = Column(width=len(label) + 2, **one_line)
            columns.insert(0, rp.TextColumn("  {task.description}", markup=False, table_column=named))
        else:
            self.say(f"  {label}")
            columns.insert(0, rp.TextColumn(" "))
        with rp.Progress(*columns, console=self._console, expand=True) as live:
            task = live.add_task(label, total=total, note="", said="")
            yield _RichBar(live, task)

    def say(self, message: str) -> None:
        """Prints the line above the live bars, as it is."""
        self._console.print(disarmed(message), markup=False)


def _longest_state(total: int, unit: str) -> int:
    """How much room the count and the times of a job of less than ten hours take at most."""
    return len(describe(max(total - 1, 1), max(total, 2), unit, 9 * 3600)) + len("0:00:00") - len("0:00")


def _state_column(unit: str, column: "Column") -> "rp.ProgressColumn":
    from rich import progress as rp
    from rich.text import Text

    class State(rp.ProgressColumn):
        def render(self, task: "rp.Task") -> Text:
            if task.fields["said"]:
                return Text(task.fields["said"])
            total = int(task.total or 0)
            return Text(describe(int(task.completed), total, unit, task.elapsed or 0.0, task.fields["note"]))

    return State(column)


class _RichBar:
    def __init__(self, live: "rp.Progress", task: "rp.TaskID") -> None:
        self._live, self._task = live, task
        self._lines: dict[str, rp.TaskID] = {}

    def advance(self, count: int = 1, note: str = "") -> None:
        self._live.advance(self._task, count)
        if note:
            self._live.update(self._task, note=note)

    def line(self, name: str, text: str) -> None:
        if name not in self._lines:
            self._lines[name] = self._live.add_task("", total=1, note="", said=text)
        self._live.update(self._lines[name], said=text)


def reporter(quiet: bool = False) -> Reporter:
    """Live bars on a terminal, plain lines elsewhere, nothing when quiet."""
    if quiet:
        return Quiet()
    return Terminal() if sys.stderr.isatty() else Plain()
