"""The kinds of artifact: tables, JSON, rows, vectors, figures, pages."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backtracking.run import io
from backtracking.run.inputs import EventRows, Whole
from backtracking.run.paths import RunPaths, check_id

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

SUFFIXES = {
    "_low": "lower end of its 95% interval over problems",
    "_high": "upper end of its 95% interval over problems",
    "_p": "two-sided p",
    "_p_holm": "p corrected for the number of rows in the table (Holm)",
}
"""Columns that may stand beside any other, and what they say about it."""


@dataclass(frozen=True)
class Artifact:
    """A file that some command makes in a run folder; its name may hold {variant} and the like."""

    name: str
    maker: str
    about: str
    command: str = field(default="", kw_only=True)
    """What to type for it, where the maker is not one command."""

    @property
    def file(self) -> str:
        """The last part of its name, without folders."""
        return Path(self.name).name

    @property
    def stem(self) -> str:
        """The file without its ending; tables and figures are asked for by it."""
        return Path(self.name).stem

    @property
    def made_by(self) -> str:
        """The command to type for it."""
        return f"backtracking {self.command or self.maker}"

    def made_in(self, run: RunPaths) -> str:
        """The command that makes it there; Phase 2 reads another run than the one that it works in."""
        return f"{self.made_by} --run-id {run.run_id}"

    def path(self, run: RunPaths) -> Path:
        """Where it lies in a run."""
        return run.root / self.name

    def of(self, run: RunPaths) -> Whole:
        """The artifact of one run, as something that a stage needs."""
        return Whole(self.path(run), made_by=self.made_in(run))

    def exists(self, run: RunPaths) -> bool:
        """Whether the run has it; that it was looked for is noted."""
        return io.exists(self.path(run))


@dataclass(frozen=True)
class ConfigKey:
    """A key of the run's config that a figure shows beside what was measured."""

    key: str
    default: float
    """What it is taken for in a run whose config does not say."""


@dataclass(frozen=True)
class Shown(Artifact):
    """What figures are drawn from."""

    def figure(self, stem: str, about: str, drawn_by: str, *beside: "Shown | ConfigKey") -> "Figure":
        """A figure of it, and of what stands beside it, by a function of `figures/` (`file:function`)."""
        return Figure(f"figures/{stem}.png", self.maker, about, (self, *beside), drawn_by)


@dataclass(frozen=True)
class Table(Shown):
    """A CSV table."""

    columns: Mapping[str, str] = field(default_factory=dict, compare=False)
    """What each column means; `SUFFIXES` may follow any of them."""

    def read(self, run: RunPaths) -> "pd.DataFrame":
        """The whole table; where there is none, an error that names the command that makes it."""
        self.of(run).require()
        return io.read_csv(self.path(run))

    def write(self, run: RunPaths, table: "pd.DataFrame") -> None:
        """Writes atomically: a reader sees the old table or the new one."""
        io.write_csv(self.path(run), table)

    def rows(self, run: RunPaths, variant: str | None, condition: str | None) -> EventRows:
        """Its rows of one variant and condition (none: of all), as something that a stage needs."""
        return EventRows(self.path(run), variant, condition, made_by=self.made_in(run))

    def meaning(self, column: str) -> str | None:
        """What a column says; none if the table does not know it."""
        if column in self.columns:
            return self.columns[column]
        for suffix, about in sorted(SUFFIXES.items(), key=lambda item: -len(item[0])):
            if column.endswith(suffix) and self.meaning(base := column.removesuffix(suffix)) is not None:
                return f"`{base}`: {about}"
        return None

    def foreign(self, table: "pd.DataFrame") -> list[str]:
        """Columns that this table does not know."""
        return [str(name) for name in table.columns if self.meaning(str(name)) is None]

    def lacks(self, table: "pd.DataFrame", *columns: str) -> list[str]:
        """Which of these columns (or else of all declared ones) are not in this table."""
        return [name for name in columns or self.columns if name not in table.columns]


