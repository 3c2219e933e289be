"""Where everything in a run folder lies, and what a run may be called."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from backtracking.errors import UserError, did_you_mean

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def check_id(kind: str, value: str) -> str:
    """Refuse a name that could leave its folder or that a shell would trip over."""
    if not _ID.fullmatch(value) or ".." in value:
        raise UserError(
            f"{kind} {value!r} is not usable as a folder name",
            "letters, digits, '.', '_' and '-' are allowed (100 at most), beginning with a letter or digit",
        )
    return value


@dataclass(frozen=True)
class RunPaths:
    """Every path of one run."""

    output_dir: Path
    run_id: str

    def __post_init__(self) -> None:
        check_id("run id", self.run_id)

    @property
    def root(self) -> Path:
        """The run's folder."""
        return self.output_dir / self.run_id

    @property
    def lock(self) -> Path:
        """Who writes into the run now, if anybody does."""
        return self.root / ".lock"

    @property
    def config(self) -> Path:
        """The config as it was resolved."""
        return self.root / "config_resolved.yaml"

    @property
    def config_earlier(self) -> Path:
        """The config of an earlier implementation, kept when its run is worked on with a new one."""
        return self.root / "config_earlier.yaml"

    @property
    def meta(self) -> Path:
        """The record of what was done and from what."""
        return self.root / "meta.json"

    @property
    def dataset(self) -> Path:
        """Where the prepared problems lie unless `dataset.save_path` says otherwise."""
        return self.root / "dataset.jsonl"

    @property
    def generations(self) -> Path:
        """Completions, a folder per prompt variant."""
        return self.root / "generations"

    @property
    def analysis(self) -> Path:
        """The tables."""
        return self.root / "analysis"

    def table(self, name: str) -> Path:
        """An analysis artifact by its file name."""
        return self.analysis / name

    def work(self, name: str) -> Path:
        """Per-event results of an analysis, from which an interrupted one goes on."""
        return self.root / "work" / f"{name}.jsonl"

    @property
    def figures(self) -> Path:
        """The run's own figures."""
        return self.root / "figures"

    def figure(self, name: str) -> Path:
        """One figure by its name, as PNG."""
        return self.figures / f"{name}.png"

    @property
    def gallery(self) -> "Gallery":
        """The figures of all runs beside this one."""
        return Gallery(self.output_dir)

    def proposal_figure(self, name: str) -> Path:
        """The copy that goes into papers and proposals, in a folder of this run's own."""
        return self.proposal_figures / f"{name}.png"

    @property
    def proposal_figures(self) -> Path:
        """The run's folder in the gallery."""
        return self.gallery.folder / self.run_id

    def inside(self, relative: str, key: str) -> Path:
        """A path from the config that must stay in the run folder."""
        path = (self.root / relative).resolve()
        if not path.is_relative_to(self.root.resolve()):
            raise UserError(
                f"{key}: {relative!r} leaves the run folder {self.root}",
                next_step=f"give {key} a path inside it",
            )
        return self.root / relative

    def refuse_links_out(self) -> None:
        """Refuse a folder in which writing to a name would write to another place."""
        home = self.root.resolve()
        for folder, folders, files in os.walk(self.root):
            for path in (Path(folder) / name for name in (*folders, *files)):
                if path.is_symlink() and not path.resolve().is_relative_to(home):
                    raise UserError(
                        f"{path} is a link that leads out of the run folder, to {path.readlink()}",
                        "what is written to a run stays in its folder",
                        "put what it points to in its place; run.output_dir may lie on another disk",
                    )


@dataclass(frozen=True)
class Gallery:
    """The figures of all runs, in a folder beside the folder of runs."""

    output_dir: Path

    @property
    def folder(self) -> Path:
        """The folder, beside that of the runs."""
        return self.output_dir.parent / "figures"

    @property
    def index(self) -> Path:
        """The page that shows them all."""
        return self.folder / "index.md"

    def runs(self) -> list[RunPaths]:
        """The runs that have figures here, by id."""
        folders = sorted(path.parent.name for path in self.folder.glob("*/*.png"))
        return [RunPaths(self.output_dir, name) for name in dict.fromkeys(folders) if _ID.fullmatch(name)]


def run_folder(named: str | Path) -> RunPaths:
    """A run by its folder, such as `runs/demo`; a bare id is looked for in `runs/`. It may not be there."""
    root = Path(named)
    if not root.is_dir() and (len(root.parts) == 1 or (Path("runs") / root).is_dir()):
        root = Path("runs") / root
    root = root.resolve()
    return RunPaths(root.parent, root.name)


def current_run_file(output_dir: Path) -> Path:
    """Where the id of the current run stands."""
    return output_dir / ".current_run_id"


def unknown_run(run_id: str, output_dir: Path) -> UserError:
    """Of a run that is not there: which are, and which of them may be meant."""
    known = list_runs(output_dir)
    shown = output_dir.relative_to(Path.cwd()) if output_dir.is_relative_to(Path.cwd()) else output_dir
    other = "name one of these, the folder of a run, or " if known else ""
    return UserError(
        f"there is no run {run_id!r} in {shown}",
        f"runs there: {', '.join(known[:8]) or 'none'}",
        f"{did_you_mean(run_id, known)}{other}begin one with: backtracking init-run --config CONFIG",
    )


def list_runs(output_dir: Path) -> list[str]:
    """Ids of the runs in a folder, newest first."""
    metas = [path for path in output_dir.glob("*/meta.json") if path.is_file()]
    return [path.parent.name for path in sorted(metas, key=lambda path: path.stat().st_mtime, reverse=True)]
