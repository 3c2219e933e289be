"""What the shell offers at Tab: run ids, prompt formats, conditions, configs. Reads names, never a model."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
import yaml

if TYPE_CHECKING:
    from backtracking.run.paths import RunPaths

RUNS = Path("runs")
CONFIG_FOLDERS = (Path("configs"), Path())


def run_ids(incomplete: str) -> list[str]:
    """Runs in `runs/`, newest first."""
    from backtracking.run.paths import list_runs

    return [name for name in list_runs(RUNS) if name.startswith(incomplete)]


def conditions(incomplete: str) -> list[tuple[str, str]]:
    """Phase 1's conditions."""
    known = {
        "baseline": "the model as it is",
        "targeted_ablation": "the selected components removed together",
        "single_ablation": "each of them removed alone, where there are several",
        "random_ablation": "as many random ones removed",
    }
    return [(name, text) for name, text in known.items() if name.startswith(incomplete)]


def variants(ctx: typer.Context, incomplete: str) -> list[str]:
    """The formats of the config or run that the line names, else of the current run, else the usual ones."""
    from backtracking.config.schema import PromptingConfig

    named = _variants_in(_config_meant(ctx.params))
    return [name for name in named or PromptingConfig().variant_names if name.startswith(incomplete)]


def configs(incomplete: str) -> list[str]:
    """Config files here and in `configs/`, and the names of those that come with the package."""
    from backtracking.config.shipped import shipped_names

    typed = Path(incomplete)
    folder = typed if incomplete.endswith("/") else typed.parent
    folders = (folder,) if "/" in incomplete else CONFIG_FOLDERS
    listed = [path for place in folders if place.is_dir() for path in sorted(place.glob("*.y*ml"))]
    files = [str(path) for path in listed if _is_config(path)]
    return [name for name in [*files, *shipped_names()] if name.startswith(incomplete)]


def shipped(incomplete: str) -> list[str]:
    """The configs that come with the package."""
    from backtracking.config.shipped import shipped_names

    return [name for name in shipped_names() if name.startswith(incomplete)]


def arms(ctx: typer.Context, incomplete: str) -> list[str]:
    """The conditions and arms that the run on the line has completions of."""
    from backtracking.artifacts.phase2 import ARM_PREFIX

    run = _run_meant(ctx.params, ctx.args)
    files = sorted(run.generations.glob("*/*.jsonl")) if run else ()
    names = dict.fromkeys(
        path.stem.removeprefix(ARM_PREFIX) for path in files if ".previous" not in path.name
    )
    return [name for name in names if name.startswith(incomplete)]


def directions(ctx: typer.Context, incomplete: str) -> list[str]:
    """The directions that the run on the line has saved."""
    from backtracking.artifacts.readings import DIRECTIONS_CARD

    run = _run_meant(ctx.params, ctx.args)
    card = DIRECTIONS_CARD.path(run) if run else None
    names = yaml.safe_load(card.read_text(encoding="utf-8"))["names"] if card and card.is_file() else ()
    return [name for name in names if name.startswith(incomplete)]


def _is_config(path: Path) -> bool:
    """Whether a YAML file has no section that configs have not."""
    from backtracking.config.schema import ExperimentConfig

    if path.name.startswith(".") or not path.is_file():
        return False
    sections = re.findall(r"^(\w+):", path.read_text(encoding="utf-8", errors="replace"), re.MULTILINE)
    return {*sections} <= {"extends", *ExperimentConfig.model_fields}


def _run_meant(params: dict[str, Any], unread: Sequence[str] = ()) -> "RunPaths | None":
    """The run that the line names, as an option or as a word not read yet, else the current one."""
    from backtracking.run.paths import RunPaths, current_run_file

    current = current_run_file(RUNS)
    named = params.get("run") or params.get("run_id") or next(iter(unread), "")
    name = named or (current.read_text(encoding="utf-8").strip() if current.exists() else "")
    return RunPaths(RUNS, name) if name else None


def _config_meant(params: dict[str, Any]) -> Path | None:
    from backtracking.config.shipped import find_config

    if params.get("config"):
        file = find_config(Path(params["config"]))
        return file.path if file else None
    run = _run_meant(params)
    return run.config if run else None


def _variants_in(path: Path | None) -> list[str]:
    """The names that a config file lists; none where it has no such list, or is no config."""
    if path is None or not path.is_file():
        return []
    try:
        listed = yaml.safe_load(path.read_text(encoding="utf-8"))["prompting"]["formatting_variants"]
        return [str(variant["name"]) for variant in listed]
    except (yaml.YAMLError, KeyError, TypeError, UnicodeDecodeError):
        return []
