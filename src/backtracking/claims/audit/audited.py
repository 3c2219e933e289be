"""The run that is audited: its tables, config and completions, each of which may be absent or broken."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from backtracking.artifacts import phase1, phase2
from backtracking.artifacts.kinds import Table
from backtracking.claims.audit.completions import Group, groups_of
from backtracking.claims.evidence import Evidence
from backtracking.config.schema import IMPORTED
from backtracking.run import io, shards
from backtracking.run.inputs import FirstRows, Setting, Whole, note
from backtracking.run.records import BASELINE_NAME

EVENT_TABLES = (
    phase1.EVENTS,
    phase2.SUBSET_EVENTS,
    phase2.SCALE_EVENTS,
    phase2.SEARCH_EVENTS,
    phase2.CONFIRM_EVENTS,
)
ARM_TABLES = (phase2.SUBSETS, phase2.SCALES, phase2.SEARCH)
RANDOM = "random_ablation"
"""Phase 1's random condition."""
_ROWS_LOOKED_AT = 200


@dataclass(frozen=True)
class AuditedRun:
    """A run's evidence, with what the checks look up in it."""

    evidence: Evidence
    phase1: "AuditedRun | None" = None
    """The Phase 1 run that a Phase 2 run is built on."""

    def table(self, table: Table, *columns: str) -> pd.DataFrame | None:
        """A table of the run with all these columns, or none."""
        known = self.evidence.table(table)
        return known if known is not None and not table.lacks(known, *columns) else None

    def setting(self, key: str) -> Any:
        """A value of the run's config, by its dotted key; none where the config does not say."""
        paths = self.evidence.paths
        setting = Setting(paths.config_earlier if paths.config_earlier.exists() else paths.config, key)
        try:
            note(setting)
            return setting.value()
        except (yaml.YAMLError, UnicodeDecodeError, OSError):
            return None

    def number(self, key: str) -> float | None:
        """A number of the run's config."""
        value = self.setting(key)
        return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None

    @property
    def is_earlier(self) -> bool:
        """Whether an earlier implementation wrote the run."""
        return "schema" not in self.evidence.meta or bool(self.evidence.meta.get("earlier"))

    @property
    def is_imported(self) -> bool:
        """Whether the completions came from elsewhere, so that none can be generated again."""
        variants = self.setting("prompting.formatting_variants")
        return isinstance(variants, list) and [*map(_name_of, variants)] == [IMPORTED]

    @property
    def has_generated(self) -> bool:
        """Whether a recorded stage of the run made its completions, each problem as often as the others."""
        return any(key.startswith(("generate[", "phase2-")) for key in self.part("stages"))

    def part(self, *keys: str) -> dict[str, Any]:
        """A mapping inside meta.json; empty where it is not there."""
        value: Any = self.evidence.meta
        for key in keys:
            value = value.get(key) if isinstance(value, dict) else None
        return value if isinstance(value, dict) else {}

    @cached_property
    def events(self) -> Sequence[tuple[Table, pd.DataFrame]]:
        """The tables of completions that there are."""
        tables = ((table, self.evidence.table(table)) for table in EVENT_TABLES)
        return [(table, rows) for table, rows in tables if rows is not None]

    @cached_property
    def by_table(self) -> Sequence[Group]:
        """The completions by prompt format and condition, table by table."""
        cap = self.number("generation.max_new_tokens")
        return [group for table, events in self.events for group in groups_of(table, events, cap)]

    @cached_property
    def groups(self) -> Sequence[Group]:
        """The same with every prompt format and condition once: tables of sweeps share arms."""
        return list({group.name: group for group in reversed(self.by_table)}.values())[::-1]

    @property
    def baselines(self) -> Sequence[Group]:
        """The completions of the untouched model, by prompt format."""
        return [group for group in self.groups if group.is_baseline]

    @cached_property
    def arms(self) -> Sequence[tuple[Table, pd.DataFrame]]:
        """The tables of arms that there are, one row per arm."""
        tables = ((table, self.evidence.table(table)) for table in ARM_TABLES)
        return [(table, rows) for table, rows in tables if rows is not None and "arm" in rows]

    @property
    def has_swept_rows(self) -> bool:
        """Whether the completions of a sweep are there, not its rates alone."""
        return any(table != phase1.EVENTS for table, _ in self.events)

    @property
    def untouched(self) -> "AuditedRun":
        """The run that holds Phase 1's completions; of an earlier study this may be the same one."""
        return self.phase1 or self

    @cached_property
    def gold(self) -> dict[str, str]:
        """The gold answers by problem, where they are at hand."""
        return {problem: answer for problem, answer in self.problems.items() if answer}

    @cached_property
    def problems(self) -> dict[str, str]:
        """The answers of all problems, empty where there is none, of a file that has gold answers."""
        for path in self._problem_files():
            if any((problems := dict(_answers(path))).values()):
                return problems
        return self.phase1.problems if self.phase1 is not None else {}

    def _problem_files(self) -> Iterator[Path]:
        saved = self.setting("dataset.save_path"), self.part("dataset").get("path")
        for path in (self.evidence.paths.dataset, *(Path(name) for name in saved if isinstance(name, str))):
            if io.exists(path):
                yield path

    def prompts(self, variant: str) -> dict[str, Any]:
        """What the model read of the first problems in a prompt format: token ids, or else the text."""
        folder = self.evidence.paths.generations / variant
        path = folder / f"{BASELINE_NAME}.jsonl"
        if not variant or folder.parent != self.evidence.paths.generations or not path.is_file():
            return {}
        note(FirstRows(path, _ROWS_LOOKED_AT))
        rows = _json_rows(path, _ROWS_LOOKED_AT)
        return {str(row.get("example_id")): row.get("prompt_ids") or row.get("prompt") for row in rows}


def is_untouched(arms: pd.DataFrame) -> "pd.Series[Any]":
    """Which rows of a table of arms are the model as it is: the baseline, and anything at scale 1."""
    baseline = arms["subset_name"].astype(str).eq(BASELINE_NAME)
    if "scale" not in arms:
        return baseline
    return baseline | pd.to_numeric(arms["scale"], errors="coerce").eq(1.0)


def _name_of(variant: Any) -> Any:
    return variant.get("name") if isinstance(variant, dict) else None


def _answers(path: Path) -> Iterator[tuple[str, str]]:
    note(Whole(path))
    for row in _json_rows(path):
        answer = row.get("answer_value")
        if row.get("id") is not None:
            yield str(row["id"]), "" if answer is None else str(answer)


def _json_rows(path: Path, limit: int | None = None) -> Iterator[dict[str, Any]]:
    """The objects of a JSONL file; what is no object is passed over."""
    for line in islice(shards.lines(path), limit):
        try:
            row = json.loads(line.decode(errors="replace"))
        except json.JSONDecodeError:
            continue
        if isinstance(row, dict):
            yield row
