"""What is read, told apart finely enough to say whether it changed, and the watch that notes every read.

While a stage runs, a watch is open: every reader of `run/io.py` notes what it opens, and the stage's record
keeps the digests. So a result's inputs are what was read for it, whoever read it.
"""

import csv
import hashlib
import io
import json
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from backtracking.errors import UserError
from backtracking.run import shards
from backtracking.run.provenance import digest, file_digest, folder_digest

if TYPE_CHECKING:
    import pandas as pd

ANY = "*"
_DAMAGED = (csv.Error, yaml.YAMLError, ValueError, LookupError, TypeError, AttributeError)
"""What a file that is not what its name says raises while a part of it is looked for."""
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def yaml_data(text: str) -> Any:
    """What YAML says, by the parser in C where there is one: it is ten times as fast."""
    return yaml.load(text, Loader=_LOADER)


@dataclass(frozen=True)
class Input(ABC):
    """A file, a folder, or the part of a file that matters."""

    path: Path
    made_by: str = field(default="", compare=False, kw_only=True)
    """The command that makes it, for the message where it is missing."""

    @property
    def part(self) -> str:
        """Which part; empty for the whole."""
        return ""

    @property
    def name(self) -> str:
        """How records and messages call it: the path, and the part in brackets."""
        return f"{self.path}[{self.part}]" if self.part else str(self.path)

    def require(self) -> None:
        """Refuse to go on without it, where a command is known that makes it."""
        if self.made_by and not self.path.exists():
            raise UserError(
                f"missing artifact: {self.path}",
                "an earlier stage has not made it yet",
                f"run: {self.made_by}",
            )

    def digest(self) -> str:
        """What identifies its content now; empty where it is absent.

        A damaged file has no parts, only bytes.
        """
        if not self.path.exists():
            return ""
        if not (self.path.is_file() or self.path.is_dir()):
            raise UserError(
                f"{self.path} is neither a file nor a folder",
                "a pipe or a device would keep its reader waiting",
                "remove it, and make what belongs there again",
            )
        try:
            return self._digest()
        except _DAMAGED:
            return file_digest(self.path)

    @abstractmethod
    def _digest(self) -> str: ...


@dataclass(frozen=True)
class Whole(Input):
    """A whole file with all its shards, or a folder with all its files."""

    def _digest(self) -> str:
        return folder_digest(self.path) if self.path.is_dir() else shards.sequence_digest(self.path)


@dataclass(frozen=True)
class EventRows(Input):
    """The rows of an events table that belong to one variant and condition; none names all.

    Stages that read the baseline stay fresh when other conditions are added to the table.
    """

    variant: str | None
    condition: str | None

    @property
    def part(self) -> str:
        """The variant and the condition, as a record names them."""
        return f"{self.variant or ANY}/{self.condition or ANY}"

    @property
    def has_all(self) -> bool:
        """Whether it is the whole table."""
        return self.variant is None and self.condition is None

    def has(self, variant: str | None, condition: str | None) -> bool:
        """Whether rows of that variant and condition are among them."""
        return self.variant in (None, variant) and self.condition in (None, condition)

    def of(self, table: "pd.DataFrame") -> "pd.DataFrame":
        """The rows of a table that are meant."""
        for level, wanted in (("variant", self.variant), ("condition", self.condition)):
            if wanted is not None:
                table = table[table[level] == wanted]
        return table

    def as_table(self) -> io.BytesIO:
        """The rows that are meant as a file of their own; of a long one nothing else is held."""
        content = io.BytesIO()
        text = io.TextIOWrapper(content, encoding="utf-8", newline="", write_through=True)
        with self.path.open(encoding="utf-8", newline="") as file:
            reader = csv.reader(file)
            header = next(reader, [])
            table = csv.writer(text)
            table.writerow(header)
            table.writerows(row for row in reader if self._has_row(dict(zip(header, row, strict=False))))
        text.detach()
        content.seek(0)
        return content

    def _has_row(self, row: Mapping[str, str]) -> bool:
        return self.has(row.get("variant"), row.get("condition"))

    def _digest(self) -> str:
        summary = hashlib.sha256()
        with self.path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                if self._has_row(row):
                    summary.update(json.dumps(row, sort_keys=True).encode())
        return summary.hexdigest()


