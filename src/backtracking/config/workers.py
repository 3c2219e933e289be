"""Config sections of the run itself: what it is called, where it is kept, and who works on the model."""

from typing import Annotated, Literal

from pydantic import Field

from backtracking.config.base import Name, Number, PositiveInt, Section, Seed


class RayConfig(Section):
    """The workers, where `run.executor` is `ray`."""

    address: str | None = None
    """A cluster to join (`auto`, `host:port` or `ray://host:port`); null starts one on this machine, which
    only this machine can reach."""
    workers: PositiveInt | Literal["auto"] = "auto"
    """Processes with one model each; `auto` is one per GPU, or as many as the CPUs allow."""
    cpus: Annotated[Number, Field(gt=0.0)] = 1.0
    """CPUs of a worker, which also bound its threads."""
    gpus: Annotated[Number, Field(ge=0.0)] | Literal["auto"] = "auto"
    """GPUs of a worker; `auto` is one where the cluster has any and `model.device` may be one."""
    resources: dict[str, Annotated[Number, Field(gt=0.0)]] = Field(default_factory=dict)
    """Other resources that a worker takes, by the names that the cluster gives them."""


class RunConfig(Section):
    """The run: its name, its seed and where it is kept."""

    name: Name = "backtracking"
    """A short name; new run ids begin with it."""
    seed: Seed = 0
    """Seeds token noise, control matching and resampling; the same seed gives the same rows."""
    run_id: Name | None = None
    """The run folder's name; when null, --run-id, else the current run of the same study, else a new id."""
    output_dir: str = "runs"
    """Folder that holds all run folders, relative to where the command is started."""
    executor: Literal["local", "ray"] = "local"
    """Who works on the model: this process, or workers on Ray (extra: `ray`). It never changes a row."""
    ray: RayConfig = RayConfig()
    """The workers on Ray."""
