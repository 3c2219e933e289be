"""A report as it is written: the document, the tables it is computed from, and where it will lie."""

import os
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from backtracking.artifacts import kinds
from backtracking.artifacts.registry import FIGURES
from backtracking.claims.evidence import Evidence
from backtracking.claims.wording import TableLine, quoted
from backtracking.reports.columns import Column
from backtracking.reports.document import Document, Hint, ReportPicture
from backtracking.reports.rows_behind import RowsBehind, has_rows
from backtracking.run import io
from backtracking.run.records import BASELINE_NAME


@dataclass(kw_only=True)
class Page(Document):
    """A document about a run, which knows the run's tables and figures."""

    evidence: Evidence
    path: Path
    main_variant: str = ""
    """The prompt format that tables are of where nothing is said of it."""

    def figure(self, artifact: kinds.Figure, behind: RowsBehind | None = None) -> None:
        """Show a figure with its words, each mark of an arm leading to `behind`; or say why there is none."""
        card = artifact.card(self.evidence.paths)
        words = io.read_json(card, made_by=artifact.made_by) if io.exists(card) else {}
        if why := words.get("nothing"):
            self.say(f"No figure: {why}.")
            return
        path = self.evidence.figure(artifact.stem, self.path)
        if path is None:
            return
        said = " ".join(filter(None, (words.get(part) for part in ("sees", "shows", "counts"))))
        title = words.get("title") or artifact.about[:1].upper() + artifact.about[1:]
        rows = behind.of_arm if behind is not None else None
        self.blocks.append(ReportPicture(path, title, said, rows))

    def show(self, artifact: kinds.Artifact, name: str, *columns: Column | None) -> None:
        """A table of the report, with the file that it is taken from."""
        file = Path(os.path.relpath(artifact.path(self.evidence.paths), self.path.parent)).as_posix()
        self.table(name, [column for column in columns if column is not None], file)

    def section_of(self, artifact: kinds.Table, text: str, level: int = 2) -> pd.DataFrame | None:
        """Begins the section about a table; where there is none, the section says why."""
        self.section(text, level)
        table = self.evidence.table(artifact)
        if table is None:
            self.absent(artifact)
        else:
            self._say_other_variant(artifact)
        return table

    def _say_other_variant(self, artifact: kinds.Table) -> None:
        """Name the prompt format of a table that a stage of another one than the main one wrote."""
        variants = self.evidence.variants(artifact)
        if self.main_variant and variants and self.main_variant not in variants:
            other, main = quoted(min(variants)), quoted(self.main_variant)
            self.say(f"`{artifact.file}` holds the prompt format {other}, not the main one, {main}.")

    def absent(self, artifact: kinds.Artifact) -> None:
        """Say why something is not there."""
        self.say(self.evidence.absence(artifact))

    def name_other_figures(self) -> None:
        """Show the run's figures that no section has shown, so that nothing is hidden; name foreign ones."""
        names = self.evidence.figures_beside(self._pictures())
        if not names:
            return
        self.section("Other figures")
        for figure in FIGURES:
            if figure.stem in names:
                self.figure(figure)
        if names := self.evidence.figures_beside(self._pictures()):
            self.say(
                "The run's folder also holds figures that this report does not show: "
                + ", ".join(f"[{name}]({self.evidence.figure(name, self.path)})" for name in names)
                + "."
            )

    def _pictures(self) -> set[str]:
        """The names of the figures that are shown so far."""
        return {block.name for block in self.blocks if isinstance(block, ReportPicture)}

    def say_where_rows_are(self) -> None:
        """How the links of the report come to life, where the run has rows to link to."""
        run = self.evidence.paths
        if has_rows(run):
            self.blocks.append(
                Hint(
                    "Underlined numbers and names lead to the completions behind them: start `backtracking"
                    f" explore {run.run_id}` first. A share leads to the completions that it counts."
                )
            )

    def rows_by_condition(self) -> RowsBehind:
        """Rows of the prompt format and condition that a line names."""
        return RowsBehind(self.evidence.paths, _of_condition)

    def rows_by_arm(self, variant: str) -> RowsBehind:
        """Rows of the arm that a line names."""
        return RowsBehind(self.evidence.paths, lambda row: (variant, str(row["arm"])))


def _of_condition(row: TableLine) -> tuple[str, str]:
    return str(row["variant"]), str(row.get("condition", BASELINE_NAME))
