"""What a disturbed study must share with an undisturbed one."""

import json
from collections.abc import Sequence
from pathlib import Path

KEPT = ("generations", "analysis", "dataset.jsonl")
"""What a run is about; reports and figures are drawn from it."""
COUNTS = ("hook_debug.json", "audit.json", "claims.json")
"""What hooks did is lost with a start that is killed, and counted twice for rows that are made twice."""
ASIDE = ".previous"
INDEX = ".index"
"""What a damaged one says is not used, and it is written anew with its rows."""


def differences(
    folder: Path, undisturbed: Path, as_well: Sequence[Path], run: str, *, other_counts: bool = False
) -> list[str]:
    """The files and stages that are not as in the undisturbed study, each with what is wrong.

    A file may `as_well` be as in another state of that study.
    """
    here, there = _files(folder / "runs" / run), _files(undisturbed / "runs" / run)
    others = [_files(other / "runs" / run) for other in as_well]
    lost = [f"{name} is lost" for name in sorted(there.keys() - here.keys())]
    left = [f"{name} is left over" for name in sorted(here.keys() - there.keys())]
    differing = [
        f"{name} differs"
        for name in sorted(here.keys() & there.keys())
        if not (other_counts and name.endswith(COUNTS))
        and here[name].read_bytes()
        not in [state[name].read_bytes() for state in (there, *others) if name in state]
    ]
    return [*lost, *left, *differing, *_unsettled(folder, undisturbed, run)]


def own_files(before: Path, after: Path, run: str) -> set[str]:
    """The files that a step made or changed."""
    earlier, later = _files(before / "runs" / run), _files(after / "runs" / run)
    return {
        name
        for name, path in later.items()
        if name not in earlier or earlier[name].read_bytes() != path.read_bytes()
    }


def run_files(folder: Path, run: str) -> list[str]:
    """Every file of a run that can be damaged, from the run folder on."""
    root = folder / "runs" / run
    found = (path for path in root.rglob("*") if path.is_file() and not path.name.startswith("."))
    return sorted(path.relative_to(root).as_posix() for path in found)


def _files(root: Path) -> dict[str, Path]:
    found = {path.relative_to(root).as_posix(): path for path in root.rglob("*") if path.is_file()}
    return {
        name: path
        for name, path in found.items()
        if name.startswith(KEPT) and ASIDE not in name and not path.name.startswith(".")
        if path.suffix != INDEX
    }


def _unsettled(folder: Path, undisturbed: Path, run: str) -> list[str]:
    """Stages whose outcome is another."""
    here, there = (
        {
            key: record["outcome"]
            for key, record in json.loads((place / "runs" / run / "meta.json").read_text())["stages"].items()
        }
        for place in (folder, undisturbed)
    )
    return [f"{key} is {here.get(key, 'not run')}" for key in there if here.get(key) != there[key]]
