"""A finished run, opened for reading: its tables, rows, figures and reports."""

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backtracking.api.display import facts_html
from backtracking.api.rows import RowReading, Rows
from backtracking.artifacts.phase1 import DATASET, GENERATIONS
from backtracking.artifacts.phase2 import ARM_PREFIX, ARM_ROWS
from backtracking.artifacts.registry import held
from backtracking.claims.wording import counted
from backtracking.config.load import load_config
from backtracking.config.schema import NO_MODEL
from backtracking.errors import UserError
from backtracking.run.io import read_jsonl
from backtracking.run.meta import RunMeta, prepared_problems
from backtracking.run.paths import RunPaths, list_runs, run_folder, unknown_run
from backtracking.run.records import BASELINE_NAME, GenerationRecord, Problem

if TYPE_CHECKING:
    from backtracking.config.schema import ExperimentConfig
    from backtracking.explore.study import MeasuredRun


def open_run(folder: str | Path) -> "Run":
    """A run by its folder, such as `runs/demo`; a bare id is looked for in `runs/`."""
    if not isinstance(folder, str | Path):
        raise UserError(
            f"a run is named by its folder, not by {folder!r}", next_step='bt.open_run("runs/demo")'
        )
    paths = run_folder(folder)
    if not paths.root.is_dir():
        raise unknown_run(paths.run_id, paths.output_dir)
    if not paths.meta.exists():
        raise UserError(
            f"{folder} is not a run folder",
            f"it has no meta.json; runs beside it: {', '.join(list_runs(paths.output_dir)[:8]) or 'none'}",
            "name a folder that `backtracking run` or `init-run` made",
        )
    return Run(paths)


class Picture:
    """A figure of a run, shown by notebooks; `path` is where it lies."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def _repr_png_(self) -> bytes:
        return self.path.read_bytes()

    def __repr__(self) -> str:
        return f"Picture({str(self.path)!r})"


class Run:
    """A run folder, read only."""

    def __init__(self, paths: RunPaths) -> None:
        self.paths = paths

    @cached_property
    def config(self) -> "ExperimentConfig":
        """What the run was asked to do."""
        is_earlier = RunMeta.load(self.paths.meta).earlier is not None
        return load_config(self.paths.config, [], skip_unknown=is_earlier).config

    @property
    def tables(self) -> tuple[str, ...]:
        """The names of its tables and summaries; a summary beside a table of its name goes by its file."""
        return tuple(self._table_files)

    @property
    def figures(self) -> tuple[str, ...]:
        """The names of its figures."""
        return tuple(path.stem for path in _files(self.paths.figures, ".png"))

    @property
    def conditions(self) -> tuple[str, ...]:
        """The conditions, and arms of Phase 2, that some prompt variant has completions of."""
        names = [path.stem for path in sorted(self.paths.generations.glob("*/*.jsonl"))]
        return tuple(dict.fromkeys(name.removeprefix(ARM_PREFIX) for name in names))

    def table(self, name: str) -> Any:
        """A table as a frame, a summary as a dictionary, by name or file; columns: docs/artifacts.md."""
        files = self._table_files
        file = files.get(name, name)
        if file not in files.values():
            raise self._missing("table", name, self.tables)
        return held(file).read(self.paths)

    def figure(self, name: str) -> Picture:
        """A figure, ready to be shown."""
        if name not in self.figures:
            raise self._missing("figure", name, self.figures)
        return Picture(self.paths.figure(name))

    def rows(self, *conditions: str, variant: str | None = None) -> Rows:
        """Its completions under some conditions (the baseline, unless others are named) of one variant.

        They take the analyses as rows that were just generated do, under the run's detector.
        """
        chosen = variant or self.config.prompting.variant_names[0]
        records: list[GenerationRecord] = []
        for condition in conditions or (BASELINE_NAME,):
            name = condition.removeprefix(ARM_PREFIX)
            path = GENERATIONS.path(self.paths, variant=chosen, condition=name)
            if not path.exists():
                path = ARM_ROWS.path(self.paths, variant=chosen, arm=name)
            if not path.exists():
                raise self._missing(f"completions of {chosen} under", condition, self.conditions)
            records += read_jsonl(path, GenerationRecord, made_by=GENERATIONS.made_by)
        return Rows(records, self._reading)

    @property
    def report(self) -> str:
        """The text of its report."""
        pages = sorted((self.paths.root / "reports").glob("*.md"))
        if not pages:
            raise self._missing("report", "", ())
        return pages[0].read_text(encoding="utf-8")

    def __repr__(self) -> str:
        size = f"{counted(len(self.tables), 'table')}, {counted(len(self.figures), 'figure')}"
        return f"Run({str(self.paths.root)!r}, {size})"

    def _repr_html_(self) -> str:
        facts = {"tables": self.tables, "figures": self.figures, "conditions": self.conditions}
        return facts_html(repr(self), facts)

    def studies(self) -> "list[MeasuredRun]":
        """What the explorer reads: this run, behind the Phase 1 run that it builds on."""
        from backtracking.explore.study import MeasuredRun
        from backtracking.model.loading import load_tokenizer
        from backtracking.text.tokenization import TokenMap

        meta, folder = RunMeta.load(self.paths.meta), self.paths.output_dir
        earlier = RunPaths(folder, meta.phase1_run_id) if meta.phase1_run_id else None
        has_model = self.config.model.hf_id != NO_MODEL
        token_map = TokenMap(load_tokenizer(self.config.model)) if has_model else None
        others = [Run(earlier)] if earlier not in (None, self.paths) and earlier.meta.exists() else []
        return [
            MeasuredRun.of(run.paths, run.config, token_map, earlier if run is self else None)
            for run in (*others, self)
        ]

    @cached_property
    def _reading(self) -> RowReading:
        from backtracking.model.loading import load_tokenizer

        config, earlier = self.config, RunMeta.load(self.paths.meta).phase1_run_id
        path = prepared_problems(self.paths)
        if path is None and earlier is not None:
            path = prepared_problems(RunPaths(self.paths.output_dir, earlier))
        problems = tuple(read_jsonl(path or self.paths.dataset, Problem, made_by=DATASET.made_by))
        return RowReading(problems, lambda: load_tokenizer(config.model), config.prompting, config.detection)

    @property
    def _table_files(self) -> dict[str, str]:
        """The file of each name."""
        files = _files(self.paths.analysis, ".csv", ".json")
        tables = {path.stem for path in files if path.suffix == ".csv"}
        return {
            path.name if path.suffix == ".json" and path.stem in tables else path.stem: path.name
            for path in files
        }

    def _missing(self, what: str, name: str, known: tuple[str, ...]) -> UserError:
        return UserError(
            f"{self.paths.root} has no {what} {name!r}" if name else f"{self.paths.root} has no {what}",
            f"there are: {', '.join(known) or 'none'}",
            "see `backtracking status` for what the run has done",
        )


def _files(folder: Path, *endings: str) -> list[Path]:
    files = sorted(folder.iterdir()) if folder.is_dir() else []
    return [path for path in files if path.suffix in endings]
