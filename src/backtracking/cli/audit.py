"""The audit at the terminal: a check to a line, then what to do about those that say something."""

import shutil
import textwrap
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from backtracking.cli import options as opt
from backtracking.cli.as_json import echo_json
from backtracking.cli.say import say
from backtracking.errors import UserError

if TYPE_CHECKING:
    from backtracking.claims.audit.check import Check
    from backtracking.claims.evidence import Evidence
    from backtracking.run.paths import RunPaths

PANEL = "Runs"
MARKS = {"fail": "FAIL", "warn": "warn", "pass": "pass", "not applicable": "-"}
WIDEST = 110
MOST_PLACES = 5
"""So many places of a finding are shown; `audit.json` has all."""


def register(app: typer.Typer) -> None:
    """Add this command to the application."""
    app.command("audit", rich_help_panel=PANEL)(audit)


def audit(
    run: opt.RunArgument = None,
    run_id: opt.RunId = None,
    phase1_run_id: opt.Phase1RunId = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 when a check fails.")] = False,
    as_json: opt.Json = False,
) -> None:
    """Check whether a run's numbers can carry claims: what is wrong, why it matters, what to do.

    Needs the tables alone, also those of an earlier implementation.

    Example: [cyan]backtracking audit demo --strict[/cyan]
    """
    from backtracking.artifacts.phase1 import AUDIT
    from backtracking.claims.audit.checks import audit as audited
    from backtracking.claims.audit.checks import audit_as_json
    from backtracking.claims.evidence import Evidence

    paths = _run_meant(run, run_id)
    evidence = Evidence(paths)
    phase1 = _phase1_of(evidence, phase1_run_id)
    checks = audited(evidence, phase1)
    data = audit_as_json(paths.run_id, checks)
    try:
        AUDIT.write(paths, data)
    except PermissionError:
        say(f"note: {AUDIT.path(paths)} is not written: no permission", err=True)
    if as_json:
        echo_json(data)
    else:
        beside = f" (on Phase 1 run {phase1.paths.run_id})" if phase1 is not None else ""
        say("\n".join(checks_in_words(f"audit of run {paths.run_id}{beside}", checks, _width())))
    if strict and any(check.failed for check in checks):
        raise typer.Exit(1)


def _run_meant(run: str | None, run_id: str | None) -> "RunPaths":
    """The run that was typed, by id or by folder, else the current one."""
    from backtracking.cli.session import current_id
    from backtracking.run.paths import run_folder, unknown_run

    if run is not None and run_id is not None and run != run_id:
        raise UserError(f"two runs are named: {run!r} and {run_id!r}", next_step="name one of them")
    paths = run_folder(run or run_id or current_id())
    if not paths.root.is_dir():
        raise unknown_run(paths.run_id, paths.output_dir)
    return paths


def _phase1_of(evidence: "Evidence", named: str | None) -> "Evidence | None":
    """The Phase 1 run that a Phase 2 run is built on, as typed, else as the run itself remembers."""
    from backtracking.claims.audit.audited import AuditedRun
    from backtracking.claims.evidence import Evidence
    from backtracking.run.paths import RunPaths, check_id

    remembered = evidence.meta.get("phase1_run_id") or AuditedRun(evidence).setting("phase2.phase1_run_id")
    chosen = named or remembered
    if not isinstance(chosen, str) or chosen == evidence.paths.run_id:  # traces are their own Phase 1
        return None
    paths = RunPaths(evidence.paths.output_dir, check_id("Phase 1 run id", chosen))
    if paths.root.is_dir():
        return Evidence(paths)
    if named is None:
        return None
    raise UserError(f"there is no Phase 1 run {named!r} in {paths.output_dir}")


def _width() -> int:
    return min(shutil.get_terminal_size((100, 24)).columns, WIDEST)


def checks_in_words(title: str, checks: "Sequence[Check]", width: int) -> Iterator[str]:
    """A check to a line, worst first; below, what failed or warns in full."""
    from backtracking.claims.audit.checks import in_short, worst_first

    ordered = worst_first(checks)
    names = max((len(check.name) for check in ordered), default=0)
    yield from textwrap.wrap(f"{title}: {in_short(ordered)}", width)
    yield ""
    for check in ordered:
        yield _clipped(f"{MARKS[check.outcome]:<4}  {check.name:<{names}}  {_plain(check.found)}", width)
    for check in ordered:
        if check.outcome in ("fail", "warn"):
            yield from _in_full(check, width)


def _in_full(check: "Check", width: int) -> Iterator[str]:
    yield ""
    yield f"{check.name} ({check.outcome})"
    parts = [("found", check.found), ("why", check.why), ("do", check.what_to_do)]
    others = [detail for detail in check.details if detail != check.found]
    if others:
        more = f"; and {len(others) - MOST_PLACES} more" if len(others) > MOST_PLACES else ""
        parts.insert(1, ("in", "; ".join(others[:MOST_PLACES]) + more))
    for label, text in parts:
        yield from textwrap.wrap(
            _plain(text), width, initial_indent=f"  {label + ':':<7}", subsequent_indent=" " * 9
        )


def _clipped(line: str, width: int) -> str:
    return line if len(line) <= width else line[: width - 1] + "…"


def _plain(text: str) -> str:
    """With quotes for the marks of running text; what stands between them is printable already."""
    return text.replace("`", "'")
