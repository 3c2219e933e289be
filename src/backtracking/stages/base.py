"""What a stage is: what it needs, what it makes, and the run it works in."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from backtracking.artifacts import phase1, phase2
from backtracking.artifacts.kinds import Table
from backtracking.config.load import LoadedConfig
from backtracking.config.phase2 import Phase2Config
from backtracking.config.reading import flatten
from backtracking.config.schema import ExperimentConfig
from backtracking.errors import UserError
from backtracking.run import io
from backtracking.run.inputs import Input, Setting, note, verify
from backtracking.run.meta import RunMeta, prepared_problems
from backtracking.run.paths import RunPaths
from backtracking.run.progress import SHOW_AFTER_SECONDS, Quiet, Reporter, clock
from backtracking.run.provenance import weights_digest

if TYPE_CHECKING:
    from backtracking.engine.executor.work import Executor
    from backtracking.model.loading import LoadedModel

SAMPLING_KEYS = (
    "generation",
    "-generation.num_samples_per_prompt",
    "-generation.batch_size",
    "-generation.shard_rows",
)
"""What decides how tokens are chosen: the whole section but for the number of rows, at once and in a file."""


@dataclass
class RunContext:
    """One run, open for work."""

    loaded: LoadedConfig
    paths: RunPaths
    meta: RunMeta
    phase1: RunPaths | None = None
    pipeline: "Sequence[Stage]" = ()
    """All stages that the config asks for, in order; a report says which of them are stale."""
    why_new: str = ""
    """Why this is a new run where another was to be expected; said when it is made."""
    to_be_made: frozenset[Path] = frozenset()
    """In a forecast: what stages before the one in question make, so that what lies there says nothing."""
    reporter: Reporter = field(default_factory=Quiet)
    load: "Callable[[ExperimentConfig], LoadedModel] | None" = None
    _executor: "Executor | None" = None
    _model: "LoadedModel | None" = None
    _tokenizer: Any = None

    @property
    def config(self) -> ExperimentConfig:
        """What the run is asked to do."""
        return self.loaded.config

    @property
    def phase2(self) -> Phase2Config:
        """The section for Phase 2; its defaults for a run of the earlier study."""
        if self.config.phase2 is None and self.meta.earlier is not None and not self._is_foreign_phase1:
            return Phase2Config()  # such a run may hold Phase 2's tables beside a config that does not say so
        if self.config.phase2 is None:
            raise UserError(
                f"run {self.paths.run_id} is a Phase 1 run: {self.loaded.source} has no phase2 section",
                "this command belongs to Phase 2",
                "name a Phase 2 run with --run-id, or a Phase 2 config, e.g. --config demo_phase2",
            )
        return self.config.phase2

    @property
    def _is_foreign_phase1(self) -> bool:
        """Whether the tables of a foreign run are Phase 1's alone."""
        held = {
            room: any(one.exists(self.paths) for one in vars(room).values() if type(one) is Table)
            for room in (phase1, phase2)
        }
        return held[phase1] and not held[phase2]

    @property
    def phase1_paths(self) -> RunPaths:
        """Where the Phase 1 run lies that this one builds on."""
        if self.phase1 is None:
            raise UserError(
                "no Phase 1 run given",
                "Phase 2 builds on a finished Phase 1 run",
                "add --phase1-run-id ID, or set phase2.phase1_run_id",
            )
        return self.phase1

    @property
    def dataset_path(self) -> Path:
        """The problems of the run: those that it prepared itself, else its Phase 1 run's."""
        return self.phase1_problems or self.own_dataset_path

    @property
    def own_dataset_path(self) -> Path:
        """Where this run writes its problems."""
        saved = self.config.dataset.save_path
        return Path(saved) if saved else self.paths.dataset

    @property
    def phase1_problems(self) -> Path | None:
        """Phase 1's problems, where Phase 2 works on them."""
        prepared = self.meta.stages.get("prepare-data")
        if self.config.phase2 is None or self.phase1 is None or (prepared and prepared.outcome == "done"):
            return None
        return prepared_problems(self.phase1)

    @property
    def awaits_phase1(self) -> bool:
        """Whether this is Phase 2 on a Phase 1 run that is yet to be made."""
        return self.config.phase2 is not None and (self.phase1 is None or not self.phase1.root.is_dir())

    def problem_count(self) -> int:
        """How many problems there are; how many are asked for as long as they are not prepared."""
        prepared = 0 if self.own_dataset_path in self.to_be_made else io.count_lines(self.dataset_path)
        return prepared or self.config.dataset.max_examples

    def stands(self, path: Path) -> bool:
        """Whether a file is there and, as far as a forecast can tell, stays as it is."""
        return path not in self.to_be_made and path.exists()

    def model(self) -> "LoadedModel":
        """The model under study, loaded once per process."""
        if self._model is None:
            if self.load is None:
                from backtracking.model.loading import load_model

                self.reporter.say(f"  loading {self.config.model.hf_id}")
                start = time.perf_counter()
                self._model = load_model(self.config.model)
                if (seconds := time.perf_counter() - start) >= SHOW_AFTER_SECONDS:
                    self.reporter.say(f"  loaded in {clock(seconds)} (not counted in the times below)")
            else:
                self._model = self.load(self.config)
        return self._model

    @property
    def executor(self) -> "Executor":
        """Who works on the model."""
        if self._executor is None:
            asked = self.config.run
            if asked.executor == "ray":
                from backtracking.engine.executor.on_ray import RayExecutor

                self._executor = RayExecutor(self.config.model, asked.ray, self.reporter)
            else:
                from backtracking.engine.executor.work import InThisProcess

                self._executor = InThisProcess()
        return self._executor

    def close(self) -> None:
        """Let the executor's workers go."""
        if self._executor is not None:
            self._executor.close()

    def take_results(self) -> dict[str, int]:
        """How many results the executor has handed out since this was asked last, by what it is called."""
        asked = self._executor
        if asked is None or not asked.results:
            return {}
        count, asked.results = asked.results, 0
        return {asked.name: count}

    def tokenizer(self) -> Any:
        """The model's tokenizer, without its weights when they are not loaded yet."""
        if self._model is not None or self.load is not None:
            return self.model().tokenizer
        if self._tokenizer is None:
            from backtracking.model.loading import load_tokenizer

            self._tokenizer = load_tokenizer(self.config.model)
        return self._tokenizer

    def weights(self) -> str | None:
        """Identity of the weights under study; None before they were ever loaded."""
        return weights_digest(self.config.model.hf_id, self.config.model.revision)

    def check_variant(self, variant: str) -> str:
        """The variant, if the config has it."""
        known = self.config.prompting.variant_names
        if variant not in known:
            raise UserError(f"unknown variant {variant!r}", next_step=f"choose one of: {', '.join(known)}")
        return variant


