"""How `status` shows the stages of a run: a stage to a line, whole at 80 columns, the reason below it."""

import os
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from backtracking.run.progress import clock
from backtracking.run.terminal import disarmed
from backtracking.stages.init_run import read_current

if TYPE_CHECKING:
    from rich.console import Console

    from backtracking.run.meta import RunMeta, StageRecord
    from backtracking.stages.base import RunContext
    from backtracking.stages.execute import StageState, Status

COLOURS: "dict[StageState, str]" = {
    "done": "green",
    "not testable": "green",
    "made elsewhere": "cyan",
    "stale": "yellow",
    "missing": "dim",
    "running": "cyan",
    "interrupted": "yellow",
    "failed": "red",
}
WIDE = 110
"""From this width on there is room for when a stage finished."""
NOT_A_TERMINAL = 140


def terminal() -> "Console":
    """Standard output as wide as it is, or as COLUMNS says; else as wide as needed."""
    from rich.console import Console

    is_told = sys.stdout.isatty() or "COLUMNS" in os.environ
    return Console(highlight=False, width=None if is_told else NOT_A_TERMINAL)


@dataclass(frozen=True)
class RunHeading:
    """Which run is shown, and what it is about."""

    run_id: str
    is_current: bool
    study: str
    config: str
    config_hash: str
    model: str | None
    """None where nothing recorded it."""
    phase1_run_id: str | None

    @classmethod
    def of(cls, ctx: "RunContext") -> "RunHeading":
        """What is to be said of a run that is open."""
        meta, run_id = ctx.meta, ctx.paths.run_id
        return cls(
            run_id=run_id,
            is_current=read_current(ctx.paths.output_dir) == run_id,
            study=meta.name,
            config=ctx.loaded.source,
            config_hash=ctx.loaded.hash,
            model=None if meta.earlier is not None else ctx.config.model.hf_id,
            phase1_run_id=ctx.phase1.run_id if ctx.phase1 else None,
        )

    def lines(self) -> list[str]:
        """The heading in words."""
        built_on = f", built on Phase 1 run {self.phase1_run_id}" if self.phase1_run_id else ""
        model = self.model or "not recorded (written by an earlier implementation)"
        return [
            f"run {self.run_id}{' (the current run)' if self.is_current else ''}{built_on}",
            f"config: {self.config} ({self.config_hash[:12]})",
            f"model: {model}",
        ]


def status_as_json(heading: RunHeading, meta: "RunMeta", stages: "Mapping[str, Status]") -> dict[str, Any]:
    """The same for programs; the keys are documented in docs/commands.md."""
    return {
        **asdict(heading),
        "stages": [_stage(name, status, meta.stages.get(name)) for name, status in stages.items()],
    }


def _stage(name: str, status: "Status", record: "StageRecord | None") -> dict[str, Any]:
    told: dict[str, Any] = {"rows": None, "started": None, "finished": None, "seconds": None, "executors": {}}
    if record is not None:
        told = {key: getattr(record, key) for key in told}
    standing = {"state": status.state, "reason": status.reason, "other_code": status.other_code or None}
    return {"stage": name, **standing, **told}


def _executors(records: "Iterable[StageRecord]") -> str:
    """Who worked on the model, where it was not this machine's process alone."""
    made: Counter[str] = Counter()
    for record in records:
        made.update(record.executors)
    parts = [f"{name} {count:,}" for name, count in made.most_common()]
    return f"results by executor: {'; '.join(parts)}" if set(made) - {"local"} else ""


def show_stages(
    console: "Console",
    heading: RunHeading,
    stages: "Mapping[str, Status]",
    records: "Mapping[str, StageRecord]",
) -> None:
    """Print the state of every stage; long names are never broken, reasons are."""
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    from backtracking.stages.execute import in_words

    is_wide = console.width >= WIDE
    names = max(map(len, stages))
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="dim")
    table.add_column("state", no_wrap=True)
    widest = None if is_wide else max(names, console.width - 30)
    table.add_column("stage", min_width=names, max_width=widest)
    for name in ("count", "time", "finished")[: 3 if is_wide else 2]:
        table.add_column(name, justify="right", no_wrap=True)
    for name, status in stages.items():
        record = records.get(name)
        count = f"{record.rows:,}" if record and record.rows is not None else ""
        taken = clock(record.seconds) if record and record.seconds is not None else ""
        finished = [(record.finished or "")[:16].replace("T", " ")] if record and is_wide else []
        table.add_row(
            Text(status.state, COLOURS[status.state]), Text(disarmed(name)), count, taken, *finished
        )
        if status.reason and (record or status.state != "missing"):
            table.add_row("", Padding(Text(disarmed(status.reason), "dim"), (0, 0, 0, 2)))
    for line in heading.lines():
        console.print(Text(disarmed(line)), soft_wrap=True)  # a path is never broken
    console.print(table)
    if executors := _executors(records.values()):
        console.print(Text(disarmed(executors), "dim"))
    if other_code := [status.other_code for status in stages.values() if status.other_code]:
        console.print(Text(disarmed(in_words(other_code)), "dim"))
