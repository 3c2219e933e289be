"""Notes, stage by stage, files opened, files written, and config keys read.

Files are seen by the interpreter's audit hook, so whoever opens one, by whatever function, is noticed. The
hook stays for as long as the process: this is for one that ends with its command.
"""

import json
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backtracking.config.base import Section
from backtracking.stages import execute as machinery


@dataclass
class Log:
    """What one stage did."""

    opened: set[str] = field(default_factory=set)
    written: set[str] = field(default_factory=set)
    config: set[str] = field(default_factory=set)


class Audit:
    """Collects a log per stage while that stage's `run` is at work, and writes it into a file."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.logs: dict[str, Log] = {}
        self._now: Log | None = None
        self._keys: dict[int, str] = {}
        self._execute, self._status_of = machinery.execute, machinery.status_of
        sys.addaudithook(self._on_event)
        _replace(self._execute, self.execute)
        _replace(self._status_of, self.status_of)
        read = Section.__getattribute__
        audit = self

        def attribute(section: Section, name: str) -> Any:
            value = read(section, name)
            prefix = audit._keys.get(id(section)) if audit._now else None
            if prefix is not None and name in type(section).model_fields and not isinstance(value, Section):
                audit._now.config.add(prefix + name)
            return value

        Section.__getattribute__ = attribute

    def _on_event(self, event: str, arguments: Any) -> None:
        if self._now is None or event != "open":
            return
        path, mode, flags = arguments
        reads = "r" in mode or "+" in mode if isinstance(mode, str) else not flags & os.O_WRONLY
        if reads and isinstance(path, str | bytes | os.PathLike):
            self._now.opened.add(os.path.normpath(Path(os.fsdecode(path)).absolute()))

    def status_of(self, stage: Any, ctx: Any) -> Any:
        """A report asks how other stages stand; what is compared for that is not read for the report."""
        now, self._now = self._now, None
        try:
            return self._status_of(stage, ctx)
        finally:
            self._now = now

    def execute(self, stage: Any, ctx: Any, **options: Any) -> Any:
        kind, run = type(stage), type(stage).run
        self._keys = dict(_sections(ctx.config))

        def watched(this: Any, ctx: Any) -> Any:
            log = self.logs.setdefault(this.key, Log())
            before = _files(ctx.paths.root)
            self._now = log
            try:
                return run(this, ctx)
            finally:
                self._now = None
                after = _files(ctx.paths.root)
                log.written |= {name for name, seen in after.items() if before.get(name) != seen}
                logs = {key: vars(log) for key, log in self.logs.items()}
                self.file.write_text(json.dumps(logs, indent=1, default=sorted))

        kind.run = watched
        try:
            return self._execute(stage, ctx, **options)
        finally:
            kind.run = run


def _replace(function: Any, other: Any) -> None:
    """Wherever a loaded module of the package has it by its name."""
    for name, module in list(sys.modules.items()):
        if name.startswith("backtracking.") and vars(module).get(function.__name__) is function:
            setattr(module, function.__name__, other)


def _sections(section: Section, prefix: str = "") -> Any:
    yield id(section), prefix
    for name in type(section).model_fields:
        value = getattr(section, name)
        if isinstance(value, Section):
            yield from _sections(value, f"{prefix}{name}.")


def _files(root: Path) -> dict[str, tuple[int, int]]:
    return {
        str(path.relative_to(root)): (path.stat().st_mtime_ns, path.stat().st_ino)
        for path in root.rglob("*")
        if path.is_file()
    }
