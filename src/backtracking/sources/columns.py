"""Which column of a row holds what: as given, else by the likeliest name."""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any, TypeVar

from backtracking.errors import UserError

SourceRow = Mapping[str, Any]
Role = TypeVar("Role", bound=str)

GUESSES: Mapping[str, tuple[str, ...]] = {
    "text": (
        *("text", "completion", "response", "output", "generation", "trace", "thinking_process"),
        *("reasoning", "reasoning_content", "cot", "chain_of_thought", "thinking", "model_output"),
        "generated_text",
    ),
    "prompt": ("prompt", "question", "problem", "input", "instruction", "query"),
    "id": ("id", "example_id", "question_id", "problem_id", "task_id", "uid", "uuid", "idx"),
    "gold": ("gold", "answer", "target", "ground_truth", "gold_answer", "expected_answer", "answer_value"),
    "labels": ("sentences", "labels", "sentence_labels", "segments", "annotations", "annotated"),
    "finish": ("finish_reason", "stop_reason"),
}
"""What a column may be called where nobody says, likeliest first."""


def guess(row: SourceRow, given: Mapping[str, str], guesses: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Which column plays which role: as given, which must be there, else by the likeliest name."""
    require_columns(row, given, "--")
    by_lower = {str(name).lower(): str(name) for name in row}
    named = dict(given)
    for role, likely in guesses.items():
        names = [by_lower[name] for name in likely if name in by_lower]
        free = [name for name in names if name not in named.values()]
        if role not in named and free:
            named[role] = free[0]
    return named


def by_role(row: SourceRow, given: Mapping[Role, str], called: str) -> SourceRow:
    """A row with the given columns under the names of their roles; they must be there."""
    require_columns(row, given, called)
    return {**row, **{str(role): row[name] for role, name in given.items()}}


def require_columns(row: SourceRow, given: Mapping[Role, str], called: str) -> None:
    """Refuse a column that the row lacks; `called` stands before the role in the message."""
    for role, name in given.items():
        if name not in row:
            close = get_close_matches(name, list(map(str, row)), n=1)
            raise UserError(
                f"{called}{role}: there is no column {name!r}",
                f"columns: {listed(row)}",
                f"perhaps {close[0]!r} is meant" if close else "",
            )


def listed(row: SourceRow) -> str:
    """The names of a row's columns, the first twenty of them."""
    names = [str(name)[:40] for name in row]
    return ", ".join(names[:20]) + (", …" if len(names) > 20 else "") or "none"