@dataclass(frozen=True)
class FirstRows(Input):
    """The first rows of a file that other stages may append to."""

    count: int

    @classmethod
    def now_in(cls, path: Path) -> "FirstRows":
        """All rows that a file holds at this moment."""
        return cls(path, sum(line.endswith(b"\n") for line in shards.lines(path)))

    @property
    def part(self) -> str:
        """How many rows, as a record names them."""
        return f"first {self.count} rows"

    def _digest(self) -> str:
        summary = hashlib.sha256()
        for line in islice(shards.lines(self.path), self.count):
            summary.update(line)
        return summary.hexdigest()


@dataclass(frozen=True)
class Setting(Input):
    """One value of a YAML file, by its dotted key."""

    key: str

    @property
    def part(self) -> str:
        """The dotted key."""
        return self.key

    def value(self) -> Any:
        """What the file says there; none where it says nothing."""
        data = yaml_data(self.path.read_text(encoding="utf-8")) if self.path.exists() else None
        for step in self.key.split("."):
            data = data.get(step) if isinstance(data, dict) else None
        return data

    def _digest(self) -> str:
        return digest(self.value())


@dataclass(frozen=True)
class Listing(Input):
    """Which files a folder holds, by a pattern."""

    pattern: str

    @property
    def part(self) -> str:
        """The pattern."""
        return self.pattern

    def files(self) -> list[Path]:
        """The files that fit it now, in order."""
        return sorted(self.path.glob(self.pattern))

    def _digest(self) -> str:
        return digest([path.name for path in self.files()])


@dataclass(frozen=True)
class NotTestableQuestions(Input):
    """Which stages of a run's record are not testable, and why: reports tell."""

    @property
    def part(self) -> str:
        """The part of `meta.json` that is meant, as a record names it."""
        return "not testable"

    def _digest(self) -> str:
        stages = json.loads(self.path.read_text(encoding="utf-8")).get("stages", {})
        return digest({key: record["reason"] for key, record in stages.items() if record.get("reason")})


_NAME = re.compile(r"(?P<path>.+?\.?[a-z]*)\[(?P<part>[^\[\]]+)\]")
_ROWS = re.compile(r"first (\d+) rows")


def parse(name: str) -> Input:
    """The input that a name in a stage's record means."""
    match = _NAME.fullmatch(name)
    if match is None or Path(name).exists():
        return Whole(Path(name))
    path, part = Path(match["path"]), match["part"]
    if rows := _ROWS.fullmatch(part):
        return FirstRows(path, int(rows[1]))
    if path.suffix == ".csv":
        variant, _, condition = part.rpartition("/")
        return EventRows(path, *(None if word == ANY else word for word in (variant, condition)))
    if path.suffix == ".json":
        return NotTestableQuestions(path)
    return Setting(path, part) if path.suffix == ".yaml" else Listing(path, part)


Verifier = Callable[[Input], None]


@dataclass(frozen=True)
class _Watch:
    reads: dict[Input, str] = field(default_factory=dict)
    check: Verifier | None = None


_watch: ContextVar[_Watch | None] = ContextVar("watch", default=None)


@contextmanager
def watching(check: Verifier | None = None) -> Iterator[dict[Input, str]]:
    """Collect what is read inside the block, each with its digest at the first read.

    `check` is asked about everything that was read, and raises where it is not what was written.
    """
    watch = _Watch(check=check)
    token = _watch.set(watch)
    try:
        yield watch.reads
    finally:
        _watch.reset(token)


def note(item: Input) -> None:
    """Say that something is about to be read, or was looked for in vain."""
    watch = _watch.get()
    if watch is not None and item not in watch.reads:
        watch.reads[item] = item.digest()


def verify(item: Input) -> None:
    """Hold what was read against the record of who made it, where there is one."""
    watch = _watch.get()
    if watch is not None and watch.check is not None:
        watch.check(item)