@dataclass(frozen=True)
class Data(Shown):
    """A JSON file."""

    def read(self, run: RunPaths) -> Any:
        """What the file holds, as plain Python."""
        return io.read_json(self.path(run), made_by=self.made_in(run))

    def write(self, run: RunPaths, data: Any) -> None:
        """Writes atomically: a reader sees the old contents or the new ones."""
        io.write_json(self.path(run), data)


@dataclass(frozen=True)
class JsonLines(Artifact):
    """A JSONL file of typed rows, appended as they finish."""

    def path(self, run: RunPaths, **names: str) -> Path:
        """Where the rows of these names lie; no name may lead out of its folder."""
        return run.root / self.name.format(**{kind: check_id(kind, name) for kind, name in names.items()})

    def of(self, run: RunPaths, **names: str) -> Whole:
        """One such file as a stage's input; the names fill the braces."""
        return Whole(self.path(run, **names), made_by=self.made_in(run))


@dataclass(frozen=True)
class Vectors(Artifact):
    """Named vectors, as safetensors."""

    def read(self, run: RunPaths) -> "dict[str, Tensor]":
        """Every vector by name, on the CPU."""
        from safetensors.torch import load

        self.of(run).require()
        return dict(load(io.read_bytes(self.path(run))))

    def write(self, run: RunPaths, vectors: "Mapping[str, Tensor]") -> None:
        """Writes atomically: a reader sees the old vectors or the new ones."""
        from safetensors.torch import save_file

        with io.atomic_path(self.path(run)) as temporary:
            save_file({name: vector.contiguous() for name, vector in vectors.items()}, temporary)


@dataclass(frozen=True)
class Figure(Artifact):
    """A figure; a copy lies beside all runs. Where it would be empty, its card says why."""

    shows: tuple[Shown | ConfigKey, ...] = ()
    """What it is drawn from, the files as its maker writes them, where it needs nothing else: without the
    first there is nothing to show, and with the last file it is made."""
    drawn_by: str = ""

    @property
    def files(self) -> tuple[Shown, ...]:
        """The files among what it shows."""
        return tuple(one for one in self.shows if isinstance(one, Shown))

    def svg(self, run: RunPaths) -> Path:
        """The same for pages."""
        return self.path(run).with_suffix(".svg")

    def narrow(self, run: RunPaths) -> Path:
        """The same for narrow pages."""
        return self.path(run).with_suffix(".narrow.svg")

    def card(self, run: RunPaths) -> Path:
        """Its caption, or why there is nothing to show."""
        return card_of(self.path(run))


def card_of(picture: Path) -> Path:
    """Where the words of a figure stand, and where it is said why there is no picture."""
    return picture.with_suffix(".json")


def with_beside(outputs: Iterable[Path]) -> list[Path]:
    """Outputs, and what is made with each figure among them."""
    made = []
    for path in outputs:
        made.append(path)
        if path.suffix == ".png":
            made += [path.with_suffix(".svg"), path.with_suffix(".narrow.svg"), card_of(path)]
    return made


@dataclass(frozen=True)
class PageFile(Artifact):
    """A report, or the run's own record."""


def paths(run: RunPaths, artifacts: Iterable[Artifact]) -> list[Path]:
    """Where some artifacts of a run lie."""
    return [artifact.path(run) for artifact in artifacts]


def present(run: RunPaths, artifacts: Sequence[Artifact]) -> list[Whole]:
    """Those that are there, as needs."""
    return [artifact.of(run) for artifact in artifacts if artifact.path(run).exists()]


def meanings(text: str, *shared: Mapping[str, str]) -> dict[str, str]:
    """Columns written one per line as `name: meaning`, after those that other tables share.

    Names with one meaning stand together; a line that ends in a backslash goes on in the next.
    """
    meaning_of: dict[str, str] = {}
    for columns in shared:
        meaning_of |= columns
    for line in filter(None, map(str.strip, text.replace("\\\n", "").splitlines())):
        names, _, about = line.partition(": ")
        meaning_of |= dict.fromkeys(names.split(", "), about)
    return meaning_of
