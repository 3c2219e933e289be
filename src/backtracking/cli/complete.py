"""What the shell offers at Tab: run ids, prompt formats, conditions, configs. Reads names, never a model."""

from pathlib import Path
from typing import Any

import typer
import yaml

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
    files = [str(path) for place in folders if place.is_dir() for path in sorted(place.glob("*.y*ml"))]
    return [name for name in [*files, *shipped_names()] if name.startswith(incomplete)]


def _config_meant(params: dict[str, Any]) -> Path | None:
    from backtracking.config.shipped import find_config
    from backtracking.run.paths import RunPaths, current_run_file

    if params.get("config"):
        file = find_config(Path(params["config"]))
        return file.path if file else None
    current = current_run_file(RUNS)
    name = params.get("run_id") or (current.read_text(encoding="utf-8").strip() if current.exists() else "")
    return RunPaths(RUNS, name).config if name else None


def _variants_in(path: Path | None) -> list[str]:
    """The names that a config file lists; none where it has no such list, or is no config."""
    if path is None or not path.is_file():
        return []
    try:
        listed = yaml.safe_load(path.read_text(encoding="utf-8"))["prompting"]["formatting_variants"]
        return [str(variant["name"]) for variant in listed]
    except (yaml.YAMLError, KeyError, TypeError, UnicodeDecodeError):
        return []
