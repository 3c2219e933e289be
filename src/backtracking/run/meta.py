"""meta.json: what a run is, where it came from, and what each stage did when."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import FiniteFloat, TypeAdapter, ValidationError

from backtracking.errors import UserError
from backtracking.run import io
from backtracking.run.inputs import Whole
from backtracking.run.paths import RunPaths

META_SCHEMA = 1

StageOutcome = Literal["started", "done", "not testable", "interrupted", "failed"]


@dataclass
class StageRecord:
    """What one stage did the last time it ran, and on what."""

    outcome: StageOutcome
    started: str
    code: str
    config: dict[str, Any]
    """Every config value that the result depends on, by dotted key."""
    inputs: dict[str, str]
    """Everything that was read, by its name from the run folder on, with its digest."""
    outputs: dict[str, str] = field(default_factory=dict)
    source: str | None = None
    """Digest of the code that made it."""
    finished: str | None = None
    seconds: FiniteFloat | None = None
    rows: int | None = None
    notes: dict[str, Any] = field(default_factory=dict)
    reason: str = ""
    """Why the stage's question is not testable, or what it failed on."""
    executors: dict[str, int] = field(default_factory=dict)
    """Who worked on the model since the last finished result, and how many results each gave."""
    not_made: list[str] = field(default_factory=list)
    """The outputs that there are none of for that reason, named from the run folder on."""
    cause: str = ""
    """The first stage of those that were not testable one after the other, and why; empty if this is it."""


@dataclass
class RunMeta:
    """The contents of meta.json."""

    run_id: str
    name: str
    created: str
    config_source: str
    config_hash: str
    seeds: dict[str, int]
    environment: dict[str, Any]
    model: dict[str, Any] = field(default_factory=dict)
    dataset: dict[str, Any] = field(default_factory=dict)
    study: dict[str, Any] = field(default_factory=dict)
    """What tells the run's study from others (`stages/study.py`)."""
    config_digest: str | None = None
    """Digest of config_resolved.yaml as it was written; runs of earlier versions have none."""
    phase1_run_id: str | None = None
    """The Phase 1 run that a Phase 2 run was last built on; commands that name none mean this one."""
    stages: dict[str, StageRecord] = field(default_factory=dict)
    earlier: dict[str, Any] | None = None
    """What meta.json held before, when the run was written by an earlier implementation."""
    schema: int = META_SCHEMA

    def save(self, path: Path) -> None:
        """Writes it atomically."""
        io.write_json(path, asdict(self))

    @classmethod
    def load(cls, path: Path) -> "RunMeta":
        """Reads it; runs of the earlier study, whose form was another, are recognised."""
        data = io.read_record(path, made_by="backtracking init-run --config CONFIG")
        try:
            if not isinstance(data, dict):
                raise TypeError("it holds no record")
            if "schema" not in data:
                return cls(path.parent.name, "", "", "", "", {}, {}, earlier=data)
            if data["schema"] > META_SCHEMA:
                raise UserError(
                    f"{path} was written by a newer version",
                    f"its schema is {data['schema']}; this version knows up to {META_SCHEMA}",
                    "upgrade the package",
                )
            known = TypeAdapter(StageRecord)
            stages = {key: known.validate_python(record) for key, record in data.pop("stages").items()}
            return cls(stages=stages, **data)
        except (KeyError, TypeError, AttributeError, ValidationError) as error:
            raise UserError(
                f"{path} is not a run's meta.json",
                f"{type(error).__name__}: {str(error).splitlines()[0]}",
                "restore it, or start a new run with: backtracking init-run --config CONFIG",
            ) from error


def variant_of(key: str) -> str:
    """The prompt format that a stage's key names (`logit-lens[no_think_tags]`); empty where it names none."""
    return key.partition("[")[2].removesuffix("]").partition("/")[0]


def told_left_out(left_out: Mapping[str, str]) -> list[str]:
    """Arms that a stage left out, each with its reason; every reason is told once."""
    arms: dict[str, list[str]] = {}
    for arm, reason in left_out.items():
        arms.setdefault(reason, []).append(arm)
    return [
        f"{'arms' if len(names) > 1 else 'arm'} {', '.join(names)} left out: {reason}"
        for reason, names in arms.items()
    ]


def is_config_as_written(paths: RunPaths, meta: RunMeta) -> bool:
    """Whether a run's resolved config is what the run wrote, as far as that is known."""
    return meta.config_digest in (None, Whole(paths.config).digest())


def prepared_problems(paths: RunPaths) -> Path | None:
    """Where a finished run's problems lie, wherever its config had them saved; None when it has none."""
    if paths.dataset.exists():
        return paths.dataset
    noted = RunMeta.load(paths.meta).dataset.get("path") if paths.meta.exists() else None
    return Path(noted) if isinstance(noted, str) and Path(noted).exists() else None
