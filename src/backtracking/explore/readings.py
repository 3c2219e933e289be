"""What the analyses read at single onsets: lens, scan, onset step; and what patching found over all."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from backtracking.artifacts import phase2, readings
from backtracking.artifacts.kinds import Table
from backtracking.errors import UserError
from backtracking.explore.study import MeasuredRun, RowPlace
from backtracking.run.paths import RunPaths
from backtracking.run.records import GenerationRecord

if TYPE_CHECKING:
    import pandas as pd

RowAddress = tuple[str, str, int]
"""Prompt format, problem and sample."""
ReadingCells = dict[str, Any]
"""What is known of one position, by analysis: `lens`, `scan` (in the deciding mode), `scan_by_mode` (the
strongest component in each other mode), `step`, `stability`."""
_KEY = ["variant", "example_id", "sample_id", "pred_pos"]
_SCANNED = ["component", "layer", "mode", "delta_log_odds", "delta_logit", "kl_onset"]
_STEPPED = ["subset_name", "scale", "onset_prob", "onset_prob_before", "kl", "entropy", "entropy_before"]
_SAMPLED = ["continuations", "with_onset", "at_once", "greedy_onset"]
_CHANCES = ["old_prob", "old_prob_arm", "new_prob", "new_prob_arm"]
_MOST_PATCHES = 6


@dataclass
class Readings:
    """Everything known of single onsets, by row and position."""

    of_rows: dict[RowAddress, dict[int, ReadingCells]] = field(default_factory=dict)
    patching: list[dict[str, Any]] = field(default_factory=list)
    partings: dict[tuple[str, str, str, int, int], dict[str, Any]] = field(default_factory=dict)
    """By run, arm, problem, sample and step: how likely both tokens were under both arms."""
    _tokens: dict[RowAddress, int] = field(default_factory=dict)

    @classmethod
    def of(cls, studies: Sequence[MeasuredRun]) -> "Readings":
        """What the runs' tables hold; a table that is not there adds nothing."""
        index = cls()
        for study in studies:
            for table, take in (
                (readings.LENS_ONSETS, index._take_lens),
                (readings.SCAN_ONSETS, index._take_scan),
                (readings.STABILITY, index._take_stability),
                (readings.PATCHING, index._take_patching),
                (phase2.STEP, index._take_step),
            ):
                if table.exists(study.paths):
                    with _as_it_should_be(table, study.paths):
                        take(table.read(study.paths))
            if phase2.DIVERGENCES.exists(study.paths):
                with _as_it_should_be(phase2.DIVERGENCES, study.paths):
                    index._take_partings(study.name, phase2.DIVERGENCES.read(study.paths))
        return index

    def _take_lens(self, table: "pd.DataFrame") -> None:
        for (*key, kind), part in table.groupby([*_KEY, "position_kind"]):
            curve = [float(value) for value in part.sort_values("layer")["logprob"]]
            self._at(key).setdefault("lens", {})[str(kind)] = curve

    def _take_scan(self, table: "pd.DataFrame") -> None:
        deciding = table["mode"].iloc[0] if len(table) else ""
        for (*key, mode), part in table.sort_values("delta_log_odds").groupby([*_KEY, "mode"]):
            if mode == deciding:
                self._at(key)["scan"] = _records(part[_SCANNED])
            else:
                self._at(key).setdefault("scan_by_mode", []).extend(_records(part[_SCANNED].head(1)))

    def _take_step(self, table: "pd.DataFrame") -> None:
        for key, part in table[table["position_kind"] == "onset"].groupby(_KEY):
            self._at(key)["step"] = _records(part[_STEPPED])

    def _take_stability(self, table: "pd.DataFrame") -> None:
        sampled = table[table["position_kind"] == "onset"]
        for key, part in sampled.groupby(_KEY):
            self._at(key)["stability"] = _records(part[[name for name in _SAMPLED if name in part]])[0]

    def _take_patching(self, table: "pd.DataFrame") -> None:
        noised = table[table["direction"] == "noising"].sort_values("share", ascending=False)
        self.patching = _records(noised.head(_MOST_PATCHES))

    def _take_partings(self, run: str, table: "pd.DataFrame") -> None:
        if not set(_CHANCES) <= set(table):
            return
        parted = table[table["step"].notna()]
        keys = parted[["arm", "example_id", "sample_id", "step"]].itertuples(index=False)
        for (arm, example, sample, step), chances in zip(keys, _records(parted[_CHANCES]), strict=True):
            self.partings[run, str(arm), str(example), int(sample), int(step)] = chances

    def of_parting(
        self, place: RowPlace, record: GenerationRecord, step: int | None
    ) -> dict[str, Any] | None:
        """How likely both tokens were where a row parts from its baseline's, where that was read."""
        if step is None or place.arm.variant != place.study.parting_variant:
            return None
        return self.partings.get(
            (place.study.name, place.arm.name, record.example_id, record.sample_id, step)
        )

    def _at(self, key: Any) -> ReadingCells:
        variant, example, sample, position = key
        row = self.of_rows.setdefault((str(variant), str(example), int(sample)), {})
        return row.setdefault(int(position), {})

    def of_row(self, place: RowPlace, record: GenerationRecord) -> Mapping[int, ReadingCells]:
        """What was read in a baseline's row, by position; a later run's counts if its tokens are the same."""
        row = (record.variant, record.example_id, record.sample_id)
        if not place.arm.is_baseline or row not in self.of_rows:
            return {}
        tokens = hash(tuple(record.completion_ids))
        return self.of_rows[row] if self._tokens.setdefault(row, tokens) == tokens else {}

    def components(self, place: RowPlace, record: GenerationRecord) -> list[str] | None:
        """The component that moves each onset of a row most; None where nothing was read in the row."""
        of_kinds = self.of_row(place, record)
        return (
            [name for reading in of_kinds.values() if (name := strongest_component(reading))]
            if of_kinds
            else None
        )


@contextmanager
def _as_it_should_be(table: Table, run: RunPaths) -> Iterator[None]:
    """A table that was damaged, or another file in its place, ends in a message."""
    try:
        yield
    except (LookupError, TypeError, ValueError) as error:
        raise UserError(
            f"{table.path(run)} does not read as the table that it should be",
            f"{type(error).__name__}: {error}",
            f"run: {table.made_in(run)}, which makes it again, or delete it",
        ) from error


def strongest_component(reading: ReadingCells) -> str | None:
    """The component whose removal takes most of the log-odds of the onset's family."""
    first = next(iter(reading.get("scan", [])), None)
    return f"{first['component']} {first['layer']}" if first else None


def _records(table: "pd.DataFrame") -> list[dict[str, Any]]:
    """The lines of a table; what is missing is None, as in JSON."""
    whole = table.astype(object).where(table.notna(), None)
    return [dict(zip(whole.columns, line, strict=True)) for line in whole.itertuples(index=False)]
