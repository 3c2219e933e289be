"""Where the rows behind a number are to be read: links into the explorer of the run."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from backtracking.artifacts.phase1 import GENERATIONS
from backtracking.artifacts.phase2 import ARM_ROWS
from backtracking.claims.wording import TableLine
from backtracking.config.onsets import TURN_KINDS
from backtracking.explore.links import ADDRESS, rows_link
from backtracking.reports.columns import Link
from backtracking.run.paths import RunPaths

FILTERS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "backtracking_rate": {"kind": "strict"},
        **{f"{kind}_rate": {"kind": kind} for kind in TURN_KINDS},
        "accuracy": {"answer": "right"},
        "accuracy_graded": {"answer": "right"},
        "accuracy_finished": {"answer": "right", "ending": "stop"},
        "truncation_rate": {"ending": "length"},
        "no_answer_rate": {"answer": "unanswered"},
        "onset_after_wrong": {"kind": "strict", "after": "wrong"},
        "onset_after_right": {"kind": "strict", "after": "right"},
        "wrong_steps_per_row": {"steps": "wrong"},
    }
)
"""Which rows of an arm a metric counts, as filters of the explorer."""


@dataclass(frozen=True)
class RowsBehind:
    """The rows of an arm that each line of a table is about."""

    run: RunPaths
    arm_of: Callable[[TableLine], tuple[str, str]]
    """Prompt format and arm of a line."""

    def __call__(self, metric: str = "", **chosen: str | Sequence[str]) -> Link:
        """Links to the rows that a metric counts, or that have these options; all rows without either."""
        return lambda row: self.of(row, {**FILTERS.get(metric, {}), **chosen})

    def of(self, row: TableLine, chosen: Mapping[str, str | Sequence[str]]) -> str:
        """The same of one line."""
        variant, arm = self.arm_of(row)
        return link_to_rows(self.run, variant, arm, **chosen)

    def of_arm(self, name: str) -> str:
        """All rows of an arm, by its name."""
        variant, arm = self.arm_of({"arm": name})
        return link_to_rows(self.run, variant, arm)


def link_to_rows(run: RunPaths, variant: str, arm: str, **chosen: str | Sequence[str]) -> str:
    """A link to rows of one arm; empty where the run does not have them."""
    names = (
        GENERATIONS.name.format(variant=variant, condition=arm),
        ARM_ROWS.name.format(variant=variant, arm=arm),
    )
    if not any((run.root / name).exists() for name in names):
        return ""
    return ADDRESS + rows_link(run=run.run_id, variant=variant, arm=arm, **chosen)


def link_to_looked_into(run: RunPaths, words: str) -> str:
    """Words that lead to the completions that the analyses looked into, where the run has any."""
    if not has_rows(run):
        return words
    return f"[{words}]({ADDRESS}{rows_link(run=run.run_id, studied='yes')})"


def has_rows(run: RunPaths) -> bool:
    """Whether the run has completions that the explorer can show."""
    return any(run.generations.glob("*/*.jsonl"))
