"""A report as blocks in reading order: what it says, not yet how it looks.

Running text knows `**bold**`, `*stress*`, `` `code` `` and `[label](target)` only; text from a model or a
dataset enters through `quoted`.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import ClassVar

from backtracking.claims.verdict import Verdict
from backtracking.reports.columns import Column

SHOWN_COLUMNS = 10
"""A table shows at most so many columns; the rest comes with "all columns"."""
SHOWN_LETTERS = 170
"""And no more columns than so many letters hold, which is what fits beside the contents at 1440 pixels."""
_BETWEEN = 2
"""Letters that the space between two columns takes."""


@dataclass(frozen=True)
class Heading:
    """A heading of some level, and what leads to it."""

    kind: ClassVar[str] = "heading"
    level: int
    text: str
    anchor: str


@dataclass(frozen=True)
class Paragraph:
    """A paragraph."""

    kind: ClassVar[str] = "paragraph"
    text: str


@dataclass(frozen=True)
class Hint:
    """A paragraph about the page itself, which other forms of the report leave out."""

    kind: ClassVar[str] = "hint"
    text: str


@dataclass(frozen=True)
class Bullets:
    """A list of points."""

    kind: ClassVar[str] = "bullets"
    items: Sequence[str]


@dataclass(frozen=True)
class ReportTable:
    """Columns side by side, those beyond what fits shown on demand, and the file with all of them."""

    kind: ClassVar[str] = "table"
    name: str
    columns: Sequence[Column]
    csv: str = ""

    @property
    def lines(self) -> int:
        """How many lines stand below the heads."""
        return len(self.columns[0].cells)

    @property
    def shown(self) -> Sequence[Column]:
        """The columns that are seen at once."""
        ends = accumulate(column.letters + _BETWEEN for column in self.columns)
        fitting = sum(end <= SHOWN_LETTERS for end in ends)
        return self.columns[: max(1, min(fitting, SHOWN_COLUMNS))]


@dataclass(frozen=True)
class ReportPicture:
    """A figure, by its path relative to the report, and what there is to see in it."""

    kind: ClassVar[str] = "picture"
    path: str
    caption: str
    said: str = ""
    rows: Callable[[str], str] | None = None
    """Where the rows of an arm are, by its name."""

    @property
    def name(self) -> str:
        """The file without folder and ending."""
        return Path(self.path).stem


@dataclass(frozen=True)
class Verdicts:
    """The claims as they were judged."""

    kind: ClassVar[str] = "verdicts"
    verdicts: Sequence[Verdict]


@dataclass(frozen=True)
class Folded:
    """Blocks that open on demand."""

    kind: ClassVar[str] = "folded"
    summary: str
    blocks: Sequence["DocumentBlock"]


DocumentBlock = Heading | Paragraph | Hint | Bullets | ReportTable | ReportPicture | Verdicts | Folded


@dataclass
class Document:
    """Blocks in reading order."""

    title: str
    blocks: list[DocumentBlock] = field(default_factory=list)
    rows_named: Callable[[str], str] | None = None
    """Where the rows of an arm are that running text names; empty where it names none."""

    def section(self, text: str, level: int = 2) -> None:
        """Begins a section, with an anchor of its own."""
        taken = {heading.anchor for heading in self.headings}
        anchor = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "section"
        while anchor in taken:
            anchor += "-more"
        self.blocks.append(Heading(level, text, anchor))

    def say(self, text: str) -> None:
        """Adds a paragraph."""
        self.blocks.append(Paragraph(text))

    def bullets(self, items: Sequence[str]) -> None:
        """Adds a list; nothing where it is empty."""
        if items:
            self.blocks.append(Bullets(items))

    def table(self, name: str, columns: Sequence[Column], csv: str = "") -> None:
        """A table called `name`; columns that hold nothing in any line are left out."""
        told = [column for column in columns if column.tells]
        if told and told[0].cells:
            self.blocks.append(ReportTable(name, told, csv))

    def judge(self, verdicts: Sequence[Verdict]) -> None:
        """Adds verdicts with what they rest on."""
        self.blocks.append(Verdicts(verdicts))

    @contextmanager
    def folded(self, summary: str) -> Iterator[None]:
        """What is written inside opens on demand."""
        outside, self.blocks = self.blocks, []
        try:
            yield
        finally:
            inside, self.blocks = self.blocks, outside
            if inside:
                self.blocks.append(Folded(summary, inside))

    @property
    def headings(self) -> list[Heading]:
        """What the contents list."""
        return [block for block in self.blocks if isinstance(block, Heading)]
