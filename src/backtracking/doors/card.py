"""What the cards of exports say of the run and of the columns."""

from collections.abc import Sequence

from backtracking.claims.evidence import Evidence
from backtracking.doors.completions import MEANINGS, SCHEMA
from backtracking.explore.study import MeasuredRun
from backtracking.reports.provenance import facts

_TOLD = ("created", "code", "model", "model revision", "device and dtype", "data", "data SHA-256", "seeds")


def about_run(study: MeasuredRun) -> str:
    """Where the rows come from."""
    known = dict(facts(Evidence(study.paths).meta))
    rows = [[name, known[name]] for name in _TOLD if known.get(name)]
    intro = f"Completions of a reasoning language model, written by `backtracking` (run `{study.name}`)."
    return f"{intro}\n\n{markdown_table(['What', 'Value'], rows)}" if rows else intro


def about_columns() -> str:
    """Every column with its type and its meaning."""
    rows = [[f"`{field.name}`", _type(str(field.type)), MEANINGS[field.name]] for field in SCHEMA]
    return markdown_table(["Column", "Type", "What it says"], rows)


def markdown_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of cells that are written already."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def _type(name: str) -> str:
    return "list of records" if name.startswith("list<element: struct") else name.replace("element: ", "")