@dataclass(frozen=True)
class Result:
    """What a stage reports when it is done."""

    rows: int | None = None
    notes: dict[str, Any] = field(default_factory=dict)
    made: Sequence[Input] = ()
    """Outputs whose names are known only now."""


@dataclass(frozen=True)
class Completions:
    """The completions that a stage asks for: how many rows each file is to hold, and the cap of each row."""

    files: Mapping[Path, int]
    cap: int
    others: int = 0
    """Rows of arms that have no name yet."""
    unkept: int = 0
    """Rows that are measured and not kept."""
    at_most: bool = False
    """Whether what comes before the stage decides how many of these there are."""


class Stage(ABC):
    """One command of the pipeline; subclasses are frozen dataclasses whose fields are its parameters."""

    name: ClassVar[str]
    phase: ClassVar[Literal[1, 2]]
    config_keys: ClassVar[tuple[str, ...]]
    """Dotted config keys that its result depends on; a leading `-` takes a key out again."""
    unit: ClassVar[str] = "row"
    """What its result counts."""
    says_what_is_stale: ClassVar[bool] = False
    """Whether it tells of results that were changed, rather than refuse to read them."""

    @property
    def key(self) -> str:
        """The stage and its parameters, e.g. `generate[think_same_line/baseline]`."""
        values = [str(value) for value in getattr(self, "__dict__", {}).values()]
        return f"{self.name}[{'/'.join(values)}]" if values else self.name

    @abstractmethod
    def inputs(self, ctx: RunContext) -> Sequence[Input]:
        """What it reads, and how far each matters."""

    @abstractmethod
    def outputs(self, ctx: RunContext) -> Sequence[Path]:
        """The files that it makes."""

    @abstractmethod
    def run(self, ctx: RunContext) -> Result:
        """Does the work, and says what is to be remembered of it."""

    def check(self, _ctx: RunContext) -> None:
        """Refuse, before anything is recorded, to be made from what lies there; most take what there is."""
        return

    def completions(self, _ctx: RunContext) -> Completions | None:
        """The completions that it generates, known before anything is loaded; None for the other stages."""
        return None

    def left_out(self, _ctx: RunContext) -> Mapping[str, str]:
        """Arms that it leaves out as things stand, each with the reason; known before anything is loaded."""
        return {}

    def work_files(self, _ctx: RunContext) -> Sequence[Path]:
        """Values that it keeps as it goes; they are its own, but may be deleted once it is done."""
        return ()

    def resumes_from(self, ctx: RunContext) -> Sequence[Path]:
        """Files that a stopped run goes on from; a forced run sets them aside and starts anew."""
        return self.work_files(ctx)

    def rewrites(self, _ctx: RunContext) -> Sequence[Path]:
        """Outputs that other commands write as well: they are written over, whoever made them."""
        return ()

    def config_values(self, ctx: RunContext) -> dict[str, Any]:
        """Every config value that the result depends on, by dotted key."""
        return flatten(select_keys(ctx.config.model_dump(mode="json"), self.config_keys))


def token_cap(paths: RunPaths) -> int | None:
    """The cap that a run's completions were generated under, by the config they were generated with."""
    config = paths.config_earlier if paths.config_earlier.exists() else paths.config
    setting = Setting(config, "generation.max_new_tokens")
    note(setting)
    verify(setting)
    cap = setting.value()
    return cap if isinstance(cap, int) else None


def select_keys(data: dict[str, Any], keys: Sequence[str]) -> dict[str, Any]:
    """The values behind some dotted keys, without those named with a leading `-`."""
    dropped = tuple(key[1:] for key in keys if key.startswith("-"))
    return {key: _at(data, key, dropped) for key in keys if not key.startswith("-")}


def _at(data: Any, key: str, dropped: tuple[str, ...]) -> Any:
    for part in key.split("."):
        data = data.get(part) if isinstance(data, dict) else None
    return _without(data, key, dropped)


def _without(data: Any, prefix: str, dropped: tuple[str, ...]) -> Any:
    if not isinstance(data, dict):
        return data
    return {
        name: _without(value, f"{prefix}.{name}", dropped)
        for name, value in data.items()
        if f"{prefix}.{name}" not in dropped
    }
