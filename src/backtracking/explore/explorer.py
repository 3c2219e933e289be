"""What the pages ask for: the index, one row, rows with a text; served, or written into one page."""

from collections.abc import Sequence
from typing import Any

from backtracking.explore.index import NAMES, Index, build_index
from backtracking.explore.pairs import pair_json
from backtracking.explore.prefixes import PrefixRows, baseline_places
from backtracking.explore.readings import Readings, strongest_component
from backtracking.explore.study import MeasuredRun, require_rows
from backtracking.explore.texts import Texts
from backtracking.explore.trace import MeasuredTrace
from backtracking.run.progress import Reporter
from backtracking.run.records import GenerationRecord


class Explorer:
    """The rows of some runs, open for reading."""

    def __init__(self, studies: Sequence[MeasuredRun], reporter: Reporter | None = None) -> None:
        require_rows(studies)
        self.texts = Texts()
        self.readings = Readings.of(studies)
        self.index: Index = build_index(studies, self.readings.components, self._keep, reporter)
        names = [self.index.name(number) for number in range(len(self.index))]
        self.prefixes = PrefixRows.of(studies, baseline_places(names))

    def _keep(self, number: int, record: GenerationRecord) -> None:
        self.texts.add(number, record.completion)

    def index_json(self, rows: Sequence[int] | None = None) -> dict[str, Any]:
        """The index as pages read it: of all rows, or of some, numbered anew."""
        index = self.index
        chosen = range(len(index)) if rows is None else rows
        place = {number: new for new, number in enumerate(chosen)}
        columns = {name: [column[number] for number in chosen] for name, column in index.columns.items()}
        columns["baseline"] = [place.get(number, -1) for number in columns["baseline"]]
        return {
            "title": index.studies[-1].name,
            "rows": len(chosen),
            "all_rows": len(index),
            "names": NAMES,
            "facets": [facet.as_json() for facet in index.facets],
            "columns": columns,
            "problems": self._problems(),
            "patching": self.readings.patching,
            "prefixes": self.prefixes.as_json(place),
        }

    def _problems(self) -> list[dict[str, str]]:
        """Question and gold answer, in the order of the column's codes."""
        known = {key: problem for study in self.index.studies for key, problem in study.problems.items()}
        return [
            {"question": known[name].question, "gold": known[name].answer_value}
            for name in self.index.values["example"]
        ]

    def row_json(self, number: int) -> dict[str, Any]:
        """One row; an arm's with what it shares with its baseline's."""
        place = self.index.places[number]
        trace = MeasuredTrace.at(place)
        partner = self.index.columns["baseline"][number]
        pair = pair_json(MeasuredTrace.at(self.index.places[partner]), trace) if partner >= 0 else None
        if pair is not None:
            pair["chances"] = self.readings.of_parting(place, trace.record, pair["step"])
        row = {"number": number, "name": self.index.name(number), **trace.as_json(), "pair": pair}
        readings = self.readings.of_row(place, trace.record)
        for onset in row["onsets"]:
            onset["reading"] = reading = readings.get(onset["position"])
            onset["component"] = strongest_component(reading) if reading else None
        return row

    def close(self) -> None:
        """Remove what was kept for searching."""
        self.texts.close()
