"""Where the rows behind a number are to be read: links into the explorer of the run."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType

from backtracking.artifacts.phase1 import GENERATIONS
from backtracking.artifacts.phase2 import ARM_ROWS
from backtracking.claims.wording import TableLine
from backtracking.config.onsets import TURN_KINDS
from backtracking.explore.links import ADDRESS, prefixes_link, rows_link
from backtracking.explore.prefixes import TABLES
from backtracking.reports.columns import Link
from backtracking.run.paths import RunPaths
from backtracking.run.records import BASELINE_NAME

FILTERS: Mapping[str, Mapping[str, str | Sequence[str]]] = MappingProxyType(
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
        "right_steps": {"steps": ("wrong", "right")},
        "graded": {"answer": ("right", "wrong")},
        "loop_rate": {"ending": "loop"},
        "onsets_per_1k_tokens": {"kind": "strict", "sort": "onsets"},
        "mean_tokens": {"sort": "long"},
        "new_onset_rate": {"kind": "strict", "parts": "no_onset"},
    }
)
"""Which rows of an arm a metric counts, as filters of the explorer; a metric beside these has no link."""


_NAME = re.compile(r"\w[\w.-]{0,99}")
"""What may be the name of an arm; running text names other things too."""


@dataclass(frozen=True)
class RowsBehind:
    """The rows of an arm that each line of a table is about."""

    run: RunPaths
    arm_of: Callable[[TableLine], tuple[str, str]]
    """Prompt format and arm of a line."""
    reference: tuple[str, str] = ("", BASELINE_NAME)
    """Prompt format (none: the line's own) and arm that lines are compared with."""
    always: Mapping[str, str] = field(default_factory=dict)
    """Options that all of its rows have."""

    def within(self, **always: str) -> "RowsBehind":
        """The same among rows that have these options."""
        return replace(self, always=always)

    def __call__(self, metric: str = "", **chosen: str | Sequence[str]) -> Link:
        """Links to the rows that a metric counts, or that have these options; all rows without either."""
        if metric and metric not in FILTERS:
            return lambda row: ""
        return lambda row: self.of(row, {**FILTERS.get(metric, {}), **chosen})

    def of(self, row: TableLine, chosen: Mapping[str, str | Sequence[str]]) -> str:
        """The same of one line."""
        variant, arm = self.arm_of(row)
        return link_to_rows(self.run, variant, arm, **self.always, **chosen)

    def against(self, metric: str = "") -> Link:
        """Links to what a metric counts in a line and in what it is compared with."""

        def both(row: TableLine) -> str:
            variant, arm = self.arm_of(row)
            variants = dict.fromkeys((self.reference[0] or variant, variant))
            arms = dict.fromkeys((self.reference[1], arm))
            chosen = {**self.always, **FILTERS.get(metric, {})}
            shown = link_to_rows(self.run, variant, arm)
            return shown and ADDRESS + rows_link(run=self.run.run_id, variant=variants, arm=arms, **chosen)

        return both

    def of_baseline(self, **chosen: str) -> Link:
        """Links to rows of what a line is compared with."""

        def rows(row: TableLine) -> str:
            variant = self.reference[0] or self.arm_of(row)[0]
            return link_to_rows(self.run, variant, self.reference[1], **self.always, **chosen)

        return rows

    def prefixes(self, table: str, *, against: bool = False, **chosen: str) -> Link:
        """Links to completions behind fixed prefixes that a table of the explorer holds, by its name there.

        They are those of a line's arm; with `against` those of the baseline as well.
        """

        def link(row: TableLine) -> str:
            if not TABLES[table][0].exists(self.run):
                return ""
            arms = dict.fromkeys((BASELINE_NAME, str(row["arm"])) if against else (str(row["arm"]),))
            return ADDRESS + prefixes_link(run=self.run.run_id, of=table, arm=arms, **chosen)

        return link

    def of_arm(self, name: str) -> str:
        """All rows of an arm, by its name."""
        variant, arm = self.arm_of({"arm": name})
        return link_to_rows(self.run, variant, arm, **self.always)


def file_of_rows(run: RunPaths, variant: str, arm: str) -> Path | None:
    """Where the rows of an arm lie; none where the run does not have them."""
    names = (
        GENERATIONS.name.format(variant=variant, condition=arm),
        ARM_ROWS.name.format(variant=variant, arm=arm),
    )
    return next((run.root / name for name in names if (run.root / name).exists()), None)


def link_to_rows(run: RunPaths, variant: str, arm: str, **chosen: str | Sequence[str]) -> str:
    """A link to rows of one arm; empty where the run does not have them."""
    if file_of_rows(run, variant, arm) is None:
        return ""
    return ADDRESS + rows_link(run=run.run_id, variant=variant, arm=arm, **chosen)


def say_what_was_looked_into(run: RunPaths) -> str:
    """A sentence that leads to the completions that any analysis looked into, where the run has any."""
    if not has_rows(run):
        return ""
    looked_into = f"{ADDRESS}{rows_link(run=run.run_id, studied=['scan', 'yes'])}"
    return f" All completions that any analysis of the run looked into: [in the explorer]({looked_into})."


@dataclass(frozen=True)
class ArmsByName:
    """Where the rows of arms and conditions are that running text names."""

    run: RunPaths
    variant: str
    formats: RunPaths | None = None
    """The run whose baseline is meant where a prompt format is named, if that is another."""

    def __call__(self, name: str) -> str:
        """All rows of an arm, or of a prompt format's baseline; empty where it is neither."""
        if not _NAME.fullmatch(name):
            return ""
        as_arm = link_to_rows(self.run, self.variant, name)
        return as_arm or link_to_rows(self.formats or self.run, name, BASELINE_NAME)


def has_rows(run: RunPaths) -> bool:
    """Whether the run has completions that the explorer can show."""
    return any(run.generations.glob("*/*.jsonl"))
