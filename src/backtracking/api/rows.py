"""Completions in memory, and what can be measured of them without a run folder."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, SupportsIndex, overload

from backtracking.api.arms import ArmRecipe
from backtracking.api.display import completions_html
from backtracking.api.settings import as_section
from backtracking.claims.wording import counted
from backtracking.config.onsets import StudiedOnsets
from backtracking.config.schema import DetectionConfig, PromptingConfig
from backtracking.errors import UserError
from backtracking.run.records import BASELINE_NAME, GenerationRecord, Problem
from backtracking.text.onsets.finders import Finder, FoundSpans, OwnFinder

if TYPE_CHECKING:
    import pandas as pd

    from backtracking.measurements.controls import StudyRows
    from backtracking.measurements.events import EventReader, Measured

DetectorLike = (
    Callable[[str], FoundSpans] | re.Pattern[str] | DetectionConfig | Mapping[str, Any] | Iterable[str]
)
"""What counts as an onset: phrases, keys of the config's detection section, a regular expression, or a
function from a text to (start, end) spans or matches."""


class NoSuchRow(UserError, IndexError):  # noqa: N818  (named for what is wrong; its parents' names say that it is an error)
    """A number past the last row; an index error as well, by which Python knows where a sequence ends."""


@dataclass(frozen=True)
class RowReading:
    """How completions are read: their problems, the tokenizer behind their ids, and the detector."""

    problems: tuple[Problem, ...]
    tokenizer: Callable[[], Any]
    """Called when token positions are first asked for."""
    prompting: PromptingConfig
    detection: DetectionConfig
    finder: Finder | None = None

    def with_detector(self, detector: DetectorLike | None) -> "RowReading":
        """The same reading under another detector; none changes nothing."""
        if detector is None:
            return self
        if isinstance(detector, re.Pattern):
            detector = detector.finditer
        if callable(detector):
            return replace(self, finder=OwnFinder(detector))
        if isinstance(detector, str):
            raise UserError(f"detector: {detector!r} is one text", next_step=f"give phrases: [{detector!r}]")
        if not isinstance(detector, DetectionConfig | Iterable):
            raise UserError(
                f"detector: {detector!r} is not a detector", next_step="give phrases, or a function"
            )
        if not isinstance(detector, DetectionConfig | Mapping):
            detector = {"triggers_strict": tuple(detector), "triggers_relaxed": ()}
        detection = as_section(DetectionConfig, detector, "detector", self.detection)
        return replace(self, detection=detection, finder=None)

    def joined(self, other: "RowReading") -> "RowReading":
        """This way of reading over the problems of both, where both read alike."""
        ways = [(one.prompting, one.detection, one.finder) for one in (self, other)]
        if ways[0] != ways[1]:
            raise UserError(
                "these rows are read in different ways",
                "their prompts or detectors differ",
                "read both alike first: other.detect(...)",
            )
        mine = {problem.id: problem for problem in self.problems}
        if changed := [one.id for one in other.problems if mine.get(one.id, one) != one]:
            raise UserError(
                f"the problem {changed[0]!r} is not the same in both", "ids tell problems apart", "rename one"
            )
        return replace(self, problems=tuple({**mine, **{one.id: one for one in other.problems}}.values()))

    def reader(self) -> "EventReader":
        """Measures one completion at a time."""
        from backtracking.measurements.events import EventReader
        from backtracking.text.tokenization import TokenMap

        gold = {problem.id: problem.answer_value for problem in self.problems}
        return EventReader(
            self.detection, self.prompting, TokenMap(self.tokenizer()), gold, finder=self.finder
        )


class Rows(Sequence[GenerationRecord]):
    """Completions of some problems under some arms, in the order of problem, sample and arm.

    Indexing by number gives a completion, by a slice or an arm's name the rows that it picks. All intervals
    take the problem as their unit, not the completion.
    """

    def __init__(self, records: Sequence[GenerationRecord], reading: RowReading) -> None:
        self.records = tuple(records)
        self.reading = reading

    def __len__(self) -> int:
        return len(self.records)

    def __iter__(self) -> Iterator[GenerationRecord]:
        return iter(self.records)

    @overload
    def __getitem__(self, which: SupportsIndex) -> GenerationRecord: ...
    @overload
    def __getitem__(self, which: slice | str | ArmRecipe) -> "Rows": ...
    def __getitem__(self, which: SupportsIndex | slice | str | ArmRecipe) -> "GenerationRecord | Rows":
        if isinstance(which, SupportsIndex):
            return self._at(which)
        if isinstance(which, slice):
            return Rows(self.records[which], self.reading)
        name = self._arm(which)
        return self.filter(lambda record: record.condition == name)

    def _at(self, place: SupportsIndex) -> GenerationRecord:
        try:
            return self.records[place]
        except IndexError:
            there = counted(len(self), "row")
            raise NoSuchRow(f"there is no row {place!r}", f"there are {there}, counted from 0") from None

    def __add__(self, other: "Rows") -> "Rows":
        """The rows of both, say of two generations of the same problems under different arms."""
        if not isinstance(other, Rows):
            return NotImplemented
        ids = {(row.example_id, row.sample_id, row.condition, row.variant) for row in self.records}
        both = [row for row in other if (row.example_id, row.sample_id, row.condition, row.variant) in ids]
        if both:
            raise UserError(
                f"both hold sample {both[0].sample_id} of {both[0].example_id} under {both[0].condition}",
                "a completion would count twice",
                "leave one out with rows.filter(...)",
            )
        return Rows([*self.records, *other.records], self.reading.joined(other.reading))

    @property
    def arms(self) -> tuple[str, ...]:
        """The names of the arms, in their order."""
        return tuple(dict.fromkeys(record.condition for record in self.records))

    @property
    def variant(self) -> str:
        """The prompt variant of all rows."""
        variants = dict.fromkeys(record.variant for record in self.records)
        if not variants:
            raise UserError("there are no rows", next_step="generate some, or filter less")
        if len(variants) != 1:
            raise UserError(
                f"these rows are of {len(variants)} prompt variants",
                next_step="keep one with rows.filter(...)",
            )
        return next(iter(variants))

    @property
    def problems(self) -> tuple[Problem, ...]:
        """The problems that occur."""
        present = {record.example_id for record in self.records}
        return tuple(problem for problem in self.reading.problems if problem.id in present)

    def filter(self, keep: Callable[[GenerationRecord], bool]) -> "Rows":
        """The rows that pass a test."""
        if not callable(keep):
            raise UserError(
                f"{keep!r} is no test of a row",
                next_step="give a function: rows.filter(lambda row: row.sample_id == 0)",
            )
        return Rows([record for record in self.records if keep(record)], self.reading)

    def detect(self, detector: DetectorLike) -> "Rows":
        """The same completions read with another detector: phrases, or a function from text to spans."""
        return Rows(self.records, self.reading.with_detector(detector))

    def to_pandas(self) -> "pd.DataFrame":
        """One line per completion: the columns of a run's `backtracking_events.csv`, then the text."""
        kept = [record.completion for record in self._whole]
        return self._events.assign(completion=kept)

    def onsets(self) -> "pd.DataFrame":
        """One line per onset: which phrase, where, at which token, and whether an error came before."""
        return self._onsets.copy()

    def rates(self) -> "pd.DataFrame":
        """One line per arm: every rate with its interval, and the paired differences to the first arm."""
        from backtracking.measurements.metrics_v2 import condition_table

        table = condition_table(self._tallies, self.variant)
        return table.drop(columns="variant").set_index("condition").rename_axis("arm")

    def accuracy(self) -> "pd.DataFrame":
        """One line per arm: accuracy beside how many rows were cut, and among the finished ones."""
        columns = ["total", "problems"]
        for name in ("accuracy", "accuracy_finished", "truncation_rate"):
            columns += [name, f"{name}_low", f"{name}_high"]
        return self.rates()[columns]

    def compare(self, arm: str | ArmRecipe, to: str | ArmRecipe = BASELINE_NAME) -> "pd.DataFrame":
        """One line per outcome: both arms, and their difference paired by problem, with interval and p."""
        import pandas as pd

        from backtracking.measurements.metrics import OUTCOMES
        from backtracking.measurements.tallies import differences, select, value_of

        mine, other = self._arm(arm), self._arm(to)
        ours, theirs = (select(self._tallies, variant=self.variant, condition=name) for name in (mine, other))
        lines = {
            outcome: {
                mine: value_of(ours, OUTCOMES[outcome]).value,
                other: value_of(theirs, OUTCOMES[outcome]).value,
                "difference": difference.value,
                "low": difference.low,
                "high": difference.high,
                "p": difference.p,
                "minimum_detectable": difference.minimum_detectable,
                "problems": difference.problems,
            }
            for outcome, difference in differences(ours, theirs).items()
        }
        return pd.DataFrame.from_dict(lines, orient="index").rename_axis("outcome")

    def study_rows(self, onsets: StudiedOnsets = "strict") -> "StudyRows":
        """The baseline as studies of the mechanism draw from it, about onsets of one kind."""
        from backtracking.measurements.controls import StudyRows, baseline_rows

        records = {(r.example_id, r.sample_id): r for r in self._whole if r.condition == BASELINE_NAME}
        generate = "generate under bt.baseline as well: lm.generate(problems, arms=[bt.baseline, ...])"
        rows = baseline_rows(self._events, self.variant, "these rows", generate)
        return StudyRows.of(rows, self._onsets, self.variant, lambda _: records, records.values, onsets)

    def __repr__(self) -> str:
        size = f"{counted(len(self), 'completion')} of {counted(len(self.problems), 'problem')}"
        return f"Rows({size}, arms: {', '.join(self.arms) or 'none'})"

    def _repr_html_(self) -> str:
        onsets = [measured.onsets for measured in self._measured[:3]]
        return completions_html(repr(self), self._whole[:3], onsets)

    def _arm(self, which: str | ArmRecipe) -> str:
        """The name of an arm that occurs, given by its name or as itself."""
        name = which.name if isinstance(which, ArmRecipe) else which
        if not isinstance(name, str):
            raise UserError(
                f"{which!r} picks no rows",
                next_step='pick by number, slice or arm: rows[0], rows["baseline"]',
            )
        if name not in self.arms:
            known = ", ".join(self.arms) or "none, since there are no rows"
            raise UserError(f"these rows have no arm {name!r}", next_step=f"choose one of: {known}")
        return name

    @cached_property
    def _whole(self) -> list[GenerationRecord]:
        """All but rows whose generation failed."""
        return [record for record in self.records if record.finish_reason != "error"]

    @cached_property
    def _measured(self) -> "list[Measured]":
        reader = self.reading.reader()
        return [reader(record) for record in self._whole]

    @cached_property
    def _events(self) -> "pd.DataFrame":
        from backtracking.measurements.events import events_frame

        return events_frame(self._measured)

    @cached_property
    def _onsets(self) -> "pd.DataFrame":
        from backtracking.measurements.events import onsets_frame

        return onsets_frame(self._measured)

    @cached_property
    def _tallies(self) -> "pd.DataFrame":
        from backtracking.measurements.tallies import tally

        return tally(self._events)
